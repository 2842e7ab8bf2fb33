"""Double reading: blind, one reader at a time, and a reviewer where two differ."""

import numpy as np
import pytest
from tests.project import made as projects
from tests.server import made

from fewmasks.project import open_project
from fewmasks.project.schema import writing
from fewmasks.server.accounts import add_user
from fewmasks.server.desk import Desk
from fewmasks.types import UNKNOWN, Label, Pick, Round

pytestmark = pytest.mark.slow

ROLES = {"ann": "annotator", "bob": "annotator", "carl": "annotator", "rita": "reviewer"}
FIRST = np.zeros((6, 8), np.uint8)
FIRST[:3] = 1
SECOND = np.zeros((6, 8), np.uint8)
SECOND[3:] = 1
"""They have no pixel of the class in common."""
ALMOST = FIRST.copy()
ALMOST[0, 0] = 0


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A round of which p0 and p1 are to be read twice."""
    project = projects.pictures_project(tmp_path_factory.mktemp("readings"))
    picks = [Pick(f"p{n}", "why", readings=2 if n < 2 else 1) for n in range(3)]
    project.add_round(Round(0, "random", 0, tuple(picks)))
    for name, role in ROLES.items():
        add_user(project.engine, name, role, "correct horse")
    return project


@pytest.fixture
def people(project):
    with writing(project.engine).begin() as connection:
        for table in ("draft", "lease", "verdict", "label", "skip", "comment"):
            connection.exec_driver_sql(f"DELETE FROM {table}")
        connection.exec_driver_sql("DELETE FROM pick WHERE round > 0")
        connection.exec_driver_sql("DELETE FROM round WHERE number > 0")
    desk = Desk(project, None)
    return {name: made.Page(desk, name) for name in ROLES}


def states(page):
    return [
        (each["item"], each["state"], each["reading"]) for each in page.get("queue").json()["items"]
    ]


def disputed(people):
    people["ann"].label("p0", FIRST)
    people["bob"].label("p0", SECOND)


def labels(project):
    with project.engine.begin() as connection:
        return connection.exec_driver_sql(
            'SELECT item_row, reading, "by", seconds FROM label ORDER BY id'
        ).all()


def test_a_second_person_is_asked_and_the_first_one_is_not(people):
    ann, bob = people["ann"], people["bob"]
    ann.label("p0", FIRST)
    ann.label("p2", FIRST)
    assert states(ann) == [("p0", "labelled", 1), ("p1", "open", 1), ("p2", "labelled", 1)]
    assert states(bob) == [("p0", "open", 2), ("p1", "open", 1), ("p2", "labelled", 1)]
    assert bob.label("p1", FIRST).json()["next"] == "p0"


def test_the_second_reader_sees_nothing_of_the_first(project, people):
    ann, bob, rita = people["ann"], people["bob"], people["rita"]
    folder = project.folder / "predictions"
    folder.mkdir(exist_ok=True)
    for name in ("0", "0-uncertainty"):
        (folder / f"{name}.png").write_bytes(made.png(FIRST))
    assert bob.get("items/p0").json()["prediction"] is True
    ann.label("p0", FIRST)
    for reader in (bob, rita):
        seen = reader.get("items/p0").json()
        assert (seen["label"], seen["reading"], seen["draft"]) == (None, 2, None)
        assert (seen["prediction"], seen["uncertainty"]) == (False, False)
        for name in ("label", "draft", "prediction", "uncertainty"):
            made.refused(reader.get(f"items/p0/{name}.png"), 404)
        assert reader.take("p0").json()["revision"] == 0
        reader.send("DELETE", "leases/p0")
        # Nor does anything else that was said tell who it was, or how.
        told = reader.get("queue").json()["items"][0]
        assert (told["by"], told["state"]) == (None, "open")
    for which in (1, 2):
        made.refused(rita.get(f"items/p0/readings/{which}.png"), 404)
        made.refused(bob.get(f"items/p0/readings/{which}.png"), 403)
    assert ann.get("items/p0").json()["label"]["by"] == "ann"


def test_two_readers_never_lease_the_same_reading(people):
    ann, bob, carl = people["ann"], people["bob"], people["carl"]
    ann.take("p0")
    made.refused(bob.take("p0"), 409, "ann is labelling it")
    ann.label("p0", FIRST)
    assert bob.take("p0").status_code == 200
    made.refused(carl.take("p0"), 409, "bob is labelling it")
    assert states(carl)[0] == ("p0", "taken", 2)
    bob.draw("p0", ALMOST)
    assert bob.hand_in("p0").status_code == 200
    # Read twice, it is asked of nobody any more.
    assert {states(each)[0] for each in people.values()} == {("p0", "labelled", 1)}


def test_the_first_reading_trains_and_both_are_kept(project, people):
    people["ann"].label("p0", FIRST)
    people["bob"].label("p0", ALMOST)
    assert labels(project) == [(0, 1, "ann", 12.5), (0, 2, "bob", 12.5)]
    np.testing.assert_array_equal(project.label("p0").mask, FIRST)
    assert [each.by for each in project.labels()] == ["ann"]
    assert project.summary()["labels"]["mask"] == 1
    assert project.summary()["minutes"] == 0.4
    # Whoever corrects it later is not compared.
    assert people["carl"].label("p0", SECOND).status_code == 200
    np.testing.assert_array_equal(project.label("p0").mask, SECOND)
    told = people["ann"].get("dashboard").json()["agreement"]
    assert (told["items"], told["waiting"], told["disputes"]) == (1, 0, 0)
    assert told["per_class"]["cell"] == pytest.approx(2 * 23 / 47)


def test_a_second_reading_does_not_hold_up_the_next_round(project, people):
    for item in ("p0", "p1", "p2"):
        people["ann"].label(item, FIRST)
    assert project.open_picks() == []
    project.add_round(Round(1, "random", 0, (Pick("p5", "why"),)))
    assert states(people["ann"]) == [("p5", "open", 1)]
    assert states(people["bob"]) == [("p5", "open", 1), ("p0", "open", 2), ("p1", "open", 2)]
    assert people["bob"].label("p1", ALMOST).json()["next"] == "p5"
    assert labels(project)[-1][:3] == (1, 2, "bob")


def test_the_first_reader_may_correct_before_the_second_one_comes(project, people):
    ann, bob = people["ann"], people["bob"]
    ann.label("p0", SECOND)
    assert ann.label("p0", FIRST, sequence=2).status_code == 200
    bob.label("p0", ALMOST)
    assert [each[1] for each in labels(project)] == [1, 1, 2]
    assert ann.get("dashboard").json()["agreement"]["disputes"] == 0


def test_a_second_answer_after_a_kill_is_the_same_answer(project, people):
    people["ann"].label("p0", FIRST)
    bob = people["bob"]
    bob.take("p0")
    bob.draw("p0", ALMOST, 1)
    project.add_labels([Label("p0", "mask", ALMOST, 12.5, "bob")], round=0, reading=2)
    answer = bob.hand_in("p0", 1)
    assert answer.status_code == 200
    assert bob.hand_in("p0", 1).json() == answer.json()
    assert [each[1] for each in labels(project)] == [1, 2]


def test_where_two_differ_a_reviewer_decides_and_nobody_else(project, people):
    disputed(people)
    before = made.content(project)
    for name in ("ann", "bob", "carl"):
        made.refused(people[name].take("p0"), 409, "reviewer or owner")
        made.refused(people[name].get("disputes"), 403)
        made.refused(people[name].post("items/p0/verdict", {"reading": 1}), 403)
    assert made.content(project) == before
    rita = people["rita"]
    (told,) = rita.get("disputes").json()
    assert (told["item"], told["lowest"], told["per_class"]) == ("p0", 0.0, {"cell": 0.0})
    assert [each["by"] for each in told["readings"]] == ["ann", "bob"]
    np.testing.assert_array_equal(made.pixels(rita.get("items/p0/readings/1.png")), FIRST)
    np.testing.assert_array_equal(made.pixels(rita.get("items/p0/readings/2.png")), SECOND)
    np.testing.assert_array_equal(project.label("p0").mask, FIRST)  # until somebody decides
    made.refused(rita.get("items/p0/readings/3.png"), 422)
    made.refused(rita.post("items/p0/verdict", {"reading": 3}), 422)
    made.refused(rita.post("items/p1/verdict", {"reading": 1}), 409, "not in dispute")


@pytest.mark.parametrize(("reading", "mask", "by"), [(1, FIRST, "ann"), (2, SECOND, "bob")])
def test_a_verdict_says_which_reading_trains(reading, mask, by, project, people):
    disputed(people)
    rita = people["rita"]
    assert rita.post("items/p0/verdict", {"reading": reading}).status_code == 204
    found = open_project(project.folder).label("p0")
    np.testing.assert_array_equal(found.mask, mask)
    assert found.by == by
    assert rita.get("disputes").json() == []
    assert project.summary()["minutes"] == 0.4  # the copy took no time
    told = rita.get("dashboard").json()["agreement"]
    assert (told["items"], told["disputes"], told["per_class"]["cell"]) == (1, 0, 0.0)
    made.refused(rita.post("items/p0/verdict", {"reading": 1}), 409, "not in dispute")
    assert people["carl"].take("p0").status_code == 200  # a label like others again


def test_a_reviewer_may_draw_a_third(project, people):
    disputed(people)
    rita = people["rita"]
    assert rita.label("p0", ALMOST).status_code == 200
    np.testing.assert_array_equal(project.label("p0").mask, ALMOST)
    assert rita.get("disputes").json() == []
    with project.engine.begin() as connection:
        rows = connection.exec_driver_sql('SELECT item_row, label_id, "by" FROM verdict').all()
    assert [(row, by) for row, _, by in rows] == [(0, "rita")]
    assert rita.get("items/p0").json()["label"]["revision"] == rows[0][1]


def test_the_threshold_is_a_setting_and_the_lowest_class_counts(project, people):
    people["ann"].label("p0", FIRST)
    people["bob"].label("p0", ALMOST)
    rita = people["rita"]
    assert rita.get("disputes").json() == []
    project.config = project.config.with_settings(["query.dispute_below=0.99"])
    assert rita.get("disputes").json()[0]["lowest"] == pytest.approx(2 * 23 / 47)
    project.config = project.config.with_settings(["query.dispute_below=0.7"])


def test_two_who_see_nothing_agree(people):
    nothing = np.zeros((6, 8), np.uint8)
    people["ann"].label("p0", nothing)
    people["bob"].label("p0", nothing)
    told = people["rita"].get("dashboard").json()["agreement"]
    assert (told["disputes"], told["per_class"]) == (0, {"cell": None})


def test_only_pixels_that_both_know_are_compared(people):
    first, second = FIRST.copy(), SECOND.copy()
    first[0], second[1:] = UNKNOWN, UNKNOWN
    people["ann"].label("p0", first)
    people["bob"].label("p0", second)
    told = people["rita"].get("dashboard").json()["agreement"]
    assert (told["disputes"], told["per_class"]) == (0, {"cell": None})


def test_without_double_reading_there_is_no_agreement(tmp_path):
    tab = made.page(made.asking(tmp_path))
    assert tab.get("dashboard").json()["agreement"] is None
    assert tab.get("disputes").json() == []
