"""A mask of a whole file becomes labels of its items: of those asked for, and of what was painted.

The rule, item by item. One that the round asks for gets the mask as it is: unpainted is background.
Any other one says only what was painted on it: a scribble, unknown where nothing was. A label that
is there stays, but for your own: what you paint again replaces your mask of an item of the round,
or your scribble of another one. Nothing painted never replaces anything.

What you would read a second time is passed over, for that is done on the page, where you see
nothing of the first reading; so is what two people read differently, until a reviewer decides.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8
from sqlalchemy import Connection, Select, func, select

from fewmasks.interop.labels import store
from fewmasks.project import Project
from fewmasks.project.readings import FIRST, pairs, unseen
from fewmasks.project.schema import label, lease, pick, round_, skip, writing
from fewmasks.server.clock import moment
from fewmasks.server.drafts import changing
from fewmasks.server.image_files import ImageFile, unpainted, window
from fewmasks.server.leases import give_back
from fewmasks.server.readings import is_disputed
from fewmasks.server.refusal import Refusal
from fewmasks.types import UNKNOWN, Item, Kind, Label

UNMEASURED = 0.0
MOST_REASONS = 3


@dataclass(frozen=True)
class Taken:
    """What became of a mask of a whole file."""

    stored: tuple[str, ...]
    left: dict[str, str]
    """Items that were painted or asked for and are as they were, and why."""


@dataclass(frozen=True)
class _Known:
    """What is known of the items of a file; all but the first by row."""

    rows: dict[Item, int]
    asked: frozenset[int]
    skipped: frozenset[int]
    train: frozenset[int]
    held: dict[int, str]
    """Who else is labelling it."""
    unseen: frozenset[int]
    """What this person would read a second time."""
    disputed: frozenset[int]
    labels: dict[int, tuple[str, Kind]]
    """By whom the label that holds is, and of which kind."""


def hand_in_whole(
    project: Project, image: ImageFile, whole: UInt8[np.ndarray, "z y x"], by: str
) -> Taken:
    """Store what this person's mask of a whole file says; refused where that is nothing."""
    painted = (whole != unpainted(project)) & (whole != UNKNOWN)
    if not painted.any():
        raise Refusal(
            422,
            f"{image.name}: nothing is painted in the label; paint, or accept empty items on the "
            f"page",
        )
    labels: list[Label] = []
    left: dict[str, str] = {}
    with changing:
        known = _known(project, image, by)
        for item, row in known.rows.items():
            here = painted[window(item)]
            kind, why = _kind_or_reason(known, row, by, bool(here.any()))
            if why is not None:
                left[item.id] = why
            if kind is not None:
                plane = whole[window(item)]
                mask = plane.copy() if kind == "mask" else np.where(here, plane, np.uint8(UNKNOWN))
                labels.append(Label(item.id, kind, mask, UNMEASURED, by))
        said = [each for each in labels if (each.mask != UNKNOWN).any()]
        if not said:
            reasons = "; ".join(f"{name}: {why}" for name, why in [*left.items()][:MOST_REASONS])
            raise Refusal(
                409,
                f"{image.name}: nothing was stored ({reasons or 'nothing lies on an item'}); take "
                f"another image",
            )
        store(project, said, lambda done: None)
    stored = tuple(each.item for each in said)
    with writing(project.engine).begin() as connection:
        for row in project.pool.rows(stored).tolist():
            give_back(connection, row, by)
    return Taken(stored, left)


def _kind_or_reason(
    known: _Known, row: int, by: str, is_painted: bool
) -> tuple[Kind | None, str | None]:
    """What an item's part of the mask becomes, or why it stays as it is; neither: says nothing."""
    is_asked = row in known.asked
    if not (is_painted or is_asked):
        return None, None
    if row in known.skipped:
        return None, "it was skipped" if is_painted else None
    if row in known.unseen:
        return None, "second readings are given on the page" if is_painted else None
    if row in known.held:
        return None, f"{known.held[row]} is labelling it"
    kind: Kind = "mask" if is_asked else "scribble"
    before = known.labels.get(row)
    if before is None:
        if is_asked or row in known.train:
            return kind, None
        return None, "it is a test item, and the round does not ask for it"
    if not is_painted:
        return None, None
    if row in known.disputed:
        return None, "two people read it differently, and a reviewer decides on the page"
    if before != (by, kind):
        return None, f"it has a {before[1]} by {before[0]}"
    return kind, None


def _known(project: Project, image: ImageFile, by: str) -> _Known:
    rows = project.pool.rows(item.id for item in image.items).tolist()
    newest = select(func.max(round_.c.number)).scalar_subquery()
    latest = select(func.max(label.c.id)).where(label.c.reading == FIRST)
    latest = latest.group_by(label.c.item_row)
    with project.engine.begin() as connection:
        return _Known(
            rows=dict(zip(image.items, rows, strict=True)),
            asked=_numbers(connection, select(pick.c.item_row).where(pick.c.round == newest)),
            skipped=_numbers(connection, select(skip.c.item_row)),
            train=frozenset(project.train.tolist()),
            held={
                each.item_row: each.user
                for each in connection.execute(
                    select(lease).where(lease.c.until >= moment(), lease.c.user != by)
                )
            },
            unseen=unseen(connection, by),
            disputed=frozenset(
                pair.row
                for pair in pairs(connection)
                if pair.row in rows and is_disputed(project, pair)
            ),
            labels={
                each.item_row: (each.by, each.kind)
                for each in connection.execute(select(label).where(label.c.id.in_(latest)))
            },
        )


def _numbers(connection: Connection, query: Select[tuple[int]]) -> frozenset[int]:
    return frozenset(connection.scalars(query))
