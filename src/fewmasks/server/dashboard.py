"""The honest curve: how good each model was, and what its labels had cost."""

from typing import Any

from fewmasks.project import Project
from fewmasks.server.messages import Control, Counts, Dashboard, Point, StopAdvice
from fewmasks.server.readings import read_agreement
from fewmasks.server.views import finite


def read_dashboard(project: Project) -> Dashboard:
    """All models, oldest first, over the labels they learnt from and the minutes spent on these."""
    summary = project.summary()
    curve = [_point(record, seconds) for record, seconds in project.history()]
    return Dashboard(
        labels=Counts(**summary["labels"]),
        minutes=summary["minutes"],
        curve=curve,
        control=_control(summary["control"]),
        agreement=read_agreement(project),
        next=summary["next"],
        stop=_stop(summary["stop"]),
    )


def _stop(advice: dict[str, Any] | None) -> StopAdvice | None:
    """What the newest training noted; older versions of fewmasks noted nothing."""
    if advice is None:
        return None
    ahead = advice["forecast"] or dict.fromkeys(("gain", "low", "high", "minutes"))
    return StopAdvice(sentence=advice["sentence"], is_enough=advice["is_enough"], **ahead)


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
