"""Synthetic composites: labelled objects set before background texture.

What surrounds the objects is replaced, so no object that nobody labelled can be taken for
background (Goncalves and Lynch, Remote Sensing 2021, 13(18):3562).
"""

import numpy as np
from jaxtyping import Bool, Float, UInt8

from fewmasks.types import UNKNOWN

SMALLEST, LARGEST = 5, 33
"""Sides of the square patches that texture is made of, in pixels; odd."""

Pixels = Float[np.ndarray, "c y x"]


def composite(pixels: Pixels, objects: Bool[np.ndarray, "y x"], texture: Pixels) -> Pixels:
    """The objects before the texture."""
    return np.where(objects, pixels, texture)


def composite_mask(
    mask: UInt8[np.ndarray, "y x"], background: int
) -> UInt8[np.ndarray, "y x"] | None:
    """The mask of a composite: background wherever it knows no object; None without one."""
    objects = (mask != UNKNOWN) & (mask != background)
    return np.where(objects, mask, background).astype(np.uint8) if objects.any() else None


def texture(
    pixels: Float[np.ndarray, "c v w"],
    background: Bool[np.ndarray, "v w"],
    shape: tuple[int, int],
    rng: np.random.Generator,
) -> Pixels | None:
    """A picture of this shape, laid out of square patches of background, mirrored at random.

    The patches are as large as fit into the known background; None where hardly any fits.
    """
    from scipy.ndimage import distance_transform_cdt

    # Beyond the picture nothing is background; the distance is then half the side of a square.
    room = distance_transform_cdt(np.pad(background, 1), metric="chessboard")[1:-1, 1:-1]
    side = min(2 * int(room.max()) - 1, LARGEST)
    if side < SMALLEST:
        return None
    half = side // 2
    middles = np.argwhere(room > half)
    laid = np.empty((len(pixels), *shape), pixels.dtype)
    height, width = shape
    for top in range(0, height, side):
        for left in range(0, width, side):
            y, x = middles[rng.integers(len(middles))]
            patch = pixels[:, y - half : y + half + 1, x - half : x + half + 1]
            patch = patch[:, :: rng.choice((-1, 1)), :: rng.choice((-1, 1))]
            room_left = laid[:, top : top + side, left : left + side]
            room_left[:] = patch[:, : room_left.shape[1], : room_left.shape[2]]
    return laid
