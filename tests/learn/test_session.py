"""A person's work: rounds that resume, trainings that are kept, predictions in place."""

import json
import re

import numpy as np
import pytest
from tests.study import made

from fewmasks.errors import ConfigError, ProjectError
from fewmasks.interop.labels import label_from_reference
from fewmasks.learn import session, vaal
from fewmasks.learn.budget import round_within
from fewmasks.learn.costs import answering, expected_outlines, pace_of, usual_kind
from fewmasks.learn.data import measure_intensity
from fewmasks.learn.evidence import OFFERED
from fewmasks.learn.predict import predict, probabilities
from fewmasks.learn.settling import Settling, sample, settling
from fewmasks.learn.train import prepare, prepare_project
from fewmasks.loop.cost import outline, seconds_of
from fewmasks.loop.rounds import STANDING
from fewmasks.project import Import, create, open_project
from fewmasks.query.strategies import load_strategies
from fewmasks.types import Label, Pick, Round

pytestmark = pytest.mark.slow

STRATEGIES = load_strategies()


@pytest.fixture
def fresh(tmp_path):
    return made.fast(made.pictures(tmp_path))


@pytest.fixture
def without_references(tmp_path):
    """Twelve pictures nobody labelled, drawn into two sides."""
    made.write_pictures(tmp_path / "study")
    given = Import(images=(tmp_path / "study" / "images",), classes=made.CLASSES)
    return made.fast(create(tmp_path / "project", given))


def answer(project, asked):
    """The truth for everything that was asked, audits included."""
    labels = [
        Label(pick.item, "mask", made.blob(int(pick.item[1:]))[1], 60.0, "ann")
        for pick in asked.picks
    ]
    project.add_labels(labels, round=asked.number)


# Training


def test_nothing_but_the_size_of_a_test_picture_reaches_a_model(fresh):
    card = prepare_project(fresh, fresh.config.learn)
    train, every = fresh.pool.at(fresh.train), fresh.pool.items
    assert card.intensity == measure_intensity(fresh.cache, train, "auto")
    assert card.intensity != measure_intensity(fresh.cache, every, "auto")
    assert card.frame == prepare(fresh.cache, every, fresh.classes, fresh.config.learn).frame


def test_labels_that_come_while_it_trains_are_not_on_its_account(fresh):
    ids = fresh.pool.ids(fresh.train)
    mask = np.ones(fresh.shape(fresh.pool.items[0]), np.uint8)
    fresh.add_labels([Label(ids[0], "mask", mask, 60.0, "ann")])
    began = fresh.summary()["minutes"]
    fresh.add_labels([Label(ids[1], "mask", mask, 240.0, "ann")])
    fresh.add_training({"labels": 1, "minutes": began})
    fresh.add_training({"labels": 2})  # of an older version
    assert [seconds for _, seconds in fresh.history()] == [60.0, 300.0]


def test_training_needs_labels(fresh):
    with pytest.raises(ProjectError, match=r"no labels yet; run `fewmasks next"):
        session.train(fresh)


def test_a_training_is_kept_with_its_score(trained):
    (record,) = trained.trainings()
    assert record["labels"] == 6
    assert record["iterations"] == 5
    assert 0 <= record["scores"]["dice"] <= 1
    assert (trained.folder / record["path"]).is_file()
    assert session.newest_model(trained).card.n_labels == 6
    assert trained.summary()["scores"] == record["scores"]


def test_training_again_says_the_same_and_keeps_both(trained):
    first = trained.trainings()[0]["scores"]
    assert session.train(trained).dice == first["dice"]
    assert len({record["path"] for record in trained.trainings()}) == 2


def test_a_training_notes_what_it_says_of_stopping(trained):
    (first,) = trained.trainings()
    assert (first["minutes"], first["agreement"]) == (6.0, None)
    assert 0 <= first["uncertainty"] <= 1
    assert "no forecast yet" in trained.summary()["stop"]["sentence"]
    measured(trained, ["p07", "p08"], 60.0)
    session.train(trained)
    second = trained.trainings()[1]
    assert second["minutes"] == 8.0
    assert 0 <= second["agreement"] <= 1
    stop = trained.summary()["stop"]
    assert stop == json.loads(json.dumps(second["stop"]))
    assert 0 <= stop["forecast"]["low"] <= stop["forecast"]["gain"] <= stop["forecast"]["high"]
    assert stop["uncertainty_before"] == first["uncertainty"]


