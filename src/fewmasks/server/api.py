"""Every request of the page, and which function of the library answers it."""

import hashlib
from collections.abc import Callable
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Body, Depends, Path, Query, Request, Response
from fastapi.responses import StreamingResponse
from sqlalchemy import select

from fewmasks.project.readings import SECOND, reading_for
from fewmasks.project.schema import comment, writing
from fewmasks.server import (
    answers,
    drafts,
    jobs,
    leases,
    messages,
    pictures,
    png,
    queue,
    readings,
    tools,
    views,
)
from fewmasks.server.accounts import Person
from fewmasks.server.auth import AtDesk, Changing, ItemRow, Reviewing, Training, Who, row_of
from fewmasks.server.clock import moment
from fewmasks.server.dashboard import read_dashboard
from fewmasks.server.desk import Desk
from fewmasks.server.refusal import Refusal
from fewmasks.server.uploads import decode_mask, most_bytes
from fewmasks.types import Kind

PNG: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/png": {}}},
    304: {"description": "unchanged"},
}
IS_PNG = {
    "requestBody": {
        "required": True,
        "content": {"image/png": {"schema": {"type": "string", "format": "binary"}}},
    }
}

router = APIRouter(prefix="/api", tags=["labelling"])


async def _bytes(request: Request, desk: AtDesk, person: Changing, row: ItemRow) -> bytes:
    """The body, no longer than a mask of the item can be."""
    del person
    most = most_bytes(desk.project.shape(desk.project.pool.items[row]))
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > most:
            raise Refusal(413, f"mask: more than {most} bytes; send the item's own size as PNG")
    return bytes(body)


def _mask(desk: AtDesk, row: ItemRow, content: Annotated[bytes, Depends(_bytes)]) -> np.ndarray:
    project = desk.project
    item = project.pool.items[row]
    return decode_mask(content, project.shape(item), len(project.classes), item.id)


JSON: dict[int | str, dict[str, Any]] = {200: {"content": {"application/json": {}}}}
Which = Annotated[int, Path(ge=1, le=2)]
Mask = Annotated[np.ndarray, Depends(_mask)]


@router.get("/project")
def project(desk: AtDesk, person: Who) -> messages.ProjectView:
    """What is labelled here, and how far it is."""
    del person
    return views.project_view(desk.project)


@router.get("/queue")
def read_queue(desk: AtDesk, person: Who) -> messages.Queue:
    """The newest round."""
    return queue.read_queue(desk.project, person.name)


@router.post("/leases")
def take(desk: AtDesk, person: Changing, wanted: messages.Take) -> messages.Taken:
    """Take an item, or keep it for another ten minutes."""
    row = row_of(desk, wanted.item)
    with desk.project.engine.begin() as connection:
        readings.refuse_disputed(connection, desk.project, row, person.name)
    lease = leases.take(desk.project, row, person.name)
    with desk.project.engine.begin() as connection:
        drawn = drafts.draft_of(connection, row, person.name)
        reading = reading_for(connection, row, person.name)
        revision = answers.revision_of(connection, row, reading)
    sequence = 0 if drawn is None else drawn.said.sequence
    return messages.Taken(item=wanted.item, until=lease.until, revision=revision, sequence=sequence)


@router.delete("/leases/{id:path}", status_code=204)
def give_back(desk: AtDesk, person: Changing, row: ItemRow) -> None:
    """Let others take an item."""
    with writing(desk.project.engine).begin() as connection:
        leases.give_back(connection, row, person.name)


@router.get("/items/{id:path}/image.png", responses=PNG, response_class=Response)
def image(request: Request, desk: AtDesk, row: ItemRow) -> Response:
    """Pixels, grey of 8 or 16 bits or colour of 8."""
    shown = pictures.picture(desk.project, desk.project.pool.items[row])
    return _png(request, shown, png.picture_png)


@router.get("/items/{id:path}/label.png", responses=PNG, response_class=Response)
def label(request: Request, desk: AtDesk, row: ItemRow, person: Who) -> Response:
    """The label that holds; none for whoever is to read the item a second time."""
    name = desk.project.pool.items[row].id
    found = None if _is_second(desk, row, person) else desk.project.label(name)
    return _png(request, None if found is None else found.mask)


@router.get("/items/{id:path}/draft.png", responses=PNG, response_class=Response)
def draft(request: Request, desk: AtDesk, row: ItemRow, person: Who) -> Response:
    """My drawing that was not handed in."""
    with drafts.changing:
        with desk.project.engine.begin() as connection:
            found = drafts.draft_of(connection, row, person.name)
        mask = drafts.read(desk.project, found) if found and found.file else None
    return _png(request, mask)


