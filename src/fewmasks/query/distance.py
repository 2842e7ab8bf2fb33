"""Squared Euclidean distances between rows of the pool, in tiles that fit the cache."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from fewmasks.types import Rows

Points = Float[np.ndarray, "n d"]
Reader = Callable[[Rows], Float[np.ndarray, "r d"]]
"""Gives the coordinates of rows: contiguous, single precision or better, shifted alike."""
Squared = Callable[[Rows, Rows], Float[np.ndarray, "r s"]]
"""Gives squared distances between two lists of rows."""

TILE = 1 << 19
"""Numbers in one tile of distances: two megabytes in single precision."""
SAMPLE = 1024
ROWS_PER_AXIS = 8
"""Rows from which each direction of a sketch is found."""


def reader(points: Points, rows: Rows) -> Reader:
    """Read rows relative to the middle of the pool; `points` may be a memory-mapped file.

    |a|^2 - 2ab + |b|^2 loses its digits when the points lie far from the origin.
    """
    shift = _middle(points, rows)
    return lambda wanted: np.subtract(at_rows(points, wanted), shift, dtype=shift.dtype)


def _middle(points: Points, rows: Rows) -> Float[np.ndarray, " d"]:
    """Mean of a sample to eight bits, so that whole numbers keep exact distances and ties."""
    some = np.sort(rows)[:: max(1, len(rows) // SAMPLE)]
    mean = points[some].astype(np.float64).sum(axis=0) / max(len(some), 1)
    step = 2.0 ** (np.frexp(np.abs(mean).max(initial=0))[1] - 8)
    return np.asarray(np.round(mean / step) * step, dtype=np.result_type(points.dtype, np.float32))


def at_rows(points: Points, rows: Rows) -> Float[np.ndarray, "r d"]:
    """`points[rows]`, without a copy where ascending rows have no gap."""
    if len(rows) and rows[-1] - rows[0] == len(rows) - 1 and (np.diff(rows) == 1).all():
        return points[rows[0] : rows[-1] + 1]
    return points[rows]


def sketch(points: Points, rows: Rows, axes: int) -> Float[np.ndarray, "r s"]:
    """Coordinates of rows along their `axes` widest directions, and the length of the rest.

    Two sketches are never farther apart than their rows, since | |a| - |b| | <= |a - b|
    for the rest; squared, they are nearer by at most 4 |a| |b|. Read once, in order.
    """
    read = reader(points, rows)
    some = np.sort(rows)[:: max(1, -(-len(rows) // (ROWS_PER_AXIS * axes)))]
    turn = np.linalg.svd(read(some).astype(np.float64), full_matrices=False)[2][:axes].T
    sketches = np.empty((len(rows), turn.shape[1] + 1), dtype=read(rows[:1]).dtype)
    for start in range(0, len(rows), 1024):
        block = read(rows[start : start + 1024]).astype(np.float64)
        head = block @ turn
        rest = squared_lengths(block) - squared_lengths(head)
        sketches[start : start + 1024, :-1] = head
        sketches[start : start + 1024, -1] = np.sqrt(np.maximum(rest, 0))
    return sketches


def squared_lengths(a: Float[np.ndarray, "r d"]) -> Float[np.ndarray, " r"]:
    """Squared norm of each row."""
    return np.asarray(np.einsum("rd,rd->r", a, a))


def squared_distances(
    a: Float[np.ndarray, "r d"], b: Float[np.ndarray, "s d"]
) -> Float[np.ndarray, "r s"]:
    """All pairs, never negative; the caller keeps r * s small."""
    distance = a @ (-2 * b).T
    distance += squared_lengths(b)
    distance += squared_lengths(a)[:, None]
    return np.maximum(distance, 0, out=distance)


def nearest_squared(
    a: Float[np.ndarray, "r d"], b: Float[np.ndarray, "s d"]
) -> Float[np.ndarray, " r"]:
    """Squared distance from each row of `a` to the nearest of `b`."""
    nearest = np.full(len(a), np.inf, dtype=a.dtype)
    width = max(1, TILE // max(len(a), 1))
    for start in range(0, len(b), width):
        some = b[start : start + width]
        product = a @ (-2 * some).T
        product += squared_lengths(some)
        np.minimum(nearest, product.min(axis=1), out=nearest)
    nearest += squared_lengths(a)
    return np.maximum(nearest, 0, out=nearest)


def nearest_of_rows(read: Reader, rows: Rows, b: Float[np.ndarray, "s d"]) -> np.ndarray:
    """Squared distance from each of many rows to the nearest of `b`, read once in tiles."""
    nearest = np.empty(len(rows), dtype=b.dtype)
    height = max(256, min(4096, TILE // max(len(b), 1)))
    for start in range(0, len(rows), height):
        some = slice(start, start + height)
        nearest[some] = nearest_squared(read(rows[some]), b)
    return nearest


def euclidean(points: Points, rows: Rows) -> Squared:
    """Distances of a selector between rows of these points.

    The first list may be long: without gaps it is read once and never copied, since only the
    second is shifted and (a - m)(b - m) = a(b - m) - m(b - m). Lengths are kept.
    """
    middle, read = _middle(points, rows), reader(points, rows)
    lengths = np.full(len(points), np.nan, dtype=middle.dtype)
    height = max(256, TILE // max(points.shape[1], 1))

    def squared(some: Rows, others: Rows) -> Float[np.ndarray, "r s"]:
        new = some[np.isnan(lengths[some])]
        if len(new):
            lengths[new] = squared_lengths(read(new))
        near = read(others)
        product = np.empty((len(others), len(some)), dtype=middle.dtype)
        for start in range(0, len(some), height):
            block = at_rows(points, some[start : start + height]).astype(middle.dtype, copy=False)
            np.matmul(2 * near, block.T, out=product[:, start : start + height])
        distance = np.subtract(lengths[some], product, out=product)
        distance += (squared_lengths(near) + 2 * (near @ middle))[:, None]
        return np.maximum(distance, 0, out=distance).T

    return squared


def outer_products(error: Float[np.ndarray, "n c"], feature: Float[np.ndarray, "n d"]) -> Squared:
    """Distances between the outer products error x feature, which are never formed."""

    def squared(some: Rows, others: Rows) -> Float[np.ndarray, "r s"]:
        a, b = error[some], error[others]
        x, y = feature[some], feature[others]
        distance = (a @ b.T) * (x @ y.T)
        distance *= -2
        distance += squared_lengths(b) * squared_lengths(y)
        distance += (squared_lengths(a) * squared_lengths(x))[:, None]
        return np.maximum(distance, 0, out=distance)

    return squared
