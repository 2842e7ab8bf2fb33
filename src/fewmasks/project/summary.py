"""What `fewmasks info` says: counted by the database, so that it answers at once.

The questions are plain SQL, asked without SQLAlchemy: to import that takes longer than all of them.
"""

import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from fewmasks.errors import ProjectError
from fewmasks.project import HEAD

Ask = Callable[[str], list[Any]]
"""Rows that answer a question in SQL."""

FEWEST_PAIRS = 3
"""Of models, for an interval that says something."""
NEWEST = "SELECT max(id) FROM label WHERE reading = 1 GROUP BY item_row"
"""Labels that hold; the others are history."""


def summarise(folder: Path) -> dict[str, Any]:
    """Where a project stands and what to do next, ready for JSON."""
    with _asking(folder) as ask:
        # As text: a column of JSON turns what looks like a number into one.
        stored = ask("SELECT name, CAST(value AS TEXT) FROM fact")
        facts = {name: json.loads(value) for name, value in stored}
        records = ask("SELECT record FROM training ORDER BY id DESC LIMIT 1")
        newest = json.loads(records[0][0]) if records else None
        found = {
            "project": str(folder),
            **_sides(ask),
            "volumes": _one(ask, "SELECT count(DISTINCT path) FROM source WHERE depth > 1"),
            "classes": facts["classes"],
            "channels": facts["channels"],
            **_answers(ask),
            "rounds": _one(ask, "SELECT count(*) FROM round"),
            "open_picks": _open_picks(ask),
            "trainings": _one(ask, "SELECT count(*) FROM training"),
            "scores": (newest or {}).get("scores"),
            "stop": (newest or {}).get("stop"),
            "control": _control((newest or {}).get("arms") or {}, folder),
            "missing_sources": _missing(path for (path,) in ask("SELECT path FROM source")),
            "notes": facts["notes"],
        }
    return {**found, "next": _next_step(found, newest)}


def item_ids(folder: Path) -> list[tuple[str, str, str]]:
    """Every item: its id, its side, and what is known of it (label, skipped or nothing)."""
    query = f"""
        SELECT item.id, source.split, label.kind, skip.item_row
        FROM item JOIN source ON source.id = item.source_id
        LEFT JOIN label ON label.item_row = item.row AND label.id IN ({NEWEST})
        LEFT JOIN skip ON skip.item_row = item.row
        ORDER BY item.row
    """
    with _asking(folder) as ask:
        return [
            (id_, split, kind or ("" if skipped is None else "skipped"))
            for id_, split, kind, skipped in ask(query)
        ]


@contextmanager
def _asking(folder: Path) -> Iterator[Ask]:
    """The database of a project that exists, all questions seeing the same moment."""
    file = folder / "project.db"
    if not file.is_file():
        raise ProjectError(
            f"{folder}: not a fewmasks project (no project.db); "
            f"make one with `fewmasks create {folder} --images PATH`"
        )
    with file.open("rb"):
        pass  # where this is forbidden, the system says so better than SQLite does
    if not _is_current(file):
        from fewmasks.project.schema import open_database

        open_database(folder)  # brings it to the newest revision, or says what is wrong with it
    with closing(_connect(file)) as connection:
        connection.execute("BEGIN")
        yield lambda query: connection.execute(query).fetchall()


def _connect(file: Path) -> sqlite3.Connection:
    """A connection that may read, also in a folder where SQLite can make no files of its own."""
    log = file.with_name(f"{file.name}-wal")
    if os.access(file.parent, os.W_OK) or log.exists():
        return sqlite3.connect(file, isolation_level=None)
    # Nobody has the project open, or there would be a log beside it; so nothing changes here.
    address = f"{file.absolute().as_uri()}?mode=ro&immutable=1"
    return sqlite3.connect(address, uri=True, isolation_level=None)


def _is_current(file: Path) -> bool:
    with closing(_connect(file)) as connection:
        try:
            return connection.execute("SELECT version_num FROM alembic_version").fetchone() == (
                HEAD,
            )
        except sqlite3.DatabaseError:
            return False


