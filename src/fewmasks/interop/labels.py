"""Labels from files that somebody made elsewhere, or from the project's own reference masks."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
from jaxtyping import UInt8

from fewmasks.errors import ConfigError, FormatError, GeometryError, ProjectError
from fewmasks.interop import label_studio
from fewmasks.io import format_of, stem_of
from fewmasks.io.masks import check_grid, present_classes, read_mask
from fewmasks.io.scan import ENDINGS
from fewmasks.loop.oracle import truth_labels
from fewmasks.project import Project
from fewmasks.project.readings import FIRST, SECOND, items_wanting, reading_from_files
from fewmasks.types import UNKNOWN, Item, Kind, Label

BLOCK = 256
PART = re.compile(r"(_z\d+)?(_y\d{5}_x\d{5})?$")
"""What creation appends to the id of an image for its slices and regions."""

T = TypeVar("T")
Say = Callable[[str], None]


@dataclass(frozen=True)
class Found:
    """A mask file and the items it speaks of: one, or the slices or regions of an image."""

    path: Path
    items: tuple[Item, ...]


def label_from_reference(
    project: Project, items: Sequence[str] = (), report: Callable[[int], None] = lambda done: None
) -> int:
    """Take reference masks of training items as labels: of these, or of all that lack a label."""
    # They hold, also where a second reading is wanted: nobody read anything.
    read = ((label, FIRST) for label in reference_labels(project, items))
    return _store_read(project, read, report)


def label_from_files(
    project: Project,
    path: Path,
    items: Sequence[str] = (),
    kind: Kind = "mask",
    by: str = "files",
    say: Say = lambda line: None,
    report: Callable[[int], None] = lambda done: None,
) -> int:
    """Take a mask file, a folder of them, or tasks of Label Studio; how many items got a label.

    `say` hears what was passed over or replaced, what is a second reading, and how the pixel 255
    was read where that is a choice.
    """
    if path.suffix.lower() == ".json":
        labels = task_labels(project, path, items, (kind, by), say)
    else:
        found = _answering(project, match_files(project, path, items, kind, say), items, say)
        is_white = kind == "mask" and _is_white_foreground(project, found, say)
        labels = file_labels(project, found, (kind, by), is_white)
    replaced: list[str] = []
    seconds: list[str] = []
    read = _noting(project, _with_reading(project, labels), (replaced, seconds))
    count = _store_read(project, read, report)
    if replaced:
        say(f"{len(replaced)} took the place of an earlier label, which stays as history")
    if seconds:
        say(f"{len(seconds)} taken as second readings: compared with the first, never trained on")
    return count


def reference_labels(project: Project, items: Sequence[str] = ()) -> Iterator[Label]:
    """The reference masks of training items as labels: of these items, or of all that lack one."""
    if items:
        rows = project.pool.rows(items)
        for row in rows[np.isin(rows, project.test)]:
            raise ProjectError(
                f"{project.pool.items[row].id}: lies on the test side, which is never trained on; "
                f"leave it out"
            )
        for row in rows[~project.has_reference[rows]]:
            raise ProjectError(
                f"{project.pool.items[row].id}: has no reference mask; label it from a file with "
                f"--from"
            )
    else:
        rows = np.setdiff1d(project.train[project.has_reference[project.train]], project.labelled)
        if not len(rows):
            raise ProjectError(
                f"{project.folder}: no unlabelled training item has a reference mask; "
                f"label from files with --from"
            )
    return truth_labels(
        project.pool.at(rows), project.reference, "mask", project.config.cost, project.background
    )


def match_files(
    project: Project,
    path: Path,
    only: Sequence[str] = (),
    kind: Kind = "mask",
    say: Say = lambda line: None,
) -> list[Found]:
    """Mask files under `path`, each with its items, by name.

    A file is called like an item, or like an image or its id in the table (then it covers all
    slices and regions); it may end in `_mask`, `_seg` and the like. It may lie in sub-folders; of
    an id with a slash these end with the folders of the id.
    """
    # Of all items, also where few are asked for: a file of another one is not theirs.
    by_name, wanted = _names(project.pool.items), {*project.pool.ids(project.pool.rows(only))}
    files = _mask_files(path)
    found: dict[str, Found] = {}
    over = 0
    for file in files:
        called = _items_called(by_name, file, path, kind)
        over += not called
        items = [item for item in called if not only or item.id in wanted]
        if items:
            _refuse_two_images(file, called)
        for item in items:
            if item.id in found:
                raise ConfigError(
                    f"{file}: a second {kind} of {item.id}, after {found[item.id].path}; "
                    f"remove one of them"
                )
        found |= dict.fromkeys([item.id for item in items], Found(file, tuple(items)))
    if not found:
        example, asked_for = (only[0], " asked for") if only else (project.pool.items[0].id, "")
        raise FormatError(
            f"{path}: none of its {len(files)} image files is named like an item{asked_for}; name "
            f"them such as {example}.png, or like the images"
        )
    if over and not only:
        say(f"{over} files in {path} are named like no item and were passed over")
    return list(dict.fromkeys(found.values()))


def file_labels(
    project: Project, found: Sequence[Found], kind_and_by: tuple[Kind, str], is_white: bool
) -> Iterator[Label]:
    """Labels read from mask files, cut to the items; wholly unknown slices say nothing."""
    kind, by = kind_and_by
    for each in found:
        whole = _read(project, each)
        for item in each.items:
            mask = _cut(whole, item, each.path, project)
            if is_white:
                mask[mask == UNKNOWN] = 1
            if (mask != UNKNOWN).any():
                yield Label(item.id, kind, mask, 0.0, by)


def task_labels(
    project: Project, path: Path, only: Sequence[str], kind_and_by: tuple[Kind, str], say: Say
) -> Iterator[Label]:
    """Labels from the tasks that Label Studio exported; a wholly unknown one says nothing.

    An annotation that went there as a label and comes back as it was is no new one.
    """
    wanted = {*project.pool.ids(project.pool.rows(only))}
    said = label_studio.answers(project, label_studio.read_tasks(path), say)
    found = [Found(path, (item,)) for item in said if not only or item.id in wanted]
    if not found:
        raise FormatError(f"{path}: holds none of the items asked for; leave out --items")
    unchanged = 0
    for each in _answering(project, found, only, say):
        item = each.items[0]
        if _is_the_stored_one(project, item, said[item]):
            unchanged += 1
            continue
        label = label_studio.label_of(project, item, said[item], kind_and_by)
        if (label.mask != UNKNOWN).any():
            yield label
    if unchanged:
        say(f"{unchanged} annotations are labels of this project as they were, and stay so")


def _with_reading(project: Project, labels: Iterable[Label]) -> Iterator[tuple[Label, int]]:
    """Labels, each as the first reading of its item or as the second one."""
    for label in labels:
        row = int(project.pool.rows([label.item])[0])
        with project.engine.begin() as connection:
            reading = reading_from_files(connection, row, label.by)
        yield label, reading


def _noting(
    project: Project, read: Iterable[tuple[Label, int]], noted: tuple[list[str], list[str]]
) -> Iterator[tuple[Label, int]]:
    """The same; noted are items of which something else was said before, and second readings."""
    replaced, seconds = noted
    before = {record.item for record in project.labels()}
    for label, reading in read:
        if reading == SECOND:
            seconds.append(label.item)
        elif label.item in before:
            stored = project.label(label.item)
            assert stored is not None
            if stored.kind != label.kind or (stored.mask != label.mask).any():
                replaced.append(label.item)
        yield label, reading


def _is_the_stored_one(project: Project, item: Item, said: label_studio.Annotation) -> bool:
    stored = project.label(item.id)
    if stored is None:
        return False
    # A scribble, too, goes out with its unknown pixels painted.
    read = label_studio.mask_of(project, item, said.result, "mask")
    return bool((read == stored.mask).all())


def store(project: Project, labels: Iterable[Label], report: Callable[[int], None]) -> int:
    """Store labels, each an answer to the newest round that asked for its item, if one did.

    Where two people are asked, what somebody else says after the first one is a second reading.
    """
    return _store_read(project, _with_reading(project, labels), report)


def _store_read(
    project: Project, read: Iterable[tuple[Label, int]], report: Callable[[int], None]
) -> int:
    """In blocks, so that neither memory nor the database holds all of them at once."""
    asked = {pick.item: each.number for each in project.rounds() for pick in each.picks}
    count = 0
    for block in batched(read, BLOCK):
        answers: dict[tuple[int | None, int], list[Label]] = {}
        for label, reading in block:
            answers.setdefault((asked.get(label.item), reading), []).append(label)
        for (number, reading), labels in answers.items():
            project.add_labels(labels, number, reading)
        count += len(block)
        report(count)
    return count


def batched(stream: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of at most `size`."""
    stream = iter(stream)
    while block := list(islice(stream, size)):
        yield block


