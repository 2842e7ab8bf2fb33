"""A picture too large to label at once, cut into regions."""

from itertools import pairwise


def boxes(height: int, width: int, region: int) -> list[tuple[int, int, int, int]]:
    """Half-open `y0, x0, y1, x1`, row by row, that cover every pixel exactly once.

    No side is longer than `region`, and none shorter than half of it unless the picture is: the
    remainder is spread evenly, not left over as a sliver.

    >>> boxes(5, 4, 4)
    [(0, 0, 2, 4), (2, 0, 5, 4)]
    """
    rows, columns = _cuts(height, region), _cuts(width, region)
    return [(y0, x0, y1, x1) for y0, y1 in rows for x0, x1 in columns]


def _cuts(length: int, region: int) -> list[tuple[int, int]]:
    count = -(-length // region)
    edges = [n * length // count for n in range(count + 1)]
    return list(pairwise(edges))
