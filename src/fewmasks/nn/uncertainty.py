"""Uncertainty scores of an ensemble, straight from logits, in one pass over chunks of pixels.

The same quantities as `fewmasks.query.score`, which is the slow reference in the tests. Chunks
stay in the processor's cache and log-softmax is reused, so no probability map is ever stored.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

CHUNK_PIXELS = 16_384

SCORES = (
    "entropy", "margin", "least_confidence", "variance", "variation_ratio", "bald",
    "class_entropy", "class_share",
)  # fmt: skip


@dataclass(frozen=True)
class Moments:
    """Figures of all members for one chunk of pixels; None where nobody asked."""

    mean: Float[Tensor, "b c p"]
    """Mean probability."""
    spread: Float[Tensor, "b p"] | None
    """Population variance over members, summed over classes."""
    within: Float[Tensor, "b p"] | None
    """Mean entropy of the members."""
    dissent: Float[Tensor, "b p"] | None
    """Share of members that do not vote with the majority."""


def moments(logits: Sequence[Float[Tensor, "b c p"]], wanted: frozenset[str]) -> Moments:
    """Mean, variance, mean entropy and dissent over members; only what `wanted` needs."""
    # Sums of differences to the first member: E[p^2] - E[p]^2 would drown in rounding.
    first = within = votes = shift = squares = None
    for member in logits:
        log_probs = member.float().log_softmax(dim=1)
        probs = log_probs.exp()
        if "bald" in wanted:
            within = _plus(within, log_probs.mul_(probs).sum(dim=1).neg_())
        if "variation_ratio" in wanted:
            votes = _plus(votes, _votes(probs))
        if first is None:
            first = probs
            continue
        apart = probs.sub_(first)
        if "variance" in wanted:
            squares = apart.square() if squares is None else squares.addcmul_(apart, apart)
        shift = _plus(shift, apart)
    assert first is not None
    m = len(logits)
    shift = torch.zeros_like(first) if shift is None else shift.div_(m)
    spread = None
    if "variance" in wanted:
        squares = torch.zeros_like(first) if squares is None else squares.div_(m)
        spread = squares.addcmul_(shift, shift, value=-1).clamp_min_(0).sum(dim=1)
    return Moments(
        mean=first.add_(shift),
        spread=spread,
        within=None if within is None else within.div_(m),
        dissent=None if votes is None else 1 - votes.amax(dim=1) / m,
    )


def _plus(total: Tensor | None, term: Tensor) -> Tensor:
    """The sum, in the memory of the first term."""
    return term if total is None else total.add_(term)


def _votes(probs: Float[Tensor, "b c p"]) -> Float[Tensor, "b c p"]:
    """1 for the likeliest class of each pixel; a tie is split."""
    best = (probs == probs.amax(dim=1, keepdim=True)).float()
    return best.div_(best.sum(dim=1, keepdim=True))


def _two_best(probs: Float[Tensor, "b c p"]) -> tuple[Float[Tensor, "b p"], Float[Tensor, "b p"]]:
    """The two greatest values of each pixel, over whole planes: `topk` sorts pixel by pixel."""
    best, second = probs[:, 0], torch.zeros_like(probs[:, 0])
    for plane in probs.unbind(dim=1)[1:]:
        second = torch.maximum(second, torch.minimum(best, plane))
        best = torch.maximum(best, plane)
    return best, second


def uncertainty(
    logits: Sequence[Float[Tensor, "b c y x"]],
    valid: Bool[Tensor, "b y x"],
    wanted: frozenset[str] = frozenset(SCORES),
) -> dict[str, Float[Tensor, "b ..."]]:
    """Each wanted score per item, averaged over valid pixels; larger is less certain.

    NaN without a valid pixel, which strategies refuse by name.
    """
    flat = [member.flatten(2) for member in logits]
    weight = valid.flatten(1).float()
    step = max(1, CHUNK_PIXELS // len(weight))
    sums: dict[str, Tensor] = {}
    for start in range(0, weight.shape[1], step):
        window = slice(start, start + step)
        maps = _maps(moments([member[..., window] for member in flat], wanted), wanted)
        share = weight[:, window]
        for name, pixels in maps.items():
            weighted = pixels.mul_(share if pixels.ndim == 2 else share[:, None])
            sums[name] = _plus(sums.get(name), weighted.sum(dim=-1))
    seen = weight.sum(dim=1)
    return {
        name: total / (seen if total.ndim == 1 else seen[:, None]) for name, total in sums.items()
    }


def _maps(found: Moments, wanted: frozenset[str]) -> dict[str, Tensor]:
    """Per-pixel maps of each wanted score, each its own memory: (b, p), or (b, c, p) by class."""
    mean, maps = found.mean, {}
    if wanted & {"entropy", "bald", "class_entropy"}:
        # 0 log 0 is 0; so is 0 times the least number that a logarithm takes, and sooner.
        least = torch.finfo(mean.dtype).tiny
        entropy = mean.clamp_min(least).log_().mul_(mean).sum(dim=1).neg_()
        if "class_entropy" in wanted:
            maps["class_entropy"] = mean * entropy[:, None]
        if found.within is not None:
            maps["bald"] = (entropy - found.within).clamp_min_(0)
        if "entropy" in wanted:
            maps["entropy"] = entropy
    if "margin" in wanted:
        best, second = _two_best(mean)
        maps["margin"] = 1 - (best - second)
    if "least_confidence" in wanted:
        maps["least_confidence"] = 1 - mean.amax(dim=1)
    if found.spread is not None:
        maps["variance"] = found.spread
    if found.dissent is not None:
        maps["variation_ratio"] = found.dissent
    if "class_share" in wanted:
        maps["class_share"] = _votes(mean)
    return maps
