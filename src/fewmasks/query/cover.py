"""Greedy cover: few candidates that stand for many items."""

import heapq
from collections.abc import Callable, Iterator

import numpy as np
from jaxtyping import Float, Real, UInt8, UInt64

from fewmasks.query.distance import TILE, Points, at_rows, squared_lengths
from fewmasks.types import Rows

TILE_ROWS = 16
"""Rows whose gains are bounded in one go: few enough for the cache, and few calls."""
ROUNDING = 1e-4
"""More than the order of a sum in single precision can change it by, as a share of it."""
LEVELS = 255
"""Steps of a similarity from 0 to 1 when it is kept in one byte."""


def cover(similarity: Real[np.ndarray, "K N"], k: int) -> Rows:
    """Positions of the `k` rows that together are most similar to the columns.

    Greedy facility location: a column counts with its largest similarity to a pick, negative
    ones as 0. At least (1 - 1/e) of the optimum; of equals the lowest position. Small integers
    (see `cosine_levels`) take a quarter of the memory and sum without rounding.

    >>> cover(np.array([[1, 0.9, 0.1], [0.9, 1, 0.1], [0.1, 0.1, 1]]), 2)
    array([0, 2])
    """
    reached = np.zeros(similarity.shape[1], dtype=similarity.dtype)
    rise = np.empty_like(reached)
    ones, rows = np.ones_like(reached), list(similarity)
    is_exact = similarity.dtype.kind in "iu"

    def gain(row: int) -> float:
        # The same sum in the same order and place can only fall while `reached` rises,
        # rounding included, which is what makes old gains upper bounds.
        np.maximum(rows[row], reached, out=rise)
        np.subtract(rise, reached, out=rise)
        # For floats the product with ones is the fastest sum of all, for bytes it would overflow.
        return float(rise.sum(dtype=np.int64) if is_exact else rise.dot(ones))

    def take(row: int) -> None:
        np.maximum(rows[row], reached, out=reached)

    def bounds(chosen: Rows | slice) -> Float[np.ndarray, " b"]:
        rises = np.maximum(similarity[chosen], reached)
        np.subtract(rises, reached, out=rises)
        sums = rises.sum(axis=1, dtype=np.int64) if is_exact else rises @ ones
        return sums * (1 + ROUNDING)

    tiles = [slice(first, first + TILE_ROWS) for first in range(0, len(similarity), TILE_ROWS)]
    first = np.concatenate([np.zeros(0), *map(bounds, tiles)])
    return _lazy_greedy(first, gain, take, k, bounds)


def cover_hard(similarity: Real[np.ndarray, "K N"], threshold: float, k: int) -> Rows:
    """Positions of the `k` rows that together have most columns at the threshold or above.

    Each pick adds the most columns not yet covered; once no row adds any, covering starts
    anew. Of equals the lowest position, so order the rows by preference.
    """
    return cover_bits(_packed(similarity >= threshold), k)


def cover_bits(bits: UInt64[np.ndarray, "K words"], k: int) -> Rows:
    """`cover_hard` on sets of columns kept as bits."""
    open_ = np.full(bits.shape[1], ~np.uint64(0))
    overlap = np.empty_like(open_)

    def gain(row: int) -> float:
        np.bitwise_and(bits[row], open_, out=overlap)
        return float(np.bitwise_count(overlap).sum(dtype=np.int64))

    def take(row: int) -> None:
        np.bitwise_and(open_, ~bits[row], out=open_)

    picks: list[int] = []
    wanted = min(k, len(bits))
    while len(picks) < wanted:
        open_[:] = ~np.uint64(0)
        first = np.array([gain(row) for row in range(len(bits))])
        free = np.setdiff1d(np.arange(len(bits)), picks)
        if not first[free].any():
            return np.array([*picks, *free], dtype=np.int64)[:wanted]
        first[picks] = 0
        picks += _lazy_greedy(first, gain, take, wanted - len(picks), until_zero=True).tolist()
    return np.array(picks, dtype=np.int64)


