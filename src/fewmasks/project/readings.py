"""Items that two people read: the second one answers without seeing what the first one said.

The first reading trains, and the second one never does. Where a reviewer decides otherwise, the
label that the verdict names is stored once more as one that trains.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, func, select

from fewmasks.project.schema import label, pick, skip, verdict
from fewmasks.types import Kind

if TYPE_CHECKING:
    from fewmasks.project import Project

FIRST, SECOND = 1, 2


@dataclass(frozen=True)
class Reading:
    """What one of the two said, without its pixels."""

    id: int
    by: str
    kind: Kind
    seconds: float
    file: str


@dataclass(frozen=True)
class Pair:
    """Both readings of an item."""

    row: int
    first: Reading
    second: Reading
    settled_by: str | None
    """The reviewer who decided, if one did."""


def pairs(connection: Connection, row: int | None = None) -> list[Pair]:
    """Items that were read twice, or the one of this row.

    The first reading is the one that held when the second one came: later ones may know of it.
    """
    read = select(label.c.item_row).where(label.c.reading == SECOND)
    query = select(label).where(label.c.item_row.in_(read))
    if row is not None:
        query = query.where(label.c.item_row == row)
    rows = connection.execute(query.order_by(label.c.item_row, label.c.id)).all()
    decided = connection.execute(select(verdict.c.item_row, verdict.c.by))
    by = {each.item_row: each.by for each in decided}
    found = []
    for item_row, answers in groupby(rows, key=lambda each: each.item_row):
        said = list(answers)
        seconds = [each for each in said if each.reading == SECOND]
        before = [each for each in said if each.id < seconds[0].id]
        first, second = _reading(before[-1]), _reading(seconds[-1])
        found.append(Pair(item_row, first, second, by.get(item_row)))
    return found


def wanting(connection: Connection) -> dict[int, str]:
    """Rows that a second person should read, and who gave the label that the first one did."""
    read = select(label.c.item_row).where(label.c.reading == SECOND)
    asked = select(pick.c.item_row).where(pick.c.readings >= SECOND)
    newest = select(func.max(label.c.id)).where(label.c.reading == FIRST)
    query = (
        select(label.c.item_row, label.c.by)
        .where(label.c.id.in_(newest.group_by(label.c.item_row)))
        .where(label.c.item_row.in_(asked))
        .where(label.c.item_row.not_in(read))
        .where(label.c.item_row.not_in(select(skip.c.item_row)))
        .order_by(label.c.item_row)
    )
    return {each.item_row: each.by for each in connection.execute(query)}


def items_wanting(project: "Project") -> frozenset[str]:
    """Items that a second person should read."""
    with project.engine.begin() as connection:
        rows = wanting(connection)
    return frozenset(project.pool.items[row].id for row in rows)


def reading_for(connection: Connection, row: int, by: str) -> int:
    """Which reading of an item this person gives: the second is never the first one's own."""
    asked = select(pick.c.item_row).where(pick.c.item_row == row, pick.c.readings >= SECOND)
    if connection.scalar(asked.limit(1)) is None:  # as of most items, and soon found out
        return FIRST
    first = wanting(connection).get(row)
    return FIRST if first is None or first == by else SECOND


def unseen(connection: Connection, by: str) -> frozenset[int]:
    """Rows whose labels this person is not shown, to read them a second time."""
    return frozenset(row for row, first in wanting(connection).items() if first != by)


def reading_from_files(connection: Connection, row: int, by: str) -> int:
    """The same for files, which may be given once more: who read second does so again."""
    first, second = (_newest_by(connection, row, reading) for reading in (FIRST, SECOND))
    if second == by != first:
        return SECOND
    return reading_for(connection, row, by)


def settle(connection: Connection, pair: Pair, chosen: int, by: str) -> None:
    """The first or the second reading holds from now on, by the word of a reviewer."""
    number = (pair.first, pair.second)[chosen - 1].id
    row = connection.execute(select(label).where(label.c.id == number)).mappings().one()
    # Once more, as the newest; the time it took was counted when it was given.
    again = {**row, "reading": FIRST, "seconds": 0.0, "created": _now()}
    del again["id"]
    connection.execute(label.insert(), again)
    decide(connection, pair.row, number, by)


def decide(connection: Connection, row: int, label_id: int, by: str) -> None:
    """Note who ended a dispute, and for which label."""
    connection.execute(verdict.delete().where(verdict.c.item_row == row))
    given = {"item_row": row, "label_id": label_id, "by": by, "created": _now()}
    connection.execute(verdict.insert(), given)


def _newest_by(connection: Connection, row: int, reading: int) -> str | None:
    query = select(label.c.by).where(label.c.item_row == row, label.c.reading == reading)
    found: str | None = connection.scalar(query.order_by(label.c.id.desc()).limit(1))
    return found


def _reading(row: Any) -> Reading:
    return Reading(row.id, row.by, row.kind, row.seconds, row.file)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
