"""Gated CRF: where labels leave pixels unknown, neighbours of like colour are asked to agree.

It is no loss of labels: unknown pixels are just what it has a gradient on.
"""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn import functional

from fewmasks.types import UNKNOWN

RADIUS = 5
"""Pixels to either side that are neighbours, at half the resolution."""
PLACE = 6.0
COLOUR = 0.4
"""Deviations of the kernel in place, in the same pixels, and in colour; the authors' 6 and 0.1 of
the range, which is about four deviations."""


def gated_crf(
    probs: Float[Tensor, "b c y x"],
    pixels: Float[Tensor, "b k y x"],
    target: Int64[Tensor, "b y x"],
    inside: Bool[Tensor, "b y x"],
) -> Float[Tensor, ""]:
    """How likely neighbours of like colour differ in class, where one of them is unknown.

    Obukhov et al., Gated CRF Loss for Weakly Supervised Semantic Image Segmentation, 2019,
    arXiv:1906.04651. Of each pair in a window, both inside the picture, the kernel of
    place and colour times the probability that their classes differ; the sum over all pairs, each
    in both directions, by the number of unknown pixels. Half the resolution is enough. Pixels
    are normalised to a deviation of 1.
    """
    maps = [_halved(each) for each in (probs, pixels)]
    within, unknown = (
        _halved(each[:, None]).ceil()[:, 0] for each in (inside, inside & (target == UNKNOWN))
    )
    loss = probs.new_zeros(())
    for dy, dx in _half_window(RADIUS):
        (p, q), (one, other), (here, there), (blank, void) = (
            _pairs(each, dy, dx) for each in (*maps, within, unknown)
        )
        far = (dy**2 + dx**2) / PLACE**2 + (one - other).square().mean(1) / COLOUR**2
        kernel = torch.exp(-far / 2) * here * there * torch.maximum(blank, void)
        loss = loss + 2 * (kernel * (1 - (p * q).sum(1))).sum()
    return loss / unknown.sum().clamp_min(1)


def _halved(maps: Tensor) -> Tensor:
    return functional.avg_pool2d(maps.float(), 2)


def _half_window(radius: int) -> list[tuple[int, int]]:
    """Steps to the neighbours that lie after a pixel in reading order: each pair is met once."""
    steps = [(dy, dx) for dy in range(radius + 1) for dx in range(-radius, radius + 1)]
    return [step for step in steps if step > (0, 0)]


def _pairs(maps: Tensor, dy: int, dx: int) -> tuple[Tensor, Tensor]:
    """The maps at pixels and at their neighbours, `dy` further down and `dx` to the right."""
    height, width = maps.shape[-2:]
    left, right = max(0, -dx), max(0, dx)
    return maps[..., : height - dy, left : width - right], maps[..., dy:, right : width - left]
