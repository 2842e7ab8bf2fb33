"""Double reading: how far two people agree, and what a reviewer does where they do not."""

from functools import lru_cache

import numpy as np
from jaxtyping import Int64
from sqlalchemy import Connection, select

from fewmasks.metrics import agreement, dice_from_confusion
from fewmasks.project import Project
from fewmasks.project.readings import Pair, decide, pairs, settle, wanting
from fewmasks.project.schema import user, writing
from fewmasks.server.accounts import MAY_REVIEW
from fewmasks.server.messages import Agreement, Dispute, ReadingView
from fewmasks.server.refusal import Refusal


def read_agreement(project: Project) -> Agreement | None:
    """How far two people agree on what both of them read; None where nobody was asked to."""
    with project.engine.begin() as connection:
        found, waiting = pairs(connection), len(wanting(connection))
    if not found and not waiting:
        return None
    n_classes = len(project.classes)
    total = sum((_confusion(project, pair) for pair in found), np.zeros((n_classes,) * 2, np.int64))
    return Agreement(
        items=len(found),
        waiting=waiting,
        disputes=sum(is_disputed(project, pair) for pair in found),
        per_class=_per_class(project, total),
    )


def read_disputes(project: Project) -> list[Dispute]:
    """What a reviewer has to decide, worst first."""
    with project.engine.begin() as connection:
        found = [pair for pair in pairs(connection) if is_disputed(project, pair)]
    disputes = [
        Dispute(
            item=project.pool.items[pair.row].id,
            readings=[
                ReadingView(by=one.by, kind=one.kind, seconds=one.seconds)
                for one in (pair.first, pair.second)
            ],
            lowest=_lowest(project, pair),
            per_class=_per_class(project, _confusion(project, pair)),
        )
        for pair in found
    ]
    return sorted(disputes, key=lambda each: each.lowest)


def reading_mask(project: Project, row: int, which: int) -> np.ndarray | None:
    """Pixels of the first or the second reading; None while there are not both."""
    with project.engine.begin() as connection:
        found = pairs(connection, row)
    return None if not found else project.mask((found[0].first, found[0].second)[which - 1].file)


def choose(project: Project, row: int, which: int, by: str) -> None:
    """End a dispute for one of the two readings."""
    name = project.pool.items[row].id
    with writing(project.engine).begin() as connection:
        pair = open_dispute(connection, project, row)
        if pair is None:
            raise Refusal(409, f"{name}: is not in dispute, or no longer; load the list again")
        settle(connection, pair, which, by)


def open_dispute(connection: Connection, project: Project, row: int) -> Pair | None:
    """The two readings of an item that a reviewer has to decide between."""
    found = pairs(connection, row)
    return found[0] if found and is_disputed(project, found[0]) else None


def refuse_disputed(connection: Connection, project: Project, row: int, by: str) -> None:
    """Refuse to draw on what only a reviewer may decide."""
    role = select(user.c.role).where(user.c.name == by)
    if connection.scalar(role) not in MAY_REVIEW and open_dispute(connection, project, row):
        raise Refusal(
            409,
            f"{project.pool.items[row].id}: two people read it differently; a "
            f"{' or '.join(MAY_REVIEW)} decides, so take another item",
        )


def settle_by_third(
    connection: Connection, project: Project, row: int, revision: int, by: str
) -> None:
    """A label that a reviewer drew during a dispute ends it."""
    pair = open_dispute(connection, project, row)
    if pair is not None and revision > pair.second.id:
        decide(connection, row, revision, by)


def is_disputed(project: Project, pair: Pair) -> bool:
    """Whether two readings differ so much that a reviewer has to decide, and none did."""
    return pair.settled_by is None and _lowest(project, pair) < project.config.query.dispute_below


def _lowest(project: Project, pair: Pair) -> float:
    """The lowest Dice of a foreground class; 1 where neither of them saw any."""
    dice = dice_from_confusion(_confusion(project, pair))[project.foreground]
    return float(np.nanmin(dice)) if not np.isnan(dice).all() else 1.0


def _per_class(project: Project, counts: Int64[np.ndarray, "c c"]) -> dict[str, float | None]:
    dice = dice_from_confusion(counts)[project.foreground].tolist()
    names = [project.classes[number] for number in project.foreground]
    return {name: None if np.isnan(of) else of for name, of in zip(names, dice, strict=True)}


def _confusion(project: Project, pair: Pair) -> Int64[np.ndarray, "c c"]:
    return _compared(project, pair.first.file, pair.second.file)


@lru_cache(maxsize=4096)  # a file's name holds the hash of its pixels
def _compared(project: Project, first: str, second: str) -> Int64[np.ndarray, "c c"]:
    return agreement(project.mask(first), project.mask(second), len(project.classes))
