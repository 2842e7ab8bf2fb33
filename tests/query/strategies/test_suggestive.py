import numpy as np
import pytest

from fewmasks.query.strategies.suggestive import suggestive
from fewmasks.query.strategies.suggestive_hard import fair_threshold, suggestive_hard


def on_a_circle(*degrees):
    angle = np.deg2rad(degrees)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def test_picks_the_middle_of_the_cluster_then_the_uncertain_one_far_away():
    """Rows 0-2 look alike; 3 and 4 are the same far away, but the model knows 4."""
    rows = suggestive(
        unlabelled=np.arange(5),
        uncertainty=np.array([0.7, 0.7, 0.7, 0.9, 0.1]),
        embedding=on_a_circle(-20, 0, 20, 180, 180),
        limit=2,
    )
    assert rows.tolist() == [1, 3]


def test_picks_come_from_the_most_uncertain():
    rng = np.random.default_rng(0)
    uncertainty = rng.random(100)
    rows = suggestive(np.arange(100), uncertainty, rng.normal(size=(100, 5)), 8)
    assert set(rows.tolist()) <= set(np.argsort(-uncertainty)[:16].tolist())


@pytest.mark.parametrize("method", [suggestive, suggestive_hard])
def test_of_copies_one_is_enough(method):
    embedding = on_a_circle(0, 0, 0, 90, 90, 90)
    rows = method(np.arange(6), np.array([0.9, 0.8, 0.7, 0.3, 0.2, 0.1]), embedding, 2)
    assert rows.tolist() == [0, 3]


def test_hard_cover_of_unlike_items_takes_the_most_uncertain():
    uncertainty = np.array([0.1, 0.4, 0.2, 0.3])
    assert suggestive_hard(np.arange(4), uncertainty, np.eye(4), 2).tolist() == [1, 3]


def test_at_the_fair_threshold_the_median_row_covers_its_share():
    similarity = np.random.default_rng(0).random((21, 100))
    covered = (similarity >= fair_threshold(similarity, 5)).sum(axis=1)
    assert np.median(covered) == 20