def test_another_recipe_is_another_curve(trained):
    measured(trained, ["p07", "p08"], 60.0)
    session.train(made.fast(trained, "learn.iterations=6"))
    second = trained.trainings()[1]
    assert second["agreement"] is None
    assert second["stop"]["forecast"] is None


def test_a_model_agrees_with_itself_and_the_sample_is_unlabelled(trained):
    items = sample(trained, 3)
    labelled = trained.pool.ids(trained.labelled)
    assert not {item.id for item in items} & set(labelled)
    assert items == sample(trained, 64)[:3]
    model = session.newest_model(trained)
    seen = settling(model, model, trained, items, lambda done, of: None)
    found = list(probabilities(model, trained.cache, items))
    slowly = np.concatenate([entropy_of(probs) for probs in found])
    assert seen.agreement in (1.0, None)
    assert seen.uncertainty == pytest.approx(slowly.mean(), rel=1e-5)
    borders = [outline(probs.argmax(axis=0).astype(np.uint8), [0]).border for probs in found]
    assert seen.outline.border == pytest.approx(np.mean(borders))
    nothing = settling(model, None, trained, [], lambda done, of: None)
    assert nothing == Settling(None, None, None)


def entropy_of(probs):
    """Of two classes, as a share of the most there can be, pixel by pixel."""
    p = probs.astype(np.float64)
    return -(p * np.log2(p + 1e-300)).sum(axis=0).ravel()


def test_without_a_mask_on_the_test_side_there_is_no_score(without_references):
    item = without_references.pool.at(without_references.train)[0].id
    without_references.add_labels([Label(item, "mask", made.blob(0)[1], 1.0, "ann")])
    assert session.train(without_references) is None
    assert without_references.summary()["scores"] is None


# Choosing


def test_the_first_round_is_random_and_said_to_be(fresh):
    said = []
    asked = session.next_round(fresh, "entropy", limit=3, say=said.append)
    assert asked.strategy == "random"
    assert said == [
        f"no labels yet, and entropy needs a trained model: this first round is random; after "
        f"`fewmasks pretrain {fresh.folder}` it would be of typical items"
    ]
    assert [pick.item for pick in fresh.open_picks()] == [pick.item for pick in asked.picks]
    assert fresh.rounds() == [asked]
    assert asked.config["learn"]["size"] == 32


def test_a_round_without_a_strategy_is_that_of_the_settings(trained):
    made.fast(trained, "query.strategy=margin")
    assert session.next_round(trained, limit=2).strategy == "margin"


def test_the_default_round_is_of_twenty_or_what_is_left(trained):
    assert len(session.next_round(trained, "random").picks) == 4


def test_the_next_round_is_as_large_as_the_last_one(fresh):
    asked = session.next_round(fresh, "random", limit=3)
    answer(fresh, asked)
    again = session.next_round(fresh, "random")
    assert len(again.picks) == 3


def test_a_strategy_without_model_needs_none(fresh):
    said = []
    assert session.next_round(fresh, "strided", 2, say=said.append).strategy == "strided"
    assert said == []


def test_labels_without_a_model_ask_for_a_training(fresh):
    label_from_reference(fresh, ["p00"])
    with pytest.raises(ProjectError, match="entropy needs a trained model; run `fewmasks train"):
        session.next_round(fresh, "entropy", 2)


def test_a_model_that_lags_behind_is_mentioned(trained):
    label_from_reference(trained, ["p07"])
    said = []
    session.next_round(trained, "entropy", 2, say=said.append)
    assert said[0].startswith("the model knows 6 of 7 labels")


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [s.name for s in STRATEGIES.values() if set(s.needs) <= {*STANDING, *OFFERED, "uncertainty"}],
)
def test_every_strategy_chooses_for_people(name, trained, monkeypatch):
    monkeypatch.setattr(vaal, "STEPS", 3)
    asked = session.next_round(trained, name, limit=3)
    assert len(asked.picks) == 3
    assert all(pick.reason for pick in asked.picks)
    rows = trained.pool.rows(pick.item for pick in asked.picks)
    assert set(rows) <= set(trained.train) - set(trained.labelled)


