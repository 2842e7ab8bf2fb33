"""Label Studio's requests to an ML back end: predictions, annotations, training, and who may."""

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select
from tests.interop.test_label_studio import stroke
from tests.project import made as projects
from tests.server import made
from tests.server.test_monailabel import PASSWORD, add_people, half

from fewmasks.cli.overlays import FOLDER as PREDICTIONS
from fewmasks.interop.brush import decode_brush
from fewmasks.io.masks import write_mask
from fewmasks.project import Project
from fewmasks.project.schema import session
from fewmasks.server.accounts import add_user
from fewmasks.server.desk import Desk
from fewmasks.server.sessions import begin_session
from fewmasks.types import Pick, Round

pytestmark = pytest.mark.slow

PATHS = (
    ("GET", "health"), ("POST", "setup"), ("POST", "predict"), ("POST", "webhook"),
    ("POST", "train"),
)  # fmt: skip


class Studio:
    """Label Studio, which sends a name and a password every time and names no origin."""

    def __init__(self, desk: Desk, name: str = "ann", password: str = PASSWORD) -> None:
        self.client = made.Page(desk, None).client
        del self.client.headers["Origin"]
        given = b64encode(f"{name}:{password}".encode()).decode()
        self.client.headers["Authorization"] = f"Basic {given}"

    def send(self, method: str, path: str, **options: Any) -> Any:
        return self.client.request(method, f"/label-studio/{path}", **options)

    def tell(
        self, item: str, *strokes: dict[str, Any], action: str = "ANNOTATION_CREATED", **more: Any
    ) -> Any:
        annotation = {"id": 1, "result": list(strokes), "lead_time": 7.5, "completed_by": 1, **more}
        event = {"action": action, "task": task(item), "annotation": annotation}
        return self.send("POST", "webhook", json=event | {"project": {"id": 1}})


def task(item: str) -> dict[str, Any]:
    return {"id": 3, "data": {"image": "/data/x.png", "item": item}}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = made.asking(tmp_path, audit=["p4"])
    add_people(project)
    return project


@pytest.fixture
def desk(project: Project) -> Desk:
    return Desk(project, None, work=("true",))


def test_from_set_up_to_training(project, desk):
    for item in ("p1", "p4"):
        row = int(project.pool.rows([item])[0])
        (project.folder / PREDICTIONS).mkdir(exist_ok=True)
        write_mask(project.folder / PREDICTIONS / f"{row}.png", half(1))
    olga = Studio(desk, "olga")
    assert olga.send("GET", "health").json()["status"] == "UP"
    version = olga.send("POST", "setup", json={"project": "1", "schema": "<View/>"}).json()
    assert version == {"model_version": "fewmasks-0"}
    wanted = {"tasks": [task("p0"), task("p1"), task("p4"), task("other")], "label_config": "x"}
    results = olga.send("POST", "predict", json=wanted).json()["results"]
    # p0 has no prediction, p4 scores the model, and the last one is no item.
    assert [len(each["result"]) for each in results] == [0, 1, 0, 0]
    value = results[1]["result"][0]["value"]
    assert value["brushlabels"] == ["cell"]
    assert np.array_equal(decode_brush(value["rle"], (6, 8), "p1"), half(1) == 1)

    assert olga.tell("p0", stroke()).json() == {"item": "p0", "job": None}
    label = project.label("p0")
    assert (label.by, label.kind, label.seconds) == ("olga", "mask", 7.5)
    assert (label.mask[0] == 1).all()
    assert not label.mask[1:].any()
    assert project.labels()[0].round == 0
    olga.tell("p0", action="ANNOTATION_UPDATED")
    assert not project.label("p0").mask.any()  # handed in without a stroke: background
    assert olga.tell("p1", action="PROJECT_UPDATED").json() == {"item": None, "job": None}
    assert olga.send("POST", "webhook", json={"action": "START_TRAINING"}).json()["job"] == 1


def test_a_password_is_checked_once_and_ends_with_the_next_one(project, desk):
    ann = Studio(desk)
    for _ in range(3):
        assert ann.send("GET", "health").status_code == 200
    with project.engine.begin() as connection:
        assert len(connection.execute(select(session)).all()) == 1
    add_user(project.engine, "ann", "annotator", "another horse")
    made.refused(ann.send("GET", "health"), 401)
    assert Studio(desk, "ann", "another horse").send("GET", "health").status_code == 200


def test_a_token_does_as_well(project, desk):
    ann = Studio(desk)
    token = begin_session(project.engine, "ann")
    ann.client.headers["Authorization"] = f"Bearer {token}"
    assert ann.tell("p1", stroke()).json()["item"] == "p1"


def test_a_skip_says_nothing_of_an_item(project, desk):
    ann = Studio(desk)
    ann.tell("p1", stroke())
    before = made.content(project)
    for item in ("p0", "p1"):  # without a label, and with one
        for action in ("ANNOTATION_CREATED", "ANNOTATION_UPDATED"):
            for strokes in ((), (stroke(),)):
                told = ann.tell(item, *strokes, action=action, was_cancelled=True)
                assert told.status_code == 200
                assert told.json() == {"item": None, "job": None}
    assert made.content(project) == before
    assert ann.tell("p0", stroke(), was_cancelled=False).json()["item"] == "p0"


