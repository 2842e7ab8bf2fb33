"""What somebody is drawing: saved at every stroke, whole or not at all, and never older over newer.

A draft is a file with a name of its own and a row that points to it. The file is on disk before
the row says so, and the row before the page is told; the file it replaces goes last.
"""

import hashlib
import os
import secrets
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from sqlalchemy import Connection, select

from fewmasks.io.atomic import atomic
from fewmasks.io.masks import read_mask
from fewmasks.project import Project
from fewmasks.project.schema import draft, writing
from fewmasks.server.clock import moment
from fewmasks.server.leases import refuse_without_lease
from fewmasks.server.png import indexed_png
from fewmasks.server.refusal import Refusal
from fewmasks.types import Kind

FOLDER = "drafts"

changing = threading.Lock()
"""Held while drafts are replaced or handed in, so that none loses its file while it is read."""


@dataclass(frozen=True)
class Drawn:
    """What comes with a drawing: its number, counted up by the page, kind and active seconds."""

    sequence: int
    kind: Kind
    seconds: float


@dataclass(frozen=True)
class Draft:
    """A drawing that was acknowledged."""

    said: Drawn
    digest: str
    file: str | None
    """Relative to the project folder; None once it became a label."""
    revision: int | None


def draft_of(connection: Connection, row: int, by: str) -> Draft | None:
    """The newest drawing of this person on an item."""
    query = select(draft).where(draft.c.item_row == row, draft.c.user == by)
    found = connection.execute(query).first()
    if found is None:
        return None
    said = Drawn(found.sequence, found.kind, found.seconds)
    return Draft(said, found.digest, found.file, found.revision)


def save(project: Project, row: int, by: str, said: Drawn, mask: UInt8[np.ndarray, "y x"]) -> None:
    """Keep a drawing. When this returns it is on disk; an older one than the last is refused.

    The same drawing again, as after a lost answer, changes nothing.
    """
    name, digest = project.pool.items[row].id, digest_of(mask)
    with project.engine.begin() as connection:  # before the disk is bothered
        refuse_without_lease(connection, row, name, by)
        if _is_known(draft_of(connection, row, by), said, digest, name):
            return
    file = f"{FOLDER}/{row}-{secrets.token_hex(8)}.png"
    _write(project.folder / file, mask)
    old: str | None = file
    with changing:
        try:
            old = _point_to(project, row, by, said, digest, file)
        finally:
            if old is not None:
                (project.folder / old).unlink(missing_ok=True)


def digest_of(mask: UInt8[np.ndarray, "y x"]) -> str:
    """What tells drawings apart."""
    return hashlib.blake2b(np.ascontiguousarray(mask).data, digest_size=16).hexdigest()


def read(project: Project, found: Draft) -> UInt8[np.ndarray, "y x"]:
    """Pixels of a draft that has a file."""
    assert found.file is not None
    return read_mask(project.folder / found.file)[0]


def sweep(project: Project) -> None:
    """Remove files that no row points to, left by a kill between the two."""
    with project.engine.begin() as connection:
        known = set(connection.scalars(select(draft.c.file)))
    folder = project.folder / FOLDER
    for path in folder.iterdir() if folder.is_dir() else ():
        if f"{FOLDER}/{path.name}" not in known:
            path.unlink(missing_ok=True)


def _point_to(
    project: Project, row: int, by: str, said: Drawn, digest: str, file: str
) -> str | None:
    """The file that is of no use any more: the last draft's, or ours where it was known."""
    name = project.pool.items[row].id
    with writing(project.engine).begin() as connection:
        refuse_without_lease(connection, row, name, by)
        last = draft_of(connection, row, by)
        if _is_known(last, said, digest, name):
            return file
        connection.execute(draft.delete().where(draft.c.item_row == row, draft.c.user == by))
        given = {"user": by, "item_row": row, "digest": digest, "file": file, "saved": moment()}
        given |= {"sequence": said.sequence, "kind": said.kind, "seconds": said.seconds}
        connection.execute(draft.insert(), given)
    return None if last is None else last.file


def _is_known(last: Draft | None, said: Drawn, digest: str, name: str) -> bool:
    """Whether it is the last drawing once more; older ones are refused."""
    if last is None or said.sequence > last.said.sequence:
        return False
    if said.sequence == last.said.sequence and digest == last.digest:
        return True
    raise Refusal(
        409,
        f"{name}: drawing {said.sequence} came after drawing {last.said.sequence}, perhaps from "
        f"another tab; load the item again",
        {"sequence": last.said.sequence},
    )


def _write(path: Path, mask: UInt8[np.ndarray, "y x"]) -> None:
    path.parent.mkdir(exist_ok=True)
    with atomic(path) as file:
        file.write(indexed_png(mask))
    handle = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(handle)  # the name, too, survives a power cut
    finally:
        os.close(handle)
