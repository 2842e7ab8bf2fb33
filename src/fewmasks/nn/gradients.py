"""Gradients of the loss with respect to the last layer, in closed form: no backward pass.

The predicted class stands in for the truth, as in ALGES (Aklilu and Yeung, MLHC 2022, PMLR
182:892-911) and BADGE (Ash et al. 2020, arXiv:1906.03671). With features z that enter a last
convolution W, probabilities P and the one-hot prediction y, cross-entropy at pixel p has the
gradient (P(p) - y(p)) z(p)^T with respect to W.
"""

from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

Loss = Literal["ce", "ce+dice"]
SMOOTH = 1e-5


def image_gradient(
    features: Float[Tensor, "b d y x"],
    logits: Float[Tensor, "b c y x"],
    valid: Bool[Tensor, "b y x"],
    kernel: int = 1,
    loss: Loss = "ce",
) -> Float[Tensor, "b c"]:
    """ALGES-img: per class, the norm of the gradient of an item's mean loss (weights, no bias).

    e_c = || dL/dW[c] ||. For a k x k last convolution the features are summed over its k * k
    shifts, zero-padded as in the network.
    """
    error = residual(logits, valid, loss).flatten(2)
    squares = torch.zeros(error.shape[:2], device=error.device)
    for shifted in _shifts(features.float(), kernel):
        gradient = torch.bmm(error, shifted.flatten(2).transpose(1, 2))
        squares += gradient.square().sum(dim=2)
    return squares.sqrt()


def pixel_gradient(
    features: Float[Tensor, "b d y x"],
    logits: Float[Tensor, "b c y x"],
    valid: Bool[Tensor, "b y x"],
    kernel: int = 1,
    bias: bool = False,
    reduce: Literal["mean", "sum"] = "mean",
    power: Literal[1, 2] = 2,
) -> Float[Tensor, "b c"]:
    """ALGES-seg: per predicted class, squared norms of the pixels' own gradients, added up.

    e_k = sum over pixels predicted as k of || dl_p/dW ||^2, which is
    (sum_c P_c^2 + 1 - 2 max P) * ||z||^2, and ||z||^2 + 1 with a bias. `mean` divides by the
    item's valid pixels, so that large items are not favoured; `power` 1 takes norms.
    """
    probs = logits.float().softmax(dim=1)
    top, predicted = probs.max(dim=1)
    factor = (probs.square().sum(dim=1) + 1 - 2 * top).clamp_min(0)
    energy = features.float().square().sum(dim=1)
    if kernel > 1:
        pool = functional.avg_pool2d(energy, kernel, stride=1, padding=kernel // 2)
        energy = pool * kernel**2
    size = factor * (energy + float(bias)) * valid
    size = size.sqrt() if power == 1 else size
    total = torch.zeros(probs.shape[:2], device=probs.device)
    total.scatter_add_(1, predicted.flatten(1), size.flatten(1))
    if reduce == "sum":
        return total
    return total / valid.flatten(1).sum(dim=1, keepdim=True).clamp_min(1)


def badge_factors(
    features: Float[Tensor, "b d y x"],
    logits: Float[Tensor, "b c y x"],
    valid: Bool[Tensor, "b y x"],
) -> tuple[Float[Tensor, "b c"], Float[Tensor, "b d"]]:
    """BADGE's two factors: mean error y - P and mean features; the outer product is the gradient.

    Distances need only the factors: <a z^T, a' z'^T> = <a, a'> <z, z'>.
    """
    pixels = valid.flatten(1).float()
    count = pixels.sum(dim=1, keepdim=True).clamp_min(1)
    probs = logits.float().softmax(dim=1).flatten(2)
    truth = functional.one_hot(probs.argmax(dim=1), probs.shape[1]).transpose(1, 2)
    error = ((truth - probs) * pixels[:, None]).sum(dim=2) / count
    mean = torch.bmm(features.float().flatten(2), pixels[..., None])[..., 0] / count
    return error, mean


def residual(
    logits: Float[Tensor, "b c y x"], valid: Bool[Tensor, "b y x"], loss: Loss = "ce"
) -> Float[Tensor, "b c y x"]:
    """Derivative of an item's mean loss with respect to its logits, prediction taken as truth."""
    probs = logits.float().softmax(dim=1)
    weight = valid[:, None].float()
    truth = functional.one_hot(probs.argmax(dim=1), probs.shape[1]).movedim(-1, 1).float()
    count = weight.sum(dim=(2, 3), keepdim=True).clamp_min(1)
    error = (probs - truth) * weight / count
    if loss == "ce":
        return error
    probs, truth = probs * weight, truth * weight
    overlap, size = (probs * truth).sum((2, 3), True), (probs + truth).sum((2, 3), True)
    # Mean over classes of 1 - (2 overlap + s) / (size + s), differentiated by each probability.
    slope = -(2 * truth / (size + SMOOTH) - (2 * overlap + SMOOTH) / (size + SMOOTH) ** 2)
    slope = slope * weight / probs.shape[1]
    return error + probs * (slope - (slope * probs).sum(dim=1, keepdim=True))


def _shifts(features: Float[Tensor, "b d y x"], kernel: int) -> list[Float[Tensor, "b d y x"]]:
    """The features as each tap of a k x k convolution sees them."""
    if kernel == 1:
        return [features]
    height, width = features.shape[2:]
    padded = functional.pad(features, [kernel // 2] * 4)
    return [
        padded[:, :, dy : dy + height, dx : dx + width]
        for dy in range(kernel)
        for dx in range(kernel)
    ]