@pytest.mark.parametrize(
    "name",
    [
        s.name
        for s in STRATEGIES.values()
        if not set(s.needs) <= {*STANDING, *OFFERED, "uncertainty"}
    ],
)
def test_a_strategy_that_cannot_be_served_is_refused(name, trained):
    with pytest.raises(ConfigError, match=f"--strategy: {name} (needs .* not compute|reads the)"):
        session.next_round(trained, name, limit=3)
    assert trained.rounds() == []


def test_what_a_strategy_gets_of_a_model_is_for_the_rows_it_may_read(trained):
    state, model = session.state_of(trained), session.newest_model(trained)
    found = session.collect(trained, state, STRATEGIES["entropy"], model)
    assert set(found) == {"entropy"}
    known = np.isfinite(found["entropy"])
    assert known.nonzero()[0].tolist() == state.unlabelled.tolist()
    found = session.collect(trained, state, STRATEGIES["suggestive"], model, uncertainty="bald")
    assert {"uncertainty", "embedding"} <= set(found)
    np.testing.assert_array_equal(found["uncertainty"], found["bald"])
    assert np.isfinite(found["embedding"][trained.train]).all()
    assert not np.isfinite(found["embedding"][trained.test]).any()


def test_a_resumed_project_asks_what_an_uninterrupted_one_asks(tmp_path):
    """One goes on in one piece, the other is opened anew for every step."""
    whole, broken = (made.fast(made.pictures(tmp_path / name)) for name in ("whole", "broken"))
    for number in range(3):
        asked = session.next_round(whole, "entropy" if number else "random", limit=2)
        answer(whole, asked)
        session.train(whole)

        again = made.fast(open_project(broken.folder))
        assert session.next_round(again, "entropy" if number else "random", limit=2) == asked
        answer(made.fast(open_project(broken.folder)), asked)
        session.train(made.fast(open_project(broken.folder)))
    assert open_project(broken.folder).rounds() == whole.rounds()


def test_an_open_round_comes_first(fresh):
    asked = session.next_round(fresh, "random", limit=2)
    with pytest.raises(ProjectError, match="2 items of the last round are still open"):
        session.next_round(fresh, "random", limit=2)
    fresh.skip([asked.picks[0].item], "blurred")
    answer(fresh, asked)
    assert session.next_round(fresh, "random", limit=2).number == 1


def test_when_nothing_is_left_it_is_said(fresh):
    label_from_reference(fresh)
    with pytest.raises(ProjectError, match="every training item is labelled or skipped"):
        session.next_round(fresh, "random")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"limit": 0}, r"--limit: must be at least 1 \(0\)"),
        ({"limit": -3}, r"--limit: must be at least 1 \(-3\)"),
        ({"limit": 2, "minutes": 5.0}, "both --limit and --minutes"),
        ({"minutes": 0.0}, "--minutes: 0 is no time"),
        ({"minutes": -1.0}, "--minutes: -1 is no time"),
        ({"minutes": float("nan")}, "--minutes: nan is no time"),
        ({"minutes": 0.5}, "--minutes: 0.5 hold no mask of 60 seconds"),
        ({"strategy": "guess"}, "--strategy: no strategy 'guess'"),
    ],
)
def test_a_round_that_cannot_be_is_refused(given, words, fresh):
    with pytest.raises(ConfigError, match=words):
        session.next_round(fresh, **({"strategy": "random"} | given))
    assert fresh.rounds() == []


def test_minutes_become_items(fresh):
    assert len(session.next_round(fresh, "random", minutes=4.5).picks) == 4


def measured(project, items, seconds, kind="mask", by="ann"):
    """Labels of these pictures whose time was measured."""
    project.add_labels([
        Label(item, kind, made.blob(int(item[1:]))[1], float(seconds), by) for item in items
    ])  # fmt: skip


