"""The round's items as the page lists them: what is open, what is taken, what is done."""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, func, select

from fewmasks.learn.costs import OUTLINES, expected_outlines, pace_of, usual_kind
from fewmasks.loop.cost import Outline, seconds_of
from fewmasks.project import Project
from fewmasks.project.readings import FIRST, SECOND, wanting
from fewmasks.project.schema import item, label, lease, pick, round_, skip
from fewmasks.server.clock import moment
from fewmasks.server.messages import Asked, Queue, State
from fewmasks.server.views import PREDICTIONS

OPEN: tuple[State, ...] = ("open", "mine")


def read_queue(project: Project, by: str) -> Queue:
    """The newest round, for this person."""
    with project.engine.begin() as connection:
        newest = connection.execute(
            select(round_).order_by(round_.c.number.desc()).limit(1)
        ).first()
        if newest is None:
            return Queue(round=None, strategy=None, items=[], minutes_left=0.0)
        known = _Known(connection, newest.number)
    picks = known.asked_of(by)
    expected = _minutes(project, [row.item_row for row in picks], by)
    asked = [
        Asked(
            item=row.id,
            order=place,
            reason=row.reason,
            audit=row.audit,
            control=row.control,
            reading=known.reading(row.item_row, by),
            **known.state(row.item_row, by),
            minutes=round(minutes, 2),
        )
        for place, (row, minutes) in enumerate(zip(picks, expected, strict=True))
    ]
    left = sum(
        minutes
        for each, minutes in zip(asked, expected, strict=True)
        if each.state not in ("labelled", "skipped")
    )
    return Queue(
        round=newest.number, strategy=newest.strategy, items=asked, minutes_left=round(left, 1)
    )


def next_open(project: Project, by: str, after: str) -> str | None:
    """The first item that this person may take, looking on from one of the queue, then around."""
    items = read_queue(project, by).items
    at = next((n for n, each in enumerate(items) if each.item == after), -1)
    around = [*items[at + 1 :], *items[: at + 1]]
    return next((each.item for each in around if each.state in OPEN and each.item != after), None)


class _Known:
    """What was answered of a round's picks, and who is at work on them."""

    def __init__(self, connection: Connection, number: int) -> None:
        rows = select(pick.c.item_row).where(pick.c.round == number)
        self.number, self.wanting = number, wanting(connection)
        picks = select(pick, item.c.id).join(item, item.c.row == pick.c.item_row)
        picks = picks.where((pick.c.round == number) | pick.c.item_row.in_(list(self.wanting)))
        picks = picks.order_by(pick.c.round.desc(), pick.c.place)
        self.picks = connection.execute(picks).all()
        newest = select(func.max(label.c.id)).where(label.c.item_row.in_(rows))
        newest = newest.where(label.c.reading == FIRST)
        answers = select(label.c.item_row, label.c.by)
        answers = answers.where(label.c.id.in_(newest.group_by(label.c.item_row)))
        self.labelled = {r.item_row: r.by for r in connection.execute(answers)}
        skips = select(skip.c.item_row, skip.c.by).where(skip.c.item_row.in_(rows))
        self.skipped = {r.item_row: r.by for r in connection.execute(skips)}
        leases = select(lease.c.item_row, lease.c.user).where(lease.c.until >= moment())
        self.leases = {r.item_row: r.user for r in connection.execute(leases)}

    def asked_of(self, by: str) -> list[Any]:
        """The round's picks, then those of older ones that this person may read a second time."""
        return [
            each
            for each in self.picks
            if each.round == self.number or self.reading(each.item_row, by) == SECOND
        ]

    def reading(self, row: int, by: str) -> int:
        """As `reading_for`, of all picks at once."""
        return SECOND if self.wanting.get(row, by) != by else FIRST

    def state(self, row: int, by: str) -> dict[str, Any]:
        """State of an item, and by whom."""
        if row in self.labelled and self.reading(row, by) == FIRST:
            return {"state": "labelled", "by": self.labelled[row]}
        if row in self.skipped:
            return {"state": "skipped", "by": self.skipped[row]}
        if row in self.leases:
            holder = self.leases[row]
            return {"state": "mine" if holder == by else "taken", "by": holder}
        return {"state": "open", "by": None}


def _minutes(project: Project, rows: Sequence[int], by: str) -> list[float]:
    """What this person is expected to take for each item, by what the newest model saw in it."""
    kind = usual_kind(project, by)
    pace = pace_of(project, kind, by)
    seen: dict[str, dict[str, float]] = {}
    path = project.folder / PREDICTIONS / OUTLINES
    if kind == "mask" and path.is_file():
        seen = json.loads(path.read_text(encoding="utf-8"))
    drawn = [Outline(**seen[str(row)]) if str(row) in seen else None for row in rows]
    return [seconds_of(pace, each) / 60 for each in expected_outlines(project, pace, drawn)]