def test_what_others_say_stays(project, desk):
    project.add_labels([projects.label("p1", by="bob")], 0)
    assert made.Page(desk, "bob").take("p2").status_code == 200
    ann = Studio(desk)
    before = made.content(project)
    made.refused(ann.tell("p1", stroke()), 409, "bob labelled it")
    made.refused(ann.tell("p2", stroke()), 409, "bob is labelling it")
    made.refused(ann.tell("p9", stroke()), 409, "test item")
    made.refused(ann.tell("nobody's", stroke()), 404, "no item")
    assert made.content(project) == before
    assert ann.tell("p4", stroke()).status_code == 200  # the round asks for this one


def test_second_readings_are_given_on_the_page_alone(project, desk):
    picks = (Pick("p1", "why", readings=2),)
    project.add_round(Round(project.rounds()[-1].number + 1, "random", 0, picks))
    row = int(project.pool.rows(["p1"])[0])
    (project.folder / PREDICTIONS).mkdir(exist_ok=True)
    write_mask(project.folder / PREDICTIONS / f"{row}.png", half(1))
    ann, olga = Studio(desk), Studio(desk, "olga")
    assert ann.tell("p1", stroke()).status_code == 200
    before = made.content(project)
    said = made.refused(olga.tell("p1", stroke()), 409, "second readings are given on the page")
    assert "ann" not in said["detail"]
    assert made.content(project) == before
    for each, strokes in ((ann, 1), (olga, 0)):  # it may be learnt from what ann said
        told = each.send("POST", "predict", json={"tasks": [task("p1")]}).json()
        assert len(told["results"][0]["result"]) == strokes


@pytest.mark.parametrize(
    "said", [None, "Basic", "Basic !", "Basic YW5u", "Basic /////w==", "Bearer x"]
)
def test_nothing_for_strangers(project, desk, said):
    stranger = Studio(desk)
    del stranger.client.headers["Authorization"]
    headers = {} if said is None else {"Authorization": said}
    before = made.content(project)
    for method, path in PATHS:
        body = b"{" * 1000  # never looked at
        made.refused(stranger.send(method, path, headers=headers, content=body), 401)
    assert made.content(project) == before


def test_guessing_is_slowed_down_here_too(desk):
    for n in range(5):
        made.refused(Studio(desk, "ann", f"guess {n}").send("GET", "health"), 401)
    made.refused(Studio(desk).send("GET", "health"), 429)
    assert desk.by_password == {}


def test_annotators_do_not_train_and_other_sites_do_nothing(project, desk):
    ann = Studio(desk)
    made.refused(ann.send("POST", "train"), 403, "annotator")
    made.refused(ann.send("POST", "webhook", json={"action": "START_TRAINING"}), 403)
    before = made.content(project)
    ann.client.headers["Origin"] = "http://evil.example"
    made.refused(ann.tell("p0", stroke()), 403, "origin")
    made.refused(ann.send("POST", "predict", json={"tasks": []}), 403, "origin")
    assert made.content(project) == before
    assert not (project.folder / "jobs").exists()


EVENT = {"action": "ANNOTATION_CREATED", "task": task("p0")}
HOSTILE: dict[str, tuple[Any, int, str]] = {
    "nothing": (b"", 422, "label-studio"),
    "no json": (b"{", 422, "JSON"),
    "a list": ([], 422, ""),
    "deep": (b"[" * 60_000, 422, ""),
    "no utf-8": (b"\xff\xfe", 422, ""),
    "no payload": ({"action": "ANNOTATION_CREATED"}, 422, "Send payload"),
    "path": (EVENT | {"task": task("../../project.db"), "annotation": {}}, 404, "no item"),
    "polygon": (EVENT | {"annotation": {"result": [{"type": "polygonlabels"}]}}, 422, "brushes"),
    "size": (EVENT | {"annotation": {"result": [stroke(shape=(8, 6))]}}, 422, "8 x 6"),
    "class": (EVENT | {"annotation": {"result": [stroke("liver")]}}, 422, "liver"),
    "time": (EVENT | {"annotation": {"result": [], "lead_time": "x"}}, 422, "lead_time"),
    "bomb": (EVENT | {"annotation": {"result": [stroke() | {"value": {
        "rle": [255, 255, 255, 255, 59, 188, 255, 255], "brushlabels": ["cell"]}}]}}, 422, "holds"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_events(project, desk, name):
    body, status, words = HOSTILE[name]
    ann = Studio(desk)
    before = made.content(project)
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    made.refused(ann.send("POST", "webhook", content=content), status, words)
    assert made.content(project) == before


def test_too_long_an_event(project, desk):
    ann = Studio(desk)
    made.refused(ann.send("POST", "webhook", content=bytes(33 << 20)), 413)
    pieces = iter([bytes(20 << 20)] * 2)
    made.refused(ann.send("POST", "predict", content=pieces), 413)
    made.refused(ann.send("POST", "setup", content=bytes(70_000)), 413)
