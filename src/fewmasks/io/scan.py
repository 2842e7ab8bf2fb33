"""What a table or a folder of images says: files, groups, splits and class names, unopened."""

import csv
import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

from fewmasks.errors import ConfigError, FormatError
from fewmasks.io import FORMATS, format_of, stem_of
from fewmasks.types import UNKNOWN, Split

COLUMNS = ("id", "image")
FILE_COLUMNS = ("image", "mask", "scribble")
NAMED_MISSING = 3
ENDINGS = {
    "mask": ("_mask", "_masks", "_seg", "_segmentation", "_label", "_labels", "_gt", "_anno"),
    "scribble": ("_scribble", "_scribbles"),
}
NO_SUFFIX = "without suffix"
CHANNEL_ENDING = re.compile(r"_(\d{4})$")


@dataclass(frozen=True)
class Entry:
    """One image file and what belongs to it."""

    id: str
    image: Path
    mask: Path | None
    scribble: Path | None
    group: tuple[str, ...]
    split: Split | None
    z: int | None
    """A single slice, where the table names one; None is all of them."""


@dataclass(frozen=True)
class Listing:
    """Entries in order, and what the files say about all of them."""

    entries: tuple[Entry, ...]
    classes: tuple[str, ...] | None
    """Names of class 0, 1, ..., where a dataset.json gives them."""
    slice_axis: int | None
    unknown: int | None
    """The number that means "nobody said" in these masks, where a dataset.json gives it."""
    said: tuple[str, ...]
    """What the user should hear."""


@dataclass(frozen=True)
class _Facts:
    """What a dataset.json says."""

    classes: tuple[str, ...] | None = None
    slice_axis: int | None = None
    unknown: int | None = None


@dataclass(frozen=True)
class _Listed:
    """Image files of folders: stem (relative path without suffix), group and path of each."""

    files: list[tuple[str, tuple[str, ...], Path]]
    ids: dict[str, str]
    """By stem."""


@dataclass(frozen=True)
class _Matches:
    """Mask files by image stem."""

    of: dict[str, Path] = field(default_factory=dict)
    said: tuple[str, ...] = ()


def scan_table(table: Path) -> Listing:
    """Read a table with the columns id and image, and optionally mask, scribble, group, ...

    Columns: phase, split and z too; others are passed over. Paths are relative to the table.
    The columns x, y and z together are the size of a volume; z alone is a slice of it.
    """
    _refuse_undecodable(table)
    rows = _read_rows(table)
    said = []
    columns = rows[0][1].keys()
    sizes = {"x", "y", "z"} <= columns
    if sizes:
        said.append(f"{table}: columns x, y, z are taken as sizes, so z names no slice")
    _refuse_twice(table, [(line, row["id"]) for line, row in rows], "id")
    has_splits = any(row.get("split") for _, row in rows)
    entries = tuple(
        _entry(f"{table}, line {line}", row, table.parent, (has_splits, not sizes))
        for line, row in rows
    )
    images = [(line, _place(entry)) for (line, _), entry in zip(rows, entries, strict=True)]
    _refuse_twice(table, images, "image")
    _refuse_missing(table, rows)
    for column in ("mask", "scribble"):
        without = sum(not row.get(column) for _, row in rows)
        if column in columns and without:
            said.append(f"{without} of {len(rows)} rows have no {column}")
    facts = _read_facts(table.parent / "dataset.json")
    return Listing(entries, facts.classes, facts.slice_axis, facts.unknown, tuple(said))


def scan_folders(
    images: Sequence[Path], masks: Path | None = None, scribbles: Path | None = None
) -> Listing:
    """List image files, folders or both, with the masks and scribbles of the same name.

    Sub-folders are groups; without them every file is a group of its own. Masks are matched by
    relative path without suffix, with endings such as `_mask` and `_seg` on the mask, or
    nnU-Net's `_0000` on the image.
    """
    files, said = _list_images(images, [p for p in (masks, scribbles) if p is not None])
    listed = _Listed(files, _case_names([stem for stem, _, _ in files], masks))
    of_masks, of_scribbles = _match(listed, masks, "mask"), _match(listed, scribbles, "scribble")
    entries = tuple(
        Entry(
            id=listed.ids[stem],
            image=path,
            mask=of_masks.of.get(stem),
            scribble=of_scribbles.of.get(stem),
            group=group or (listed.ids[stem],),
            split=None,
            z=None,
        )
        for stem, group, path in files
    )
    facts = _facts_near(images)
    said += [*of_masks.said, *of_scribbles.said]
    return Listing(entries, facts.classes, facts.slice_axis, facts.unknown, tuple(said))


# Tables