@router.get("/items/{id:path}/prediction.png", responses=PNG, response_class=Response)
def prediction(request: Request, desk: AtDesk, row: ItemRow, person: Who) -> Response:
    """What the newest model says."""
    return _overlay(request, desk, row, person, "")


@router.get("/items/{id:path}/uncertainty.png", responses=PNG, response_class=Response)
def uncertainty(request: Request, desk: AtDesk, row: ItemRow, person: Who) -> Response:
    """How unsure the newest model is: entropy, 255 at the most there can be."""
    return _overlay(request, desk, row, person, "-uncertainty")


@router.put("/items/{id:path}/draft", openapi_extra=IS_PNG)
def save(
    desk: AtDesk,
    person: Changing,
    row: ItemRow,
    sequence: Annotated[messages.Sequence, Query()],
    kind: Kind,
    seconds: Annotated[messages.Seconds, Query()],
    mask: Mask,
) -> messages.Saved:
    """Keep a drawing; when this answers, it is on disk."""
    said = drafts.Drawn(sequence, kind, seconds)
    drafts.save(desk.project, row, person.name, said, mask)
    return messages.Saved(sequence=sequence)


@router.post("/items/{id:path}/answer")
def answer(desk: AtDesk, person: Changing, row: ItemRow, given: messages.Answer) -> messages.Stored:
    """The drawing becomes the label."""
    said = drafts.Drawn(given.sequence, given.kind, given.seconds)
    revision = answers.hand_in(desk.project, row, person.name, said, given.base or 0)
    return messages.Stored(revision=revision, next=_next(desk, person.name, row))


@router.post("/items/{id:path}/skip")
def skip(desk: AtDesk, person: Changing, row: ItemRow, given: messages.Skip) -> messages.Next:
    """Never ask for this item again."""
    answers.skip_item(desk.project, row, person.name, given.reason, given.flag)
    return messages.Next(next=_next(desk, person.name, row))


@router.delete("/items/{id:path}/skip", status_code=204)
def unskip(desk: AtDesk, person: Changing, row: ItemRow) -> None:
    """Ask for this item again."""
    del person
    answers.unskip_item(desk.project, row)


@router.get("/figures/{name}.json", response_class=Response, responses=JSON)
def figures(desk: AtDesk, person: Who, name: Literal["curve", "map", "tests"]) -> Response:
    """What the newest training drew: curve, map of the pool, test predictions."""
    del person
    file = desk.project.folder / "figures" / f"{name}.json"
    if not file.is_file():
        raise Refusal(404, f"figures: {name} was not drawn yet; train once more")
    return Response(file.read_bytes(), media_type="application/json")


@router.get("/disputes")
def disputes(desk: AtDesk, person: Reviewing) -> list[messages.Dispute]:
    """Items that two people read differently, worst first."""
    del person
    return readings.read_disputes(desk.project)


@router.get("/items/{id:path}/readings/{which}.png", responses=PNG, response_class=Response)
def reading(
    request: Request, desk: AtDesk, row: ItemRow, person: Reviewing, which: Which
) -> Response:
    """One of the two readings of an item, for who decides between them."""
    del person
    return _png(request, readings.reading_mask(desk.project, row, which))


@router.post("/items/{id:path}/verdict", status_code=204)
def verdict(desk: AtDesk, person: Training, row: ItemRow, given: messages.Verdict) -> None:
    """One of the two readings of an item holds."""
    readings.choose(desk.project, row, given.reading, person.name)


@router.get("/items/{id:path}/comments")
def comments(desk: AtDesk, row: ItemRow) -> list[messages.CommentView]:
    """What was said about an item, oldest first."""
    query = select(comment).where(comment.c.item_row == row).order_by(comment.c.id)
    with desk.project.engine.begin() as connection:
        return [
            messages.CommentView(by=each.by, text=each.text, created=each.created)
            for each in connection.execute(query)
        ]


@router.post("/items/{id:path}/comment", status_code=201)
def add_comment(
    desk: AtDesk, person: Changing, row: ItemRow, given: messages.Comment
) -> messages.CommentView:
    """Say something about an item."""
    said = {"by": person.name, "text": given.text, "created": moment()}
    with writing(desk.project.engine).begin() as connection:
        connection.execute(comment.insert(), {"item_row": row, **said})
    return messages.CommentView(**said)


