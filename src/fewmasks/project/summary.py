"""What `fewmasks info` says: counted by the database, so that it answers at once."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, distinct, func, select

from fewmasks.project import schema


def summarise(folder: Path) -> dict[str, Any]:
    """The summary of a project folder, without what a `Project` costs to import."""
    engine = schema.open_database(folder)
    with engine.begin() as connection:
        facts = {row.name: row.value for row in connection.execute(select(schema.fact))}
    return summary(folder, engine, facts)


def item_ids(folder: Path) -> list[tuple[str, str, str]]:
    """Every item: its id, its side, and what is known of it (label, skipped or nothing)."""
    item, label, skip = schema.item.c, schema.label.c, schema.skip.c
    newest = select(func.max(label.id)).group_by(label.item_row)
    query = (
        select(item.id, schema.source.c.split, label.kind, skip.item_row)
        .join(schema.source, schema.source.c.id == item.source_id)
        .outerjoin(schema.label, (label.item_row == item.row) & label.id.in_(newest))
        .outerjoin(schema.skip, skip.item_row == item.row)
        .order_by(item.row)
    )
    with schema.open_database(folder).begin() as connection:
        return [
            (id_, split, kind or ("" if skipped is None else "skipped"))
            for id_, split, kind, skipped in connection.execute(query)
        ]


def summary(folder: Path, engine: Engine, facts: dict[str, Any]) -> dict[str, Any]:
    """Where a project stands and what to do next, ready for JSON."""
    with engine.begin() as connection:
        answers = _answers(connection)
        asked = _asked(connection)
        newest = connection.execute(
            select(schema.training.c.record).order_by(schema.training.c.id.desc()).limit(1)
        ).scalar()
        found = {
            "project": str(folder),
            **_sides(connection),
            "volumes": _count(connection, schema.source.c.path, schema.source.c.depth > 1),
            "classes": facts["classes"],
            "channels": facts["channels"],
            **answers,
            **asked,
            "trainings": connection.scalar(select(func.count()).select_from(schema.training)),
            "scores": (newest or {}).get("scores"),
            "missing_sources": _missing(connection.scalars(select(schema.source.c.path))),
            "notes": facts["notes"],
        }
    return {**found, "next": _next_step(found, newest)}


def _sides(connection: Connection) -> dict[str, Any]:
    found: dict[str, Any] = {"items": 0}
    split = schema.source.c.split
    for side in ("train", "test"):
        query = select(func.count()).select_from(schema.item).join(schema.source)
        items = connection.scalar(query.where(split == side)) or 0
        groups = _count(connection, schema.source.c.group_key, split == side)
        found[side] = {"items": items, "groups": groups}
        found["items"] += items
    return found


def _answers(connection: Connection) -> dict[str, Any]:
    table = schema.label.c
    newest = select(func.max(table.id)).group_by(table.item_row)
    query = (
        select(table.kind, schema.source.c.split, func.count())
        .select_from(schema.label)
        .join(schema.item, schema.item.c.row == table.item_row)
        .join(schema.source, schema.source.c.id == schema.item.c.source_id)
        .where(table.id.in_(newest))
        .group_by(table.kind, schema.source.c.split)
    )
    labels = {"mask": 0, "scribble": 0}
    audited = 0
    for kind, split, count in connection.execute(query):
        if split == "test":
            audited += count
        else:
            labels[kind] += count
    # Time of labels that were replaced later was spent all the same.
    seconds = connection.scalar(select(func.sum(table.seconds))) or 0.0
    skipped = connection.scalar(select(func.count()).select_from(schema.skip))
    minutes = round(seconds / 60, 1)
    return {"labels": labels, "audited": audited, "skipped": skipped, "minutes": minutes}


def _asked(connection: Connection) -> dict[str, Any]:
    rounds = connection.scalar(select(func.count()).select_from(schema.round_))
    still_open = connection.scalar(select(func.count()).select_from(schema.open_picks().subquery()))
    return {"rounds": rounds, "open_picks": still_open}


def _count(connection: Connection, column: Any, condition: Any) -> int:
    return connection.scalar(select(func.count(distinct(column))).where(condition)) or 0


def _missing(paths: Iterable[str]) -> int:
    """How many image files are gone; one directory listing per folder, not one call per file."""
    present: dict[str, set[str]] = {}
    missing = 0
    for path in set(paths):
        folder = os.path.split(path)[0]
        if folder not in present:
            present[folder] = _list(folder)
        missing += path not in present[folder]
    return missing


def _list(folder: str) -> set[str]:
    try:
        with os.scandir(folder) as entries:
            return {entry.path for entry in entries}
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return set()


def _next_step(found: dict[str, Any], newest: dict[str, Any] | None) -> str:
    project = found["project"]
    labelled = sum(found["labels"].values())
    if found["open_picks"]:
        return (
            f"label the {found['open_picks']} chosen items: "
            f"fewmasks label {project} --from FOLDER_OF_MASKS"
        )
    if labelled and (newest is None or newest.get("labels") != labelled):
        return f"train on the {labelled} labels: fewmasks train {project}"
    if labelled and labelled + found["skipped"] >= found["train"]["items"]:
        return (
            f"every item is labelled; use the model: fewmasks predict {project} "
            f"--images FOLDER --out FOLDER"
        )
    return f"choose the next items to label: fewmasks next {project}"
