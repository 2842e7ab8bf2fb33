import numpy as np
import pytest

from fewmasks.query.strategies.foreground_random import foreground_random
from fewmasks.query.strategies.predicted_foreground_random import (
    MIN_SHARE,
    predicted_foreground_random,
)


def first_picks(draws=6000):
    """Rows 0-7 hold nothing but background, row 8 class 1, row 9 class 2."""
    true_classes = np.zeros((10, 3), dtype=bool)
    true_classes[:, 0] = True
    true_classes[8, 1] = true_classes[9, 2] = True
    rng = np.random.default_rng(0)
    ask = (np.arange(10), true_classes, np.array([1, 2]), 1, rng)
    return np.array([foreground_random(*ask)[0] for _ in range(draws)])


@pytest.mark.slow
def test_two_in_three_draws_go_to_a_class_drawn_first():
    share = np.bincount(first_picks(), minlength=10) / 6000
    assert share[8] == pytest.approx(1 / 3 + 1 / 30, abs=0.02)
    assert share[9] == pytest.approx(1 / 3 + 1 / 30, abs=0.02)
    assert share[:8] == pytest.approx(np.full(8, 1 / 30), abs=0.01)


def test_a_class_that_ran_out_is_not_drawn():
    true_classes = np.zeros((10, 3), dtype=bool)
    true_classes[:4, 1] = True
    picks = foreground_random(
        np.arange(10), true_classes, np.array([1, 2]), 10, np.random.default_rng(0)
    )
    assert sorted(picks.tolist()) == list(range(10))


def test_predictions_count_above_a_small_share():
    class_share = np.array([[1.0, 0.0], [1 - 2 * MIN_SHARE, 2 * MIN_SHARE], [1.0, MIN_SHARE / 2]])
    rng = np.random.default_rng(0)
    ask = (np.arange(3), class_share, np.array([1]), 1, rng)
    first = np.array([predicted_foreground_random(*ask)[0] for _ in range(3000)])
    assert (first == 1).mean() == pytest.approx(2 / 3 + 1 / 9, abs=0.03)
