"""From the link to a label: what a person at the page does."""

import json

import numpy as np
import pytest
from tests.makers import write_png, write_table
from tests.project import made as projects
from tests.server import made

from fewmasks.loop.cost import outline
from fewmasks.project import Import, create
from fewmasks.server.desk import Desk
from fewmasks.server.queue import read_queue
from fewmasks.server.sessions import Link
from fewmasks.types import UNKNOWN, Label, Pick, Round

pytestmark = pytest.mark.slow


@pytest.fixture
def project(tmp_path):
    return made.asking(tmp_path)


def test_the_link_signs_in_once(project):
    link = Link()
    tab = made.Page(Desk(project, link), None)
    made.refused(tab.get("session"), 401, "fewmasks serve")
    assert tab.get("ready").json() == {"name": "project", "users": False}
    answer = tab.client.get("/", params={"token": link.token})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    told = tab.get("session").json()
    assert (told["user"], told["role"], told["users"]) == ("me", "owner", False)
    assert len(told["csrf"]) == 64
    # Again in this browser it leads to the page; elsewhere it opens nothing.
    assert tab.client.get("/", params={"token": link.token}).status_code == 303
    other = made.Page(Desk(project, link), None)
    answer = other.client.get("/", params={"token": link.token})
    assert answer.status_code == 403
    assert "used already" in answer.text
    made.refused(other.get("session"), 401)


def test_signing_out_ends_the_session(project):
    tab = made.page(project)
    answer = tab.send("DELETE", "session")
    assert answer.status_code == 204
    assert "Max-Age=0" in answer.headers["set-cookie"]
    made.refused(tab.get("queue"), 401)


def test_the_project_says_what_is_labelled(project):
    told = made.page(project).get("project").json()
    assert told["name"] == "project"
    assert told["classes"] == [
        {"number": 0, "name": "background", "colour": "#8d99a6", "key": None},
        {"number": 1, "name": "cell", "colour": "#e69f00", "key": "1"},
    ]
    assert (told["background"], told["unknown"]) == (0, 255)
    assert (told["bits"], told["channels"], told["is_volume"]) == (8, 1, False)
    assert told["summary"]["open_picks"] == 3


def test_a_project_made_anew_is_told_from_the_one_before(tmp_path):
    """Else the page would take drafts that it kept of the one for drafts of the other."""
    before, after = (made.asking(tmp_path / name) for name in "ab")
    first, second = (made.page(each).get("project").json() for each in (before, after))
    assert first["name"] == second["name"]
    assert first["created"] < second["created"]


def test_a_drawing_becomes_the_label(project):
    tab = made.page(project)
    queue = tab.get("queue").json()
    assert [each["item"] for each in queue["items"]] == ["p0", "p1", "p2"]
    assert {each["state"] for each in queue["items"]} == {"open"}
    assert queue["items"][1]["reason"] == "reason 1"
    assert queue["minutes_left"] == 3.0
    taken = tab.take("p0").json()
    assert (taken["revision"], taken["sequence"]) == (0, 0)
    assert tab.get("queue").json()["items"][0]["state"] == "mine"
    mask = projects.mask_of(seed=5)
    mask[0, :3] = UNKNOWN
    for sequence in (1, 2, 3):
        drawn = np.roll(mask, sequence - 3)
        assert tab.draw("p0", drawn, sequence).json() == {"sequence": sequence}
        np.testing.assert_array_equal(made.pixels(tab.get("items/p0/draft.png")), drawn)
    seen = tab.get("items/p0").json()
    assert seen["draft"] == {"sequence": 3, "kind": "mask", "seconds": 12.5}
    answer = tab.hand_in("p0", 3, None, seconds=31.5)
    assert answer.json() == {"revision": 1, "next": "p1"}
    label = project.label("p0")
    np.testing.assert_array_equal(label.mask, mask)
    assert (label.kind, label.seconds, label.by) == ("mask", 31.5, "me")
    assert project.labels()[0].round == 0
    np.testing.assert_array_equal(made.pixels(tab.get("items/p0/label.png")), mask)
    made.refused(tab.get("items/p0/draft.png"), 404)
    seen = tab.get("items/p0").json()
    assert (seen["draft"], seen["sequence"], seen["lease"]) == (None, 3, None)
    assert seen["label"] == {"kind": "mask", "by": "me", "revision": 1, "seconds": 31.5}
    assert tab.get("queue").json()["items"][0]["state"] == "labelled"
    assert list((project.folder / "drafts").iterdir()) == []


def test_every_item_of_the_queue_is_answered_in_turn(project):
    tab = made.page(project)
    assert tab.label("p1", projects.mask_of()).json()["next"] == "p2"
    assert tab.label("p2", projects.mask_of()).json()["next"] == "p0"
    assert tab.label("p0", projects.mask_of()).json()["next"] is None
    assert tab.get("queue").json()["minutes_left"] == 0
    assert project.open_picks() == []


