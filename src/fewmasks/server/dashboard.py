"""The honest curve: how good each model was, and what its labels had cost."""

from typing import Any

from fewmasks.project import Project
from fewmasks.server.messages import Control, Dashboard, Point
from fewmasks.server.readings import read_agreement
from fewmasks.server.views import finite


def read_dashboard(project: Project) -> Dashboard:
    """All models, oldest first, over the labels they learnt from and the minutes spent on these."""
    summary = project.summary()
    curve = [_point(record, seconds) for record, seconds in project.history()]
    return Dashboard(
        labels=sum(summary["labels"].values()),
        minutes=summary["minutes"],
        curve=curve,
        control=_control(summary["control"]),
        agreement=read_agreement(project),
        next=summary["next"],
    )


def _control(found: dict[str, Any] | None) -> Control | None:
    if found is None:
        return None
    taught = found["taught"]
    return Control(
        **found["foreseen"],
        difference=None if taught is None else taught["difference"],
        said=found["said"],
    )


def _point(record: dict[str, Any], seconds: float) -> Point:
    scores = finite(record.get("scores")) or {}
    return Point(
        items=record["labels"],
        minutes=round(seconds / 60, 2),
        dice=scores.get("dice"),
        interval=record.get("interval"),
        hd95=scores.get("hd95"),
        per_class=scores.get("per_class") or {},
    )
