"""A project folder, opened: what is known, and the few ways to add to it."""

import hashlib
import json
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np
from jaxtyping import Bool, UInt8
from sqlalchemy import Connection, Engine, Select, func, select

from fewmasks.errors import ConfigError, GeometryError, ProjectError
from fewmasks.pool import Pool
from fewmasks.project import schema
from fewmasks.project.background import background_of
from fewmasks.project.readings import FIRST
from fewmasks.types import UNKNOWN, Item, Kind, Label, Pick, Round, Rows, Split

if TYPE_CHECKING:  # both cost start-up time that `fewmasks info` does not have
    from fewmasks.config import Config
    from fewmasks.io.cache import PixelCache

KINDS: tuple[Kind, ...] = ("mask", "scribble")


@dataclass(frozen=True)
class LabelRecord:
    """A label without its pixels."""

    item: str
    kind: Kind
    seconds: float
    by: str
    round: int | None
    created: str
    """When it was stored, UTC, ISO 8601."""
    file: str
    """The mask's file, relative to the project folder."""


@dataclass(frozen=True)
class _File:
    """A file given at creation."""

    path: str
    mask: str | None
    scribble: str | None
    group: tuple[str, ...]
    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]


class Project:
    """An opened project folder. Opening reads nothing; what never changes is read once, lazily."""

    def __init__(self, folder: Path, engine: Engine) -> None:
        self.folder = folder
        self.engine = engine

    def __repr__(self) -> str:
        return f"Project({str(self.folder)!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return open_project, (self.folder,)

    # What was fixed at creation.

    @cached_property
    def facts(self) -> dict[str, Any]:
        """What creation decided: classes, channels, slice_axis, region, unknown, notes, made_by.

        And when, and how 255 in masks is read; older projects lack `created` and
        `white_is_unknown`.
        """
        return {row.name: row.value for row in self._rows(select(schema.fact))}

    @cached_property
    def config(self) -> "Config":
        """The settings of project.toml over the defaults."""
        from fewmasks.config import read_config

        return read_config(self.folder / "project.toml")

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names; a mask's pixel is the position in this tuple."""
        return tuple(self.facts["classes"])

    @property
    def background(self) -> int | None:
        """The class that is called "background" and left out of means, if there is one."""
        return background_of(self.classes)

    @property
    def foreground(self) -> Rows:
        """The class numbers that count in means."""
        numbers = np.arange(len(self.classes), dtype=np.int64)
        return numbers[numbers != self.background] if self.background is not None else numbers

    @property
    def channels(self) -> int:
        """Channels of every item, as read."""
        return int(self.facts["channels"])

    @cached_property
    def _files(self) -> dict[int, _File]:
        return {
            row.id: _File(
                row.path,
                row.mask,
                row.scribble,
                (row.group_key, *row.group_rest),
                (row.depth, row.height, row.width),
                (row.spacing_z, row.spacing_y, row.spacing_x),
            )
            for row in self._rows(select(schema.source))
        }

    @cached_property
    def _source_ids(self) -> Rows:
        query = select(schema.item.c.source_id).order_by(schema.item.c.row)
        return np.array([row.source_id for row in self._rows(query)], dtype=np.int64)

    @cached_property
    def pool(self) -> Pool:
        """All items, of both sides."""
        table = schema.item.c
        query = select(table.id, table.source_id, table.z, table.y0, table.x0, table.y1, table.x1)
        items = []
        for row in self._rows(query.order_by(table.row)):
            file = self._files[row.source_id]
            box = None if row.y0 is None else (row.y0, row.x0, row.y1, row.x1)
            items.append(Item(row.id, file.path, file.group, row.z, box))
        return Pool(tuple(items))

    @cached_property
    def train(self) -> Rows:
        """Items of the training groups: those that may be asked for and learnt from."""
        return self._side("train")

    @cached_property
    def test(self) -> Rows:
        """Items of the test groups, frozen at creation."""
        return self._side("test")

    @cached_property
    def has_reference(self) -> Bool[np.ndarray, " n"]:
        """Per row: whether a reference mask was given at creation."""
        with_mask = {key for key, file in self._files.items() if file.mask is not None}
        return np.isin(self._source_ids, sorted(with_mask))

    def volume_codes(self) -> Rows:
        """An integer per row, equal for slices and regions of one image file."""
        codes: dict[str, int] = {}
        return np.array(
            [codes.setdefault(item.source, len(codes)) for item in self.pool.items], dtype=np.int64
        )

    def is_volume(self, item: Item) -> bool:
        """Whether the item is a slice of a file with more than one."""
        return self._file_of(item).shape[0] > 1

    def spacing(self, item: Item) -> tuple[float, float, float]:
        """Distance between neighbours along z, y, x: millimetres where the file says, else 1."""
        return self._file_of(item).spacing

    def shape(self, item: Item) -> tuple[int, int]:
        """Height and width of an item in pixels."""
        if item.box is not None:
            return (item.box[2] - item.box[0], item.box[3] - item.box[1])
        _, height, width = self._file_of(item).shape
        return height, width

    # Pixels.

    @cached_property
    def cache(self) -> "PixelCache":
        """Pixels of images and reference masks, ready to read by item."""
        from fewmasks.io.cache import PixelCache

        return PixelCache(self.folder / "cache", self.channels, self.facts["unknown"])

    def reference(self, item: Item) -> UInt8[np.ndarray, "y x"] | None:
        """The reference mask of an item. Of a training item only an oracle may look at it."""
        path = self._file_of(item).mask
        if path is None:
            return None
        mask = self.cache.read_mask(path, item)
        if self.facts["white_is_foreground"]:
            mask[mask == UNKNOWN] = 1
        return mask

    def reference_scribble(self, item: Item) -> UInt8[np.ndarray, "y x"] | None:
        """The scribble that was given at creation."""
        path = self._file_of(item).scribble
        return None if path is None else self.cache.read_mask(path, item)

    # Labels.

    def add_labels(
        self,
        labels: Sequence[Label],
        round: int | None = None,
        reading: int = FIRST,
        is_new: bool = False,
    ) -> None:
        """Store labels: first every mask file, then all rows in one transaction.

        A killed call leaves either all of its labels or none. The newest label of an item holds,
        older ones stay as history. The label that holds, given once more (as after a killed
        import), changes nothing, unless `is_new` says that it is no repetition. A second
        `reading` never holds: it is there to be compared.
        """
        from fewmasks.io.masks import write_mask

        for label in labels:
            self._check(label)
        rows = self.pool.rows(label.item for label in labels)
        files = [_mask_name(label) for label in labels]
        for label, file in zip(labels, files, strict=True):
            if not (self.folder / file).exists():  # the name holds a hash of the pixels
                write_mask(self.folder / file, label.mask)
        _sync(self.folder / "masks")
        with schema.writing(self.engine).begin() as connection:
            for label, row, file in zip(labels, rows.tolist(), files, strict=True):
                given = {
                    "item_row": row,
                    "kind": label.kind,
                    "seconds": float(label.seconds),
                    "by": label.by,
                    "round": round,
                    "file": file,
                    "reading": reading,
                }
                if is_new or not _is_repeated(connection, given):
                    connection.execute(schema.label.insert(), {**given, "created": _now()})

    def labels(self) -> list[LabelRecord]:
        """The newest label of every labelled item, in the order of the pool."""
        return [
            LabelRecord(r.item, r.kind, r.seconds, r.by, r.round, r.created, r.file)
            for r in self._rows(_newest_labels().order_by(schema.item.c.row))
        ]

    def label(self, item_id: str) -> Label | None:
        """The newest label of an item with its pixels, or None."""
        item_row = int(self.pool.rows([item_id])[0])
        answers = select(schema.label).where(
            schema.label.c.item_row == item_row, schema.label.c.reading == FIRST
        )
        found = self._rows(answers.order_by(schema.label.c.id.desc()).limit(1))
        if not found:
            return None
        newest = found[0]
        mask = self.mask(newest.file)
        return Label(item_id, newest.kind, mask, newest.seconds, newest.by)

    def mask(self, file: str) -> UInt8[np.ndarray, "y x"]:
        """Pixels of a label's file, whose name stands in the database."""
        from fewmasks.io.masks import read_mask

        return read_mask(self.folder / file)[0]

    @property
    def labelled(self) -> Rows:
        """Training items with a label."""
        return self._labelled("train")

    @property
    def audited(self) -> Rows:
        """Test items that a person labelled to score the model."""
        return self._labelled("test")

    def skip(self, item_ids: Iterable[str], reason: str) -> None:
        """Never ask for these items again."""
        rows = self.pool.rows(item_ids).tolist()
        table = schema.skip
        with schema.writing(self.engine).begin() as connection:
            known = set(connection.scalars(select(table.c.item_row)))
            for row in dict.fromkeys(rows):
                if row not in known:
                    given = {"item_row": row, "reason": reason, "created": _now()}
                    connection.execute(table.insert(), given)

    @property
    def skipped(self) -> Rows:
        """Items that are never to be asked for again."""
        return self._numbers(select(schema.skip.c.item_row).order_by(schema.skip.c.item_row))

    # Rounds and trainings.

    def add_round(self, round: Round) -> None:
        """Store what a round asks. The same round again changes nothing; another one is refused."""
        rows = self.pool.rows(pick.item for pick in round.picks).tolist()
        self._refuse_leaks(round, rows)
        config = json.loads(json.dumps(round.config))  # as it will be read: tuples become lists
        round = replace(round, config=config)
        asked = [
            {"round": round.number, "place": place, "item_row": row}
            | {"reason": pick.reason, "audit": pick.audit, "control": pick.control}
            | {"readings": pick.readings}
            for place, (pick, row) in enumerate(zip(round.picks, rows, strict=True))
        ]
        with schema.writing(self.engine).begin() as connection:
            stored = _read_rounds(connection, round.number)
            if stored == [round]:
                return
            if stored:
                raise ProjectError(
                    f"{self.folder}: round {round.number} exists and asks for other items; "
                    f"number the new one {_next_round(connection)}"
                )
            given = {"number": round.number, "strategy": round.strategy, "seed": round.seed}
            row = given | {"config": round.config, "created": _now()}
            connection.execute(schema.round_.insert(), row)
            if asked:
                connection.execute(schema.pick.insert(), asked)

    def rounds(self) -> list[Round]:
        """All rounds, oldest first."""
        with self.engine.begin() as connection:
            return _read_rounds(connection)

    def open_picks(self) -> list[Pick]:
        """Picks of the newest round that have neither label nor skip."""
        return [_pick(row) for row in self._rows(schema.open_picks())]

    def add_training(self, record: dict[str, Any]) -> None:
        """Store a trained model's record: checkpoint, round, scores, seconds, config and so on.

        `labels` is the number of labels it learnt from, by which `summary` knows of new ones.
        """
        with schema.writing(self.engine).begin() as connection:
            connection.execute(schema.training.insert(), {"record": record, "created": _now()})

    def trainings(self) -> list[dict[str, Any]]:
        """Records of all trained models, oldest first."""
        query = select(schema.training.c.record).order_by(schema.training.c.id)
        return [row.record for row in self._rows(query)]

    def history(self) -> list[tuple[dict[str, Any], float]]:
        """Records of all trained models, oldest first, and the seconds of annotation until then.

        Until the training began, as its record says; an older one counts those that came in
        before the model was stored.
        """
        spent = select(func.sum(schema.label.c.seconds))
        spent = spent.where(schema.label.c.created <= schema.training.c.created)
        query = select(schema.training.c.record, spent.scalar_subquery().label("seconds"))
        rows = self._rows(query.order_by(schema.training.c.id))
        return [
            (row.record, 60 * row.record.get("minutes", (row.seconds or 0.0) / 60)) for row in rows
        ]

    def summary(self) -> dict[str, Any]:
        """Where the project stands and what to do next, ready for JSON."""
        from fewmasks.project.summary import summarise

        return summarise(self.folder)

    # Inside.

    def _rows(self, query: Select[Any]) -> Sequence[Any]:
        with self.engine.begin() as connection:
            return connection.execute(query).all()

    def _numbers(self, query: Select[tuple[int]]) -> Rows:
        return np.array([row[0] for row in self._rows(query)], dtype=np.int64)

    def _side(self, split: Split) -> Rows:
        query = _items_of(split).order_by(schema.item.c.row)
        return self._numbers(query)

    def _labelled(self, split: Split) -> Rows:
        with_label = schema.item.c.row.in_(select(schema.label.c.item_row))
        return self._numbers(_items_of(split).where(with_label).order_by(schema.item.c.row))

    def _file_of(self, item: Item) -> _File:
        row = self.pool.rows([item.id])[0]
        return self._files[int(self._source_ids[row])]

    def _check(self, label: Label) -> None:
        where = f"label of {label.item}"
        if label.kind not in KINDS:
            raise ConfigError(f"{where}: there is no kind {label.kind!r}; use {' or '.join(KINDS)}")
        if not (math.isfinite(label.seconds) and label.seconds >= 0):
            raise ConfigError(
                f"{where}: {label.seconds} seconds is no duration; give a number from 0"
            )
        if label.mask.dtype != np.uint8:
            raise GeometryError(
                f"{where}: pixels are {label.mask.dtype}; give class numbers as uint8"
            )
        height, width = self.shape(self.pool.items[self.pool.rows([label.item])[0]])
        if label.mask.shape != (height, width):
            given = " x ".join(str(size) for size in label.mask.shape)
            raise GeometryError(
                f"{where}: the mask has {given} pixels, the item {height} x {width}; "
                f"draw it on the item's own pixels"
            )
        present = np.bincount(label.mask.reshape(-1), minlength=256)[len(self.classes) : UNKNOWN]
        if present.any():
            number = len(self.classes) + int(present.argmax())
            raise ConfigError(
                f"{where}: class number {number} is not in the list ({', '.join(self.classes)}); "
                f"use 0 to {len(self.classes) - 1}, and {UNKNOWN} for unknown"
            )

    def _refuse_leaks(self, round: Round, rows: Sequence[int]) -> None:
        if len(set(rows)) < len(rows):
            raise ProjectError(f"round {round.number}: asks for one item twice; pick each once")
        test = set(self.test.tolist())
        for pick, row in zip(round.picks, rows, strict=True):
            if row in test and not pick.audit:
                raise ProjectError(
                    f"round {round.number}: {pick.item} is a test item, never learnt from; "
                    f"pick from the training side"
                )
            if pick.audit and row not in test:
                raise ProjectError(
                    f"round {round.number}: {pick.item} is a training item, which cannot audit "
                    f"the model; pick from the test side"
                )


