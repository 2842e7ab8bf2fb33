"""Gated CRF: where labels leave pixels unknown, neighbours of like colour are asked to agree.

It is no loss of labels: unknown pixels are just what it has a gradient on.
"""

from collections.abc import Iterable

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn import functional

from fewmasks.types import UNKNOWN

RADIUS = 5
"""Pixels to either side that are neighbours, at half the resolution."""
TINY = 1e-8
PLACE = 6.0
"""Deviation of the kernel in place, in the same pixels."""
COLOUR = 0.12
"""Its deviation in colour, by the root mean square of the differences between neighbours in the
picture itself, so that edges count alike in faint and in strong ones (docs/decisions/0019)."""


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
    in both directions, by the number of unknown pixels. Half the resolution is enough. What
    difference in colour is large follows from the picture, as in GrabCut (Rother et al. 2004).
    """
    probs, pixels = _halved(probs), _halved(pixels)
    within, unknown = (
        _halved(each[:, None]).ceil()[:, 0] for each in (inside, inside & (target == UNKNOWN))
    )
    steps = _half_window(RADIUS)
    apart, both = zip(*(_difference(pixels, within, step) for step in steps), strict=True)
    usual = _total(a * w for a, w in zip(apart, both, strict=True)) / _total(both).clamp_min(1)
    colour = (COLOUR**2 * usual).clamp_min(TINY)[:, None, None]
    loss = probs.new_zeros(())
    for (dy, dx), a, w in zip(steps, apart, both, strict=True):
        (p, q), (blank, void) = _pairs(probs, dy, dx), _pairs(unknown, dy, dx)
        far = (dy**2 + dx**2) / PLACE**2 + a / colour
        kernel = torch.exp(-far / 2) * w * torch.maximum(blank, void)
        loss = loss + 2 * (kernel * (1 - (p * q).sum(1))).sum()
    return loss / unknown.sum().clamp_min(1)


def _difference(
    pixels: Float[Tensor, "b k y x"], within: Float[Tensor, "b y x"], step: tuple[int, int]
) -> tuple[Float[Tensor, "b v u"], Float[Tensor, "b v u"]]:
    """Squared difference in colour of the pairs of a step, and 1 where both are in the picture."""
    (one, other), (here, there) = _pairs(pixels, *step), _pairs(within, *step)
    return (one - other).square().mean(1), here * there


def _total(maps: Iterable[Tensor]) -> Float[Tensor, " b"]:
    return torch.stack([each.sum((1, 2)) for each in maps]).sum(0)


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
