"""A drawing becomes a label; an item is skipped; never over an answer that was not seen."""

from typing import Any

import numpy as np
from sqlalchemy import Connection, func, select

from fewmasks.project import Project
from fewmasks.project.readings import FIRST, reading_for
from fewmasks.project.schema import draft, label, pick, skip, writing
from fewmasks.server.clock import moment
from fewmasks.server.drafts import Draft, Drawn, changing, draft_of, read
from fewmasks.server.leases import give_back, refuse_taken, refuse_without_lease
from fewmasks.server.readings import refuse_disputed, settle_by_third
from fewmasks.server.refusal import Refusal
from fewmasks.types import Label


def revision_of(connection: Connection, row: int, reading: int = FIRST) -> int:
    """The number of an item's newest label; 0 where there is none of this reading."""
    newest = select(func.max(label.c.id)).where(label.c.item_row == row)
    return int(connection.scalar(newest.where(label.c.reading == reading)) or 0)


def hand_in(project: Project, row: int, by: str, said: Drawn, base: int) -> int:
    """The drawing of this sequence becomes the label; its revision.

    Refused where the newest label is not the one that the person saw (`base`), or another drawing
    was saved since. The same again, as after a lost answer, gives the same revision.
    """
    item = project.pool.items[row]
    with changing:
        with project.engine.begin() as connection:
            drawn = _drawing(draft_of(connection, row, by), said.sequence, item.id)
            if drawn.revision is not None:
                return drawn.revision
            refuse_without_lease(connection, row, item.id, by)
        answer = Label(item.id, said.kind, read(project, drawn), said.seconds, by)
        if not _is_stored(project, row, answer):
            _store(project, row, answer, base)
        revision = _mark(project, row, by, said.sequence)
    assert drawn.file is not None
    (project.folder / drawn.file).unlink(missing_ok=True)
    return revision


def _store(project: Project, row: int, answer: Label, base: int) -> None:
    """As the label that holds, or as a second reading by one who saw nothing of the first."""
    with project.engine.begin() as connection:
        refuse_disputed(connection, project, row, answer.by)
        reading = reading_for(connection, row, answer.by)
        newest, round = revision_of(connection, row, reading), _round_of(connection, row)
    if newest != base:
        raise _overtaken(project, answer.item, newest)
    project.add_labels([answer], round, reading, is_new=True)


def _mark(project: Project, row: int, by: str, sequence: int) -> int:
    """Note which label the drawing became, and let go of the item."""
    with writing(project.engine).begin() as connection:
        newest = _newest_of(connection, row, by)
        assert newest is not None
        revision: int = newest.id
        settle_by_third(connection, project, row, revision, by)
        mine = draft.update().where(draft.c.item_row == row, draft.c.user == by)
        mine = mine.where(draft.c.sequence == sequence)
        connection.execute(mine, {"revision": revision, "file": None})
        give_back(connection, row, by)
    return revision


def skip_item(project: Project, row: int, by: str, reason: str, flagged: bool) -> None:
    """Never ask for this item again; `flagged` says that the image itself is bad."""
    name = project.pool.items[row].id
    with writing(project.engine).begin() as connection:
        refuse_taken(connection, row, name, by)
        connection.execute(skip.delete().where(skip.c.item_row == row))
        given = {"item_row": row, "reason": reason, "flagged": flagged, "by": by}
        connection.execute(skip.insert(), {**given, "created": moment()})
        give_back(connection, row, by)


def unskip_item(project: Project, row: int) -> None:
    """Ask for this item again."""
    with writing(project.engine).begin() as connection:
        connection.execute(skip.delete().where(skip.c.item_row == row))


def _drawing(found: Draft | None, sequence: int, name: str) -> Draft:
    saved = 0 if found is None else found.said.sequence
    if found is None or saved != sequence or (found.file is None and found.revision is None):
        raise Refusal(
            409,
            f"{name}: drawing {sequence} is not the one that was saved last ({saved}); save it "
            f"first",
            {"sequence": saved},
        )
    return found


def _is_stored(project: Project, row: int, answer: Label) -> bool:
    """Whether a server that was killed had stored this very answer before it could say so."""
    with project.engine.begin() as connection:
        found = _newest_of(connection, row, answer.by)
        if found is None or found.id != revision_of(connection, row, found.reading):
            return False
    return (found.kind, found.seconds) == (answer.kind, answer.seconds) and np.array_equal(
        project.mask(found.file), answer.mask
    )


def _newest_of(connection: Connection, row: int, by: str) -> Any:  # a row of the table, or None
    """What this person said last of an item."""
    query = select(label).where(label.c.item_row == row, label.c.by == by)
    return connection.execute(query.order_by(label.c.id.desc()).limit(1)).first()


def _overtaken(project: Project, name: str, revision: int) -> Refusal:
    found = project.label(name)
    by = None if found is None else found.by
    return Refusal(
        409,
        f"{name}: {by} gave another answer meanwhile (revision {revision}); look at it, then "
        f"decide which one holds",
        {"revision": revision, "by": by},
    )


def _round_of(connection: Connection, row: int) -> int | None:
    """The newest round that asked for the item."""
    newest = select(func.max(pick.c.round)).where(pick.c.item_row == row)
    found = connection.scalar(newest)
    return None if found is None else int(found)
