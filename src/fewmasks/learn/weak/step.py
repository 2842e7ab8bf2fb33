"""One step of a training that learns from more than labels."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64, UInt8
from lightning_fabric import Fabric
from torch import Tensor, nn

from fewmasks.config import LearnConfig
from fewmasks.learn.data import Labelled
from fewmasks.learn.weak.fixmatch import sure_labels
from fewmasks.learn.weak.material import Material, weights
from fewmasks.nn.augment import augment, weak_and_strong
from fewmasks.nn.crf import gated_crf
from fewmasks.nn.losses import partial_loss, weighted_cross_entropy
from fewmasks.nn.two_decoders import mixed_loss
from fewmasks.types import UNKNOWN

GUESSED_SHARE = 0.5
"""Items with guesses alone that join a batch, as a share of the labelled ones that fill it."""

Positions = Sequence[int]


@dataclass(frozen=True)
class Learning:
    """A network in training, and the random numbers of its steps."""

    fabric: Fabric
    wrapped: nn.Module
    network: nn.Module
    """What is wrapped; it predicts where no gradient is wanted."""
    config: LearnConfig
    generator: torch.Generator


def others(
    material: Material, config: LearnConfig, generator: torch.Generator
) -> Iterator[tuple[Positions, Positions]]:
    """Positions of guessed and of unlabelled items that join the labelled ones, for ever.

    A batch of labelled items is what it would be without them.
    """
    half = max(1, round(GUESSED_SHARE * config.batch))
    guessed = _endless(material.guessed, half, generator)
    unlabelled = _endless(material.unlabelled, config.batch, generator)
    while True:
        yield next(guessed), next(unlabelled)


def _endless(items: Labelled | None, n: int, generator: torch.Generator) -> Iterator[Positions]:
    """`n` positions at a time, each once per epoch; none of nothing."""
    left: list[int] = []
    while True:
        while items is not None and len(left) < n:
            left += torch.randperm(len(items), generator=generator).tolist()
        yield left[:n]
        left = left[n:]


def weak_loss(
    learning: Learning,
    material: Material,
    labelled: Positions,
    guessed: Positions,
    unlabelled: Positions,
    rarity: float,
) -> Float[Tensor, ""]:
    """The loss of labels, as without guesses, plus that of each kind of guess by its weight."""
    config = learning.config
    pixels, planes = _labels_and_guesses(learning, material, labelled, guessed)
    pixels, planes = augment(pixels, planes, config, learning.generator)
    known = len(pixels)
    sure = None
    if material.unlabelled is not None and unlabelled:
        strong, *sure = _unlabelled(learning, material.unlabelled, unlabelled)
        pixels = torch.cat([pixels, strong])
    found = learning.wrapped(pixels.contiguous(memory_format=torch.channels_last))
    both = found if isinstance(found, tuple) else (found,)
    logits, mask = both[0][:known], planes[:, 0].long()
    if len(both) == 2:
        share = float(torch.rand((), generator=learning.generator))
        loss = mixed_loss((logits, both[1][:known]), mask, planes[:, 3], share)
    else:
        loss = partial_loss(logits, mask, rarity=rarity)
    if config.gated_crf:
        said = (mask != UNKNOWN).any(dim=2).any(dim=1)  # not of items with guesses alone
        inside = (planes[:, 3] != UNKNOWN) & said[:, None, None]
        loss = loss + config.gated_crf * gated_crf(logits.softmax(1), pixels[:known], mask, inside)
    if (planes[:, 1] != UNKNOWN).any():
        weight = weights(config).to(planes.device)[planes[:, 2].long()]
        loss = loss + partial_loss(logits, planes[:, 1].long(), weight, rarity)
    if sure is not None:
        loss = loss + config.fixmatch * weighted_cross_entropy(both[0][known:], *sure)
    return loss


def _labels_and_guesses(
    learning: Learning, material: Material, labelled: Positions, guessed: Positions
) -> tuple[Float[Tensor, "b c y x"], UInt8[Tensor, "b 4 y x"]]:
    """Pixels, and beside them: what people said, what is guessed, by what, and the picture's area.

    The area is 0 inside the picture and UNKNOWN beyond.
    """
    parts = [(material.labelled, labelled)]
    if material.guessed is not None and guessed:
        parts.append((material.guessed, guessed))
    loaded = [_planes(learning.fabric.device, *part) for part in parts]
    return torch.cat([p for p, _ in loaded]), torch.cat([planes for _, planes in loaded])


def _planes(
    device: torch.device, items: Labelled, positions: Positions
) -> tuple[Float[Tensor, "b c y x"], UInt8[Tensor, "b 4 y x"]]:
    pixels, masks = (tensor.to(device) for tensor in items.batch(positions))
    nothing = torch.full_like(masks, UNKNOWN)[:, None].repeat(1, 2, 1, 1)
    rows = torch.as_tensor(positions, device=masks.device)
    guesses = nothing if items.guesses is None else items.guesses[rows]
    return pixels, torch.cat([masks[:, None], guesses, _area(items, positions, device)], dim=1)


def _area(items: Labelled, positions: Positions, device: torch.device) -> UInt8[Tensor, "b 1 y x"]:
    inside = items.frames.valid(positions).to(device)
    return torch.where(inside, 0, UNKNOWN).to(torch.uint8)[:, None]


def _unlabelled(
    learning: Learning, items: Labelled, positions: Positions
) -> tuple[Float[Tensor, "b c y x"], Int64[Tensor, "b y x"], Float[Tensor, "b y x"]]:
    """Strong views, with the class of every pixel in their weak views and where that is sure."""
    device, config = learning.fabric.device, learning.config
    pixels = items.batch(positions)[0].to(device)
    area = _area(items, positions, device)[:, 0]
    weak, strong, area = weak_and_strong(pixels, area, config, learning.generator)
    learning.network.eval()
    with torch.no_grad(), learning.fabric.autocast():
        logits = learning.network(weak.contiguous(memory_format=torch.channels_last))
    learning.network.train()
    probs = logits.float().softmax(dim=1)
    return strong, *sure_labels(probs, area, config.fixmatch_threshold)
