"""The score of a model on the test side of a project."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64, UInt8

from fewmasks.learn.model import Model
from fewmasks.learn.predict import predict
from fewmasks.learn.resample import resampled_dice
from fewmasks.metrics import (
    Case,
    Scores,
    confusion,
    dice_from_confusion,
    score_pictures,
    score_volumes,
)
from fewmasks.project import Project
from fewmasks.types import UNKNOWN, Item, Rows


@dataclass(frozen=True)
class Predicted:
    """An item's mask as predicted and as it is."""

    item: Item
    pred: UInt8[np.ndarray, "y x"]
    truth: UInt8[np.ndarray, "y x"]


@dataclass(frozen=True)
class Tested:
    """The score of a model, and what it is made of."""

    scores: Scores
    items: dict[str, float]
    """Dice of each item by its id: mean over the foreground classes that it has, nan for none."""
    draws: Float[np.ndarray, " draws"]
    """Dice on test groups drawn with replacement; empty where there are too few groups."""


def score(
    model: Model,
    project: Project,
    rows: Rows,
    report: Callable[[int, int], None] | None = None,
) -> Scores:
    """Dice and HD95 of the predictions for these rows against their reference (or audit) masks.

    Slices, and regions of them, are scored per volume, in their places in it; pictures and their
    regions as one data set. What has no reference, or is not among the rows, is unknown.
    """
    return examine(model, project, rows, report).scores


def examine(
    model: Model,
    project: Project,
    rows: Rows,
    report: Callable[[int, int], None] | None = None,
) -> Tested:
    """The `score` of these rows, item by item, and how far it depends on the groups drawn."""
    items = project.pool.at(rows)
    # Items of one volume must come together to be put into it as they stream by.
    order = sorted(range(len(items)), key=lambda n: (items[n].source, items[n].z, items[n].id))
    ordered = [items[n] for n in order]
    n_classes = len(project.classes)
    counts: list[np.ndarray] = []

    def counted() -> Iterator[Predicted]:
        for case in _cases(model, project, ordered, report):
            counts.append(confusion(case.pred, case.truth, n_classes))
            yield case

    names = [project.classes[c] for c in project.foreground]
    by_volume = any(project.is_volume(item) for item in ordered)
    if by_volume:
        scores = score_volumes(_stacked(counted(), project), project.classes, names)
    else:
        pictures = ((c.item.id, c.pred, c.truth, project.spacing(c.item)[1:]) for c in counted())
        scores = score_pictures(pictures, project.classes, names)
    each = np.array(counts, dtype=np.int64).reshape(-1, n_classes, n_classes)
    dices = foreground_dice(each, project.foreground)
    return Tested(
        scores,
        {item.id: float(dice) for item, dice in zip(ordered, dices, strict=True)},
        _draws(each, ordered, project, by_volume),
    )


def foreground_dice(
    counts: Int64[np.ndarray, "n c c"], foreground: Rows
) -> Float[np.ndarray, " n"]:
    """Mean Dice of each confusion over the foreground classes in it; nan where there is none."""
    each = [dice_from_confusion(of_item)[foreground] for of_item in counts]
    return np.array([np.nanmean(x) if not np.isnan(x).all() else np.nan for x in each], np.float64)


def _draws(
    counts: Int64[np.ndarray, "n c c"], items: list[Item], project: Project, by_volume: bool
) -> Float[np.ndarray, " draws"]:
    of_case: dict[str, Int64[np.ndarray, "c c"]] = {}
    group: dict[str, str] = {}
    for item, of_item in zip(items, counts, strict=True):
        case = item.source if by_volume else item.group[0]
        of_case[case] = of_case.get(case, 0) + of_item
        group[case] = item.group[0]
    if not of_case:
        return np.empty(0)
    cases = np.stack(list(of_case.values()))
    return resampled_dice(cases, list(group.values()), project.foreground, by_volume)


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
    """Volumes from their slices or regions, one in memory at a time."""
    pile: list[Predicted] = []
    for case in cases:
        if pile and case.item.source != pile[0].item.source:
            yield _volume(pile, project)
            pile = []
        pile.append(case)
    if pile:
        yield _volume(pile, project)


def _volume(pile: list[Predicted], project: Project) -> Case:
    """The part of a volume that holds these items, each in its place; the rest is unknown."""
    item = pile[0].item
    corners = np.array([_corners(case) for case in pile])
    # Unknown neighbours make no border of an object, the edge of the array does. So a slice that
    # is missing between two makes none, and one voxel more keeps the edge of the part from it.
    low = np.maximum(corners[:, 0].min(axis=0) - 1, 0)
    high = np.minimum(corners[:, 1].max(axis=0) + 1, project.cache.shape(item.source)[:3])
    truth = np.full(high - low, UNKNOWN, np.uint8)
    pred = np.zeros_like(truth)
    for case, (start, stop) in zip(pile, corners - low, strict=True):
        place = tuple(slice(*ends) for ends in zip(start, stop, strict=True))
        pred[place], truth[place] = case.pred, case.truth
    return item.source, pred, truth, project.spacing(item)


def _corners(case: Predicted) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """First voxel of an item and the one after its last, as z, y, x in its volume."""
    y0, x0, y1, x1 = case.item.box or (0, 0, *case.pred.shape)
    return (case.item.z, y0, x0), (case.item.z + 1, y1, x1)
