"""Farthest-first traversal: the greedy k-centre problem, exact and lazy."""

from dataclasses import dataclass

import numpy as np

from fewmasks.query.distance import (
    Points,
    Reader,
    nearest_of_rows,
    nearest_squared,
    reader,
    squared_lengths,
)
from fewmasks.types import Rows

BLOCK_BYTES = 8 << 20
"""Size of the set of far candidates that one phase works on: it stays in the cache."""


@dataclass
class _Bounds:
    """What a search knows of each candidate, row by row."""

    rows: Rows
    upper: np.ndarray
    """No less than the squared distance to the nearest centre; -1 once picked."""
    seen: np.ndarray
    """How many picks that bound knows of."""


def k_center(points: Points, centres: Rows, candidates: Rows, k: int) -> Rows:
    """Pick `k` candidates, each the farthest from all centres and earlier picks.

    Without centres the first pick is the candidate nearest the mean; of equals the lowest row
    comes first. At most twice the smallest covering radius (Gonzalez 1985). `points` may be
    larger than memory: it is read once in order, then a few thousand rows at a time.

    >>> k_center(np.array([[0.0], [1.0], [9.0]]), np.array([0]), np.array([1, 2]), 1)
    array([2])
    """
    rows = np.sort(candidates)
    k = min(k, len(rows))
    if k <= 0:
        return rows[:0]
    read = reader(points, rows)
    found = np.empty((k, points.shape[1]), dtype=read(rows[:1]).dtype)
    picks: list[int] = []
    bounds = _Bounds(rows, np.empty(0), np.zeros(len(rows), dtype=np.int32))
    if len(centres):
        bounds.upper = nearest_of_rows(read, rows, read(centres))
    else:
        first = _nearest_the_mean(read, rows)
        found[0] = read(rows[first : first + 1])
        bounds.upper = nearest_of_rows(read, rows, found[:1])
        bounds.seen[:] = 1
        _take(first, bounds, picks)
    while len(picks) < k:
        _phase(read, bounds, found, picks)
    return rows[picks]


def _phase(read: Reader, bounds: _Bounds, found: np.ndarray, picks: list[int]) -> None:
    """Greedy picks among the candidates of largest bound, as long as none outside can win."""
    size = max(64, BLOCK_BYTES // found[0].nbytes)
    far, rest = _largest(bounds.upper, size)
    if bounds.upper[far].max() <= 0:  # all that is left coincides with a centre
        free = np.flatnonzero(bounds.upper >= 0)[: len(found) - len(picks)]
        for position in free:
            _take(int(position), bounds, picks)
        return
    block = _refresh(read, bounds, far, found[: len(picks)])
    ahead = bounds.upper[far] > rest
    if ahead.any():
        _greedy(block[ahead], far[ahead], rest, bounds, found, picks)
    else:
        _lowest_of_equals(read, rest, size, bounds, found, picks)


def _largest(upper: np.ndarray, size: int) -> tuple[Rows, float]:
    """Positions of the largest bounds, in order of rows, and a bound on all others."""
    if size >= len(upper):
        return np.arange(len(upper)), -0.5
    far = np.sort(np.argpartition(upper, len(upper) - size)[-size:])
    return far, float(upper[far].min())


def _refresh(read: Reader, bounds: _Bounds, some: Rows, found: np.ndarray) -> np.ndarray:
    """Make these bounds exact; gives the coordinates, which had to be read anyway."""
    block = read(bounds.rows[some])
    stale = np.flatnonzero(bounds.seen[some] < len(found))
    if len(stale):
        new = found[bounds.seen[some[stale]].min() :]
        nearest = nearest_squared(block if len(stale) == len(some) else block[stale], new)
        bounds.upper[some[stale]] = np.minimum(bounds.upper[some[stale]], nearest)
        bounds.seen[some] = len(found)
    return block


def _greedy(
    block: np.ndarray,
    far: Rows,
    rest: float,
    bounds: _Bounds,
    found: np.ndarray,
    picks: list[int],
) -> None:
    """The plain loop on a contiguous set, until its farthest is no farther than `rest`."""
    lengths = squared_lengths(block)
    upper = bounds.upper[far]
    product = np.empty_like(upper)
    while len(picks) < len(found):
        best = int(upper.argmax())
        if upper[best] <= rest:
            break
        found[len(picks)] = block[best]
        picks.append(int(far[best]))
        np.matmul(block, block[best], out=product)
        product *= -2
        product += lengths
        product += lengths[best]
        np.maximum(product, 0, out=product)
        np.minimum(upper, product, out=upper)
        upper[best] = -1
    bounds.upper[far] = upper
    bounds.seen[far] = len(picks)


def _lowest_of_equals(
    read: Reader,
    rest: float,
    size: int,
    bounds: _Bounds,
    found: np.ndarray,
    picks: list[int],
) -> None:
    """No candidate is ahead of the others: take the lowest row that is truly at that distance."""
    equals = np.flatnonzero(bounds.upper >= rest)[:size]
    block = _refresh(read, bounds, equals, found[: len(picks)])
    still = np.flatnonzero(bounds.upper[equals] >= rest)
    if len(still):
        found[len(picks)] = block[still[0]]
        _take(int(equals[still[0]]), bounds, picks)


def _take(position: int, bounds: _Bounds, picks: list[int]) -> None:
    bounds.upper[position] = -1
    picks.append(position)


def _nearest_the_mean(read: Reader, rows: Rows) -> int:
    """Position of the candidate nearest the mean of all candidates."""
    starts = range(0, len(rows), 4096)
    total = sum(read(rows[s : s + 4096]).sum(axis=0, dtype=np.float64) for s in starts)
    mean = (np.asarray(total) / len(rows))[None].astype(read(rows[:1]).dtype)
    return int(nearest_of_rows(read, rows, mean).argmin())
