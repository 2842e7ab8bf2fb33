"""Label Studio: tasks with brush strokes, out and in.

Label Studio knows no background: what no stroke covers is the background of a mask, where the
project has such a class, and unknown otherwise. Unknown pixels beside a background are a stroke of
their own, called `unknown`.
"""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Annotated, Any, TypeVar
from urllib.parse import quote, unquote
from xml.sax.saxutils import quoteattr

import numpy as np
from jaxtyping import UInt8
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from fewmasks.errors import FormatError
from fewmasks.interop.brush import decode_brush, encode_brush
from fewmasks.io.atomic import atomic, write_text
from fewmasks.io.palette import colour_table
from fewmasks.project import Project
from fewmasks.project.readings import items_wanting
from fewmasks.types import UNKNOWN, Item, Kind, Label

T = TypeVar("T")
FROM, TO = "label", "image"
"""Names of the two controls in the labelling interface."""
UNKNOWN_NAME = "unknown"
PICTURES = "pictures"
LONGEST_NAME = 200
UPLOADED = re.compile(r"^[0-9a-f]{8}-")
"""What Label Studio puts before the name of an uploaded file."""
OTHER_SHAPES = ("rectanglelabels", "polygonlabels", "ellipselabels", "keypointlabels")


class Region(BaseModel):
    """One stroke, or an answer of another kind."""

    type: str
    original_width: int | None = None
    original_height: int | None = None
    image_rotation: float = 0
    value: dict[str, Any] = {}


class Annotation(BaseModel):
    """What somebody said about a task."""

    result: list[Region] = []
    was_cancelled: bool = False
    lead_time: float | None = None


class Task(BaseModel):
    """An image, and what was said about it."""

    id: int | None = None
    data: dict[str, Any]
    annotations: list[Annotation] = []


class Stroke(BaseModel):
    """The value of a region that was painted."""

    rle: list[Annotated[int, Field(ge=0, le=255)]]
    brushlabels: list[str]


TASKS = TypeAdapter(list[Task])
STROKE = TypeAdapter(Stroke)


def interface(project: Project) -> str:
    """The labelling interface, to be pasted into Label Studio's settings."""
    colours = colour_table()
    lines = [
        f"    <Label value={quoteattr(project.classes[number])} "
        f'background="#{"".join(f"{level:02x}" for level in colours[number])}"/>'
        for number in project.foreground.tolist()
    ]
    if project.background is not None and UNKNOWN_NAME not in project.classes:
        lines.append(f'    <Label value="{UNKNOWN_NAME}" background="#888888"/>')
    inside = "\n".join(lines)
    return (
        f'<View>\n  <Image name="{TO}" value="$image" zoom="true"/>\n'
        f'  <BrushLabels name="{FROM}" toName="{TO}">\n{inside}\n  </BrushLabels>\n</View>\n'
    )


def strokes(project: Project, mask: UInt8[np.ndarray, "y x"]) -> list[dict[str, Any]]:
    """A mask as the regions of an annotation: one for each class that is there."""
    height, width = mask.shape
    names = {number: project.classes[number] for number in project.foreground.tolist()}
    if project.background is not None:
        names[UNKNOWN] = UNKNOWN_NAME
    return [
        {
            "id": f"{name}-{number}",
            "type": "brushlabels",
            "from_name": FROM,
            "to_name": TO,
            "original_width": width,
            "original_height": height,
            "image_rotation": 0,
            "value": {"format": "rle", "rle": encode_brush(mask == number), "brushlabels": [name]},
        }
        for number, name in names.items()
        if (mask == number).any()
    ]


def mask_of(
    project: Project, item: Item, regions: Iterable[Region], kind: Kind
) -> UInt8[np.ndarray, "y x"]:
    """The mask that an item's strokes paint, the later over the earlier."""
    blank = UNKNOWN if kind == "scribble" or project.background is None else project.background
    mask = np.full(project.shape(item), blank, np.uint8)
    numbers = {name: number for number, name in enumerate(project.classes)}
    numbers.setdefault(UNKNOWN_NAME, UNKNOWN)
    for region in regions:
        if region.type in OTHER_SHAPES:
            raise FormatError(
                f"{item.id}: was annotated with {region.type}; use brushes, which fewmasks reads"
            )
        if region.type != "brushlabels":
            continue
        if (region.original_height, region.original_width) != mask.shape or region.image_rotation:
            raise FormatError(
                f"{item.id}: the brush is on {region.original_height} x {region.original_width} "
                f"pixels turned by {region.image_rotation:g} degrees, the item has "
                f"{mask.shape[0]} x {mask.shape[1]}; paint on the pictures that fewmasks exported"
            )
        stroke = parsed(STROKE.validate_python, region.value, item.id)
        unknown = [name for name in stroke.brushlabels if name not in numbers]
        if len(stroke.brushlabels) != 1 or unknown:
            raise FormatError(
                f"{item.id}: the brush is called {', '.join(stroke.brushlabels)!r}; use one of "
                f"{', '.join(project.classes)}, or {UNKNOWN_NAME}"
            )
        painted = decode_brush(stroke.rle, project.shape(item), item.id)
        mask[painted] = numbers[stroke.brushlabels[0]]
    return mask


