"""ProbCover: picks whose balls of one radius hold the most items."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int32

from fewmasks.query.clusters import k_means
from fewmasks.query.distance import (
    Points,
    Reader,
    nearest_of_rows,
    reader,
    sketch,
    squared_distances,
    squared_lengths,
)
from fewmasks.query.k_center import k_center
from fewmasks.types import Rows

STRIP = 256
"""Rows whose neighbours are looked up at a time."""
HEIGHT, WIDTH = 512, 512
"""Tile of the distance matrix that is decided at a time."""
MOST_PAIRS = 100_000_000
"""Pairs of near items kept in memory (800 MB); denser pools measure distances again instead."""
AXES = (32, 64, 128)
"""Sizes of sketches that are tried, the smallest first; where none serves, all coordinates."""
MOST_UNDECIDED = 0.002
"""Share of pairs a sketch may leave open: to measure one takes as long as some hundred in tiles."""
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
    if k <= 0:
        return rows[:0]
    covered = np.zeros(len(rows), dtype=bool)
    if len(labelled):
        read = reader(points, np.concatenate([labelled, rows]))
        nearest = nearest_of_rows(read, rows, read(labelled)).astype(np.float64)
        covered = np.sqrt(nearest) < radius
    picks = rows[_most_covering(*_neighbours(_balls(points, rows, radius)), covered, k)]
    rest = np.setdiff1d(rows, picks)
    centres = np.concatenate([labelled, picks])
    return np.concatenate([picks, k_center(points, centres, rest, k - len(picks))])


def _most_covering(
    neighbours: Neighbours, count: Rows, covered: Bool[np.ndarray, " n"], k: int
) -> Rows:
    """Greedy cover; the count of each row falls as its neighbours are covered."""
    n = len(covered)
    count = count - _counts(neighbours, np.flatnonzero(covered), n)
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


@dataclass(frozen=True)
class _Balls:
    """What tells which candidates are closer than the radius; they go by position in `rows`."""

    points: Points
    rows: Rows
    radius: float
    short: Reader
    """Per position: some coordinates, the length of the rest, and the squared length of all."""
    slack: float
    """Bound on rounding: the part of two squared lengths that their distance may be off by."""
    scratch: Float[np.ndarray, " t"]
    """Room for a tile: new memory costs as much as what is computed there."""


def _balls(points: Points, rows: Rows, radius: float) -> _Balls:
    """Sketches that leave few pairs open, else all coordinates, read as they are needed."""
    read = reader(points, rows)
    slack = 2 * (points.shape[1] + 8) * float(np.finfo(read(rows[:1]).dtype).eps)
    scratch = np.empty(max(HEIGHT, WIDTH, STRIP) * WIDTH, dtype=read(rows[:1]).dtype)
    for axes in AXES:
        if 2 * axes > points.shape[1]:
            break
        kept = _with_lengths(sketch(points, rows, axes), slack)
        balls = _Balls(points, rows, radius, kept.__getitem__, slack, scratch)
        probe = kept[:: max(1, len(rows) // WIDTH)][:WIDTH]
        if len(_candidates(balls, probe, probe)[2]) <= MOST_UNDECIDED * len(probe) ** 2:
            return balls

    def short(positions: Rows) -> Float[np.ndarray, "r s"]:
        x = read(rows[positions])
        return _with_lengths(np.pad(x, ((0, 0), (0, 1))), slack)

    return _Balls(points, rows, radius, short, slack, scratch)


def _with_lengths(x: Float[np.ndarray, "r s"], slack: float) -> Float[np.ndarray, "r t"]:
    """One more column, of squared lengths less what may be rounding."""
    return np.concatenate([x, (1 - slack) * squared_lengths(x)[:, None]], axis=1)


def _candidates(
    balls: _Balls, x: Float[np.ndarray, "r s"], y: Float[np.ndarray, "q s"]
) -> tuple[Rows, Rows, Rows]:
    """Places in `x` and in `y` of pairs that are within the radius but for those named last.

    With the squared length as one of the coordinates, one matrix product and one comparison
    decide a tile: the smallest distance that two sketches allow against the radius.
    """
    left = -2 * x
    left[:, -1] = 1
    bar = balls.radius**2 - x[:, -1]
    product = balls.scratch[: len(x) * len(y)].reshape(len(x), len(y))
    np.matmul(left, y.T, out=product)
    flat = np.flatnonzero(product < bar[:, None])
    i = flat // len(y)
    j = flat - i * len(y)
    below = product.ravel()[flat] - bar[i]
    # The largest distance that they allow: first a bound for the tile, then for each pair.
    least = 4 * x[:, -2].max() * y[:, -2].max()
    least += 3 * balls.slack * (x[:, -1].max() + y[:, -1].max())
    some = np.flatnonzero(below >= -least)
    a, b = x[i[some]], y[j[some]]
    room = 4 * a[:, -2] * b[:, -2] + 3 * balls.slack * (a[:, -1] + b[:, -1])
    return i, j, some[below[some] + room >= 0]


def _near_pairs(balls: _Balls, mine: Rows, theirs: Rows) -> tuple[Rows, Rows]:
    """Pairs of places in two lists of positions that are closer than the radius."""
    i, j, open_ = _candidates(balls, balls.short(mine), balls.short(theirs))
    far = open_[~_closer(balls, mine[i[open_]], theirs[j[open_]])]
    return np.delete(i, far), np.delete(j, far)


def _closer(balls: _Balls, a: Rows, b: Rows) -> Bool[np.ndarray, " p"]:
    """Whether pairs of positions are closer than the radius, in double precision."""
    near = np.empty(len(a), dtype=bool)
    for start in range(0, len(a), 1024):
        some = slice(start, start + 1024)
        apart = balls.points[balls.rows[a[some]]].astype(np.float64)
        apart -= balls.points[balls.rows[b[some]]]
        near[some] = np.sqrt(squared_lengths(apart)) < balls.radius
    return near


def _neighbours(balls: _Balls) -> tuple[Neighbours, Rows]:
    """Who is near, and how many are, themselves included.

    From a graph where it fits in memory, else from distances: the same answer.
    """
    n = len(balls.rows)
    probe = np.arange(0, n, max(1, n // STRIP))[:STRIP]
    near = len(_near(balls, probe)) / max(len(probe), 1)
    if near * n / 2 > MOST_PAIRS:
        return partial(_near, balls), _counts(partial(_near, balls), np.arange(n), n)
    ways = _graph(balls)
    degree = 1 + sum(np.diff(way.indptr).astype(np.int64) for way in ways)
    return lambda some: np.concatenate([some, *(_lists(way, some) for way in ways)]), degree


def _near(balls: _Balls, some: Rows) -> Rows:
    """Positions closer than the radius to each of these, themselves included."""
    parts = [some]
    for start in range(0, len(balls.rows), WIDTH):
        theirs = np.arange(start, min(start + WIDTH, len(balls.rows)))
        i, j = _near_pairs(balls, some, theirs)
        parts.append(theirs[j[some[i] != theirs[j]]])
    return np.concatenate(parts)


def _graph(balls: _Balls) -> tuple[Any, Any]:
    """Near pairs as compressed rows: towards higher positions, and towards lower ones."""
    from scipy.sparse import csr_array

    n = len(balls.rows)
    blocks = [_pairs_of_block(balls, top) for top in range(0, n, HEIGHT)]
    indices = np.concatenate([np.empty(0, dtype=np.int32), *(higher for higher, _ in blocks)])
    count = np.concatenate([np.empty(0, dtype=np.int64), *(count for _, count in blocks)])
    pointers = np.concatenate([[0], np.cumsum(count)]).astype(np.int32)  # else scipy widens both
    del blocks
    forward = csr_array((np.ones(len(indices), dtype=np.int8), indices, pointers), shape=(n, n))
    return forward, forward.T.tocsr()


def _pairs_of_block(balls: _Balls, top: int) -> tuple[Int32[np.ndarray, " _"], Rows]:
    """Near pairs (i, j > i) of a block of rows: all j in the order of i, and how many for each."""
    n = len(balls.rows)
    mine = np.arange(top, min(top + HEIGHT, n))
    lower, higher = [], []
    for start in range(top, n, WIDTH):
        theirs = np.arange(start, min(start + WIDTH, n))
        i, j = _near_pairs(balls, mine, theirs)
        upper = slice(None) if start > mine[-1] else theirs[j] > mine[i]
        lower.append(i[upper].astype(np.uint16))  # numpy sorts 16 bits by counting
        higher.append((start + j[upper]).astype(np.int32))
    low, high = np.concatenate(lower), np.concatenate(higher)
    return high[np.argsort(low, kind="stable")], np.bincount(low, minlength=len(mine))


def _lists(graph: Any, some: Rows) -> Int32[np.ndarray, " _"]:
    """Lists of these rows of a graph, one after the other."""
    start, stop = graph.indptr[some].tolist(), graph.indptr[some + 1].tolist()
    empty = graph.indices[:0]
    parts = [graph.indices[a:b] for a, b in zip(start, stop, strict=True)]
    return np.concatenate([empty, *parts])


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
