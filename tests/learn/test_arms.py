"""The two arms of a person's rounds, compared by what the models say of them."""

import json

import numpy as np
import pytest
from tests.study import made
from typer.testing import CliRunner

from fewmasks.cli.main import app
from fewmasks.config import Config
from fewmasks.interop.labels import label_from_reference
from fewmasks.learn import session
from fewmasks.learn.arms import compared_rounds, foreseen, told
from fewmasks.learn.model import load_model
from fewmasks.learn.predict import predict
from fewmasks.metrics import dice
from fewmasks.project import open_project

pytestmark = pytest.mark.slow

SETTINGS = [*made.FAST, "query.control=0.5", "query.strategy=entropy"]


def go_on(project, limit):
    """Another round, labelled, and a training on all of it."""
    asked = session.next_round(project, limit=limit)
    label_from_reference(project, [pick.item for pick in asked.picks])
    session.train(project)
    return asked


@pytest.fixture(scope="module")
def worked(tmp_path_factory):
    """Three rounds of a project with a control arm, of which the last compares two pairs."""
    project = made.pictures(tmp_path_factory.mktemp("arms"))
    project.config = Config().with_settings(SETTINGS)
    go_on(project, 4)
    go_on(project, 2)
    project.config = Config().with_settings([*SETTINGS, "query.compare=2"])
    go_on(project, 4)
    return project


def test_the_arm_of_each_pick_is_stored(worked):
    rounds = open_project(worked.folder).rounds()
    assert [sum(pick.control for pick in each.picks) for each in rounds] == [2, 1, 2]
    assert [each.number for each in compared_rounds(worked)] == [1, 2]


def test_the_model_before_is_held_against_the_labels_that_came(worked):
    """By hand: the second model, predictions for the third round, Dice of the one class."""
    records = worked.trainings()
    assert "foreseen" in records[1]
    assert "foreseen" not in records[0]  # the first round was asked for before there was a model
    model = load_model(worked.folder / records[1]["path"], "cpu")
    picks = {pick.item: pick.control for pick in worked.rounds()[2].picks}
    items = [item for item in worked.pool.items if item.id in picks]
    expected = []
    for item, pred in zip(items, predict(model, worked.cache, items), strict=True):
        score = float(dice(pred, worked.label(item.id).mask, 2)[1])
        arm = "control" if picks[item.id] else "strategy"
        if not np.isnan(score):
            expected.append({"item": item.id, "arm": arm, "dice": round(score, 4)})
    assert records[2]["foreseen"] == expected
    assert expected


def test_nothing_that_the_model_learnt_counts_as_foreseen(worked):
    model = session.newest_model(worked)
    assert foreseen(worked, model, worked.labelled.tolist()) == []
    assert len(foreseen(worked, model, [])) >= 3


def test_pairs_of_models_learn_as_much_of_each_arm(worked):
    taught = worked.trainings()[-1]["arms"]["taught"]
    assert (taught["shared"], taught["labels"], taught["pairs"]) == (4, 3, 2)
    found = taught["difference"]
    assert found["mean"] == pytest.approx(taught["strategy"] - taught["control"])
    assert found["low"] <= found["mean"] <= found["high"]
    assert worked.trainings()[1]["arms"]["taught"] is None  # nobody asked


def test_info_says_what_was_found(worked):
    done = CliRunner().invoke(app, ["info", str(worked.folder)])
    assert "control before they were labelled, the model had Dice" in done.stdout
    assert "3 labels of the strategy taught Dice" in done.stdout
    told_ = json.loads(CliRunner().invoke(app, ["info", str(worked.folder), "--json"]).stdout)
    assert told_["control"]["foreseen"]["control"]["items"] >= 1


def test_an_interval_needs_two_items_and_both_arms():
    one = [{"item": "a", "arm": "strategy", "dice": 0.5}]
    assert told(one) is None
    both = [*one, {"item": "b", "arm": "control", "dice": 0.7}]
    assert told(both)["control"] == {"items": 1, "mean": 0.7, "low": None, "high": None}
    more = told([*both, {"item": "c", "arm": "control", "dice": 0.71}])["control"]
    assert more["mean"] == pytest.approx(0.705)
    assert more["high"] - more["mean"] == pytest.approx(12.706 * 0.005, rel=1e-3)
    wide = told([*both, {"item": "c", "arm": "control", "dice": 0.9}])["control"]
    assert (wide["low"], wide["high"]) == (0.0, 1.0)


def test_without_a_control_arm_nothing_is_compared(tmp_path):
    project = made.pictures(tmp_path)
    project.config = Config().with_settings([*made.FAST, "query.compare=2"])
    for _ in range(2):
        go_on(project, 2)
    assert not any("arms" in record for record in project.trainings())
    assert project.summary()["control"] is None