def open_project(folder: Path) -> Project:
    """Open a project folder; an older one is migrated first, a newer one is refused."""
    return Project(folder, schema.open_database(folder))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _mask_name(label: Label) -> str:
    # The hash makes writing idempotent and keeps older masks as history. The id is for people:
    # quoted, since "a/b" is no file name, and cut, since names have at most 255 bytes.
    height, width = label.mask.shape
    digest = hashlib.blake2b(f"{height} {width} ".encode(), digest_size=8)
    digest.update(label.mask.tobytes())
    return f"masks/{quote(label.item, safe=' ')[:150]}_{label.kind}_{digest.hexdigest()}.png"


def _sync(folder: Path) -> None:
    """Make renames in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _is_repeated(connection: Connection, given: dict[str, Any]) -> bool:
    """Whether the given label is the one that holds; as a second reading, the newest of these."""
    query = select(schema.label).order_by(schema.label.c.id.desc()).limit(1)
    for name in ("item_row", "reading"):
        query = query.where(schema.label.c[name] == given[name])
    newest = connection.execute(query).mappings().first()
    return newest is not None and all(newest[key] == value for key, value in given.items())


def _newest_labels() -> Select[Any]:
    table = schema.label.c
    newest = select(func.max(table.id)).where(table.reading == FIRST).group_by(table.item_row)
    columns = (table.kind, table.seconds, table.by, table.round, table.created, table.file)
    return (
        select(schema.item.c.id.label("item"), *columns)
        .join(schema.item, schema.item.c.row == table.item_row)
        .where(table.id.in_(newest))
    )


def _items_of(split: Split) -> Select[tuple[int]]:
    return (
        select(schema.item.c.row)
        .join(schema.source, schema.source.c.id == schema.item.c.source_id)
        .where(schema.source.c.split == split)
    )


def _read_rounds(connection: Connection, number: int | None = None) -> list[Round]:
    rounds, picks = select(schema.round_), select(schema.pick, schema.item.c.id.label("item"))
    picks = picks.join(schema.item, schema.item.c.row == schema.pick.c.item_row)
    if number is not None:
        rounds = rounds.where(schema.round_.c.number == number)
        picks = picks.where(schema.pick.c.round == number)
    asked: dict[int, list[Pick]] = {}
    for row in connection.execute(picks.order_by(schema.pick.c.round, schema.pick.c.place)):
        asked.setdefault(row.round, []).append(_pick(row))
    return [
        Round(row.number, row.strategy, row.seed, tuple(asked.get(row.number, ())), row.config)
        for row in connection.execute(rounds.order_by(schema.round_.c.number))
    ]


def _pick(row: Any) -> Pick:
    return Pick(row.item, row.reason, row.audit, row.control, row.readings)


def _next_round(connection: Connection) -> int:
    return int(connection.scalar(select(func.max(schema.round_.c.number))) or 0) + 1