def _read_rows(table: Path) -> list[tuple[int, dict[str, str]]]:
    """Rows with their line numbers; cells stripped, absent ones empty."""
    text = _read_text(table)
    delimiter = max(",;\t", key=text.partition("\n")[0].count)
    first, *others = _parsed(table, text, delimiter) or [(1, [])]
    columns = [name.strip() for name in first[1]]
    missing = [name for name in COLUMNS if name not in columns]
    if missing:
        raise ConfigError(
            f"{table}: no column {' and none '.join(missing)} "
            f"(found: {', '.join(columns) or 'nothing'}); its first line names the columns"
        )
    twice = [name for name, count in Counter(columns).items() if count > 1 and name]
    if twice:
        raise ConfigError(f"{table}: two columns are called {twice[0]!r}; keep one of them")
    rows = []
    for line, cells in others:
        if len(cells) > len(columns):
            raise ConfigError(
                f"{table}, line {line}: {len(cells)} cells, but {len(columns)} columns; "
                f"quote cells that hold a {delimiter!r}"
            )
        padded = [*cells, *[""] * (len(columns) - len(cells))]
        row = {name: cell.strip() for name, cell in zip(columns, padded, strict=True)}
        if any(row.values()):
            rows.append((line, row))
    if not rows:
        raise ConfigError(f"{table}: no rows below the column names; add one per image")
    return rows


def _read_text(table: Path) -> str:
    if not table.is_file():
        raise FormatError(f"{table}: there is no such file; name a table")
    try:
        # utf-8-sig, since spreadsheets put a byte order mark before the first column's name.
        return table.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise FormatError(
            f"{table}: not UTF-8 (byte {error.start}); save the table as CSV in UTF-8"
        ) from None


def _parsed(table: Path, text: str, delimiter: str) -> list[tuple[int, list[str]]]:
    """Cells as they are, with the number of the line on which each row ends."""
    lines = csv.reader(StringIO(text, newline=""), delimiter=delimiter)
    try:
        return [(lines.line_num, cells) for cells in lines]
    except csv.Error as error:
        raise FormatError(
            f"{table}, line {lines.line_num}: not to be read ({error}); "
            f"shorten that cell, or close its quotes"
        ) from None


def _entry(where: str, row: Mapping[str, str], folder: Path, has: tuple[bool, bool]) -> Entry:
    has_splits, has_slices = has
    for column in COLUMNS:
        if not row[column]:
            raise ConfigError(f"{where}: the cell {column} is empty; fill it in")
    path = {name: folder / row[name] if row.get(name) else None for name in FILE_COLUMNS}
    group = tuple(part for part in (row.get("group"), row.get("phase")) if part)
    return Entry(
        id=row["id"],
        image=folder / row["image"],
        mask=path["mask"],
        scribble=path["scribble"],
        group=group if row.get("group") else (row["id"], *group),
        split=_split(where, row.get("split", "")) if has_splits else None,
        z=_slice(where, row.get("z", "")) if has_slices else None,
    )


def _place(entry: Entry) -> str:
    return str(entry.image) if entry.z is None else f"{entry.image} at z {entry.z}"


def _split(where: str, cell: str) -> Split:
    name = cell.lower()
    if name.startswith("test"):
        return "test"
    if name.startswith(("train", "val")):
        return "train"
    raise ConfigError(f"{where}: the split is {cell!r}; write train, val or test")


def _slice(where: str, cell: str) -> int | None:
    if not cell:
        return None
    if not cell.isdecimal():
        raise ConfigError(f"{where}: the slice z is {cell!r}; write a whole number from 0")
    return int(cell)


def _refuse_twice(table: Path, cells: Iterable[tuple[int, str]], column: str) -> None:
    first: dict[str, int] = {}
    for line, cell in cells:
        if cell in first:
            raise ConfigError(
                f"{table}, line {line}: the {column} {cell} stands in line {first[cell]} already; "
                f"give each row its own"
            )
        first[cell] = line


def _refuse_missing(table: Path, rows: list[tuple[int, dict[str, str]]]) -> None:
    missing = [
        (line, row[column])
        for line, row in rows
        for column in FILE_COLUMNS
        if row.get(column) and not (table.parent / row[column]).is_file()
    ]
    if missing:
        named = ", ".join(f"{name} (line {line})" for line, name in missing[:NAMED_MISSING])
        more = ", ..." if len(missing) > NAMED_MISSING else ""
        raise FormatError(
            f"{table}: {len(missing)} files are not there: {named}{more}; "
            f"paths are relative to the table"
        )


# dataset.json


def _facts_near(images: Sequence[Path]) -> _Facts:
    """From the dataset.json in the one folder of images, or beside that folder."""
    if len(images) != 1 or not images[0].is_dir():
        return _Facts()
    inside = images[0] / "dataset.json"
    return _read_facts(inside if inside.is_file() else images[0].resolve().parent / inside.name)


