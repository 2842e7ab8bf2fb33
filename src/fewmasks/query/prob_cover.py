"""ProbCover: picks whose balls of one radius hold the most items."""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Bool, Int32

from fewmasks.query.clusters import k_means
from fewmasks.query.distance import (
    Points,
    Reader,
    nearest_of_rows,
    reader,
    squared_distances,
    squared_lengths,
)
from fewmasks.query.k_center import k_center
from fewmasks.types import Rows

STRIP = 256
"""Rows whose neighbours are looked up at a time."""
HEIGHT, WIDTH = 1024, 512
"""Tile of the distance matrix that is decided at a time."""
MOST_PAIRS = 100_000_000
"""Pairs of near items kept in memory (800 MB); denser pools measure distances again instead."""
PURITY = 0.95
PURITY_SAMPLE = 2000

Neighbours = Callable[[Rows], Rows]
"""Gives the positions within the radius of some positions, one list after the other."""


def prob_cover(points: Points, candidates: Rows, labelled: Rows, k: int, radius: float) -> Rows:
    """Pick the candidate with the most uncovered candidates closer than `radius`, `k` times.

    What lies within the radius of a labelled item is covered from the start; of equals the
    lowest row. Once all is covered, the farthest item comes next. Yehuda et al., NeurIPS 2022,
    arXiv:2205.11320.
    """
    rows = np.sort(candidates)
    k = min(k, len(rows))
    read = reader(points, np.concatenate([labelled, rows]))
    covered = np.zeros(len(rows), dtype=bool)
    if len(labelled):
        covered = nearest_of_rows(read, rows, read(labelled)) < radius**2
    neighbours = _neighbours(read, rows, radius)
    picks = rows[_most_covering(neighbours, covered, k)]
    rest = np.setdiff1d(rows, picks)
    centres = np.concatenate([labelled, picks])
    return np.concatenate([picks, k_center(points, centres, rest, k - len(picks))])


def _most_covering(neighbours: Neighbours, covered: Bool[np.ndarray, " n"], k: int) -> Rows:
    """Greedy cover; the count of each row falls as its neighbours are covered."""
    n = len(covered)
    count = _counts(neighbours, np.flatnonzero(~covered), n)
    picks: list[int] = []
    while len(picks) < k and count.max(initial=0) > 0:
        best = int(count.argmax())
        picks.append(best)
        near = neighbours(np.array([best]))
        new = near[~covered[near]]
        covered[new] = True
        count -= _counts(neighbours, new, n)
    return np.array(picks, dtype=np.int64)


def _counts(neighbours: Neighbours, some: Rows, n: int) -> Rows:
    """How often each position is a neighbour of these."""
    count = np.zeros(n, dtype=np.int64)
    for start in range(0, len(some), STRIP):
        count += np.bincount(neighbours(some[start : start + STRIP]), minlength=n)
    return count


def _neighbours(read: Reader, rows: Rows, radius: float) -> Neighbours:
    """From a graph where it fits in memory, else from distances: the same answer."""
    probe = np.arange(0, len(rows), max(1, len(rows) // STRIP))[:STRIP]
    near = len(_near(read, probe, rows, radius)) / max(len(probe), 1)
    if near * len(rows) / 2 > MOST_PAIRS:
        return lambda some: _near(read, some, rows, radius)
    forward, backward = _graph(read, rows, radius)
    return lambda some: np.concatenate([some, *_lists(forward, some), *_lists(backward, some)])


def _near(read: Reader, some: Rows, rows: Rows, radius: float) -> Rows:
    """Positions closer than the radius to each of these, themselves included."""
    mine = read(rows[some])
    parts = [some]
    for start in range(0, len(rows), 4096):
        near = squared_distances(mine, read(rows[start : start + 4096])) < radius**2
        here = np.flatnonzero((some >= start) & (some < start + 4096))
        near[here, some[here] - start] = False
        parts.append(np.nonzero(near)[1] + start)
    return np.concatenate(parts)


def _graph(read: Reader, rows: Rows, radius: float) -> tuple[Any, Any]:
    """Near pairs as compressed rows: towards higher positions, and towards lower ones."""
    from scipy.sparse import csr_array

    n = len(rows)
    blocks = [_pairs_of_block(read, rows, radius, top) for top in range(0, n, HEIGHT)]
    indices = np.concatenate([np.empty(0, dtype=np.int32), *(higher for higher, _ in blocks)])
    count = np.concatenate([np.empty(0, dtype=np.int64), *(count for _, count in blocks)])
    pointers = np.concatenate([[0], np.cumsum(count)]).astype(np.int32)  # else scipy widens both
    del blocks
    forward = csr_array((np.ones(len(indices), dtype=np.int8), indices, pointers), shape=(n, n))
    return forward, forward.T.tocsr()


def _pairs_of_block(
    read: Reader, rows: Rows, radius: float, top: int
) -> tuple[Int32[np.ndarray, " _"], Rows]:
    """Near pairs (i, j > i) of one block of rows: all j in the order of i, and how many for each.

    With the squared length as one more coordinate, one matrix product and one comparison
    decide a tile.
    """
    mine = read(rows[top : top + HEIGHT])
    bar = radius**2 - squared_lengths(mine)[:, None]
    left = np.concatenate([mine, np.ones((len(mine), 1), dtype=mine.dtype)], axis=1)
    product = np.empty((len(mine), WIDTH), dtype=mine.dtype)  # new memory costs as much as a tile
    lower, higher = [], []
    for start in range(top, len(rows), WIDTH):
        theirs = read(rows[start : start + WIDTH])
        right = np.concatenate([-2 * theirs, squared_lengths(theirs)[:, None]], axis=1)
        np.matmul(left, right.T, out=product[:, : len(theirs)])
        i, j = np.divmod(np.flatnonzero(product[:, : len(theirs)] < bar), len(theirs))
        upper = slice(None) if start > top + HEIGHT else start + j > top + i
        lower.append(i[upper].astype(np.int32))
        higher.append((start + j[upper]).astype(np.int32))
    low, high = np.concatenate(lower), np.concatenate(higher)
    return high[np.argsort(low, kind="stable")], np.bincount(low, minlength=len(mine))


def _lists(graph: Any, some: Rows) -> list[Int32[np.ndarray, " _"]]:
    start, stop = graph.indptr[some], graph.indptr[some + 1]
    return [graph.indices[a:b] for a, b in zip(start.tolist(), stop.tolist(), strict=True)]


def pure_radius(points: Points, rows: Rows, k: int, rng: np.random.Generator) -> float:
    """Largest radius at which 95 % of the balls hold members of one of `k` clusters alone."""
    some = np.sort(rng.choice(rows, size=min(len(rows), PURITY_SAMPLE), replace=False))
    cluster, _ = k_means(points, some, k, rng)
    seen = reader(points, some)(some)
    nearest = np.full(len(some), np.inf)
    for start in range(0, len(some), STRIP):
        mine = slice(start, start + STRIP)
        distance = squared_distances(seen[mine], seen)
        distance[cluster[mine][:, None] == cluster] = np.inf
        nearest[mine] = distance.min(axis=1)
    return float(np.sqrt(np.quantile(nearest, 1 - PURITY, method="lower")))
