"""VAAL: how little an item looks like the labelled ones, by a judge of an autoencoder's codes."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from fewmasks.errors import EvidenceError
from fewmasks.learn.data import Frames
from fewmasks.learn.model import Model, seeded
from fewmasks.learn.predict import BATCH
from fewmasks.learn.train import repeatable
from fewmasks.nn.vae import (
    Autoencoder,
    autoencoder_loss,
    fooling_loss,
    judge,
    judge_loss,
    small_shape,
)

STEPS = 300
"""The paper trains for 100 epochs on a GPU. On one core a step takes 0.05 to 0.1 s, so a round
waits half a minute; planted kinds of items come apart by then (ROC area above 0.9)."""
SIDE_BATCH = 32
"""Items of each side in a step."""
LEARNING_RATE = 5e-4
BETA = 1.0
MOST_FRAMES = STEPS * SIDE_BATCH
"""Items of a side held in memory: no more than training can look at."""


@dataclass(frozen=True)
class Pair:
    """The two networks that learn against each other."""

    autoencoder: Autoencoder
    judge: nn.Module


def novelty(
    model: Model,
    labelled: Frames,
    unlabelled: Frames,
    seed: int,
    report: Callable[[int, int], None] | None = None,
) -> Float[np.ndarray, " u"]:
    """One minus the judge's belief that each unlabelled item is labelled, 0 to 1.

    The model lends its device and the shape of its frames. An `EvidenceError` where nothing is
    labelled.
    """
    if not len(labelled.items):
        raise EvidenceError(
            "novelty: no item is labelled, so there is nothing to differ from; "
            "take the first round with random or strided"
        )
    if not len(unlabelled.items):
        return np.empty(0)
    shape, device = small_shape(model.card.frame), model.device
    draw = np.random.default_rng([seed, 0])
    with seeded(device, seed), repeatable(device):
        pair = Pair(Autoencoder(model.card.channels, shape).to(device), judge().to(device))
        known = _some(labelled, shape, draw).to(device)
        rest = _some(unlabelled, shape, draw).to(device)
        _train(pair, known, rest, draw, report)
    everything = range(len(unlabelled.items))
    with torch.inference_mode():
        logits = [_judged(pair, p.to(device)) for p in _reduced(unlabelled, everything, shape)]
    # In double precision, where the surest still differ.
    return torch.sigmoid(-torch.cat(logits).double()).cpu().numpy()


def _judged(pair: Pair, pixels: Float[Tensor, "b c y x"]) -> Float[Tensor, " b"]:
    return pair.judge(pair.autoencoder.eval().codes(pixels)[0])[:, 0]


def _some(
    frames: Frames, shape: tuple[int, int], draw: np.random.Generator
) -> Float[Tensor, "n c y x"]:
    """Small frames of one side; of a large side, as many as training can look at."""
    n = len(frames.items)
    chosen = np.sort(draw.choice(n, size=min(n, MOST_FRAMES), replace=False))
    return torch.cat(list(_reduced(frames, chosen.tolist(), shape)))


def _reduced(
    frames: Frames, positions: Sequence[int], shape: tuple[int, int]
) -> Iterator[Float[Tensor, "b c y x"]]:
    """Small frames of the items at these positions, a few at a time."""
    size = BATCH["cpu"]
    for first in range(0, len(positions), size):
        pixels = frames.batch(positions[first : first + size])
        yield functional.interpolate(pixels, shape, mode="area")


def _train(
    pair: Pair,
    labelled: Float[Tensor, "n c y x"],
    unlabelled: Float[Tensor, "u c y x"],
    draw: np.random.Generator,
    report: Callable[[int, int], None] | None,
) -> None:
    """In turns: the autoencoder rebuilds and fools the judge, the judge learns its codes."""
    coding = torch.optim.Adam(pair.autoencoder.parameters(), lr=LEARNING_RATE)
    judging = torch.optim.Adam(pair.judge.parameters(), lr=LEARNING_RATE)
    pair.autoencoder.train()
    for step in range(STEPS):
        drawn = [
            side[torch.from_numpy(draw.integers(len(side), size=SIDE_BATCH)).to(side.device)]
            for side in (labelled, unlabelled)
        ]
        pixels = torch.cat(drawn)
        decoded, mean, log_variance = pair.autoencoder(pixels)
        loss = autoencoder_loss(decoded, pixels, mean, log_variance, BETA)
        loss = loss + fooling_loss(*pair.judge(mean).split(SIDE_BATCH))
        coding.zero_grad()
        torch.autograd.backward(loss)
        coding.step()
        loss = judge_loss(*pair.judge(mean.detach()).split(SIDE_BATCH))
        judging.zero_grad()
        torch.autograd.backward(loss)
        judging.step()
        if report is not None:
            report(step + 1, STEPS)
