"""Making a project: all of it in a hidden folder, which gets its name when nothing can fail."""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from fewmasks.errors import ConfigError, GeometryError, ProjectError
from fewmasks.io import open_source
from fewmasks.io.cache import PixelCache
from fewmasks.io.masks import check_grid
from fewmasks.io.regions import boxes
from fewmasks.io.scan import Entry, Listing, scan_folders, scan_table
from fewmasks.pool import Pool
from fewmasks.project import schema
from fewmasks.project.classes import Seen, check_all, decide_classes
from fewmasks.project.folder import Project, open_project
from fewmasks.project.split import Vote, choose_test_groups
from fewmasks.types import UNKNOWN, Item

Say = Callable[[str], None]
Progress = Callable[[str, int, int], None]
"""Gets what is done, how many are done, and of how many."""

SETTINGS = """\
# Settings of this project that differ from the defaults, such as
# [learn]
# size = 256
"""


@dataclass(frozen=True)
class Import:
    """What a project is made of: folders and files of images, or a table of them."""

    images: tuple[Path, ...] = ()
    table: Path | None = None
    """A CSV file with the columns id, image and optionally mask, scribble, group, split, z."""
    masks: Path | None = None
    """Folder of reference masks, matched to images by name."""
    scribbles: Path | None = None
    classes: tuple[str, ...] = ()
    region: int | None = None
    """Pictures longer than this many pixels become regions of that side."""
    test_fraction: float = 0.2
    slice_axis: int | None = None
    """Axis of a volume file along which slices are taken; else as table or format say."""
    group_by: Literal["id"] | None = None
    """"id": each file is a group of its own, whatever the table says."""


@dataclass(frozen=True)
class Opened:
    """A listed file whose header was read."""

    entry: Entry
    shape: tuple[int, int, int, int]
    spacing: tuple[float, float, float]
    items: tuple[Item, ...]


def create(
    folder: Path, given: Import, say: Say | None = None, progress: Progress | None = None
) -> Project:
    """Make a project folder: split, pixel cache and database, or nothing at all on failure.

    `say` hears every decision that was taken for the user; `summary()` repeats them later.
    """
    _refuse_options(given)
    notes: list[str] = []

    def tell(line: str) -> None:
        notes.append(line)
        if say is not None:
            say(line)

    with _unfinished(folder) as work:
        _fill(work, given, (tell, progress or _no_progress), notes)
    return open_project(folder)