def _names(items: Iterable[Item]) -> dict[str, list[Item]]:
    """Items by every name that a mask file of theirs may have."""
    by_name: dict[str, list[Item]] = {}
    for item in items:
        whole = PART.sub("", item.id)
        names = (item.id, whole, stem_of(Path(item.source).name))
        for name in dict.fromkeys(each.casefold() for each in names):
            by_name.setdefault(name, []).append(item)
    return by_name


def _mask_files(path: Path) -> list[Path]:
    if not path.exists():
        raise FormatError(f"{path}: no such file or folder; name masks called like the items")
    if path.is_dir():
        return sorted(file for file in path.rglob("*") if format_of(file) and file.is_file())
    return [path]


def _items_called(by_name: dict[str, list[Item]], file: Path, root: Path, kind: Kind) -> list[Item]:
    """The items that this file is named after: with all of its folders, else with fewer of them."""
    inside = file.relative_to(root).parts[:-1] if file != root else ()
    folders = tuple(folder.casefold() for folder in inside)
    stem = stem_of(file.name).casefold()
    bare = next((stem.removesuffix(e) for e in ENDINGS[kind] if stem.endswith(e)), stem)
    for left_out in range(len(folders) + 1):
        for name in (stem, bare):
            called = by_name.get("/".join((*folders[left_out:], name)), [])
            items = [item for item in called if _may_lie_in(folders, item)]
            if items:
                return items
    return []


