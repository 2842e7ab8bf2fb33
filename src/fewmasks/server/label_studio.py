"""The requests of Label Studio to its ML back ends: predictions out, annotations in, training.

As https://labelstud.io/guide/ml_create describes them. Tasks are known by `fewmasks export`'s data.
"""

from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel

from fewmasks.errors import FormatError
from fewmasks.interop.label_studio import (
    Annotation,
    Task,
    items_by_name,
    label_of,
    name_of,
    parsed,
    strokes,
)
from fewmasks.interop.labels import store
from fewmasks.project import Project
from fewmasks.project.readings import unseen
from fewmasks.project.schema import writing
from fewmasks.server import jobs
from fewmasks.server.auth import AtDesk, Program, refuse_training
from fewmasks.server.drafts import changing
from fewmasks.server.leases import give_back, may_label, refuse_taken
from fewmasks.server.messages import Said
from fewmasks.server.refusal import Refusal
from fewmasks.server.views import read_overlay
from fewmasks.types import Item

T = TypeVar("T")
STORED = ("ANNOTATION_CREATED", "ANNOTATION_UPDATED")
START = "START_TRAINING"
JSON: dict[str, Any] = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": {
        "type": "object", "properties": {
            "tasks": {"type": "array", "items": {"type": "object"}},
            "action": {"type": "string"},
            "task": {"type": "object"},
            "annotation": {"type": "object"},
        },
    }}}}
}  # fmt: skip

router = APIRouter(prefix="/label-studio", tags=["Label Studio"])


class Health(Said):
    """That the server is there."""

    status: Literal["UP"]
    model_class: str


class Version(Said):
    """Which model predicts."""

    model_version: str


class Prediction(Said):
    """Strokes of one task; none where there is no prediction."""

    result: list[dict[str, Any]]
    model_version: str


class Predictions(Said):
    """One for each task, in their order."""

    results: list[Prediction]


class Done(Said):
    """What became of an event: the item that got a label, the job that began, or nothing."""

    item: str | None = None
    job: int | None = None


class Wanted(BaseModel):
    """Tasks to predict."""

    tasks: list[Task]


class Event(BaseModel):
    """Something that happened in Label Studio."""

    action: str
    task: Task | None = None
    annotation: Annotation | None = None


async def _body(request: Request, person: Program) -> bytes:
    """Read here, so that nothing of it is looked at before somebody is signed in."""
    del person
    return await request.body()


Body = Annotated[bytes, Depends(_body)]


@router.get("/health")
def health(person: Program) -> Health:
    """That the server is there, and the password right."""
    del person
    return Health(status="UP", model_class="fewmasks")


@router.post("/setup")
def setup(desk: AtDesk, person: Program) -> Version:
    """Which model predicts; a new one after each training."""
    del person
    return Version(model_version=_version(desk.project))


@router.post("/predict", openapi_extra=JSON)
def predict(desk: AtDesk, person: Program, body: Body) -> Predictions:
    """What the newest model says of tasks, as the last job stored it; nothing of test items."""
    tasks = _heard(Wanted.model_validate_json, body).tasks
    by_name, version = items_by_name(desk.project), _version(desk.project)
    with desk.project.engine.begin() as connection:
        # A prediction may have been learnt from the label that a second reader is not to see.
        hidden = unseen(connection, person.name)
    asked = [by_name.get(name_of(task)) for task in tasks]
    results = [
        Prediction(result=_predicted(desk.project, item, hidden), model_version=version)
        for item in asked
    ]
    return Predictions(results=results)


@router.post("/webhook", openapi_extra=JSON)
def webhook(desk: AtDesk, person: Program, body: Body) -> Done:
    """An annotation becomes a label; a training starts; anything else is heard and left."""
    event = _heard(Event.model_validate_json, body)
    if event.action == START:
        return train(desk, person)
    if event.action not in STORED:
        return Done()
    if event.task is None or event.annotation is None:
        raise Refusal(422, "webhook: no task or annotation came along; tick `Send payload`")
    if event.annotation.was_cancelled:  # a skip is told like an annotation, without a stroke
        return Done()
    return Done(item=_hand_in(desk.project, event.task, event.annotation, person.name))


@router.post("/train")
def train(desk: AtDesk, person: Program) -> Done:
    """Train on all labels, and ask again, in a process of its own."""
    refuse_training(person)
    return Done(job=jobs.start_job(desk.project, person.name, (), desk.work))


def _heard(check: Callable[[bytes], T], body: bytes) -> T:
    try:
        return parsed(check, body, "label-studio")
    except FormatError as error:
        raise Refusal(422, str(error)) from None


def _version(project: Project) -> str:
    return f"fewmasks-{len(project.trainings())}"


def _predicted(project: Project, item: Item | None, hidden: frozenset[int]) -> list[dict[str, Any]]:
    if item is None:
        return []
    row = int(project.pool.rows([item.id])[0])
    found = None if row in project.test or row in hidden else read_overlay(project, row, "")
    return [] if found is None else strokes(project, found)


def _hand_in(project: Project, task: Task, said: Annotation, by: str) -> str:
    """The annotation becomes the label of its item, unless somebody else labels or labelled it."""
    item = items_by_name(project).get(name_of(task))
    if item is None:
        raise Refusal(404, "webhook: the task is no item of this project; import exported tasks")
    try:
        answer = label_of(project, item, said, ("mask", by))
    except FormatError as error:
        raise Refusal(422, str(error)) from None
    row = int(project.pool.rows([item.id])[0])
    with changing:
        with project.engine.begin() as connection:
            refuse_taken(connection, row, item.id, by)
            if row in unseen(connection, by):
                raise Refusal(409, f"{item.id}: second readings are given on the page")
            if not may_label(connection, row):
                raise Refusal(409, f"{item.id}: is a test item, and the round does not ask for it")
        before = project.label(item.id)
        if before is not None and before.by != by:
            raise Refusal(409, f"{item.id}: {before.by} labelled it; their answer stays")
        store(project, [answer], lambda done: None)
    with writing(project.engine).begin() as connection:
        give_back(connection, row, by)
    return item.id