def test_a_label_is_corrected_over_the_one_that_was_seen(project):
    tab = made.page(project)
    assert tab.label("p0", projects.mask_of(seed=1)).json()["revision"] == 1
    assert tab.label("p0", projects.mask_of(seed=2), sequence=2).json()["revision"] == 2
    np.testing.assert_array_equal(project.label("p0").mask, projects.mask_of(seed=2))


def test_items_outside_the_round_may_be_labelled_unless_they_are_test_items(project):
    tab = made.page(project)
    assert tab.label("p6", projects.mask_of()).status_code == 200
    assert project.labels()[0].round is None
    made.refused(tab.take("p4"), 409, "test item")
    assert tab.get("items/p4").json()["may_label"] is False


def test_an_audit_item_is_labelled_without_the_model_s_opinion(tmp_path):
    project = made.asking(tmp_path, audit=["p4"])
    tab = made.page(project)
    folder = project.folder / "predictions"
    folder.mkdir()
    for row in (0, 4):
        (folder / f"{row}.png").write_bytes(made.png(projects.mask_of(seed=row)))
        (folder / f"{row}-uncertainty.png").write_bytes(made.png(projects.grey(seed=row)))
    seen = tab.get("items/p0").json()
    assert (seen["prediction"], seen["uncertainty"], seen["audit"]) == (True, True, False)
    np.testing.assert_array_equal(
        made.pixels(tab.get("items/p0/prediction.png")), projects.mask_of(seed=0)
    )
    np.testing.assert_array_equal(
        made.pixels(tab.get("items/p0/uncertainty.png")), projects.grey(seed=0)
    )
    seen = tab.get("items/p4").json()
    assert (seen["prediction"], seen["uncertainty"], seen["audit"]) == (False, False, True)
    made.refused(tab.get("items/p4/prediction.png"), 404)
    assert tab.label("p4", projects.mask_of()).status_code == 200
    assert project.pool.ids(project.audited) == ["p4"]


def test_skipping_and_flagging(project):
    tab = made.page(project)
    tab.take("p0")
    answer = tab.post("items/p0/skip", {"reason": "blurred", "flag": True})
    assert answer.json() == {"next": "p1"}
    assert project.pool.ids(project.skipped) == ["p0"]
    assert tab.get("items/p0").json()["skipped"] == {
        "reason": "blurred", "flagged": True, "by": "me"
    }  # fmt: skip
    assert tab.get("queue").json()["items"][0]["state"] == "skipped"
    assert tab.post("items/p0/skip", {"reason": "twice"}).status_code == 200
    assert tab.send("DELETE", "items/p0/skip").status_code == 204
    assert len(project.skipped) == 0


def test_comments(project):
    tab = made.page(project)
    assert tab.get("items/p0/comments").json() == []
    assert tab.post("items/p0/comment", {"text": "is this <b>one</b> cell?"}).status_code == 201
    tab.post("items/p0/comment", {"text": "two"})
    told = tab.get("items/p0/comments").json()
    assert [(each["by"], each["text"]) for each in told] == [
        ("me", "is this <b>one</b> cell?"), ("me", "two")
    ]  # fmt: skip
    made.refused(tab.post("items/p0/comment", {"text": ""}), 422, "text")


def test_the_dashboard_has_a_point_for_every_model(project):
    tab = made.page(project)
    assert tab.get("dashboard").json()["curve"] == []
    tab.label("p0", projects.mask_of())
    scores = {"dice": 0.5, "hd95": float("nan"), "per_class": {"cell": 0.5}}
    project.add_training({"labels": 1, "scores": scores})
    project.add_training({"labels": 1, "scores": None})
    told = tab.get("dashboard").json()
    assert told["labels"] == {"mask": 1, "scribble": 0}
    point = {"items": 1, "minutes": 0.21, "dice": 0.5, "hd95": None, "per_class": {"cell": 0.5}}
    point["interval"] = None
    assert told["curve"][0] == point
    assert told["curve"][1] == {**point, "dice": None, "per_class": {}}
    assert told["stop"] is None
    assert "fewmasks" in told["next"]
    assert tab.get("project").json()["summary"]["scores"] is None


def test_the_dashboard_says_what_the_newest_training_noted_on_stopping(project):
    for ahead in (None, {"minutes": 30.0, "gain": 0.01, "low": 0.0, "high": 0.02}):
        stop = {"forecast": ahead, "is_enough": False, "sentence": "no forecast yet"}
        project.add_training({"labels": 1, "scores": None, "stop": stop})
        told = made.page(project).get("dashboard").json()["stop"]
        expected = ahead or dict.fromkeys(("minutes", "gain", "low", "high"))
        assert told == {"sentence": "no forecast yet", "is_enough": False, **expected}