def _read_facts(path: Path) -> _Facts:
    if not path.is_file():
        return _Facts()
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not JSON ({error}); correct or remove it") from None
    if not isinstance(tree, dict):
        raise ConfigError(f"{path}: not a JSON object; correct or remove it")
    axis, unknown = tree.get("slice_axis"), tree.get("unlabelled_value")
    if axis not in (None, 0, 1, 2):
        raise ConfigError(f"{path}: slice_axis is {axis!r}; write 0, 1 or 2")
    if unknown is not None and not isinstance(unknown, int):
        raise ConfigError(f"{path}: unlabelled_value is {unknown!r}; write a whole number")
    named = tree.get("classes", tree.get("labels"))
    if named is None:
        return _Facts(None, axis, unknown)
    number_of = _numbers(path, named)
    ignore = number_of.pop("ignore", None) if "classes" not in tree else None
    unknown = ignore if unknown is None else unknown
    return _Facts(_class_names(path, number_of, unknown), axis, unknown)


def _numbers(path: Path, named: Any) -> dict[str, int]:
    """Number by name, from a list, {number: name} or {name: number}."""
    if isinstance(named, list):
        named = {str(number): name for number, name in enumerate(named)}
    if not isinstance(named, dict) or not named:
        raise ConfigError(f'{path}: classes are {named!r}; write them as {{"0": "background"}}')
    is_by_number = all(str(key).lstrip("-").isdecimal() for key in named)
    pairs = [(v, k) if is_by_number else (k, v) for k, v in named.items()]
    number_of: dict[str, int] = {}
    for name, number in pairs:
        if not isinstance(name, str) or not str(number).lstrip("-").isdecimal():
            raise ConfigError(
                f"{path}: class {name!r} is {number!r}; fewmasks takes one whole number per class "
                f"and one class per number (no regions)"
            )
        if not name.strip():
            raise ConfigError(f"{path}: class {number} has an empty name; give it one")
        if name in number_of:
            raise ConfigError(f"{path}: two classes are called {name!r}; give each its own name")
        number_of[name] = int(number)
    return number_of


def _class_names(path: Path, number_of: dict[str, int], unknown: int | None) -> tuple[str, ...]:
    names = {n: name for name, n in number_of.items() if n not in (unknown, UNKNOWN)}
    if sorted(names) != list(range(len(names))):
        raise ConfigError(
            f"{path}: classes are numbered {sorted(names)}; number them 0, 1, 2 and so on"
        )
    return tuple(names[number] for number in range(len(names)))


# Folders


def _list_images(
    images: Sequence[Path], beside: Sequence[Path]
) -> tuple[list[tuple[str, tuple[str, ...], Path]], list[str]]:
    """Stem (a relative path, in an order people expect), group and path of each image."""
    roots = [root for root in images if root.is_dir()]
    found: list[tuple[str, tuple[str, ...], Path]] = []
    others: Counter[str] = Counter()
    for root in images:
        if not root.exists():
            raise FormatError(f"{root}: there is no such file or folder; name where images are")
        files = _visible_files(root) if root.is_dir() else [root]
        base = root if root.is_dir() else root.parent
        for path in files:
            if _lies_in(path, beside, base):
                continue
            if format_of(path) is None:
                others[path.suffix.lower() or NO_SUFFIX] += 1
                continue
            _refuse_undecodable(path)
            relative = path.relative_to(base)
            prefix = (root.resolve().name,) if len(roots) > 1 and root in roots else ()
            stem = "/".join((*prefix, *relative.parts[:-1], stem_of(path.name)))
            found.append((stem, relative.parts[:-1], path))
    kinds = ", ".join(f"{n} {kind}" for kind, n in others.most_common())
    hint = "; dcm2niix makes NIfTI of DICOM" if others.keys() & {".dcm", NO_SUFFIX} else ""
    if not found:
        known = ", ".join(suffix for each in FORMATS for suffix in each.suffixes)
        raise FormatError(
            f"{', '.join(map(str, images))}: no image files ({kinds or 'nothing'}); "
            f"known: {known}{hint}"
        )
    found.sort(key=lambda one: _natural(one[0]))
    _refuse_same_stem([(stem, path) for stem, _, path in found])
    said = [f"passed over, of kinds that are not read: {kinds}{hint}"] if others else []
    return found, said


def _lies_in(path: Path, folders: Sequence[Path], root: Path) -> bool:
    """Whether a file under the images belongs to the masks or scribbles."""
    for folder in folders:
        if folder.resolve() == root.resolve():
            if stem_of(path.name).lower().endswith(ENDINGS["mask"] + ENDINGS["scribble"]):
                return True
        elif folder.resolve() in path.resolve().parents or folder.resolve() == path.resolve():
            return True
    return False


