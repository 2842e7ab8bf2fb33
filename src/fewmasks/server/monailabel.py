"""The requests of MONAI Label's clients, such as 3D Slicer: whole image files instead of items.

The dialect of monailabel 0.8.5 (https://github.com/Project-MONAI/MONAILabel), as far as its client
speaks it. `fewmasks.server.whole_answers` says what becomes of a label.
"""

import json
import secrets
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal
from urllib.parse import parse_qs, quote

import numpy as np
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from pydantic import BaseModel, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData

from fewmasks import __version__
from fewmasks.io import stem_of
from fewmasks.project import Project
from fewmasks.project.readings import FIRST, unseen
from fewmasks.server import image_files, jobs, leases, queue
from fewmasks.server import monailabel_messages as told
from fewmasks.server.auth import AtDesk, Bearer, BearerTraining, begin_for_program
from fewmasks.server.dashboard import read_dashboard
from fewmasks.server.image_files import ImageFile
from fewmasks.server.messages import JobState, JobView
from fewmasks.server.refusal import Refusal
from fewmasks.server.whole_answers import hand_in_whole
from fewmasks.server.whole_uploads import file_of, read_form, read_whole

NAME = "fewmasks"
"""Of the one model and its one trainer."""
STRATEGY = "round"
FINAL = "final"
"""The tag of the labels that hold."""
STATUS: dict[JobState, Literal["RUNNING", "DONE", "ERROR", "CANCELED"]] = {
    "running": "RUNNING", "done": "DONE", "failed": "ERROR", "cancelled": "CANCELED",
}  # fmt: skip
BYTES_TYPE = "application/octet-stream"
BYTES = {"schema": {"type": "string", "format": "binary"}}
FILE: dict[int | str, dict[str, Any]] = {200: {"content": {BYTES_TYPE: BYTES}}}
PREDICTED: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            "multipart/form-data": {"schema": {"type": "object"}},
            BYTES_TYPE: BYTES,
            "application/json": {"schema": {"type": "object"}},
        }
    }
}
SIGN_IN = {
    "requestBody": {
        "required": True,
        "content": {
            "application/x-www-form-urlencoded": {
                "schema": {
                    "type": "object",
                    "required": ["username", "password"],
                    "properties": {"username": {"type": "string"}, "password": {"type": "string"}},
                }
            }
        },
    }
}
FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["label"],
                    "properties": {
                        "label": {"type": "string", "format": "binary"},
                        "params": {
                            "type": "string",
                            "example": '{"label_info": [{"name": "cell"}]}',
                        },
                    },
                }
            }
        },
    }
}

router = APIRouter(prefix="/monailabel", tags=["MONAI Label"])


class Segment(BaseModel):
    """One entry of `label_info`: the n-th is the segment that the file has as number n."""

    name: str
    idx: int | None = None


class Params(BaseModel):
    """What a client says about a label; the rest of it is for servers that need it."""

    label_info: list[Segment] | None = None


def _image(desk: AtDesk, person: Bearer, image: Annotated[str, Query()]) -> ImageFile:
    del person  # nobody is told which images there are without signing in
    return image_files.find_image(desk.project, image)


Image = Annotated[ImageFile, Depends(_image)]


async def _form(request: Request, desk: AtDesk, image: Image) -> AsyncIterator[FormData]:
    shape = image_files.shape_of(desk.project, image)
    async with read_form(request, shape) as form:
        yield form


def _model(model: str) -> str:
    if model != NAME:
        raise Refusal(404, f"model: there is none called {model[:80]!r}; use {NAME}")
    return model


@router.get("/auth/")
def auth() -> told.AuthInfo:
    """That people sign in here."""
    return told.AuthInfo(enabled=True)


@router.post("/auth/token", openapi_extra=SIGN_IN)
async def token(request: Request, desk: AtDesk) -> told.Token:
    """A token for a name and a password."""
    given = parse_qs((await request.body()).decode(errors="replace"))
    name, password = (given.get(each, [""])[0] for each in ("username", "password"))
    begun = await run_in_threadpool(begin_for_program, request, desk, name, password)
    return told.Token(access_token=begun)


@router.get("/auth/token/valid")
def token_valid(person: Bearer) -> dict[str, str]:
    """Whether the token still counts."""
    return {"username": person.name}