def read_tasks(path: Path) -> list[Task]:
    """Tasks as Label Studio exports them (JSON, not JSON-MIN)."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise FormatError(f"{path}: cannot be read as JSON ({error}); export it again") from None
    return parsed(TASKS.validate_python, told, str(path))


def answers(
    project: Project, tasks: Sequence[Task], say: Callable[[str], None]
) -> dict[Item, Annotation]:
    """The newest annotation of every task that is an item and has one."""
    by_name = items_by_name(project)
    found: dict[Item, Annotation] = {}
    over = more = 0
    for task in tasks:
        given = [each for each in task.annotations if not each.was_cancelled]
        item = by_name.get(name_of(task))
        if item is not None and given:
            found[item] = given[-1]
            more += len(given) > 1
        over += item is None
    if over:
        say(f"{over} tasks are no items of this project and were passed over")
    if more:
        say(f"{more} tasks have several annotations, of which the last was taken")
    if not found:
        raise FormatError(
            f"{len(tasks)} tasks: none is an annotated item of this project; export the tasks that "
            f"`fewmasks export` wrote, as JSON"
        )
    return found


def label_of(
    project: Project, item: Item, said: Annotation, kind_and_by: tuple[Kind, str]
) -> Label:
    """An annotation as a label; Label Studio measures the seconds."""
    kind, by = kind_and_by
    seconds = said.lead_time if said.lead_time is not None and said.lead_time > 0 else 0.0
    return Label(item.id, kind, mask_of(project, item, said.result, kind), seconds, by)


def export_tasks(project: Project, out: Path, report: Callable[[int, int], None]) -> int:
    """Write tasks.json, interface.xml and the pictures of labelled and open items.

    Labels are annotations, but for those of items that somebody is still to read a second time
    without seeing the first one. Pictures are named by paths below `out`, as Label Studio's local
    storage has them.
    """
    hidden = items_wanting(project)
    labelled = {each.item for each in project.labels()}
    ids = dict.fromkeys([*labelled, *(pick.item for pick in project.open_picks())])
    items = [item for item in project.pool.items if item.id in ids]
    (out / PICTURES).mkdir(parents=True, exist_ok=True)
    tasks = []
    for done, item in enumerate(items, start=1):
        name = f"{PICTURES}/{_file_name(item)}"
        _write_picture(out / name, shown(project, item))
        data = {TO: f"/data/local-files/?d={quote(name)}", "item": item.id}
        task: dict[str, Any] = {"data": data}
        label = None if item.id in hidden else project.label(item.id)
        if label is not None:
            result = strokes(project, label.mask)
            task["annotations"] = [{"result": result, "lead_time": label.seconds}]
        tasks.append(task)
        report(done, len(items))
    write_text(out / "interface.xml", interface(project))
    write_text(out / "tasks.json", json.dumps(tasks))
    return len(items)


def shown(project: Project, item: Item) -> UInt8[np.ndarray, "y x shown"]:
    """An item as grey or colour of 8 bits, black and white where all but 1 % of its file lies."""
    pixels = project.cache.read(item)
    pixels = pixels[..., : 3 if pixels.shape[2] >= 3 else 1]
    if pixels.dtype == np.uint8:
        return pixels
    found = project.cache.statistics(item.source)
    low, high = min(found.low[: pixels.shape[2]]), max(found.high[: pixels.shape[2]])
    share = (pixels.astype(np.float64) - low) / (high - low if high > low else 1.0)
    return np.rint(255 * np.nan_to_num(share).clip(0, 1)).astype(np.uint8)


def parsed(check: Callable[[Any], T], told: Any, where: str) -> T:
    """What Label Studio said, checked; one sentence where it is something else."""
    try:
        return check(told)
    except ValidationError as error:
        first = error.errors()[0]
        at = ".".join(map(str, first["loc"])) or "it"
        raise FormatError(
            f"{where}: {at}: {first['msg']}; send it as Label Studio gives it"
        ) from None


def items_by_name(project: Project) -> dict[str, Item]:
    """Items by what a task may call them."""
    by_name = {_file_name(item): item for item in project.pool.items}
    return by_name | {item.id: item for item in project.pool.items}


def name_of(task: Task) -> str:
    """What a task calls its item: in its data, else by the name of its picture."""
    named = task.data.get("item")
    if isinstance(named, str):
        return named
    path = unquote(str(task.data.get(TO, "")))
    return UPLOADED.sub("", path.replace("?d=", "/").rpartition("/")[2])


def _file_name(item: Item) -> str:
    """The picture of an item: its id, without what no file name may hold; a long one is cut."""
    name = quote(item.id, safe=" ")
    if len(name) > LONGEST_NAME:
        name = name[:LONGEST_NAME] + blake2b(name.encode(), digest_size=8).hexdigest()
    return f"{name}.png"


def _write_picture(path: Path, pixels: UInt8[np.ndarray, "y x shown"]) -> None:
    from PIL import Image

    with atomic(path) as file:
        Image.fromarray(pixels.squeeze(axis=2) if pixels.shape[2] == 1 else pixels).save(
            file, format="PNG"
        )
