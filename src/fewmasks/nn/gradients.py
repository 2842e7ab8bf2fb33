"""Gradients of the loss with respect to the last layer, in closed form: no backward pass.

The predicted class stands in for the truth, as in ALGES (Aklilu and Yeung, MLHC 2022, PMLR
182:892-911) and BADGE (Ash et al. 2020, arXiv:1906.03671). With features z that enter a last
convolution W, probabilities P and the one-hot prediction y, cross-entropy at pixel p has the
gradient (P(p) - y(p)) z(p)^T with respect to W.
"""

from collections.abc import Iterator
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

Loss = Literal["ce", "ce+dice"]
SMOOTH = 1e-5
PIXELS = {"cpu": 1 << 13, "cuda": 1 << 20}
"""Pixels at a time: on a CPU what is made of them stays in its cache, a GPU wants many."""

Part = tuple[slice, slice]
"""Some items of a batch, and some rows of their pixels."""


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
    b, d = features.shape[:2]
    size = valid.flatten(1).sum(dim=1)[:, None].clamp_min(1)
    sums = _dice_sums(logits, valid) if loss == "ce+dice" else None
    padded = functional.pad(features, [kernel // 2] * 4) if kernel > 1 else features
    gradient = torch.zeros(kernel**2, b, logits.shape[1], d, device=logits.device)
    for items, rows in _parts(valid):
        probs, truth, weight = _judged(logits, valid, (items, rows))
        error = (probs - truth).mul_(weight[:, None])
        if sums is not None:
            error += _dice_slope(probs, truth, weight, sums[:, items]) * size[items, None]
        for tap, seen in enumerate(_taps(padded, (items, rows), valid.shape[2], kernel)):
            gradient[tap, items] += torch.bmm(error, seen.transpose(1, 2))
    return gradient.square().sum(dim=(0, 3)).sqrt() / size


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

    e_k = sum over pixels predicted as k of || dl_p/dW ||^2, which is || P - y ||^2 * ||z||^2,
    and ||z||^2 + 1 with a bias. `mean` divides by the item's valid pixels, so that large items
    are not favoured; `power` 1 takes norms.
    """
    energy = _energy(features, valid, kernel) + float(bias)
    total = torch.zeros(logits.shape[:2], device=logits.device)
    for items, rows in _parts(valid):
        probs, truth, weight = _judged(logits, valid, (items, rows))
        squares = (probs - truth).square_().sum(dim=1) * energy[items, rows].flatten(1) * weight
        squares = squares.sqrt() if power == 1 else squares
        total[items] += torch.bmm(truth, squares[..., None])[..., 0]
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
    error = torch.zeros(logits.shape[:2], device=logits.device)
    mean = torch.zeros(features.shape[:2], device=logits.device)
    for items, rows in _parts(valid):
        probs, truth, weight = _judged(logits, valid, (items, rows))
        (seen,) = _taps(features, (items, rows), valid.shape[2], kernel=1)
        error[items] += torch.bmm(truth - probs, weight[..., None])[..., 0]
        mean[items] += torch.bmm(seen, weight[..., None])[..., 0]
    count = valid.flatten(1).sum(dim=1, keepdim=True).clamp_min(1)
    return error / count, mean / count


def _parts(valid: Bool[Tensor, "b y x"]) -> Iterator[Part]:
    """Cut a batch into parts of so many pixels that nothing made of them takes much memory."""
    b, height, width = valid.shape
    items = max(1, min(b, PIXELS[valid.device.type] // (height * width)))
    rows = max(1, PIXELS[valid.device.type] // (items * width))
    for first in range(0, b, items):
        for top in range(0, height, rows):
            yield slice(first, first + items), slice(top, min(top + rows, height))


def _judged(
    logits: Float[Tensor, "b c y x"], valid: Bool[Tensor, "b y x"], part: Part
) -> tuple[Float[Tensor, "i c q"], Float[Tensor, "i c q"], Float[Tensor, "i q"]]:
    """Probabilities, the one-hot prediction (of equals the first class) and 1 where valid."""
    items, rows = part
    # Classes outermost: softmax over neighbouring numbers is ten times as slow.
    some = logits[items, :, rows].flatten(2).float().contiguous()
    probs = some.softmax(dim=1)
    # Comparisons in place give 0.0 and 1.0, several times as fast as argmax and one_hot.
    leads = probs.clone().ge_(probs.amax(dim=1, keepdim=True))
    leads *= torch.arange(probs.shape[1], 0, -1, device=probs.device)[:, None]
    truth = leads.ge_(leads.amax(dim=1, keepdim=True))
    return probs, truth, valid[items, rows].flatten(1).float()


def _taps(
    padded: Float[Tensor, "b d _ _"], part: Part, width: int, kernel: int
) -> Iterator[Float[Tensor, "i d q"]]:
    """Features of a part's pixels as each tap of a k x k convolution sees them."""
    items, rows = part
    for dy in range(kernel):
        for dx in range(kernel):
            seen = padded[items, :, rows.start + dy : rows.stop + dy, dx : dx + width]
            yield seen.flatten(2).float()


def _energy(
    features: Float[Tensor, "b d y x"], valid: Bool[Tensor, "b y x"], kernel: int
) -> Float[Tensor, "b y x"]:
    """Squared length of all that a k x k convolution sees of each pixel."""
    energy = torch.empty(valid.shape, device=features.device)
    for items, rows in _parts(valid):
        energy[items, rows] = features[items, :, rows].float().square().sum(dim=1)
    if kernel == 1:
        return energy
    return functional.avg_pool2d(energy, kernel, stride=1, padding=kernel // 2) * kernel**2


def _dice_sums(
    logits: Float[Tensor, "b c y x"], valid: Bool[Tensor, "b y x"]
) -> Float[Tensor, "2 b c"]:
    """Per class, the overlap of probabilities and prediction, and the size of both."""
    sums = torch.zeros(2, *logits.shape[:2], device=logits.device)
    for items, rows in _parts(valid):
        probs, truth, weight = _judged(logits, valid, (items, rows))
        sums[0, items] += torch.bmm(probs * truth, weight[..., None])[..., 0]
        sums[1, items] += torch.bmm(probs + truth, weight[..., None])[..., 0]
    return sums


def _dice_slope(
    probs: Float[Tensor, "i c q"],
    truth: Float[Tensor, "i c q"],
    weight: Float[Tensor, "i q"],
    sums: Float[Tensor, "2 i c"],
) -> Float[Tensor, "i c q"]:
    """Mean over classes of 1 - (2 overlap + s) / (size + s), differentiated by each logit."""
    overlap, size = sums[..., None]
    slope = (2 * overlap + SMOOTH) / (size + SMOOTH) ** 2 - 2 * truth / (size + SMOOTH)
    slope = slope - (slope * probs).sum(dim=1, keepdim=True)
    return probs * slope * (weight / probs.shape[1])[:, None]
