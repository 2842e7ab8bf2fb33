import numpy as np
import pytest
from scipy.spatial.distance import cdist

from fewmasks.query import prob_cover as module
from fewmasks.query.prob_cover import prob_cover, pure_radius

NONE = np.array([], dtype=np.int64)
LINE = np.array([[0.0], [0.1], [0.2], [1.0], [1.1], [5.0]])


def by_definition(points, candidates, labelled, k, radius):
    """All balls, counted anew for every pick, until nothing is left to cover."""
    near = cdist(points, points) < radius
    covered = near[labelled].any(axis=0)
    picks = []
    while len(picks) < k:
        count = (near & ~covered)[np.ix_(candidates, candidates)].sum(axis=1)
        if count.max() == 0:
            break
        picks.append(int(candidates[count.argmax()]))
        covered |= near[picks[-1]]
    return picks


def test_six_points_on_a_line():
    assert prob_cover(LINE, np.arange(6), NONE, 3, 0.15).tolist() == [1, 3, 5]


def test_what_is_near_a_label_is_covered():
    assert prob_cover(LINE, np.array([0, 2, 3, 4, 5]), np.array([1]), 2, 0.15).tolist() == [3, 5]


def test_once_all_is_covered_the_farthest_come_next():
    picks = prob_cover(LINE, np.arange(6), NONE, 6, 0.15)
    assert picks[:3].tolist() == [1, 3, 5]
    assert sorted(picks[3:].tolist()) == [0, 2, 4]


@pytest.mark.slow
@pytest.mark.parametrize("most_pairs", [10**9, 0], ids=["graph", "no graph"])
@pytest.mark.parametrize("seed", range(3))
def test_equals_the_definition(monkeypatch, most_pairs, seed):
    monkeypatch.setattr(module, "MOST_PAIRS", most_pairs)
    monkeypatch.setattr(module, "HEIGHT", 64)
    monkeypatch.setattr(module, "WIDTH", 48)
    monkeypatch.setattr(module, "STRIP", 50)
    points = np.random.default_rng(seed).normal(size=(400, 3))
    labelled = np.array([3, 99])
    candidates = np.setdiff1d(np.arange(400), labelled)
    slow = by_definition(points, candidates, labelled, 40, 0.6)
    picks = prob_cover(points, candidates, labelled, 40, 0.6)
    assert picks[: len(slow)].tolist() == slow
    assert len(slow) > 25


def test_a_ball_of_no_radius_holds_its_own_item():
    assert prob_cover(LINE, np.arange(6), NONE, 2, 0.0).tolist() == [0, 1]


def test_95_percent_of_the_balls_of_the_pure_radius_stay_in_their_cluster():
    rng = np.random.default_rng(0)
    blob = np.repeat(np.arange(4), 50)
    points = 10 * np.eye(4)[blob] + 0.2 * rng.normal(size=(200, 4))
    radius = pure_radius(points, np.arange(200), 4, rng)
    near = cdist(points, points) < radius
    pure = (near @ (blob[:, None] == np.arange(4)) > 0).sum(axis=1) == 1
    assert 0.95 <= pure.mean() < 0.96


def test_one_cluster_has_no_radius():
    assert pure_radius(np.ones((20, 2)), np.arange(20), 3, np.random.default_rng(0)) == np.inf


def low_rank(kind):
    """Points near a subspace, as encoders give them: sketches decide almost every pair."""
    rng = np.random.default_rng(0)
    if kind == "whole numbers":  # balls of many radii end exactly at items
        return (rng.integers(0, 3, size=(500, 6)) @ np.eye(6, 80)).astype(np.float32)
    points = rng.normal(size=(500, 8)) @ rng.normal(size=(8, 80)) + rng.normal(size=(500, 80)) / 9
    if kind == "outlier":
        points[7] *= 1e4
    return (points + 1000 * (kind == "far from the origin")).astype(np.float32)


@pytest.mark.parametrize("most_pairs", [10**9, 0], ids=["graph", "no graph"])
@pytest.mark.parametrize("kind", ["low rank", "outlier", "far from the origin", "whole numbers"])
def test_sketches_and_rounding_leave_the_definition_alone(monkeypatch, kind, most_pairs):
    monkeypatch.setattr(module, "MOST_PAIRS", most_pairs)
    monkeypatch.setattr(module, "MOST_UNDECIDED", 0.2)
    points, rows = low_rank(kind), np.arange(500)
    radius = 2**0.5 if kind == "whole numbers" else np.quantile(cdist(points, points), 0.05)
    slow = by_definition(points, rows, NONE, 30, radius)
    assert prob_cover(points, rows, NONE, 30, radius)[: len(slow)].tolist() == slow
    assert module._balls(points, rows, radius).short(rows[:1]).shape[1] == 32 + 2


def test_coordinates_that_no_sketch_holds_are_all_read():
    points = np.random.default_rng(0).normal(size=(500, 80))
    radius = float(np.quantile(cdist(points, points), 0.05))
    assert module._balls(points, np.arange(500), radius).short(np.arange(1)).shape[1] == 80 + 2
    slow = by_definition(points, np.arange(500), NONE, 30, radius)
    assert prob_cover(points, np.arange(500), NONE, 30, radius)[: len(slow)].tolist() == slow


def test_nothing_to_pick():
    assert prob_cover(LINE, NONE, NONE, 3, 0.15).tolist() == []
    assert prob_cover(LINE, np.arange(6), NONE, 0, 0.15).tolist() == []


@pytest.mark.parametrize("side", [1 - 1e-12, 1 + 1e-12], ids=["outside", "inside"])
def test_pairs_at_the_radius_are_decided_in_double_precision(side):
    points = np.random.default_rng(0).normal(size=(60, 80)).astype(np.float32)
    exact = cdist(points.astype(np.float64), points.astype(np.float64))
    for other in range(1, 60):
        radius = float(exact[0, other] * side)
        near = module._near(module._balls(points, np.arange(60), radius), np.array([0]))
        assert sorted(near.tolist()) == np.flatnonzero(exact[0] < radius).tolist()