def test_the_minutes_of_an_item_follow_what_this_person_took_and_what_the_model_saw(project):
    """Masks with long borders took long; an item in which the model sees none will be quick."""
    for first, name, factor in ((3, "me", 1.0), (6, "somebody", 8.0)):
        for stripes in (1, 2, 3):
            mask = np.zeros((6, 8), np.uint8)
            mask[:, : 2 * stripes : 2] = 1
            seconds = factor * outline(mask, [0]).border
            project.add_labels([Label(f"p{first + stripes - 1}", "mask", mask, seconds, name)])
    folder = project.folder / "predictions"
    folder.mkdir()
    rows = project.pool.rows(["p0", "p1"]).tolist()
    seen = {rows[0]: {"border": 6.0, "parts": 1.0}, rows[1]: {"border": 30.0, "parts": 3.0}}
    (folder / "outlines.json").write_text(json.dumps(seen))
    mine, others = (
        [each["minutes"] for each in read_queue(project, name).model_dump()["items"]]
        for name in ("me", "somebody")
    )
    assert mine[0] < mine[2] < mine[1]
    assert all(own < theirs for own, theirs in zip(mine, others, strict=True))
    project.add_training({"labels": 6, "outline": {"border": 60.0, "parts": 6.0}})
    scaled = read_queue(project, "me").model_dump()["items"]
    assert scaled[0]["minutes"] < mine[0]
    assert scaled[2]["minutes"] == mine[2]


def test_what_a_training_drew_is_handed_on_as_it_is(project):
    tab = made.page(project)
    made.refused(tab.get("figures/curve.json"), 404, "train once more")
    made.refused(tab.get("figures/..%2fproject.json"), 422)
    made.refused(tab.get("figures/other.json"), 422)
    folder = project.folder / "figures"
    folder.mkdir()
    (folder / "curve.json").write_text('{"trainings": 1}')
    answer = tab.get("figures/curve.json")
    assert answer.json() == {"trainings": 1}
    assert answer.headers["cache-control"] == "no-store"
    made.refused(made.page(project).client.get("/api/figures/map.json"), 404)


def test_the_control_arm_is_marked_and_compared(tmp_path):
    project = projects.pictures_project(tmp_path)
    picks = (Pick("p0", "why"), Pick("p1", "control: drawn at random", control=True))
    project.add_round(Round(0, "entropy", 0, picks))
    tab = made.page(project)
    items = tab.get("queue").json()["items"]
    assert [(each["item"], each["control"]) for each in items] == [("p0", False), ("p1", True)]
    assert tab.get("dashboard").json()["control"] is None
    one = {"items": 1, "mean": 0.5, "low": None, "high": None}
    two = {"items": 2, "mean": 0.75, "low": 0.5, "high": 1.0}
    record = {"labels": 1, "arms": {"foreseen": {"strategy": one, "control": two}, "taught": None}}
    project.add_training(record)
    told = tab.get("dashboard").json()["control"]
    assert (told["strategy"], told["control"], told["difference"]) == (one, two, None)
    assert "0.500 on 1 picks of the strategy and 0.750 on 2 random ones" in told["said"][0]
    taught = {"labels": 2, "shared": 1, "pairs": 3, "strategy": 0.7, "control": 0.6}
    for low, high, words in (
        (0.05, 0.15, "choosing pays"), (-0.1, 0.3, "no difference"), (-0.3, -0.1, "random choice")
    ):  # fmt: skip
        record["arms"]["taught"] = {**taught, "difference": {"mean": 0.1, "low": low, "high": high}}
        project.add_training(record)
        told = tab.get("dashboard").json()["control"]
        assert told["difference"]["high"] == high
        assert words in told["said"][1]


def test_ids_with_slashes_spaces_and_signs(tmp_path):
    ids = ["a/b/image.png", "a/b", "50 %25#?.", "ä/ö", "a%2Fb", "draft"]
    rows = []
    for number, name in enumerate(ids):
        write_png(tmp_path / f"{number}.png", projects.grey(seed=number))
        side = "test" if name == "draft" else "train"
        rows.append({"id": name, "image": f"{number}.png", "group": f"g{number}", "split": side})
    table = write_table(tmp_path / "meta.csv", rows)
    project = create(tmp_path / "project", Import(table=table, classes=("background", "cell")))
    tab = made.page(project)
    for number, name in enumerate(ids):
        assert tab.get(tab.item(name)).json()["item"] == name
        seen = made.pixels(tab.get(tab.item(name, "/image.png")))
        np.testing.assert_array_equal(seen, projects.grey(seed=number))
        if name == "draft":
            continue
        assert tab.label(name, projects.mask_of(seed=number)).status_code == 200
        np.testing.assert_array_equal(project.label(name).mask, projects.mask_of(seed=number))
        assert tab.send("DELETE", f"leases/{tab.item(name)[6:]}").status_code == 204
    for path in ("..%2f..%2fproject.db", "%2e%2e/x", "%00", "%ff", "p0/../p1"):
        made.refused(tab.get(f"items/{path}/image.png"), 404)