@router.get("/info/")
def info(desk: AtDesk, person: Bearer) -> told.Info:
    """Classes, the model, its trainer, and how far the labels are."""
    del person
    project = desk.project
    is_volume = project.is_volume(project.pool.items[0])
    numbers = {name: n for n, name in enumerate(_painted(project), start=1)}
    about = "trained on all labels; predicts the open items of the round"
    model = told.Model(labels=numbers, dimension=3 if is_volume else 2, description=about)
    return told.Info(
        name=project.folder.resolve().name,
        description="fewmasks: images with items that the round asks for",
        version=__version__,
        labels=list(numbers),
        models={NAME: model},
        trainers={NAME: told.Described(description="train on all labels, and ask again")},
        strategies={STRATEGY: told.Described(description="the next open image of the round")},
        train_stats=_train_stats(project),
        datastore=_store(project),
    )


@router.post("/activelearning/{strategy}", response_model_exclude_none=True)
def next_sample(desk: AtDesk, person: Bearer, strategy: str) -> told.Sample:
    """The next image with items that the round asks for, all of which are yours for ten minutes."""
    if strategy != STRATEGY:
        raise Refusal(404, f"strategy: there is none called {strategy[:80]!r}; use {STRATEGY}")
    project = desk.project
    listed = queue.read_queue(project, person.name).items
    # A whole volume comes with its labels, so what is read a second time is read on the page.
    asked = [each for each in listed if each.state in queue.OPEN and each.reading == FIRST]
    if not asked:
        return told.Sample()
    image = image_files.image_of(project, asked[0].item)
    names = {each.item for each in asked}
    items = [item for item in image.items if item.id in names]
    for row in project.pool.rows(item.id for item in items).tolist():
        leases.take(project, row, person.name)
    return told.Sample(
        id=image.name,
        name=image.path.name,
        path=str(image.path),
        weight=1.0,
        items=[item.id for item in items],
        slices=image_files.places(project, image, items),
        reason=asked[0].reason,
    )


@router.get("/datastore/")
def datastore(
    desk: AtDesk, person: Bearer, output: Literal["stats", "all"] = "stats"
) -> told.Store | told.Listing:
    """How many images there are, or all of them."""
    project = desk.project
    if output == "stats":
        return _store(project)
    with project.engine.begin() as connection:
        hidden = unseen(connection, person.name)
    labelled = _labelled(project, hidden)
    return told.Listing(
        name=project.folder.resolve().name,
        description="",
        objects={
            name: told.StoredImage(
                image=told.Extent(ext=_ending(image)),
                labels={FINAL: told.Extent(ext=_ending(image))} if name in labelled else {},
            )
            for name, image in image_files.image_files(project).items()
        },
    )


@router.get("/datastore/image", responses=FILE, response_class=FileResponse)
def image(desk: AtDesk, image: Image) -> FileResponse:
    """The image file, as it is."""
    image_files.source_of(desk.project, image)
    if image.path.suffix.lower() == ".hdr":
        raise Refusal(415, f"{image.name}: is two files; open {image.path} where it lies")
    return FileResponse(image.path, media_type=BYTES_TYPE, filename=image.path.name)


@router.get("/datastore/label", responses=FILE, response_class=Response)
def label(
    desk: AtDesk, person: Bearer, label: str, tag: Annotated[str, Query()] = FINAL
) -> Response:
    """The labels of an image as a file in its geometry; 255 where nobody said."""
    found = image_files.find_image(desk.project, label)
    if tag not in ("", FINAL):
        raise Refusal(404, f"label: there are none with the tag {tag[:80]!r}; use {FINAL}")
    whole = image_files.labelled(desk.project, found, person.name)
    return _attachment(found, *image_files.packed(desk.project, found, whole))


@router.put("/datastore/label", openapi_extra=FORM)
def save_label(
    desk: AtDesk,
    person: Bearer,
    image: Image,
    form: Annotated[FormData, Depends(_form)],
    tag: str = FINAL,
) -> told.LabelTaken:
    """Labels of the items that were asked for, and of what was painted elsewhere."""
    if tag not in ("", FINAL):
        raise Refusal(422, f"label: the tag is {tag[:80]!r}; only {FINAL} labels are kept")
    names = _segments(form)
    whole = read_whole(desk.project, image, file_of(form, "label"), names)
    taken = hand_in_whole(desk.project, image, whole, person.name)
    return told.LabelTaken(
        image=image.name, label=image.name, stored=list(taken.stored), left=taken.left
    )


@router.post("/infer/{model}", responses=PREDICTED, response_class=Response)
def infer(
    desk: AtDesk,
    model: Annotated[str, Depends(_model)],
    image: Image,
    output: Literal["all", "image", "json"] = "all",
) -> Response:
    """What the newest model says of the open items, as a file in the image's geometry."""
    del model
    project = desk.project
    whole, items = image_files.predicted(project, image)
    present = set(np.unique(whole).tolist())
    painted = enumerate(_painted(project), start=1)
    about = {
        "label_names": {name: number for number, name in painted if number in present},
        "items": [item.id for item in items],
        "slices": image_files.places(project, image, items),
    }
    if output == "json":
        return JSONResponse(about)
    name, content = image_files.packed(project, image, whole)
    if output == "image":
        return _attachment(image, name, content)
    return _multipart(about, name, content)


