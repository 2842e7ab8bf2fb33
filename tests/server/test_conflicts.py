"""Two people, two tabs, late and repeated requests: they are told, and nothing is overwritten."""

import numpy as np
import pytest
from tests.project import made as projects
from tests.server import made

from fewmasks.project.schema import lease, writing
from fewmasks.server.accounts import add_user
from fewmasks.server.clock import moment
from fewmasks.server.desk import Desk

ONE, TWO = projects.mask_of(seed=1), projects.mask_of(seed=2)


@pytest.fixture(scope="module")
def accounts(tmp_path_factory):
    """A project with users, made once: a password takes long to hash."""
    project = made.asking(tmp_path_factory.mktemp("accounts"))
    for name, role in (("ann", "annotator"), ("bob", "reviewer")):
        add_user(project.engine, name, role, "correct horse")
    return project


@pytest.fixture
def two(accounts):
    """Ann and Bob, who start with nothing drawn."""
    with writing(accounts.engine).begin() as connection:
        for table in ("draft", "lease", "label", "skip"):
            connection.exec_driver_sql(f"DELETE FROM {table}")
    desk = Desk(accounts, None)
    return made.Page(desk, "ann"), made.Page(desk, "bob")


def let_run_out(project) -> None:
    with writing(project.engine).begin() as connection:
        connection.execute(lease.update(), {"until": moment(-1.0)})


@pytest.mark.slow
def test_only_one_of_two_gets_an_item(accounts, two):
    ann, bob = two
    until = ann.take("p0").json()["until"]
    told = made.refused(bob.take("p0"), 409, "ann is labelling it")
    assert (told["by"], told["until"]) == ("ann", until)
    assert [each["state"] for each in bob.get("queue").json()["items"]] == ["taken", "open", "open"]
    assert bob.get("queue").json()["items"][0]["by"] == "ann"
    before = made.content(accounts)
    made.refused(bob.draw("p0", ONE), 409, "ann is labelling it")
    made.refused(bob.hand_in("p0"), 409)
    made.refused(bob.post("items/p0/skip", {"reason": "mine"}), 409, "ann")
    assert bob.send("DELETE", "leases/p0").status_code == 204  # only mine is given back
    assert made.content(accounts) == before
    assert ann.send("DELETE", "leases/p0").status_code == 204
    assert bob.take("p0").status_code == 200


def test_next_passes_over_what_others_have_taken(two):
    ann, bob = two
    ann.take("p1")
    assert bob.label("p0", ONE).json()["next"] == "p2"


def test_a_lease_is_renewed_by_taking_it_again(two):
    ann, _ = two
    first = ann.take("p0").json()["until"]
    assert ann.take("p0").json()["until"] >= first


def test_a_lease_that_ran_out_binds_nobody(accounts, two):
    ann, bob = two
    ann.take("p0")
    assert ann.draw("p0", ONE, 1).status_code == 200
    let_run_out(accounts)
    before = made.content(accounts)
    told = made.refused(ann.draw("p0", TWO, 2), 409, "ran out")
    assert told["by"] is None
    made.refused(ann.hand_in("p0", 1), 409, "ran out")
    assert made.content(accounts) == before
    assert bob.take("p0").status_code == 200
    made.refused(ann.draw("p0", TWO, 2), 409, "bob is labelling it")
    # Ann's drawing is still hers when Bob is done.
    assert bob.draw("p0", TWO, 1).status_code == 200
    assert bob.hand_in("p0", 1).status_code == 200
    np.testing.assert_array_equal(made.pixels(ann.get("items/p0/draft.png")), ONE)


