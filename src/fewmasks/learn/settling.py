"""Whether more labels still change a model: what a training notes for the advice on stopping."""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import UInt8
from scipy.special import entr

from fewmasks.learn.costs import blank_of
from fewmasks.learn.model import Model, load_model
from fewmasks.learn.predict import predict, probabilities
from fewmasks.loop.cost import Outline, mean_outline, outline
from fewmasks.loop.stop import Trained, advise
from fewmasks.metrics import Scores, confusion, dice_from_confusion
from fewmasks.project import Project
from fewmasks.types import Item, Rows

Report = Callable[[int, int], None]


def noted(
    project: Project,
    model: Model,
    start: str,
    minutes: float,
    scores: Scores | None,
    report: Report,
) -> dict[str, Any]:
    """What belongs into the record of a training beside its score: minutes, settling, advice.

    The model is compared with the one before if that had the same start and recipe; only such
    trainings make one curve.
    """
    recipe = project.config.learn.model_dump()
    alike = [
        each
        for each in project.trainings()
        if (each.get("start"), each.get("config", {}).get("learn")) == (start, recipe)
        and "minutes" in each
    ]
    before = project.folder / alike[-1]["path"] if alike else None
    known = load_model(before, recipe["device"]) if before and before.exists() else None
    items = sample(project, project.config.stop.sample)
    seen = settling(model, known, project, items, report)
    dice = None if scores is None else scores.dice
    now = Trained(minutes, dice, seen.agreement, seen.uncertainty)
    advice = advise([*map(_trained, alike), now], project.config.stop)
    return {"minutes": minutes, **asdict(seen), "stop": asdict(advice)}


def sample(project: Project, count: int) -> list[Item]:
    """Unlabelled training items: the first of one random order, so that most stay from model to
    model."""
    closed = np.concatenate([project.labelled, project.skipped])
    order: Rows = np.random.default_rng(0).permutation(project.train)
    return project.pool.at(order[~np.isin(order, closed)][:count])


@dataclass(frozen=True)
class Settling:
    """What a model says of unlabelled items; all of it None without any."""

    agreement: float | None
    """Dice with the model before: over all pixels together, mean over foreground classes. None
    without a model before, and where neither sees any foreground."""
    uncertainty: float | None
    """Mean entropy of a pixel, 0 to 1."""
    outline: Outline | None
    """How much there is to draw in an item, on average, as the model sees it."""


def settling(
    model: Model, before: Model | None, project: Project, items: list[Item], report: Report
) -> Settling:
    """What a model says of these items, and how far it agrees with the one before."""
    n, blank = len(project.classes), blank_of(project, "mask")
    counts, entropy, pixels = np.zeros((n, n), dtype=np.int64), 0.0, 0
    drawn: list[Outline] = []
    others: Iterable[UInt8[np.ndarray, "y x"] | None] = [None] * len(items)
    if before is not None:
        others = predict(before, project.cache, items)
    found = probabilities(model, project.cache, items, report)
    for probs, other in zip(found, others, strict=True):
        entropy += float(entr(probs).sum())
        pixels += probs[0].size
        mask = probs.argmax(axis=0).astype(np.uint8)
        drawn.append(outline(mask, blank))
        if other is not None:
            counts += confusion(mask, other, n)
    dice = dice_from_confusion(counts)[project.foreground]
    agreement = None if np.isnan(dice).all() else float(np.nanmean(dice))
    uncertainty = entropy / (pixels * np.log(n)) if pixels and n > 1 else None
    return Settling(agreement, uncertainty, mean_outline(drawn) if drawn else None)


def _trained(record: dict[str, Any]) -> Trained:
    scores = record["scores"] or {}
    return Trained(
        record["minutes"], scores.get("dice"), record["agreement"], record["uncertainty"]
    )