def _fill(work: Path, given: Import, hear: tuple[Say, Progress], notes: list[str]) -> None:
    tell, show = hear
    listing = _list(given)
    for line in listing.said:
        tell(line)
    slice_axis = listing.slice_axis if given.slice_axis is None else given.slice_axis
    opened = _open_all(listing.entries, slice_axis, given, show)
    Pool(tuple(item for each in opened for item in each.items))  # refuses equal ids
    channels = _channels(opened, tell)
    test = choose_test_groups(_votes(opened), given.test_fraction, tell)
    unknown = UNKNOWN if listing.unknown is None else listing.unknown
    cache = PixelCache(work / "cache", channels, unknown)
    names = given.classes or listing.classes or ()
    seen = _cache_masks(cache, opened, (slice_axis, len(names)), show)
    classes = decide_classes(names, seen, listing.unknown is not None, tell)
    images = list(dict.fromkeys(each.entry.image for each in opened))
    cache.build(images, slice_axis, False, partial(show, "reading images"))
    facts = {
        "classes": list(classes.names),
        "white_is_foreground": classes.white_is_foreground,
        "white_is_unknown": classes.white_is_unknown,
        "channels": channels,
        "slice_axis": slice_axis,
        "region": given.region,
        "unknown": unknown,
        "notes": notes,
        "made_by": f"fewmasks {version('fewmasks')}",
        "created": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    _store(work, opened, test, facts)
    for name in ("masks", "models", "simulations"):
        (work / name).mkdir()
    (work / "project.toml").write_text(SETTINGS, encoding="utf-8")


def _no_progress(what: str, done: int, total: int) -> None:
    del what, done, total


def _refuse_options(given: Import) -> None:
    if bool(given.images) == (given.table is not None):
        what = "both --images and --table" if given.images else "neither --images nor --table"
        raise ConfigError(f"create: {what} are given; give one of them")
    if given.table is not None and (given.masks or given.scribbles):
        raise ConfigError(
            "create: --masks and --scribbles go with --images; in a table they are columns"
        )
    if not 0 <= given.test_fraction < 1:
        raise ConfigError(
            f"create: --test-fraction is no share below 1 ({given.test_fraction}); such as 0.2"
        )
    if given.region is not None and given.region < 16:
        raise ConfigError(f"create: --region is too small ({given.region}); at least 16 pixels")
    if not all(name.strip() for name in given.classes):
        raise ConfigError(
            f"create: --classes holds an empty name ({','.join(given.classes)}); name every class, "
            f"with one comma between two"
        )
    twice = [name for name in given.classes if given.classes.count(name) > 1]
    if twice:
        raise ConfigError(f"create: --classes names {twice[0]!r} twice; give each class its own")


@contextmanager
def _unfinished(folder: Path) -> Iterator[Path]:
    """A hidden folder beside `folder` that takes its name at the end, or vanishes.

    A killed process leaves it behind unlocked, and the next one for the same folder removes it.
    """
    folder = folder.resolve()
    work = folder.with_name(f".{folder.name}.unfinished")
    work.mkdir(parents=True, exist_ok=True)
    with _only_one(work, folder):
        try:
            if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
                raise ProjectError(f"{folder}: exists and is not empty; name a new folder")
            _empty(work)
            yield work
            work.rename(folder)
        finally:
            if work.exists():
                shutil.rmtree(work)


@contextmanager
def _only_one(work: Path, folder: Path) -> Iterator[None]:
    lock = os.open(work, os.O_RDONLY)
    try:
        if not _locks(lock):
            raise ProjectError(f"{folder}: another fewmasks is creating it; wait until it is done")
        yield
    finally:
        os.close(lock)


def _locks(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _list(given: Import) -> Listing:
    if given.table is not None:
        return scan_table(given.table)
    return scan_folders(given.images, given.masks, given.scribbles)


def _open_all(
    entries: Sequence[Entry], slice_axis: int | None, given: Import, show: Progress
) -> list[Opened]:
    opened = []
    for done, listed in enumerate(entries):
        show("opening images", done, len(entries))
        group = (listed.id,) if given.group_by == "id" else listed.group
        entry = replace(
            listed,
            image=_absolute(listed.image),
            mask=listed.mask and _absolute(listed.mask),
            scribble=listed.scribble and _absolute(listed.scribble),
            group=group,
        )
        source = open_source(entry.image, slice_axis)
        items = tuple(_items_of(entry, source.shape, given.region))
        opened.append(Opened(entry, source.shape, source.spacing, items))
    show("opening images", len(entries), len(entries))
    return opened


def _absolute(path: Path) -> Path:
    return Path.cwd() / path  # not resolve(): a link may be how the user knows the file


def _channels(opened: Sequence[Opened], tell: Say) -> int:
    """Channels that every item will have: one number, or RGB where grey and RGB are mixed."""
    first: dict[int, Opened] = {}
    for each in opened:
        first.setdefault(each.shape[3], each)
    if len(first) == 1:
        return next(iter(first))
    if set(first) == {1, 3}:
        grey = sum(each.shape[3] == 1 for each in opened)
        tell(
            f"{grey} of {len(opened)} images are grey and {len(opened) - grey} are RGB; "
            f"all are read as RGB, grey repeated"
        )
        return 3
    (some, one), (others, other) = sorted(first.items())[-2:]
    raise GeometryError(
        f"{one.entry.image}: {some} channels, but {other.entry.image} has {others}; "
        f"images of one project have equal channels, so make a project for each kind"
    )


def _items_of(entry: Entry, shape: tuple[int, int, int, int], region: int | None) -> Iterator[Item]:
    depth, height, width, _ = shape
    if entry.z is not None and entry.z >= depth:
        raise GeometryError(
            f"{entry.image}: the table asks for slice {entry.z} as {entry.id!r}, but the slices "
            f"are 0 to {depth - 1}; correct the column z"
        )
    digits = len(str(depth - 1))
    for z in range(depth) if entry.z is None else (entry.z,):
        name = entry.id if depth == 1 or entry.z is not None else f"{entry.id}_z{z:0{digits}d}"
        for box in _boxes(height, width, region):
            part = "" if box is None else f"_y{box[0]:05d}_x{box[1]:05d}"
            yield Item(name + part, str(entry.image), entry.group, z, box)


def _boxes(
    height: int, width: int, region: int | None
) -> Sequence[tuple[int, int, int, int] | None]:
    if region is None or max(height, width) <= region:
        return (None,)
    return boxes(height, width, region)


def _votes(opened: Sequence[Opened]) -> list[Vote]:
    return [Vote(each.entry.group[0], each.entry.split, len(each.items)) for each in opened]


def _cache_masks(
    cache: PixelCache,
    opened: Sequence[Opened],
    axis_and_classes: tuple[int | None, int],
    show: Progress,
) -> Seen:
    """Decode and check reference masks and scribbles; what the reference masks hold."""
    slice_axis, n_classes = axis_and_classes
    for each in opened:
        for told in filter(None, (each.entry.mask, each.entry.scribble)):
            check_grid(told, each.entry.image, slice_axis)
    masks = {each.entry.mask: each.shape for each in opened if each.entry.mask}
    scribbles = {each.entry.scribble: each.shape for each in opened if each.entry.scribble}
    cache.build(list(masks), slice_axis, True, partial(show, "reading masks"))
    seen = check_all(cache, masks, slice_axis, n_classes)
    cache.build(list(scribbles), slice_axis, True, partial(show, "reading scribbles"))
    check_all(cache, scribbles, slice_axis, n_classes)
    return seen


def _store(
    work: Path, opened: Sequence[Opened], test: frozenset[str], facts: Mapping[str, Any]
) -> None:
    engine = schema.database(work)
    schema.make_tables(engine)
    sources = [_source_row(number, each, test) for number, each in enumerate(opened)]
    numbered = ((number, item) for number, each in enumerate(opened) for item in each.items)
    items = [_item_row(row, number, item) for row, (number, item) in enumerate(numbered)]
    with schema.writing(engine).begin() as connection:
        named = [{"name": name, "value": value} for name, value in facts.items()]
        connection.execute(schema.fact.insert(), named)
        connection.execute(schema.source.insert(), sources)
        connection.execute(schema.item.insert(), items)


def _source_row(number: int, opened: Opened, test: frozenset[str]) -> dict[str, Any]:
    entry = opened.entry
    key, *rest = entry.group
    depth, height, width, _ = opened.shape
    spacing_z, spacing_y, spacing_x = opened.spacing
    return {
        "id": number,
        "path": str(entry.image),
        "mask": entry.mask and str(entry.mask),
        "scribble": entry.scribble and str(entry.scribble),
        "group_key": key,
        "group_rest": rest,
        "split": "test" if key in test else "train",
        "depth": depth,
        "height": height,
        "width": width,
        "spacing_z": spacing_z,
        "spacing_y": spacing_y,
        "spacing_x": spacing_x,
    }


def _item_row(row: int, source: int, item: Item) -> dict[str, Any]:
    y0, x0, y1, x1 = item.box or (None, None, None, None)
    place = {"z": item.z, "y0": y0, "x0": x0, "y1": y1, "x1": x1}
    return {"row": row, "id": item.id, "source_id": source, **place}
