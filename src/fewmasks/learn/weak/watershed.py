"""Watershed: objects that are brighter than their surroundings, outlined without a model.

After Goncalves and Lynch, Fine-Scale Sea Ice Segmentation for High-Resolution Satellite Imagery
with Weakly-Supervised CNNs, Remote Sensing 2021, 13(18):3562.
"""

from typing import Literal

import numpy as np
from jaxtyping import Float, Int32, UInt8

from fewmasks.types import UNKNOWN, Item, Label

MEDIAN = 5
OPENING, OPENING_OF = 9, 256
"""Side of the opening, in pixels of a picture whose longest side is the second number."""
SEED_DEPTH = 0.2
"""Share of the greatest depth from which a pixel is a seed."""

RIGHT = 0.9
"""Share of its pixels that a proposal must be right about to be taken in a simulation."""

Decision = Literal["accept", "background", "foreground", "skip"]
"""What a person says to a proposal: it is right, all is background, all is foreground, neither."""


def objects(
    picture: Float[np.ndarray, "y x"], opening: int | None = None
) -> Int32[np.ndarray, "y x"]:
    """Numbers from 1 for objects that touch no seed of another, 0 for the background.

    A blank picture has none.
    """
    from scipy.ndimage import (
        binary_dilation,
        binary_opening,
        distance_transform_edt,
        label,
        median_filter,
    )
    from skimage.filters import sobel, threshold_otsu
    from skimage.segmentation import watershed

    smooth = median_filter(picture, MEDIAN)
    nothing = np.zeros(picture.shape, np.int32)
    if not np.ptp(smooth):  # Otsu's threshold needs two values
        return nothing
    side = opening or opening_for(picture.shape)
    bright = binary_opening(smooth > threshold_otsu(smooth), np.ones((side, side)))
    if not bright.any():
        return nothing
    depth = distance_transform_edt(bright)
    seeds, count = label(depth > SEED_DEPTH * depth.max())
    markers = np.where(binary_dilation(bright, np.ones((3, 3))), seeds, count + 1)
    flooded = watershed(sobel(smooth), markers)
    return np.where(flooded == count + 1, 0, flooded).astype(np.int32)


def opening_for(shape: tuple[int, ...]) -> int:
    """Side of the opening for a picture of this shape: odd, from 3."""
    return max(3, 2 * round((OPENING * max(shape) / OPENING_OF - 1) / 2) + 1)


def judge(
    found: Int32[np.ndarray, "y x"],
    truth: UInt8[np.ndarray, "y x"],
    background_and_foreground: tuple[int, int],
) -> Decision:
    """What somebody who knows the truth says: whatever is right about most pixels, if it is right
    about `RIGHT` of those that the truth knows; else skip."""
    background, foreground = background_and_foreground
    known = truth != UNKNOWN
    is_object = truth[known] == foreground
    if not is_object.size:
        return "skip"
    share: dict[Decision, float] = {
        "accept": float(((found > 0)[known] == is_object).mean()),
        "background": float((truth[known] == background).mean()),
        "foreground": float(is_object.mean()),
    }
    best = max(share, key=lambda decision: share[decision])
    return best if share[best] >= RIGHT else "skip"


def decided(
    item: Item,
    found: Int32[np.ndarray, "y x"],
    decision: Decision,
    background_and_foreground: tuple[int, int],
    by: str,
    seconds: float,
) -> Label | None:
    """The label that a person's decision about a proposal makes; none where it is skipped.

    `by` of the label names the person and says that a watershed drew it.
    """
    if decision == "skip":
        return None
    background, foreground = background_and_foreground
    is_object = {
        "accept": found > 0,
        "background": np.zeros(found.shape, bool),
        "foreground": np.ones(found.shape, bool),
    }[decision]
    mask = np.where(is_object, foreground, background).astype(np.uint8)
    return Label(item.id, "mask", mask, seconds, f"{by} (watershed: {decision})")
