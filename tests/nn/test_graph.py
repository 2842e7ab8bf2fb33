"""The graph equals its definition, and the network does not know the order of the items."""

import math

import numpy as np
import pytest
import torch

from fewmasks.nn import graph as module
from fewmasks.nn.graph import HIDDEN, GraphNetwork, labelled_loss, similarity_graph


def by_definition(points: np.ndarray, neighbours: int | None = None) -> np.ndarray:
    """Cosines without the diagonal, cut to neighbours of either end, over column sums, plus I."""
    unit = points / np.linalg.norm(points, axis=1, keepdims=True)
    n = len(unit)
    cosine = unit @ unit.T
    if neighbours is not None:
        kept = np.zeros((n, n), dtype=bool)
        for row in range(n):
            others = [other for other in range(n) if other != row]
            kept[row, sorted(others, key=lambda o: -cosine[row, o])[:neighbours]] = True
        cosine = np.where(kept | kept.T, cosine, 0)
    cosine = np.maximum(cosine, 0)
    np.fill_diagonal(cosine, 0)
    sums = cosine.sum(axis=0)
    return cosine / np.where(sums > 0, sums, 1) + np.eye(n)


def drawn(n: int, d: int = 6) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, d)).astype(np.float32)


def as_array(graph: torch.Tensor) -> np.ndarray:
    return (graph.to_dense() if graph.is_sparse else graph).numpy()


def test_a_small_pool_has_all_cosines():
    points = drawn(40)
    found = similarity_graph(torch.from_numpy(points))
    assert not found.is_sparse
    np.testing.assert_allclose(as_array(found), by_definition(points), atol=1e-5)


@pytest.mark.parametrize("tile", [1, 100, 1 << 24])
def test_a_large_pool_has_its_nearest_neighbours(monkeypatch, tile):
    monkeypatch.setattr(module, "MOST_DENSE", 10)
    monkeypatch.setattr(module, "NEIGHBOURS", 4)
    monkeypatch.setattr(module, "TILE", tile)
    points = drawn(40)
    found = similarity_graph(torch.from_numpy(points))
    assert found.is_sparse
    np.testing.assert_allclose(as_array(found), by_definition(points, 4), atol=1e-5)


def test_no_graph_of_a_large_pool_is_dense():
    found = similarity_graph(torch.from_numpy(drawn(module.MOST_DENSE + 1)))
    assert found.is_sparse
    assert found._nnz() <= (2 * module.NEIGHBOURS + 1) * (module.MOST_DENSE + 1)


@pytest.mark.parametrize("most_dense", [1, 100])
@pytest.mark.parametrize("points", [np.zeros((5, 3)), np.ones((5, 3)), np.eye(5)])
def test_items_alike_and_items_unlike_all_others_are_finite(monkeypatch, most_dense, points):
    monkeypatch.setattr(module, "MOST_DENSE", most_dense)
    found = as_array(similarity_graph(torch.from_numpy(points.astype(np.float32))))
    assert np.isfinite(found).all()
    assert found.diagonal().tolist() == [1] * 5
    if not points.any() or points is np.eye(5):
        assert found.sum() == 5


def test_one_item_is_its_own_neighbour():
    assert as_array(similarity_graph(torch.ones(1, 3))).tolist() == [[1.0]]


def test_logits_are_those_of_two_graph_convolutions():
    torch.manual_seed(0)
    points = torch.from_numpy(drawn(12))
    graph, network = similarity_graph(points), GraphNetwork(6).eval()
    hidden = (graph @ (points @ network.first.weight.T) + network.first.bias).relu()
    logits = graph @ (hidden @ network.last.weight.T) + network.last.bias
    assert hidden.shape == (12, HIDDEN)
    torch.testing.assert_close(network.hidden(graph @ points), hidden, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(network(graph, graph @ points), logits[:, 0], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_another_order_of_items_gives_that_order_of_logits(training):
    torch.manual_seed(0)
    points, order = torch.from_numpy(drawn(12)), torch.randperm(12)
    network = GraphNetwork(6).train(training)
    found = []
    for some in (points, points[order]):
        graph = similarity_graph(some)
        torch.manual_seed(1)
        found.append(network(graph, graph @ some))
    torch.testing.assert_close(found[1], found[0][order], atol=1e-5, rtol=1e-5)


def test_the_loss_of_a_worked_example():
    """One labelled item believed 1/2, two others believed 1/2 and 3/4 to be labelled."""
    logits = torch.tensor([0.0, 0.0, math.log(3)])
    expected = math.log(2) + 1.2 * (math.log(2) + math.log(4)) / 2
    found = labelled_loss(logits, torch.tensor([True, False, False]))
    assert found.item() == pytest.approx(expected, abs=1e-6)
