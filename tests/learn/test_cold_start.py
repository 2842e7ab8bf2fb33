"""Choosing without a trained model: by a start, by thumbnails, by an example."""

from collections import Counter

import numpy as np
import pytest
from tests.makers import write_picture, write_table
from tests.study import made

from fewmasks.config import Config
from fewmasks.errors import ConfigError, ProjectError
from fewmasks.interop.labels import label_from_reference
from fewmasks.learn import session
from fewmasks.learn.cold_start import points_of, points_without_model, pretrained
from fewmasks.learn.model import build
from fewmasks.learn.starts import Origin, start_path, write_start
from fewmasks.learn.train import prepare
from fewmasks.project import Import, create
from fewmasks.query.strategies import STRATEGIES
from fewmasks.study import unit as unit_module
from fewmasks.study.run import simulate

pytestmark = pytest.mark.slow


@pytest.fixture
def fresh(tmp_path):
    """Ten training pictures of five groups, two test pictures."""
    return made.fast(made.pictures(tmp_path))


def give_start(project, method="byol", network="unet"):
    """A start as pre-training would leave it; its weights are drawn."""
    learn = project.config.learn.model_copy(update={"network": network})
    card = prepare(project.cache, project.pool.items, project.classes, learn)
    path = start_path(project.folder, method)
    write_start(path, build(card, 1), Origin(network, 1, "encoder", method, 0, 1))
    return path


def groups_of(project, asked):
    group = {item.id: item.group[0] for item in project.pool.items}
    return Counter(group[pick.item] for pick in asked.picks)


# The first round


def test_a_pre_trained_project_opens_with_typical_items_of_every_group(fresh):
    give_start(fresh)
    said = []
    asked = session.next_round(fresh, limit=5, say=said.append)
    assert said == [
        "no labels yet, and clasp-pe needs a trained model: this first round is of typical items "
        "by what byol has learnt, spread evenly over groups"
    ]
    assert asked.strategy == "typiclust-by-group"
    assert groups_of(fresh, asked) == {f"g{k}": 1 for k in range(5)}
    assert fresh.rounds() == [asked]