def _may_lie_in(folders: tuple[str, ...], item: Item) -> bool:
    """Whether a file in these folders may be of an item: p2/03 is no file of the item p1/03."""
    named = tuple(item.id.casefold().split("/")[:-1])
    return not folders or not named or folders[-len(named) :] == named


def _refuse_two_images(file: Path, called: Sequence[Item]) -> None:
    if len({item.source for item in called}) > 1:
        raise ConfigError(
            f"{file}: named like {called[0].id} and like {called[-1].id}; "
            f"name the file by the id of its item"
        )


def _answering(
    project: Project, found: Sequence[Found], only: Sequence[str], say: Say
) -> list[Found]:
    """What may be stored: no test item that has a reference, and of volumes what was asked for."""
    test = set(project.pool.ids(project.test))
    # Then the reference masks score the model, and another opinion would never be looked at.
    is_scored = bool(project.has_reference[project.test].any())
    asked = {pick.item for pick in project.open_picks()} | items_wanting(project)
    ever = asked | {pick.item for each in project.rounds() for pick in each.picks}
    kept: list[Found] = []
    scoring = unasked = 0
    for each in found:
        items = [item for item in each.items if not (is_scored and item.id in test)]
        scoring += len(each.items) - len(items)
        # What is open now; where nothing is, what was asked for before and may be corrected.
        answers = next((a for a in (_among(items, asked), _among(items, ever)) if a), items)
        if len(items) > 1 and not only:
            unasked += len(items) - len(answers)
            items = answers
        if items:
            kept.append(replace(each, items=tuple(items)))
    if scoring:
        say(f"{scoring} masks of test items were left alone: their reference masks score the model")
    if unasked:
        say(
            f"{unasked} slices or regions were not asked for and left alone, for a mask of a whole "
            f"image seldom covers all of it; --items takes them"
        )
    audit = sum(item.id in test for each in kept for item in each.items)
    if audit:
        say(f"{audit} masks of test items score the model; they are never trained on")
    if not kept:
        raise ProjectError(
            f"{found[0].path}: only masks of test items, whose reference masks score the model; "
            f"give masks of training items"
        )
    return kept


