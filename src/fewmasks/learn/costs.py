"""What a label costs in a project, by the seconds that were measured in it. Imports no torch."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from fewmasks.io.masks import read_mask
from fewmasks.loop.cost import (
    PRIOR_LABELS,
    Outline,
    Pace,
    as_labelled,
    constant,
    fit,
    outline,
    seconds_of,
    stated,
    with_skips,
)
from fewmasks.loop.oracle import REFERENCE
from fewmasks.project import Project
from fewmasks.project.folder import LabelRecord
from fewmasks.types import Kind

OUTLINES = "outlines.json"
"""Beside the predictions of the items that are asked for: how much there is to draw in each."""
MOST_MEASURED = 60
"""The newest labels tell how somebody works now."""


def pace_of(project: Project, kind: Kind, by: str | None = None) -> Pace:
    """How fast this person labels, or anybody: the settings, moved by what was measured.

    A person's pace is pulled towards everybody's, everybody's towards the settings, and that of
    scribbles towards the measured one of masks divided by `cost.scribble_speedup`.
    """
    measured = _measured(project)
    cost, is_region = project.config.cost, project.facts["region"] is not None
    pace = stated("mask", cost, is_region)
    masks = [each for each in measured if each.kind == "mask"]
    pace = _fit(project, masks, pace)
    if kind == "scribble":
        prior = stated("scribble", cost, is_region)
        if pace.labels:
            prior = constant(seconds_of(pace) / cost.scribble_speedup)
        pace = _fit(project, [each for each in measured if each.kind == "scribble"], prior)
    if by is None:
        return pace
    return _fit(project, [each for each in measured if (each.kind, each.by) == (kind, by)], pace)


def usual_kind(project: Project, by: str | None = None) -> Kind:
    """What this person drew last, or anybody; a mask where nothing is known."""
    drawn = [each.kind for each in _measured(project) if by in (None, each.by)]
    return drawn[0] if drawn else "mask"


def blank_of(project: Project, kind: Kind) -> tuple[int, ...]:
    """Classes that nobody draws in a label of this kind: a mask's background is what is left."""
    return () if kind == "scribble" or project.background is None else (project.background,)


def expected_outlines(
    project: Project, pace: Pace, seen: Sequence[Outline | None]
) -> list[Outline | None]:
    """What there is to draw in items, by what the newest model sees in them and usually sees."""
    trained = project.trainings()
    on_average = trained[-1].get("outline") if trained else None
    if on_average is None:
        return list(seen)
    usual = Outline(**on_average)
    return [None if each is None else as_labelled(each, usual, pace) for each in seen]


def answering(project: Project, pace: Pace) -> Pace:
    """The pace when as many items are skipped as were so far; few say little about that."""
    skipped = len(project.skipped)
    share = skipped / (skipped + len(project.labels()) + PRIOR_LABELS)
    return with_skips(pace, share, project.config.cost.seconds_per_skip)


def _measured(project: Project) -> list[LabelRecord]:
    """Labels whose seconds somebody measured, newest first."""
    found = [each for each in project.labels() if each.seconds > 0 and each.by != REFERENCE]
    return sorted(found, key=lambda each: (each.created, each.item), reverse=True)


def _fit(project: Project, labels: Sequence[LabelRecord], prior: Pace) -> Pace:
    newest = labels[:MOST_MEASURED]
    return fit(list(_outlines(project, newest)), np.array([one.seconds for one in newest]), prior)


def _outlines(project: Project, labels: Sequence[LabelRecord]) -> Iterator[Outline]:
    for each in labels:
        yield _outline_of(project.folder / each.file, blank_of(project, each.kind))


@lru_cache(maxsize=4096)
def _outline_of(path: Path, blank: tuple[int, ...]) -> Outline:
    """Kept, since a label's file has a hash in its name and never changes."""
    return outline(read_mask(path)[0], blank)
