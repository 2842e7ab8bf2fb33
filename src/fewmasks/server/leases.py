"""Who is labelling which item: a lease binds for ten minutes and is renewed by taking it again."""

from dataclasses import dataclass

from sqlalchemy import Connection, select

from fewmasks.project import Project
from fewmasks.project.schema import item, lease, pick, round_, source, writing
from fewmasks.server.clock import moment
from fewmasks.server.refusal import Refusal

LEASE_SECONDS = 600.0


@dataclass(frozen=True)
class Lease:
    """Who may draw on an item, and until when."""

    by: str
    until: str


def lease_of(connection: Connection, row: int) -> Lease | None:
    """The lease of an item, if one has not run out."""
    query = select(lease).where(lease.c.item_row == row).where(lease.c.until >= moment())
    found = connection.execute(query).first()
    return None if found is None else Lease(found.user, found.until)


def take(project: Project, row: int, by: str) -> Lease:
    """Take or renew the lease of an item; refused while somebody else holds it."""
    name = project.pool.items[row].id
    mine = Lease(by, moment(LEASE_SECONDS))
    with writing(project.engine).begin() as connection:
        refuse_taken(connection, row, name, by)
        if not may_label(connection, row):
            raise Refusal(
                409,
                f"{name}: is a test item, and the round does not ask for it; label the items of "
                f"the queue, or training items",
            )
        connection.execute(lease.delete().where(lease.c.item_row == row))
        given = {"item_row": row, "user": by, "until": mine.until}
        connection.execute(lease.insert(), given)
    return mine


def give_back(connection: Connection, row: int, by: str) -> None:
    """Let others take the item."""
    connection.execute(lease.delete().where(lease.c.item_row == row, lease.c.user == by))


def refuse_taken(connection: Connection, row: int, name: str, by: str) -> None:
    """Refuse where somebody else is labelling the item."""
    held = lease_of(connection, row)
    if held is not None and held.by != by:
        raise Refusal(
            409,
            f"{name}: {held.by} is labelling it (until {held.until}); take another item",
            {"by": held.by, "until": held.until},
        )


def refuse_without_lease(connection: Connection, row: int, name: str, by: str) -> None:
    """Refuse to draw on what is not leased to this person, now."""
    refuse_taken(connection, row, name, by)
    if lease_of(connection, row) is None:
        raise Refusal(
            409,
            f"{name}: your lease ran out or was never taken; take it again, nothing is lost",
            {"by": None},
        )


def may_label(connection: Connection, row: int) -> bool:
    """Training items always; test items only where the round asks, or the score would be chosen."""
    side = select(source.c.split).join(item, item.c.source_id == source.c.id)
    if connection.scalar(side.where(item.c.row == row)) == "train":
        return True
    newest = select(round_.c.number).order_by(round_.c.number.desc()).limit(1).scalar_subquery()
    asked = select(pick.c.place).where(pick.c.round == newest, pick.c.item_row == row)
    return connection.scalar(asked) is not None
