"""The honest curve: how good each model was, and what its labels had cost."""

from typing import Any

from sqlalchemy import Connection, func, select

from fewmasks.project import Project
from fewmasks.project.schema import label, training
from fewmasks.server.messages import Counts, Dashboard, Point, StopAdvice
from fewmasks.server.views import finite


def read_dashboard(project: Project) -> Dashboard:
    """All models, oldest first, over the labels they learnt from and the minutes spent on these."""
    summary = project.summary()
    with project.engine.begin() as connection:
        query = select(training.c.record, training.c.created).order_by(training.c.id)
        curve = [_point(connection, row.record, row.created) for row in connection.execute(query)]
    return Dashboard(
        labels=Counts(**summary["labels"]),
        minutes=summary["minutes"],
        curve=curve,
        next=summary["next"],
        stop=_stop(summary["stop"]),
    )


def _stop(advice: dict[str, Any] | None) -> StopAdvice | None:
    """What the newest training noted; older versions of fewmasks noted nothing."""
    if advice is None:
        return None
    ahead = advice["forecast"] or dict.fromkeys(("gain", "low", "high", "minutes"))
    return StopAdvice(sentence=advice["sentence"], is_enough=advice["is_enough"], **ahead)


def _point(connection: Connection, record: dict[str, Any], created: str) -> Point:
    scores = finite(record.get("scores")) or {}
    # By when the model was stored: labels that came in while it was trained count, too.
    spent = select(func.sum(label.c.seconds)).where(label.c.created <= created)
    return Point(
        items=record["labels"],
        minutes=round(float(connection.scalar(spent) or 0.0) / 60, 2),
        dice=scores.get("dice"),
        hd95=scores.get("hd95"),
        per_class=scores.get("per_class") or {},
    )