def test_minutes_follow_what_labels_took(fresh):
    """Six masks of 6 s beside three that the settings expect at 60 s: 24 s for one to come."""
    measured(fresh, ["p00", "p01", "p02", "p03", "p04", "p06"], 6.0)
    said = []
    asked = session.next_round(fresh, "random", minutes=1.0, say=said.append)
    assert len(asked.picks) == 2
    assert re.fullmatch(
        r"expected: 0\.\d minutes \(95 % \d\.\d to \d\.\d\), by 6 measured masks", said[-1]
    )


def test_the_reference_and_files_measure_nothing(fresh):
    label_from_reference(fresh, ["p00", "p01"])
    measured(fresh, ["p02", "p03"], 0.0)
    assert pace_of(fresh, "mask").labels == 0
    assert len(session.next_round(fresh, "random", minutes=3.0).picks) == 3


def test_a_round_never_exceeds_its_time_by_what_the_model_sees(trained):
    measured(trained, ["p00", "p01", "p02", "p03", "p04", "p06"], 30.0)
    pace = answering(trained, pace_of(trained, "mask"))
    model = session.newest_model(trained)
    for minutes in (0.8, 1.2, 2.0):
        asked = round_within(
            trained, model, minutes, lambda n: ranked(trained, n), lambda line: None, session.silent
        )
        items = trained.pool.at(trained.pool.rows(pick.item for pick in asked.picks))
        seen = [outline(mask, [0]) for mask in predict(model, trained.cache, items)]
        drawn = expected_outlines(trained, pace, seen)
        assert sum(seconds_of(pace, each) for each in drawn) <= 60 * minutes


def ranked(project, count):
    ids = project.pool.ids(np.setdiff1d(project.train, project.labelled))[:count]
    return Round(1, "here", 0, tuple(Pick(item, "why") for item in ids))


def test_scribbles_are_expected_of_who_scribbles(fresh):
    measured(fresh, ["p00"], 45.0)
    assert usual_kind(fresh) == "mask"
    measured(fresh, ["p01"], 3.0, kind="scribble")
    assert usual_kind(fresh) == "scribble"
    mask, scribble = (seconds_of(pace_of(fresh, kind)) for kind in ("mask", "scribble"))
    assert 45 < mask < 60
    assert 3 < scribble < mask / 15 + 0.5


def test_everybody_has_a_pace_of_their_own(fresh):
    measured(fresh, ["p00", "p01", "p02"], 90.0, by="slow")
    measured(fresh, ["p03", "p04", "p06"], 10.0, by="quick")
    slow, quick, new = (
        seconds_of(pace_of(fresh, "mask", by)) for by in ("slow", "quick", "new here")
    )
    assert quick < new < slow
    assert new == seconds_of(pace_of(fresh, "mask"))


@pytest.mark.parametrize("size", [{"limit": 2}, {"minutes": 3.0}])
def test_where_a_scribble_has_a_worth_each_item_is_asked_for_as_one_kind(fresh, size):
    made.fast(fresh, "cost.scribble_worth=0.5", "cost.seconds_per_skip=0")
    asked = session.next_round(fresh, "random", **size)
    assert all(pick.reason.endswith("; draw a scribble, about 4 s") for pick in asked.picks)
    made.fast(fresh, "cost.scribble_worth=0.01")
    fresh.skip([pick.item for pick in asked.picks], "seen")
    if "limit" in size:
        asked = session.next_round(fresh, "random", **size)
        assert all("; draw a mask, about " in pick.reason for pick in asked.picks)


def test_audits_are_part_of_the_time(without_references):
    asked = session.next_round(without_references, "random", minutes=4.5)
    assert [pick.audit for pick in asked.picks] == [False, False, False, True]


def test_people_audit_the_test_side_where_it_has_no_masks(without_references):
    project = without_references
    test = set(project.pool.ids(project.test))
    for number in range(2):
        asked = session.next_round(project, "random", limit=3)
        audit = [pick.item for pick in asked.picks if pick.audit]
        assert len(audit) == 1
        assert set(audit) <= test
        assert not {pick.item for pick in asked.picks if not pick.audit} & test
        answer(project, asked)
        assert len(project.audited) == number + 1
    assert session.train(project) is not None
    assert project.trainings()[-1]["labels"] == 6