def _lazy_greedy(
    bound: Float[np.ndarray, " K"],
    gain: Callable[[int], float],
    take: Callable[[int], None],
    k: int,
    tighten: Callable[[Rows], Float[np.ndarray, " b"]] | None = None,
    until_zero: bool = False,
) -> Rows:
    """Greedy maximum of a gain that only falls: it is measured only when its bound leads.

    `tighten` gives new bounds of several rows at a lower price than as many gains.
    """
    heap = [(-value, row) for row, value in enumerate(bound.tolist())]
    heapq.heapify(heap)
    # The number of picks at which a gain was measured, or bounded anew.
    measured = [-1] * len(heap)
    bounded = [-1] * len(heap)
    picks: list[int] = []
    while heap and len(picks) < k:
        negative, row = heap[0]
        if negative == 0 and until_zero:
            break
        if measured[row] == len(picks) or negative == 0:
            heapq.heappop(heap)
            take(row)
            picks.append(row)
        elif tighten is not None and bounded[row] < len(picks):
            leading: list[int] = []
            while heap and len(leading) < TILE_ROWS and bounded[heap[0][1]] < len(picks):
                leading.append(heapq.heappop(heap)[1])
            for each, value in zip(leading, tighten(np.array(leading)).tolist(), strict=True):
                heapq.heappush(heap, (-value, each))
                bounded[each] = len(picks)
        else:
            heapq.heapreplace(heap, (-gain(row), row))
            measured[row] = bounded[row] = len(picks)
    return np.array(picks, dtype=np.int64)


def _packed(flags: np.ndarray) -> UInt64[np.ndarray, "K words"]:
    """Bits of each row, filled up with zeros to whole words."""
    words = -(-flags.shape[1] // 64)
    packed = np.zeros((len(flags), words * 8), dtype=np.uint8)
    packed[:, : -(-flags.shape[1] // 8)] = np.packbits(flags, axis=1)
    return packed.view(np.uint64)


def unit_rows(points: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
    """Rows at length one in single precision; zeros stay zero."""
    lengths = np.sqrt(squared_lengths(points.astype(np.float32)))
    scale = np.divide(1, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    return np.asarray(points * scale[:, None], dtype=np.float32)


def cosine(points: Points, rows: Rows, columns: Rows) -> Float[np.ndarray, "K N"]:
    """Cosine similarity of each of `rows` to each of `columns`, which are read once in tiles."""
    similarity = np.empty((len(rows), len(columns)), dtype=np.float32)
    for tile, product in _cosine_tiles(points, rows, columns):
        similarity[tile] = product
    return similarity


def cosine_levels(points: Points, rows: Rows, columns: Rows) -> UInt8[np.ndarray, "K N"]:
    """Cosine similarity in 255 steps of one byte, negative ones as 0, for large covers."""
    levels = np.empty((len(rows), len(columns)), dtype=np.uint8)
    for tile, product in _cosine_tiles(points, rows, columns):
        product *= LEVELS
        product += 0.5
        levels[tile] = np.clip(product, 0, LEVELS, out=product)
    return levels


def cosine_bits(
    points: Points, rows: Rows, columns: Rows, threshold: float
) -> UInt64[np.ndarray, "K words"]:
    """Which pairs have a cosine at the threshold or above, as bits for `cover_bits`."""
    bits = np.zeros((len(rows), -(-len(columns) // 64)), dtype=np.uint64)
    for (mine, theirs), product in _cosine_tiles(points, rows, columns):
        words = slice(theirs.start // 64, -(-theirs.stop // 64))
        bits[mine, words] = _packed(product >= threshold)
    return bits


def _cosine_tiles(
    points: Points, rows: Rows, columns: Rows
) -> Iterator[tuple[tuple[slice, slice], Float[np.ndarray, "h w"]]]:
    """Tiles of the similarity and where they belong; columns start at whole words of bits."""
    height, width = 512, TILE // 512
    left = unit_rows(points[rows])
    product = np.empty((height, width), dtype=np.float32)  # new memory costs as much as a tile
    for j in range(0, len(columns), width):
        theirs = slice(j, min(j + width, len(columns)))
        right = unit_rows(at_rows(points, columns[theirs])).T
        for i in range(0, len(rows), height):
            mine = slice(i, min(i + height, len(rows)))
            tile = product[: mine.stop - i, : theirs.stop - j]
            yield (mine, theirs), np.matmul(left[mine], right, out=tile)