@pytest.mark.parametrize("limit", [1, 3, 7, 10])
def test_no_group_gives_more_than_its_share(limit, fresh):
    give_start(fresh)
    asked = session.next_round(fresh, limit=limit)
    assert len(asked.picks) == limit
    assert max(groups_of(fresh, asked).values()) <= -(-limit // 5)


def test_a_start_for_another_network_is_not_there(fresh):
    give_start(fresh, network="resnet18")
    said = []
    assert session.next_round(fresh, limit=2, say=said.append).strategy == "random"
    assert "this first round is random; after `fewmasks pretrain" in said[0]


def test_of_several_starts_that_of_the_settings_is_taken(fresh):
    assert pretrained(fresh) is None
    give_start(fresh, "cluster")
    assert pretrained(fresh) == "cluster"
    give_start(fresh, "byol")
    assert pretrained(fresh) == "byol"
    made.fast(fresh, "pretrain.method=cluster")
    assert pretrained(fresh) == "cluster"
    made.fast(fresh, "query.embedding=imagenet")
    assert pretrained(fresh) == "imagenet"


# A strategy whose only evidence is the embedding of a start


@pytest.mark.parametrize("embedding", ["thumbnail", "byol"])
@pytest.mark.parametrize("name", ["coreset", "typiclust", "ipm", "cluster-stratified"])
def test_a_strategy_of_embeddings_opens_a_project(name, embedding, fresh):
    give_start(fresh)
    said = []
    made.fast(fresh, f"query.embedding={embedding}")
    asked = session.next_round(fresh, name, 3, say=said.append)
    assert (asked.strategy, len(asked.picks), said) == (name, 3, [])


def test_it_needs_no_training_later_either(fresh):
    label_from_reference(fresh, ["p00"])
    made.fast(fresh, "query.embedding=thumbnail")
    asked = session.next_round(fresh, "coreset", 2)
    assert "most like p00 of the labelled" in asked.picks[0].reason


def test_what_needs_the_model_too_still_asks_for_it(fresh):
    label_from_reference(fresh, ["p00"])
    made.fast(fresh, "query.embedding=thumbnail")
    with pytest.raises(ProjectError, match="suggestive needs a trained model; run"):
        session.next_round(fresh, "suggestive", 2)


@pytest.mark.parametrize(
    ("name", "embedding", "needed"),
    [
        ("coreset", "model", True),
        ("coreset", "byol", False),
        ("suggestive", "byol", True),
        ("random", "model", False),
        ("core-gcn", "thumbnail", True),
    ],
)
def test_who_needs_a_model(name, embedding, needed):
    assert session.needs_model(STRATEGIES[name], embedding) is needed


def test_a_model_and_a_start_serve_one_strategy(fresh):
    """Uncertainty from the model, the embedding from the start, of the training side alone."""
    label_from_reference(fresh, ["p00", "p01", "p02"])
    session.train(fresh)
    state, model = session.state_of(fresh), session.newest_model(fresh)
    made.fast(fresh, "query.embedding=thumbnail")
    given = points_without_model(fresh, fresh.config, STRATEGIES["suggestive"], session.silent)
    assert set(given) == {"embedding"}
    found = session.collect(fresh, state, STRATEGIES["suggestive"], model, given=given)
    assert found["embedding"] is given["embedding"]
    assert found["embedding"].shape == (12, 256)
    there = np.isfinite(found["embedding"]).all(axis=1)
    assert np.flatnonzero(there).tolist() == fresh.train.tolist()
    assert np.isfinite(found["uncertainty"][state.unlabelled]).all()
    assert len(session.next_round(fresh, "suggestive", 2).picks) == 2


def test_an_embedding_that_is_none_is_refused(fresh):
    made.fast(fresh, "query.embedding=byool")
    with pytest.raises(ConfigError, match=r"query\.embedding: byool is neither a file nor one of"):
        session.next_round(fresh, "coreset", 2)


def test_a_simulation_with_an_embedding_of_its_own_runs_without_the_models_one(
    fresh, tmp_path, monkeypatch
):
    """The strategy asks for nothing else, so no model is ever asked."""

    def refuse(*given, **more):
        raise AssertionError("a model was asked")

    monkeypatch.setattr(unit_module, "collect", refuse)
    config = Config().with_settings([*made.FAST, "query.embedding=thumbnail"])
    plan = made.plan_of("coreset", config=config)
    curve = simulate(fresh, plan, tmp_path / "out", execute=_here)
    assert curve["items"].tolist() == [2, 4, 6]
    assert 'id="pool"' in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def _here(work, stages, workers, threads, report):
    """Every unit in this process."""
    del workers, threads
    for stage in stages:
        for one in stage:
            yield work(one, report)


# An example


@pytest.fixture
def kinds(tmp_path):
    """Bright and dark pictures by turns; p8 and p9 are the test side."""
    rows = []
    for number in range(10):
        level = 40 + 150 * (number % 2) + number**2 // 2
        pixels = np.full((32, 32), level, np.uint8)
        pixels[0, 0] = 255
        write_picture(tmp_path / "images" / f"p{number}.png", pixels)
        write_picture(tmp_path / "masks" / f"p{number}.png", (pixels > 150).astype(np.uint8))
        side = "test" if number >= 8 else "train"
        files = {part[:-1]: f"{part}/p{number}.png" for part in ("images", "masks")}
        rows.append({"id": f"p{number}", **files, "group": f"g{number}", "split": side})
    table = write_table(tmp_path / "meta.csv", rows)
    return made.fast(create(tmp_path / "project", Import(table=table, classes=made.CLASSES)))


def test_what_looks_like_it_comes_first(kinds):
    said = []
    asked = session.next_like(kinds, "p3", 3, say=said.append)
    assert [pick.item for pick in asked.picks] == ["p1", "p5", "p7"]
    assert {pick.reason for pick in asked.picks} == {"looks like p3"}
    assert said == ["alike is judged by thumbnails"]
    assert (asked.strategy, kinds.rounds()) == ("like", [asked])


def test_only_unlabelled_training_items_are_asked_for(kinds):
    label_from_reference(kinds, ["p1", "p2"])
    kinds.skip(["p5"], "spoilt")
    asked = session.next_like(kinds, "p1")
    assert sorted(pick.item for pick in asked.picks) == ["p0", "p3", "p4", "p6", "p7"]


def test_a_start_judges_where_there_is_one(kinds):
    give_start(kinds)
    said = []
    session.next_like(kinds, "p3", 2, say=said.append)
    assert said == ["alike is judged by what byol has learnt"]


def test_volumes_take_turns(tmp_path):
    project = made.fast(made.volumes(tmp_path))
    first = project.pool.at(project.train)[0]
    asked = session.next_like(project, first.id, 8)
    source = {item.id: item.source for item in project.pool.items}
    sources = [source[pick.item] for pick in asked.picks]
    assert len(set(sources[:2])) == 2
    assert first.source not in sources[:2]
    assert len(sources) == 8


@pytest.mark.parametrize(
    ("item", "words"),
    [("p99", "no item is called 'p99'"), ("p8", "--like: p8 is a test item, by which nothing")],
)
def test_what_cannot_be_an_example_is_refused(item, words, kinds):
    with pytest.raises(ConfigError, match=words):
        session.next_like(kinds, item)
    assert kinds.rounds() == []


def test_the_last_item_left_has_no_neighbour(kinds):
    label_from_reference(kinds, [f"p{n}" for n in range(7)])
    with pytest.raises(ProjectError, match="p7 is the last one left; nothing to ask"):
        session.next_like(kinds, "p7")


def test_an_open_round_comes_first(kinds):
    session.next_like(kinds, "p3", 1)
    with pytest.raises(ProjectError, match="1 items of the last round are still open"):
        session.next_like(kinds, "p3", 1)


def test_points_are_looked_up_again_without_looking(fresh):
    seen = []
    points_of(fresh, fresh.config, "thumbnail", fresh.train, lambda *what: seen.append(what))
    assert seen == [("looking at the pool", 8, 10), ("looking at the pool", 10, 10)]
    points_of(fresh, fresh.config, "thumbnail", fresh.train, lambda *what: seen.append(what))
    assert len(seen) == 2
