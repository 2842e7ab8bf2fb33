"""A slice guessed from labelled slices on either side, by signed distances.

Raya and Udupa, Shape-based interpolation of multidimensional objects, IEEE TMI 1990.
"""

import numpy as np
from jaxtyping import Bool, Float, UInt8

from fewmasks.types import UNKNOWN

Plane = UInt8[np.ndarray, "y x"]


def between(first: Plane, second: Plane, share: float) -> Plane:
    """The mask at `share` of the way from the first slice to the second.

    Unknown is a region like the classes: what neither slice knows is unknown, and so is what the
    unknown of one outweighs. A class that one slice lacks has shrunk to nothing half way.
    """
    found = np.full_like(first, UNKNOWN)
    best = np.full(first.shape, -np.inf)
    # Of two as deep the later one holds: what is named rather than background or unknown.
    numbers = np.unique(np.stack([first, second])).tolist()
    for number in sorted(numbers, key=lambda n: -1 if n == UNKNOWN else n):
        low, high = _depths(first == number, second == number)
        depth = (1 - share) * low + share * high
        found = np.where(depth >= best, np.uint8(number), found)
        best = np.maximum(depth, best)
    return found


def _depths(
    first: Bool[np.ndarray, "y x"], second: Bool[np.ndarray, "y x"]
) -> tuple[Float[np.ndarray, "y x"], Float[np.ndarray, "y x"]]:
    """How deep pixels lie inside a region in both slices, negative outside.

    A slice without the region is as far outside as the other's deepest pixel is inside, so that
    it vanishes half way; one that is all region, as far inside as the other's farthest is outside.
    """
    depths = [_depth(first), _depth(second)]
    for own, other, region in ((0, 1, first), (1, 0, second)):
        if not region.any():
            depths[own] = np.full(region.shape, -max(depths[other].max(), 1.0))
        elif region.all():
            depths[own] = np.full(region.shape, max(-depths[other].min(), 1.0))
    return depths[0], depths[1]


def _depth(inside: Bool[np.ndarray, "y x"]) -> Float[np.ndarray, "y x"]:
    from scipy.ndimage import distance_transform_edt

    if inside.all() or not inside.any():
        return np.zeros(inside.shape)
    return distance_transform_edt(inside) - distance_transform_edt(~inside)
