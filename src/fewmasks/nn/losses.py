"""Losses over known pixels only: unknown pixels (255) have exactly zero gradient."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from fewmasks.types import UNKNOWN

SMOOTH = 1e-5
RARITY = 0.5
"""How much more a pixel of a rare class weighs: 0 is not at all, 1 makes all classes equal."""


def partial_cross_entropy(
    logits: Float[Tensor, "b c y x"], target: Int64[Tensor, "b y x"]
) -> Float[Tensor, ""]:
    """Mean cross-entropy over known pixels; 0, not nan, where no pixel is known."""
    return _cross_entropy(logits.float().log_softmax(dim=1), _one_hot(target, logits.shape[1]))


def partial_dice(
    logits: Float[Tensor, "b c y x"], target: Int64[Tensor, "b y x"]
) -> Float[Tensor, ""]:
    """One minus soft Dice over known pixels of the whole batch, mean over the classes present.

    Classes without a known pixel in the batch say nothing about overlap and are left out.
    """
    return _dice(logits.float().log_softmax(dim=1), _one_hot(target, logits.shape[1]))


def partial_loss(
    logits: Float[Tensor, "b c y x"], target: Int64[Tensor, "b y x"]
) -> Float[Tensor, ""]:
    """Cross-entropy plus Dice over known pixels: the first baseline for masks and scribbles.

    Partial labels train a plain U-Net well (Gotkowski et al. 2024, arXiv:2403.12834). Rare classes
    weigh more in the cross-entropy, see docs/decisions/0014.
    """
    log_probs = logits.float().log_softmax(dim=1)
    truth = _one_hot(target, logits.shape[1])
    return _cross_entropy(log_probs, truth * _rarity(truth)) + _dice(log_probs, truth)


def known_share(target: Int64[Tensor, "b y x"]) -> float:
    """Share of pixels that somebody labelled."""
    return float((target != UNKNOWN).to(torch.float32).mean())


def _one_hot(target: Int64[Tensor, "b y x"], n_classes: int) -> Float[Tensor, "b c y x"]:
    """1 for the class of a known pixel; an unknown pixel is 0 throughout."""
    classes = torch.arange(n_classes, device=target.device)[:, None, None]
    return (target.unsqueeze(1) == classes).float()


def _rarity(truth: Float[Tensor, "b c y x"]) -> Float[Tensor, "c 1 1"]:
    """Weight of a pixel of each class: its class's share of the known pixels to the power -1/2."""
    size = truth.sum((0, 2, 3))
    return (size.sum() / size.clamp_min(1)).pow(RARITY)[:, None, None]


# Sums of products, where indexed sums would do, give the same result every time on a GPU as well.
def _cross_entropy(
    log_probs: Float[Tensor, "b c y x"], truth: Float[Tensor, "b c y x"]
) -> Float[Tensor, ""]:
    return -(log_probs * truth).sum() / truth.sum().clamp_min(1)


def _dice(
    log_probs: Float[Tensor, "b c y x"], truth: Float[Tensor, "b c y x"]
) -> Float[Tensor, ""]:
    pixels = (0, 2, 3)
    probs = log_probs.exp() * truth.sum(dim=1, keepdim=True)
    overlap, size = (probs * truth).sum(pixels), truth.sum(pixels)
    dice = (2 * overlap + SMOOTH) / (probs.sum(pixels) + size + SMOOTH)
    present = size > 0
    return ((1 - dice) * present).sum() / present.sum().clamp_min(1)