def test_an_answer_that_another_one_overtook_is_refused(accounts, two):
    ann, bob = two
    ann.take("p0")
    ann.draw("p0", ONE, 1)
    let_run_out(accounts)
    revision = bob.label("p0", TWO).json()["revision"]
    seen = ann.take("p0").json()
    assert seen["revision"] == revision
    told = made.refused(ann.hand_in("p0", 1, base=None), 409, "bob gave another answer")
    assert (told["revision"], told["by"]) == (revision, "bob")
    np.testing.assert_array_equal(accounts.label("p0").mask, TWO)
    assert ann.hand_in("p0", 1, base=revision).status_code == 200
    np.testing.assert_array_equal(accounts.label("p0").mask, ONE)


@pytest.mark.slow
def test_the_same_answer_again_over_somebody_else_s_holds(accounts, two):
    ann, bob = two
    ann.label("p0", ONE)
    bob.label("p0", TWO)
    revision = ann.label("p0", ONE, sequence=2).json()["revision"]
    np.testing.assert_array_equal(accounts.label("p0").mask, ONE)
    assert ann.get("items/p0").json()["label"]["revision"] == revision
    assert ann.get("items/p0").json()["label"]["by"] == "ann"


def test_a_label_from_the_command_line_is_not_overwritten_either(accounts, two):
    ann, _ = two
    ann.take("p0")
    ann.draw("p0", ONE)
    accounts.add_labels([projects.label("p0", seed=2, by="files")])
    made.refused(ann.hand_in("p0"), 409, "files gave another answer")


def test_an_older_drawing_never_replaces_a_newer_one(accounts, two):
    ann, _ = two
    ann.take("p0")
    assert ann.draw("p0", TWO, 7).status_code == 200
    before = made.content(accounts)
    told = made.refused(ann.draw("p0", ONE, 6), 409, "came after")
    assert told["sequence"] == 7
    made.refused(ann.draw("p0", ONE, 7), 409)  # another tab, at the same number
    assert ann.draw("p0", TWO, 7).json() == {"sequence": 7}  # the same once more
    assert made.content(accounts) == before
    np.testing.assert_array_equal(made.pixels(ann.get("items/p0/draft.png")), TWO)


def test_only_the_drawing_that_was_saved_last_becomes_the_label(accounts, two):
    ann, _ = two
    ann.take("p0")
    made.refused(ann.hand_in("p0", 1), 409, "saved last (0)")
    ann.draw("p0", ONE, 1)
    ann.draw("p0", TWO, 2)
    told = made.refused(ann.hand_in("p0", 1), 409, "saved last (2)")
    assert told["sequence"] == 2
    assert accounts.labels() == []


def test_an_answer_that_is_repeated_is_the_same_answer(accounts, two):
    ann, _ = two
    first = ann.label("p0", ONE).json()
    assert ann.hand_in("p0", 1).json() == first
    with accounts.engine.begin() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM label").scalar() == 1
    # A late copy of the drawing does not come back as a new one.
    ann.take("p0")
    assert ann.draw("p0", ONE, 1).status_code == 200
    made.refused(ann.draw("p0", TWO, 1), 409)
    assert ann.get("items/p0").json()["draft"] is None
    assert ann.draw("p0", TWO, 2).status_code == 200


def test_killed_between_the_label_and_its_mark_the_answer_goes_through_again(accounts, two):
    ann, _ = two
    ann.take("p0")
    ann.draw("p0", ONE, 1)
    accounts.add_labels([projects.Label("p0", "mask", ONE, 12.5, "ann")], round=0)
    answer = ann.hand_in("p0", 1)
    assert answer.status_code == 200
    assert answer.json()["revision"] == ann.get("items/p0").json()["label"]["revision"]
    with accounts.engine.begin() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM label").scalar() == 1


def test_drafts_are_each_one_s_own(two):
    ann, bob = two
    ann.take("p0")
    ann.draw("p0", ONE)
    ann.send("DELETE", "leases/p0")
    bob.take("p0")
    made.refused(bob.get("items/p0/draft.png"), 404)
    assert bob.get("items/p0").json()["sequence"] == 0
    assert bob.draw("p0", TWO).status_code == 200
    np.testing.assert_array_equal(made.pixels(ann.get("items/p0/draft.png")), ONE)
