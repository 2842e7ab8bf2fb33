"""DEAL: how mixed an item is in what a second network expects the segmenter to get wrong."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

from fewmasks.errors import EvidenceError
from fewmasks.learn.data import Frames, mask_to_frame
from fewmasks.learn.model import Model, seeded
from fewmasks.learn.predict import BATCH, forward
from fewmasks.nn.attention import (
    DifficultyHead,
    attention_shape,
    difficulty_loss,
    enlarged,
    error_mask,
    histogram_entropy,
)
from fewmasks.types import UNKNOWN, Label

STEPS = 100
"""The head has a few dozen weights and the segmenter stands still, so it settles in fewer steps; a
step takes 0.05 s on one core for frames of 128 pixels, and 0.3 s at the largest size."""
STEP_BATCH = 4
LEARNING_RATE = 0.02
MOST_ITEMS = STEPS * STEP_BATCH
"""Labelled items held in memory: no more than training can look at."""


@dataclass(frozen=True)
class Lessons:
    """What the head learns from: probabilities of labelled items, and where they are wrong."""

    probs: Float[Tensor, "n c v u"]
    """At the resolution of the attention."""
    errors: UInt8[Tensor, "n y x"]
    """1 wrong, 0 right, 255 unknown."""


def difficulty(
    model: Model,
    labelled: Frames,
    labels: Iterable[Label],
    unlabelled: Frames,
    seed: int,
    report: Callable[[int, int], None] | None = None,
) -> Float[np.ndarray, " u"]:
    """Entropy of the histogram of each unlabelled item's difficulty map, 0 to log 10.

    `labels` are those of the labelled frames, in their order. The segmenter is left as it was. An
    `EvidenceError` where no pixel is labelled.
    """
    lessons = _lessons(model, labelled, labels, seed)
    if lessons is None or not bool((lessons.errors != UNKNOWN).any()):
        raise EvidenceError(
            "difficulty: no pixel is labelled, so errors cannot be learnt; "
            "take the first round with random or strided"
        )
    if not len(unlabelled.items):
        return np.empty(0)
    head = _trained(model, lessons, seed, report).eval()
    found = []
    size = BATCH[model.device.type]
    for first in range(0, len(unlabelled.items), size):
        positions = range(first, min(first + size, len(unlabelled.items)))
        valid = unlabelled.valid(positions).to(model.device)
        probs, _ = _seen(model, unlabelled, positions)
        with torch.inference_mode():
            maps = torch.sigmoid(enlarged(head(probs), model.card.frame))
            found.append(histogram_entropy(maps, valid).cpu().numpy().astype(np.float64))
    return np.concatenate(found)


def _lessons(model: Model, labelled: Frames, labels: Iterable[Label], seed: int) -> Lessons | None:
    """Of many labelled items as many as training can look at; None of none."""
    n = len(labelled.items)
    chosen = np.random.default_rng([seed, 1]).choice(n, size=min(n, MOST_ITEMS), replace=False)
    kept = set(chosen.tolist())
    probs, errors = [], []
    for position, label in zip(range(n), labels, strict=True):
        assert label.item == labelled.items[position].id, (label.item, position)
        if position in kept:
            seen, predicted = _seen(model, labelled, [position])
            truth = mask_to_frame(label.mask, labelled.frame, labelled.size).to(model.device)
            probs.append(seen)
            errors.append(error_mask(predicted, truth[None]))
    return Lessons(torch.cat(probs), torch.cat(errors)) if probs else None


def _seen(
    model: Model, frames: Frames, positions: Sequence[int]
) -> tuple[Float[Tensor, "b c v u"], UInt8[Tensor, "b y x"]]:
    """Probabilities at the resolution of the attention, and the predicted classes."""
    probs = forward(model, model.network, frames.batch(positions)).softmax(dim=1)
    small = functional.interpolate(probs, attention_shape(model.card.frame), mode="area")
    return small, probs.argmax(dim=1).to(torch.uint8)


def _trained(
    model: Model, lessons: Lessons, seed: int, report: Callable[[int, int], None] | None
) -> DifficultyHead:
    draw = np.random.default_rng([seed, 2])
    with seeded(model.device, seed):
        head = DifficultyHead(lessons.probs.shape[1]).to(model.device)
    optimiser = torch.optim.Adam(head.parameters(), lr=LEARNING_RATE)
    n = len(lessons.probs)
    for step in range(STEPS):
        rows = draw.integers(n, size=min(n, STEP_BATCH))
        some = torch.from_numpy(rows).to(model.device)
        logits = enlarged(head(lessons.probs[some]), model.card.frame)
        loss = difficulty_loss(logits, lessons.errors[some])
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
        if report is not None:
            report(step + 1, STEPS)
    return head