@router.post("/train/{model}")
def train(
    desk: AtDesk, person: BearerTraining, model: Annotated[str, Depends(_model)]
) -> told.Task:
    """Train on all labels, and ask again, in a process of its own."""
    del model
    return train_all(desk, person)


@router.post("/train/")
def train_all(desk: AtDesk, person: BearerTraining) -> told.Task:
    """The same without naming the one model."""
    try:
        jobs.start_job(desk.project, person.name, (), desk.work)
    except Refusal as busy:
        raise Refusal(429, str(busy)) from None
    return _task(jobs.current_job(desk.project))


@router.get("/train/")
def training(desk: AtDesk, person: Bearer, check_if_running: bool = False) -> told.Task:
    """The training that runs, or how the last one ended."""
    del person
    job = jobs.current_job(desk.project)
    if job.id is None or (check_if_running and job.state != "running"):
        raise Refusal(404, "train: nothing runs; start it")
    return _task(job)


@router.delete("/train/")
def stop(desk: AtDesk, person: BearerTraining) -> told.Task:
    """End the training that runs."""
    del person
    return _task(jobs.cancel_job(desk.project))


def _painted(project: Project) -> list[str]:
    """Names of the classes that are painted, in the order of their numbers from 1."""
    return [project.classes[number] for number in project.foreground]


def _labelled(project: Project, hidden: frozenset[int] = frozenset()) -> set[str]:
    """Names of the images with a label, but for those of hidden rows."""
    rows = project.pool.rows(each.item for each in project.labels()).tolist()
    sources = {project.pool.items[row].source for row in rows if row not in hidden}
    files = image_files.image_files(project)
    return {name for name, image in files.items() if image.items[0].source in sources}


def _store(project: Project) -> told.Store:
    completed = len(_labelled(project))
    total = len(image_files.image_files(project))
    return told.Store(total=total, completed=completed, label_tags={FINAL: completed})


def _train_stats(project: Project) -> dict[str, dict[str, float]]:
    """What clients show beside the button: score of the newest model, progress of the next."""
    stats: dict[str, float] = {}
    curve = read_dashboard(project).curve
    if curve and curve[-1].dice is not None:
        stats["best_metric"] = curve[-1].dice
    job = jobs.current_job(project)
    if job.done is not None and job.of is not None:
        stats |= {"epoch": job.done, "total_epochs": job.of}
    return {NAME: stats} if stats else {}


def _ending(image: ImageFile) -> str:
    return image.path.name.removeprefix(stem_of(image.path.name))


def _segments(form: FormData) -> list[str] | None:
    """Names of the segments 1, 2, ... as the client numbered them; None where it says nothing."""
    try:
        said = Params.model_validate_json(str(form.get("params") or "{}"))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, ("params", *first["loc"])))
        raise Refusal(422, f"{where}: {first['msg']}; correct it") from None
    for number, segment in enumerate(said.label_info or (), start=1):
        if segment.idx not in (None, number):
            raise Refusal(
                422,
                f"params.label_info: {segment.name[:80]!r} has the number {segment.idx} and comes "
                f"as number {number}; keep only segments of classes, in their order",
            )
    return [each.name for each in said.label_info] if said.label_info else None


def _attachment(image: ImageFile, name: str, content: bytes) -> Response:
    called = quote(f"{stem_of(image.path.name)}_{name}")
    headers = {"Content-Disposition": f"attachment; filename*=utf-8''{called}"}
    return Response(content, media_type=BYTES_TYPE, headers=headers)


def _multipart(about: dict[str, Any], name: str, content: bytes) -> Response:
    """A form with what is said about a file, and the file."""
    boundary = secrets.token_hex(16)
    parts = (
        ('name="params"', "application/json", json.dumps(about).encode()),
        (f'name="image"; filename="{name}"', "application/octet-stream", content),
    )
    body = b"".join(
        f"--{boundary}\r\nContent-Disposition: form-data; {what}\r\n"
        f"Content-Type: {kind}\r\n\r\n".encode()
        + held
        + b"\r\n"
        for what, kind, held in parts
    )
    end = f"--{boundary}--\r\n".encode()
    return Response(body + end, media_type=f"multipart/form-data; boundary={boundary}")


def _task(job: JobView) -> told.Task:
    assert job.id is not None
    assert job.state != "none"
    return told.Task(
        id=str(job.id), status=STATUS[job.state], model=NAME, start_ts=job.started,
        details=job.lines,
    )  # fmt: skip
