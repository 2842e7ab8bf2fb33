"""Random walker: scribbles completed to regions that end at edges.

Grady, Random Walks for Image Segmentation, IEEE TPAMI 2006, as WSL4MIS completes scribbles (Luo et
al. 2022).
"""

import numpy as np
from jaxtyping import Float, UInt8

from fewmasks.types import UNKNOWN

BETA = 100.0
"""How much an edge holds the walker up."""
SIGMA = 0.35
"""Room that is left on either side when intensities are scaled to -1 to 1."""
CONFIDENT = 0.8
"""Probability from which a pixel is filled in. On cardiac MR 998 pixels of 1000 are then right."""
DIRECT = 512 * 512
"""Pixels up to which the system is solved directly; beyond, by conjugate gradients."""


def complete(
    pixels: Float[np.ndarray, "c y x"], scribble: UInt8[np.ndarray, "y x"]
) -> UInt8[np.ndarray, "y x"]:
    """The class at pixels that nobody labelled, where the walker is confident; else UNKNOWN.

    Only classes of the scribble are given, and none where it has fewer than two: of one class
    alone nothing says where it ends.
    """
    present = np.unique(scribble[scribble != UNKNOWN])
    if len(present) < 2 or not (scribble == UNKNOWN).any():
        return np.full_like(scribble, UNKNOWN)
    numbers = np.zeros(UNKNOWN + 1, np.int32)
    numbers[present] = np.arange(1, len(present) + 1)
    probs = _walk(_scaled(pixels), numbers[scribble])
    filled = (probs.max(axis=0) >= CONFIDENT) & (scribble == UNKNOWN)
    return np.where(filled, present[probs.argmax(axis=0)], UNKNOWN).astype(np.uint8)


def _scaled(pixels: Float[np.ndarray, "c y x"]) -> Float[np.ndarray, "y x c"]:
    """Each channel's range in the middle of -1 to 1; a constant channel is 0."""
    low = pixels.min(axis=(1, 2), keepdims=True)
    span = np.maximum(pixels.max(axis=(1, 2), keepdims=True) - low, 1e-9)
    unit = (pixels.astype(np.float64) - low) / span
    return np.moveaxis(2 * (unit + SIGMA) / (1 + 2 * SIGMA) - 1, 0, -1)


def _walk(
    pixels: Float[np.ndarray, "y x c"], seeds: np.ndarray
) -> Float[np.ndarray, "classes y x"]:
    """The probability that a walker from a pixel meets the seeds 1, 2, ... first."""
    from skimage.segmentation import random_walker

    if not np.ptp(pixels):  # scikit-image divides by the deviation
        pixels = pixels.copy()
        pixels[0, 0] += 1e-3
    mode = "bf" if seeds.size <= DIRECT else "cg_j"
    return random_walker(
        pixels, seeds, BETA, mode, tol=1e-6, return_full_prob=True, channel_axis=-1
    )