def _visible_files(root: Path) -> list[Path]:
    return [
        path
        for path in root.rglob("*")
        if path.is_file()
        and not any(p.startswith((".", "__MACOSX")) for p in path.relative_to(root).parts)
        and path.name != "dataset.json"
        and not (path.suffix.lower() == ".img" and path.with_suffix(".hdr").exists())
    ]


def _refuse_undecodable(path: Path) -> None:
    """A name of bytes that are no UTF-8 can be neither stored nor printed."""
    name = os.fsencode(path.absolute())
    try:
        name.decode()
    except UnicodeDecodeError:
        raise FormatError(
            f"{name.decode(errors='backslashreplace')}: the name is not UTF-8; rename it"
        ) from None


def _natural(text: str) -> list[tuple[int, int, str]]:
    """Sort key under which slice2 comes before slice10."""
    parts = re.split(r"(\d+)", text)
    return [(0, int(p), p) if p.isdecimal() else (1, 0, p) for p in parts]


def _refuse_same_stem(stems: Iterable[tuple[str, Path]]) -> None:
    first: dict[str, Path] = {}
    for stem, path in stems:
        if stem in first:
            raise ConfigError(f"{path}: called {stem!r} like {first[stem]}; rename one of the two")
        first[stem] = path


def _case_names(stems: Sequence[str], masks: Path | None) -> dict[str, str]:
    """Id by stem: nnU-Net's `_0000` is left off where the labels do so."""
    same = {stem: stem for stem in stems}
    if masks is None or not masks.is_dir():
        return same
    labels = set(_mask_stems(masks))
    cases = {s: CHANNEL_ENDING.sub("", s) for s in stems if CHANNEL_ENDING.search(s)}
    short = {s: case for s, case in cases.items() if s not in labels and case in labels}
    case, count = (Counter(short.values()).most_common(1) or [("", 0)])[0]
    if count > 1:
        raise ConfigError(
            f"{case}: {count} channel files of one case ({case}_0000, ...), and fewmasks reads "
            f"one file per image; put the channels into one file, or leave one of them"
        )
    # A test case without label is named like the others.
    return same | (cases if len(cases) == len(stems) and short else short)


def _mask_stems(folder: Path) -> dict[str, Path]:
    if folder.is_file():
        return {stem_of(folder.name): folder}
    files = [path for path in sorted(_visible_files(folder)) if format_of(path) is not None]
    for path in files:
        _refuse_undecodable(path)
    return {
        "/".join((*path.relative_to(folder).parts[:-1], stem_of(path.name))): path for path in files
    }


def _match(listed: _Listed, folder: Path | None, what: str) -> _Matches:
    """Files of this folder by the stem of their image."""
    if folder is None:
        return _Matches()
    if not folder.exists():
        raise FormatError(f"{folder}: there is no such folder; name where the {what}s are")
    images = {path.resolve() for _, _, path in listed.files}
    stem_for = _names_of_stems(listed)
    of: dict[str, Path] = {}
    over = 0
    for mask_stem, path in _mask_stems(folder).items():
        if path.resolve() in images:
            continue
        stem = stem_for.get(mask_stem, stem_for.get(_without_ending(mask_stem, what)))
        if stem is None:
            over += 1
        elif stem in of:
            raise ConfigError(
                f"{path}: a second {what} of {stem}, after {of[stem]}; remove one of them"
            )
        else:
            of[stem] = path
    return _Matches(of, _said_of_matches(folder, what, (len(images), len(of), over)))


def _names_of_stems(listed: _Listed) -> dict[str, str]:
    """Stem of an image by each name that its mask may have."""
    stems = [stem for stem, _, _ in listed.files]
    bare = Counter(stem.partition("/")[2] for stem in stems)
    # A mask may also lie flat, without the first folder, where that leaves no doubt.
    flat = {stem.partition("/")[2]: stem for stem in stems if bare[stem.partition("/")[2]] == 1}
    return flat | {listed.ids[stem]: stem for stem in stems} | {stem: stem for stem in stems}


def _said_of_matches(folder: Path, what: str, counts: tuple[int, int, int]) -> tuple[str, ...]:
    images, matched, over = counts
    if not matched:
        raise ConfigError(
            f"{folder}: none of its {over} image files is called like one of the {images} images; "
            f"a {what} has the name of its image, and may end in {ENDINGS[what][0]}"
        )
    said = []
    if matched < images:
        said.append(f"{images - matched} of {images} images have no {what}")
    if over:
        said.append(f"{over} files in {folder} belong to no image")
    return tuple(said)


def _without_ending(stem: str, what: str) -> str:
    ending = next((e for e in ENDINGS[what] if stem.lower().endswith(e)), "")
    return stem[: len(stem) - len(ending)]
