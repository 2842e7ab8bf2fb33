"""The honest curve: how good each model was, and what its labels had cost."""

from typing import Any

from sqlalchemy import Connection, func, select

from fewmasks.project import Project
from fewmasks.project.schema import label, training
from fewmasks.server.messages import Control, Dashboard, Point
from fewmasks.server.readings import read_agreement
from fewmasks.server.views import finite


def read_dashboard(project: Project) -> Dashboard:
    """All models, oldest first, over the labels they learnt from and the minutes spent on these."""
    summary = project.summary()
    with project.engine.begin() as connection:
        query = select(training.c.record, training.c.created).order_by(training.c.id)
        curve = [_point(connection, row.record, row.created) for row in connection.execute(query)]
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
