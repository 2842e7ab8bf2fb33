"""Pixel-wise FixMatch: what the model is sure of in a plain view is the target in a harder one.

Sohn et al., FixMatch, NeurIPS 2020, arXiv:2001.07685; for masks the two views lie pixel on pixel.
"""

from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from fewmasks.types import UNKNOWN


def sure_labels(
    probs: Float[Tensor, "b c y x"], inside: UInt8[Tensor, "b y x"], threshold: float
) -> tuple[Int64[Tensor, "b y x"], Float[Tensor, "b y x"]]:
    """The most probable class of each pixel, and 1 where it is sure, else 0.

    Beyond the picture, where `inside` is UNKNOWN, the class is UNKNOWN too. As in the paper the
    loss is divided by all pixels, so that a model which is sure of little learns little.
    """
    top, classes = probs.detach().max(dim=1)
    return classes.where(inside != UNKNOWN, UNKNOWN), (top >= threshold).float()
