"""The graph network's features belong to the rows they are given for, in any order."""

import numpy as np
import pytest
import torch

from fewmasks.learn.core_gcn import EPOCHS, graph_embedding
from fewmasks.nn import graph
from fewmasks.nn.graph import HIDDEN
from fewmasks.query.strategies.core_gcn import core_gcn

CPU = torch.device("cpu")


def blobs(n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Three kinds of items by turns; a third of the first kind is labelled, and nothing else."""
    rng = np.random.default_rng(0)
    kind = np.arange(n) % 3
    points = 3 * np.eye(3, 10)[kind] + 0.3 * np.abs(rng.normal(size=(n, 10)))
    return points.astype(np.float32), (kind == 0) & (np.arange(n) % 9 == 0)


def embed(points: np.ndarray, is_labelled: np.ndarray, seed: int = 0) -> np.ndarray:
    return graph_embedding(points, is_labelled, seed, CPU)


@pytest.fixture(params=["dense", "sparse"])
def kind_of_graph(request, monkeypatch):
    if request.param == "sparse":
        monkeypatch.setattr(graph, "MOST_DENSE", 10)


@pytest.mark.usefixtures("kind_of_graph")
def test_picks_come_from_the_kinds_that_no_label_shows():
    points, is_labelled = blobs()
    hidden = embed(points, is_labelled)
    assert hidden.shape == (60, HIDDEN)
    picks = core_gcn(np.flatnonzero(~is_labelled), np.flatnonzero(is_labelled), hidden, 2)
    assert sorted((picks % 3).tolist()) == [1, 2]


@pytest.mark.slow
@pytest.mark.usefixtures("kind_of_graph")
def test_labelled_items_come_apart_from_the_others():
    """Distances between sides, by distances within the labelled side, grow with training."""
    points, is_labelled = blobs()
    trained, untrained = embed(points, is_labelled), embed(points, np.zeros(60, dtype=bool))
    kind = np.arange(60) % 3

    def ratio(hidden: np.ndarray) -> float:
        means = [hidden[kind == k].mean(axis=0) for k in range(3)]
        apart = min(np.linalg.norm(means[0] - means[k]) for k in (1, 2))
        return apart / np.linalg.norm(means[1] - means[2])

    assert ratio(trained) > 1.3 * ratio(untrained)


@pytest.mark.slow
@pytest.mark.usefixtures("kind_of_graph")
def test_a_shuffled_pool_gives_the_same_features_and_picks():
    points, is_labelled = blobs()
    order = np.random.default_rng(1).permutation(60)
    straight, shuffled = embed(points, is_labelled), embed(points[order], is_labelled[order])
    np.testing.assert_allclose(shuffled, straight[order], atol=1e-3)
    picks = core_gcn(np.flatnonzero(~is_labelled), np.flatnonzero(is_labelled), straight, 6)
    known = is_labelled[order]
    others = core_gcn(np.flatnonzero(~known), np.flatnonzero(known), shuffled, 6)
    assert order[others].tolist() == picks.tolist()


@pytest.mark.slow
def test_the_seed_decides_and_the_callers_chance_is_left_alone():
    points, is_labelled = blobs()
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    once = embed(points, is_labelled)
    assert torch.equal(torch.rand(2), expected)
    assert np.array_equal(once, embed(points, is_labelled))
    assert not np.allclose(once, embed(points, is_labelled, seed=1))


@pytest.mark.parametrize("labelled", [True, False])
def test_where_all_are_on_one_side_there_is_nothing_to_learn(labelled):
    points, _ = blobs()
    heard = []
    hidden = graph_embedding(
        points, np.full(60, labelled), 0, CPU, lambda done, of: heard.append((done, of))
    )
    assert np.isfinite(hidden).all()
    assert heard == []


@pytest.mark.slow
@pytest.mark.parametrize("points", [np.zeros((6, 4)), np.ones((6, 4)), np.eye(6)])
def test_clones_and_strangers_are_finite(points):
    hidden = embed(points.astype(np.float32), np.arange(6) < 2)
    assert np.isfinite(hidden).all()


def test_the_report_ends_with_the_last_epoch():
    points, is_labelled = blobs()
    heard = []
    graph_embedding(points, is_labelled, 0, CPU, lambda done, of: heard.append((done, of)))
    assert heard[-1] == (EPOCHS, EPOCHS)
