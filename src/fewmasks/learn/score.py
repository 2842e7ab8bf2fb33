"""The score of a model on the test side of a project."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from fewmasks.learn.model import Model
from fewmasks.learn.predict import predict
from fewmasks.metrics import Case, Scores, score_pictures, score_volumes
from fewmasks.project import Project
from fewmasks.types import UNKNOWN, Item, Rows


@dataclass(frozen=True)
class Predicted:
    """An item's mask as predicted and as it is."""

    item: Item
    pred: UInt8[np.ndarray, "y x"]
    truth: UInt8[np.ndarray, "y x"]


def score(
    model: Model,
    project: Project,
    rows: Rows,
    report: Callable[[int, int], None] | None = None,
) -> Scores:
    """Dice and HD95 of the predictions for these rows against their reference (or audit) masks.

    Slices are stacked and scored per volume; pictures and regions as one data set. A slice
    without a reference is unknown in its volume.
    """
    items = project.pool.at(rows)
    # Slices of one volume must come together and in order to be stacked as they stream by.
    order = sorted(range(len(items)), key=lambda n: (items[n].source, items[n].z, items[n].id))
    ordered = [items[n] for n in order]
    cases = _cases(model, project, ordered, report)
    names = [project.classes[c] for c in project.foreground]
    if any(project.is_volume(item) for item in ordered):
        return score_volumes(_stacked(cases, project), project.classes, names)
    pictures = ((c.item.id, c.pred, c.truth, project.spacing(c.item)[1:]) for c in cases)
    return score_pictures(pictures, project.classes, names)


def _cases(
    model: Model,
    project: Project,
    items: list[Item],
    report: Callable[[int, int], None] | None,
) -> Iterator[Predicted]:
    for item, pred in zip(items, predict(model, project.cache, items, report), strict=True):
        truth = project.reference(item)
        if truth is None:
            said = project.label(item.id)
            truth = np.full_like(pred, UNKNOWN) if said is None else said.mask
        yield Predicted(item, pred, truth)


def _stacked(cases: Iterator[Predicted], project: Project) -> Iterator[Case]:
    """Whole volumes from their slices, one in memory at a time."""
    pile: list[Predicted] = []
    for case in cases:
        if pile and case.item.source != pile[0].item.source:
            yield _volume(pile, project)
            pile = []
        pile.append(case)
    if pile:
        yield _volume(pile, project)


def _volume(pile: list[Predicted], project: Project) -> Case:
    item = pile[0].item
    pred, truth = np.stack([c.pred for c in pile]), np.stack([c.truth for c in pile])
    return item.source, pred, truth, project.spacing(item)
