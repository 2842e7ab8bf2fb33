"""Image files as programs see them that know no items: whole, with a name, and numbers from 1."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from jaxtyping import UInt8

from fewmasks.errors import FormatError
from fewmasks.interop.labels import PART
from fewmasks.io import Source, open_source
from fewmasks.io.nifti import Volume
from fewmasks.io.picture import Picture
from fewmasks.project import Project
from fewmasks.project.readings import unseen
from fewmasks.server.refusal import Refusal
from fewmasks.server.views import read_overlay
from fewmasks.types import UNKNOWN, Item

UNPAINTED = 0
NOWHERE = 254
"""In a table of numbers: there is no such class."""


@dataclass(frozen=True)
class ImageFile:
    """A file that was given at creation, and the items in it."""

    name: str
    path: Path
    items: tuple[Item, ...]


@lru_cache(maxsize=4)
def image_files(project: Project) -> dict[str, ImageFile]:
    """Every file by its name: the id it was given, or that of its first item where another has it.

    What belongs to a project's files never changes, so this is found out once.
    """
    by_source: dict[str, list[Item]] = {}
    for item in project.pool.items:
        by_source.setdefault(item.source, []).append(item)
    ids = {item.id for item in project.pool.items}
    named: dict[str, ImageFile] = {}
    for source, items in by_source.items():
        first = items[0].id
        name = PART.sub("", first)
        if name in named or name in ids:
            name = first
        named[name] = ImageFile(name, Path(source), tuple(items))
    return named


def find_image(project: Project, name: str) -> ImageFile:
    """The file of this name; names go through the table and never touch the file system."""
    found = image_files(project).get(name)
    if found is None:
        raise Refusal(404, f"image: there is none called {name[:200]!r}; ask for the list")
    return found


def image_of(project: Project, item: str) -> ImageFile:
    """The file that an item belongs to."""
    source = project.pool.items[project.pool.rows([item])[0]].source
    files = image_files(project).values()
    return next(each for each in files if each.items[0].source == source)


def shape_of(project: Project, image: ImageFile) -> tuple[int, int, int]:
    """Slices, height and width of the whole file, as it was at creation."""
    depth, height, width, _ = project.cache.shape(image.items[0].source)
    return depth, height, width


def source_of(project: Project, image: ImageFile) -> Source:
    """The file, opened; refused where it is gone, or no program that sends masks could show it."""
    try:
        source = open_source(image.path, project.facts["slice_axis"])
    except FormatError as error:
        raise Refusal(404, str(error)) from None
    if not isinstance(source, Volume | Picture):
        raise Refusal(
            415,
            f"{image.name}: {image.path.name} is neither a NIfTI volume nor a PNG, JPEG or BMP "
            f"picture; label it on the page",
        )
    return source


def places(project: Project, image: ImageFile, items: Iterable[Item]) -> list[int]:
    """Which slices these items are, counted from 0 along the file's own axis."""
    source = source_of(project, image)
    last = source.shape[0] - 1
    is_turned = isinstance(source, Volume) and source.grid.flips[0]
    return sorted({last - item.z if is_turned else item.z for item in items})


def window(item: Item) -> tuple[int | slice, ...]:
    """Where an item lies in the array of its file."""
    if item.box is None:
        return item.z, slice(None), slice(None)
    y0, x0, y1, x1 = item.box
    return item.z, slice(y0, y1), slice(x0, x1)


def number_of_class(project: Project) -> UInt8[np.ndarray, "256"]:
    """The number in whole files for every class: 0 is the background, or unpainted without one.

    Other classes keep their order from 1, as programs number what can be painted.
    """
    table = np.full(256, UNPAINTED if project.background is None else UNKNOWN, np.uint8)
    table[project.foreground] = np.arange(1, len(project.foreground) + 1)
    if project.background is not None:
        table[project.background] = UNPAINTED
    return table


def class_of_number(project: Project) -> UInt8[np.ndarray, "256"]:
    """The class, or UNKNOWN, for every number in whole files."""
    table = np.full(256, NOWHERE, np.uint8)
    table[number_of_class(project)[project.foreground]] = project.foreground
    table[UNPAINTED] = unpainted(project)
    table[UNKNOWN] = UNKNOWN
    return table


def unpainted(project: Project) -> int:
    """What a pixel says on which nothing was painted: the background, if there is one."""
    return UNKNOWN if project.background is None else project.background


def predicted(
    project: Project, image: ImageFile
) -> tuple[UInt8[np.ndarray, "z y x"], tuple[Item, ...]]:
    """What the newest model says of the open items of a file, as the last job stored it.

    Everything else is unpainted. Test items have no prediction, for they score the model.
    """
    asked = {pick.item for pick in project.open_picks() if not pick.audit}
    found = {
        item: read_overlay(project, int(project.pool.rows([item.id])[0]), "")
        for item in image.items
        if item.id in asked
    }
    known = {item: mask for item, mask in found.items() if mask is not None}
    if not known:
        raise Refusal(
            404,
            f"{image.name}: there is no prediction of an open item in it; train first, and take an "
            f"image that the round asks for",
        )
    whole = np.full(shape_of(project, image), UNPAINTED, np.uint8)
    table = number_of_class(project)
    for item, mask in known.items():
        whole[window(item)] = table[mask]
    return whole, tuple(known)


def labelled(project: Project, image: ImageFile, by: str) -> UInt8[np.ndarray, "z y x"]:
    """The labels of a file that this person may see; what nobody labelled is unknown."""
    table = number_of_class(project)
    whole = np.full(shape_of(project, image), table[UNKNOWN], np.uint8)
    with project.engine.begin() as connection:
        hidden = unseen(connection, by)
    rows = project.pool.rows(item.id for item in image.items).tolist()
    seen = [item.id for item, row in zip(image.items, rows, strict=True) if row not in hidden]
    found = [label for name in seen if (label := project.label(name)) is not None]
    if not found:
        raise Refusal(404, f"{image.name}: has no label that you may see; label it first")
    by_id = {item.id: item for item in image.items}
    for label in found:
        whole[window(by_id[label.item])] = table[label.mask]
    return whole


def packed(
    project: Project, image: ImageFile, whole: UInt8[np.ndarray, "z y x"]
) -> tuple[str, bytes]:
    """Name and content of a file like the image, in its geometry."""
    source = source_of(project, image)
    with TemporaryDirectory(prefix="fewmasks-") as folder:
        path = Path(folder) / f"label{source.mask_suffix}"
        source.write_like(whole, path)
        return path.name, path.read_bytes()