@router.post(
    "/items/{id:path}/tools/random-walker",
    responses=PNG,
    response_class=Response,
    openapi_extra=IS_PNG,
)
def random_walker(request: Request, desk: AtDesk, row: ItemRow, mask: Mask) -> Response:
    """A whole mask from scribbles."""
    return _png(request, tools.random_walk(desk.project, row, mask))


@router.post(
    "/items/{id:path}/tools/snap", responses=PNG, response_class=Response, openapi_extra=IS_PNG
)
def snap(request: Request, desk: AtDesk, row: ItemRow, mask: Mask) -> Response:
    """The same mask with its borders moved to the edges near them."""
    return _png(request, tools.snap(desk.project, row, mask))


@router.post("/items/{id:path}/tools/interpolate", responses=PNG, response_class=Response)
def interpolate(request: Request, desk: AtDesk, row: ItemRow, person: Changing) -> Response:
    """A mask between the labelled slices around it."""
    del person
    return _png(request, tools.interpolate(desk.project, row))


@router.post("/items/{id:path}/tools/watershed", responses=PNG, response_class=Response)
def watershed(
    request: Request, desk: AtDesk, row: ItemRow, person: Changing, dark: bool = False
) -> Response:
    """Outlines of bright objects, or of dark ones, in a project of one class and a background."""
    del person
    return _png(request, tools.watershed(desk.project, row, dark))


# After all that begins like it: an id may hold slashes.
@router.get("/items/{id:path}")
def item(desk: AtDesk, person: Who, row: ItemRow) -> messages.ItemView:
    """Everything about an item but its pixels."""
    return views.item_view(desk.project, row, person.name)


@router.post("/jobs", status_code=202)
def start_job(
    desk: AtDesk, person: Training, given: Annotated[messages.StartJob | None, Body()] = None
) -> messages.Started:
    """Train, and ask again."""
    wanted = {} if given is None else given.model_dump(exclude_none=True)
    options = [word for name, value in wanted.items() for word in (f"--{name}", str(value))]
    return messages.Started(id=jobs.start_job(desk.project, person.name, options, desk.work))


@router.get("/jobs/current")
def current_job(desk: AtDesk, person: Who) -> messages.JobView:
    """The job that runs, or how the last one ended."""
    del person
    return jobs.current_job(desk.project)


@router.delete("/jobs/current")
def cancel_job(desk: AtDesk, person: Training) -> messages.JobView:
    """End the job that runs."""
    del person
    return jobs.cancel_job(desk.project)


@router.get("/jobs/events", response_class=StreamingResponse)
def job_events(desk: AtDesk, person: Who) -> StreamingResponse:
    """The job at every change, until it has ended."""
    del person
    headers = {"X-Accel-Buffering": "no"}
    events = jobs.job_events(desk.project, desk.is_stopping)
    return StreamingResponse(events, media_type="text/event-stream", headers=headers)


@router.get("/dashboard")
def dashboard(desk: AtDesk, person: Who) -> messages.Dashboard:
    """The honest curve."""
    del person
    return read_dashboard(desk.project)


def _next(desk: Desk, by: str, row: int) -> str | None:
    return queue.next_open(desk.project, by, desk.project.pool.items[row].id)


def _png(
    request: Request,
    pixels: np.ndarray | None,
    encode: Callable[[np.ndarray], bytes] = png.indexed_png,
) -> Response:
    """These pixels, unless the browser has them; it asks every time, since they may change."""
    if pixels is None:
        raise Refusal(404, f"{request.url.path}: there is none yet; label or train first")
    digest = hashlib.blake2b(repr((pixels.shape, pixels.dtype.str)).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(pixels).data)
    tag = f'"{digest.hexdigest()}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if request.headers.get("If-None-Match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(encode(pixels), media_type="image/png", headers=headers)


def _grey_png(pixels: np.ndarray) -> bytes:
    return png.picture_png(pixels[..., None])


def _is_second(desk: Desk, row: int, person: Person) -> bool:
    with desk.project.engine.begin() as connection:
        return reading_for(connection, row, person.name) == SECOND


def _overlay(request: Request, desk: Desk, row: int, person: Person, which: str) -> Response:
    """A picture that a job made; none of a test item, whose label must not follow the model.

    Nor for a second reading: the model may have learnt what the first one said.
    """
    project = desk.project
    is_hidden = row in project.test or _is_second(desk, row, person)
    shown = None if is_hidden else views.read_overlay(project, row, which)
    return _png(request, shown, png.indexed_png if not which else _grey_png)