def _among(items: Sequence[Item], ids: Collection[str]) -> list[Item]:
    return [item for item in items if item.id in ids]


def _is_white_foreground(project: Project, found: Sequence[Found], say: Say) -> bool:
    """Whether 255 is class 1: where the masks hold 0 and 255 alone, by the rule of creation."""
    any_white = False
    for each in found:
        whole = _read(project, each)
        if not present_classes(whole) <= {0}:
            return False
        any_white = any_white or bool((whole == UNKNOWN).any())
    names = project.classes[1:]
    if not any_white or not names:
        return False
    is_unknown = len(names) != 1 or _is_white_unknown(project)
    if is_unknown:
        numbers = " or ".join(map(str, sorted({UNKNOWN, project.facts["unknown"]})))
        remedy = f"{names[0]}, write 1" if len(names) == 1 else "a class, write its number"
        say(
            f"beside 0 the masks hold only {numbers}, which is read as unknown, so no pixel is "
            f"{' or '.join(names)}; where it stands for {remedy} and label once more"
        )
    else:
        say(
            f"the masks hold only 0 and 255, so 255 is read as class 1 ({names[0]}); "
            f"masks with unknown pixels are scribbles: --kind scribble"
        )
    return not is_unknown


def _is_white_unknown(project: Project) -> bool:
    """Whether creation found that 255 in masks of this project means that nobody said."""
    told = project.facts.get("white_is_unknown")
    if told is not None:
        return bool(told)
    # An older project: its reference masks may hold 255, and nobody noted it.
    return bool(project.has_reference.any()) and not project.facts["white_is_foreground"]


def _read(project: Project, found: Found) -> UInt8[np.ndarray, "z y x"]:
    slice_axis, source = project.facts["slice_axis"], found.items[0].source
    whole = read_mask(found.path, slice_axis, project.facts["unknown"])
    # One slice may be a slice or region of its own, which need not lie where the image does.
    is_whole = len(whole) > 1 or whole.shape == project.cache.shape(source)[:3]
    if is_whole and Path(source).is_file():
        check_grid(found.path, Path(source), slice_axis)
    return whole


def _cut(
    whole: UInt8[np.ndarray, "z y x"], item: Item, path: Path, project: Project
) -> UInt8[np.ndarray, "height width"]:
    """The part of a mask file that belongs to an item: the file may be of the item or its image."""
    image = project.cache.shape(item.source)[:3]
    if whole.shape == image:
        plane = whole[item.z]
        if item.box is not None:
            y0, x0, y1, x1 = item.box
            plane = plane[y0:y1, x0:x1]
        return plane.copy()
    if whole.shape == (1, *project.shape(item)) and _is_named_after(path, item):
        return whole[0].copy()
    raise GeometryError(
        f"{path}: {' x '.join(map(str, whole.shape))} pixels, the image {item.source} has "
        f"{' x '.join(map(str, image))}; give a mask of the image's own size"
    )


def _is_named_after(path: Path, item: Item) -> bool:
    """Whether a file is one item's own, not its image's: one slice cannot stand for a volume."""
    return stem_of(path.name).casefold().startswith(Path(item.id).name.casefold())
