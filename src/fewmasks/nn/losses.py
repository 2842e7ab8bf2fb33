"""Losses over known pixels only: unknown pixels (255) have exactly zero gradient."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from fewmasks.types import UNKNOWN

SMOOTH = 1e-5
PIXELS = (0, 2, 3)
"""Axes that are summed over: all pixels of the batch."""


def partial_cross_entropy(
    logits: Float[Tensor, "b c y x"], target: Int64[Tensor, "b y x"]
) -> Float[Tensor, ""]:
    """Mean cross-entropy over known pixels; 0, not nan, where no pixel is known."""
    truth = _one_hot(target, logits.shape[1])
    return _cross_entropy(logits.float().log_softmax(dim=1), truth, truth)


def partial_dice(
    logits: Float[Tensor, "b c y x"], target: Int64[Tensor, "b y x"]
) -> Float[Tensor, ""]:
    """One minus soft Dice over known pixels of the whole batch, mean over the classes present.

    Classes without a known pixel in the batch say nothing about overlap and are left out.
    """
    truth = _one_hot(target, logits.shape[1])
    return _dice(logits.float().log_softmax(dim=1), truth, truth)


def partial_loss(
    logits: Float[Tensor, "b c y x"],
    target: Int64[Tensor, "b y x"],
    weight: Float[Tensor, "b y x"] | None = None,
    rarity: float = 0.0,
) -> Float[Tensor, ""]:
    """Cross-entropy plus Dice over known pixels: the first baseline for masks and scribbles.

    Partial labels train a plain U-Net well (Gotkowski et al. 2024, arXiv:2403.12834). A pixel's
    weight says what it counts for beside one of weight 1: of equal weights w the loss is w times
    as large, and a pixel of weight 0 is as good as unknown. In the cross-entropy a pixel counts by
    its class's share of the batch to the power -`rarity` as well: of 0 all pixels count the same,
    of 1 all classes do (docs/decisions/0015).
    """
    log_probs = logits.float().log_softmax(dim=1)
    truth = _one_hot(target, logits.shape[1])
    counted = truth if weight is None else truth * weight.unsqueeze(1)
    rare = counted * _rarity(counted, rarity)
    # Both parts are means over what counts, and the same for any weight that all pixels share.
    share = counted.sum() / truth.sum().clamp_min(1)
    return share * (_cross_entropy(log_probs, rare, rare) + _dice(log_probs, truth, counted))


def weighted_cross_entropy(
    logits: Float[Tensor, "b c y x"], target: Int64[Tensor, "b y x"], weight: Float[Tensor, "b y x"]
) -> Float[Tensor, ""]:
    """Weighted sum of the cross-entropy of known pixels, divided by their number."""
    truth = _one_hot(target, logits.shape[1])
    log_probs = logits.float().log_softmax(dim=1)
    return _cross_entropy(log_probs, truth, truth * weight.unsqueeze(1))


def squared_dice(
    probs: Float[Tensor, "b c y x"], target: Int64[Tensor, "b y x"]
) -> Float[Tensor, ""]:
    """One minus Dice with squares below the line, over known pixels, mean over all classes.

    That of the pseudo-labels of DMPLS (Luo et al. 2022): a class that is absent counts as well.
    """
    truth = _one_hot(target, probs.shape[1])
    probs = probs * truth.sum(dim=1, keepdim=True)
    overlap = (probs * truth).sum(PIXELS)
    sizes = probs.square().sum(PIXELS) + truth.sum(PIXELS)
    return (1 - (2 * overlap + SMOOTH) / (sizes + SMOOTH)).mean()


def known_share(target: Int64[Tensor, "b y x"]) -> float:
    """Share of pixels that somebody labelled."""
    return float((target != UNKNOWN).to(torch.float32).mean())


def _one_hot(target: Int64[Tensor, "b y x"], n_classes: int) -> Float[Tensor, "b c y x"]:
    """1 for the class of a known pixel; an unknown pixel is 0 throughout."""
    classes = torch.arange(n_classes, device=target.device)[:, None, None]
    return (target.unsqueeze(1) == classes).float()


def _rarity(counted: Float[Tensor, "b c y x"], power: float) -> Float[Tensor, "c 1 1"]:
    """Weight of a pixel of each class: its class's share of what counts to the power -`power`."""
    size = counted.sum(PIXELS)
    return (size.sum() / size.where(size > 0, 1)).pow(power)[:, None, None]


# Sums of products, where indexed sums would do, give the same result every time on a GPU as well.
# `counted` is `truth` with the weight of each pixel in place of 1.
def _cross_entropy(
    log_probs: Float[Tensor, "b c y x"],
    truth: Float[Tensor, "b c y x"],
    counted: Float[Tensor, "b c y x"],
) -> Float[Tensor, ""]:
    return -(log_probs * counted).sum() / truth.sum().clamp_min(SMOOTH)


def _dice(
    log_probs: Float[Tensor, "b c y x"],
    truth: Float[Tensor, "b c y x"],
    counted: Float[Tensor, "b c y x"],
) -> Float[Tensor, ""]:
    probs = log_probs.exp() * counted.sum(dim=1, keepdim=True)
    overlap, size = (probs * truth).sum(PIXELS), counted.sum(PIXELS)
    dice = (2 * overlap + SMOOTH) / (probs.sum(PIXELS) + size + SMOOTH)
    present = size > 0
    return ((1 - dice) * present).sum() / present.sum().clamp_min(1)
