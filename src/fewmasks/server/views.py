"""An item as the page shows it: everything but its pixels."""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from sqlalchemy import Connection, select

from fewmasks.io.masks import read_mask
from fewmasks.io.palette import colour_table
from fewmasks.project import Project
from fewmasks.project.readings import FIRST, reading_for
from fewmasks.project.schema import item, label, pick, round_, skip, source
from fewmasks.server.answers import revision_of
from fewmasks.server.drafts import draft_of
from fewmasks.server.leases import lease_of, may_label
from fewmasks.server.messages import (
    ClassView,
    DraftView,
    ItemView,
    LabelView,
    LeaseView,
    ProjectView,
    ScaleView,
    SkipView,
    Window,
)
from fewmasks.server.pictures import scale_of, window_of
from fewmasks.types import UNKNOWN

PREDICTIONS = "predictions"
SEEN_FOR_BLACK = "#8d99a6"


def project_view(project: Project) -> ProjectView:
    """What is labelled here."""
    scale = scale_of(project, project.pool.items[0])
    with project.engine.begin() as connection:
        deepest = connection.scalar(select(source.c.depth).order_by(source.c.depth.desc()).limit(1))
    return ProjectView(
        name=project.folder.resolve().name,
        created=project.facts.get("created"),
        classes=_classes(project),
        background=project.background,
        unknown=UNKNOWN,
        channels=scale.channels,
        bits=scale.bits,
        is_volume=int(deepest or 1) > 1,
        summary=finite(project.summary()),
    )


def item_view(project: Project, row: int, by: str) -> ItemView:
    """One item, as this person sees it."""
    chosen = project.pool.items[row]
    scale = scale_of(project, chosen)
    low, high = window_of(project, chosen, scale)
    height, width = project.shape(chosen)
    with project.engine.begin() as connection:
        told = _told(connection, row, by)
        previous, next_ = _neighbours(connection, row)
    is_test = told["split"] == "test"
    may_see = not is_test and told["reading"] == FIRST
    return ItemView(
        item=chosen.id,
        group=list(chosen.group),
        z=chosen.z,
        height=height,
        width=width,
        channels=scale.channels,
        bits=scale.bits,
        spacing=project.spacing(chosen),
        window=Window(low=low, high=high),
        scale=ScaleView(slope=scale.slope, intercept=scale.intercept),
        previous=previous,
        next=next_,
        prediction=may_see and overlay(project, row, "").is_file(),
        uncertainty=may_see and overlay(project, row, "-uncertainty").is_file(),
        audit=is_test and told["may_label"],
        **told,
    )


def overlay(project: Project, row: int, which: str) -> Path:
    """Where the prediction of an item lies, or its `-uncertainty`."""
    return project.folder / PREDICTIONS / f"{row}{which}.png"


def read_overlay(project: Project, row: int, which: str) -> UInt8[np.ndarray, "y x"] | None:
    """The prediction of an item, or its `-uncertainty`; None where no job has made one."""
    path = overlay(project, row, which)
    if not path.is_file():
        return None
    found = read_mask(path)[0]
    # A project that was made anew may have what an older one of its name left.
    return found if found.shape == project.shape(project.pool.items[row]) else None


def finite(tree: Any) -> Any:
    """The same with None for what JSON has no number for."""
    if isinstance(tree, dict):
        return {key: finite(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [finite(value) for value in tree]
    is_number = isinstance(tree, float)
    return None if is_number and not abs(tree) < float("inf") else tree


def _classes(project: Project) -> list[ClassView]:
    """In order of their numbers; the keys 1 to 9 go to all but the background."""
    keys = {number: n for n, number in enumerate(project.foreground.tolist(), start=1)}
    return [
        ClassView(
            number=number,
            name=name,
            colour=_colour(number),
            key=str(keys[number]) if keys.get(number, 10) <= 9 else None,
        )
        for number, name in enumerate(project.classes)
    ]


def _colour(number: int) -> str:
    """As in the files, but nobody would see black strokes on a dark image."""
    colour = "#{:02x}{:02x}{:02x}".format(*colour_table()[number])
    return SEEN_FOR_BLACK if colour == "#000000" else colour


def _told(connection: Connection, row: int, by: str) -> dict[str, Any]:
    """What the database says of an item."""
    drawn, held = draft_of(connection, row, by), lease_of(connection, row)
    is_open = drawn is not None and drawn.file is not None
    skipped = connection.execute(select(skip).where(skip.c.item_row == row)).first()
    newest = select(round_.c.number).order_by(round_.c.number.desc()).limit(1).scalar_subquery()
    reading = reading_for(connection, row, by)
    reason = select(pick.c.reason).where(pick.c.round == newest, pick.c.item_row == row)
    side = select(source.c.split).join(item, item.c.source_id == source.c.id)
    return {
        "label": _label(connection, row) if reading == FIRST else None,
        "reading": reading,
        "draft": DraftView(**vars(drawn.said)) if drawn and is_open else None,
        "sequence": 0 if drawn is None else drawn.said.sequence,
        "lease": None if held is None else LeaseView(by=held.by, until=held.until),
        "skipped": skipped
        and SkipView(reason=skipped.reason, flagged=skipped.flagged, by=skipped.by),
        "reason": connection.scalar(reason),
        "split": connection.scalar(side.where(item.c.row == row)),
        "may_label": may_label(connection, row),
    }


def _label(connection: Connection, row: int) -> LabelView | None:
    query = select(label).where(label.c.id == revision_of(connection, row))
    found = connection.execute(query).first()
    if found is None:
        return None
    return LabelView(
        kind=found.kind, by=found.by, revision=found.id, seconds=round(found.seconds, 1)
    )


def _neighbours(connection: Connection, row: int) -> tuple[str | None, str | None]:
    """The slices before and after it, of the same file and the same place in it."""
    mine = connection.execute(select(item).where(item.c.row == row)).one()
    query = select(item.c.id).where(item.c.source_id == mine.source_id).limit(1)
    for name in ("y0", "x0"):
        query = query.where(item.c[name].is_not_distinct_from(mine._mapping[name]))
    before = query.where(item.c.z < mine.z).order_by(item.c.z.desc())
    after = query.where(item.c.z > mine.z).order_by(item.c.z)
    return connection.scalar(before), connection.scalar(after)