def _one(ask: Ask, query: str) -> Any:
    return ask(query)[0][0]


def _sides(ask: Ask) -> dict[str, Any]:
    query = """
        SELECT split, count(*), count(DISTINCT group_key)
        FROM item JOIN source ON source.id = item.source_id GROUP BY split
    """
    sides = {side: {"items": 0, "groups": 0} for side in ("train", "test")}
    sides |= {side: {"items": items, "groups": groups} for side, items, groups in ask(query)}
    return {"items": sum(side["items"] for side in sides.values()), **sides}


def _answers(ask: Ask) -> dict[str, Any]:
    query = f"""
        SELECT label.kind, source.split, count(*)
        FROM label JOIN item ON item.row = label.item_row JOIN source ON source.id = item.source_id
        WHERE label.id IN ({NEWEST}) GROUP BY label.kind, source.split
    """
    labels = {"mask": 0, "scribble": 0}
    audited = 0
    for kind, split, count in ask(query):
        if split == "test":
            audited += count
        else:
            labels[kind] += count
    # Time of labels that were replaced later was spent all the same.
    seconds = _one(ask, "SELECT sum(seconds) FROM label") or 0.0
    skipped = _one(ask, "SELECT count(*) FROM skip")
    minutes = round(seconds / 60, 1)
    return {"labels": labels, "audited": audited, "skipped": skipped, "minutes": minutes}


def _open_picks(ask: Ask) -> int:
    """As `Project.open_picks`, counted."""
    query = """
        SELECT count(*) FROM pick WHERE round = (SELECT max(number) FROM round)
        AND item_row NOT IN (SELECT item_row FROM label)
        AND item_row NOT IN (SELECT item_row FROM skip)
    """
    return int(_one(ask, query))


def _control(arms: dict[str, Any], folder: Path) -> dict[str, Any] | None:
    """The strategy's picks against random ones, as numbers and in words; None without the two."""
    known, taught = arms.get("foreseen"), arms.get("taught")
    if not known:
        return None
    strategy, control = known["strategy"], known["control"]
    is_lower = strategy["mean"] < control["mean"]
    asked = (
        f"before they were labelled, the model had Dice {strategy['mean']:.3f} on "
        f"{strategy['items']} picks of the strategy and {control['mean']:.3f} on "
        f"{control['items']} random ones: it asks for what the model knows "
        f"{'less well' if is_lower else 'as well or better'}"
    )
    if taught:
        learnt, others = _number(taught["strategy"]), _number(taught["control"])
        worth = (
            f"{taught['labels']} labels of the strategy taught Dice {learnt}, as many random ones "
            f"{others}: {_verdict(taught)}"
        )
    else:
        worth = (
            f"what that is worth, {FEWEST_PAIRS} pairs of models would say: fewmasks train "
            f"{folder} --set query.compare={FEWEST_PAIRS}"
        )
    return {**arms, "said": [asked, worth]}


def _verdict(taught: dict[str, Any]) -> str:
    mean, low, high = (taught["difference"][name] for name in ("mean", "low", "high"))
    if mean is None:
        return "no score to compare"
    if low is None:
        return f"{mean:+.3f} in one pair of models, which says little"
    found = f"{mean:+.3f} (95 % {low:+.3f} to {high:+.3f} over {taught['pairs']} pairs of models)"
    if low > 0:
        return f"{found}, choosing pays"
    return f"{found}, {'random choice taught more' if high < 0 else 'no difference to be told yet'}"


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f}"


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
            f"label the {found['open_picks']} chosen items: fewmasks serve {project} "
            f"(or, from files, fewmasks label {project} --from FOLDER_OF_MASKS)"
        )
    if labelled and (newest is None or newest.get("labels") != labelled):
        return f"train on the {labelled} labels: fewmasks train {project}"
    if labelled and labelled + found["skipped"] >= found["train"]["items"]:
        return (
            f"every item is labelled; use the model: fewmasks predict {project} "
            f"--images FOLDER --out FOLDER"
        )
    return f"choose the next items to label: fewmasks next {project}"
