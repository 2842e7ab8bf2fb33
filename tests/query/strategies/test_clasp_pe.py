import numpy as np
import pytest

from fewmasks.query.strategies.clasp_pe import clasp_pe, class_budgets


@pytest.mark.parametrize("n_classes", [0, 1, 2, 3, 7, 40])
def test_budgets_sum_to_the_limit_and_are_even(n_classes):
    for limit in range(60):
        budgets = class_budgets(limit, n_classes, np.random.default_rng(limit))
        assert budgets.sum() == limit
        assert (budgets >= 0).all()
        if n_classes:
            assert np.ptp(budgets[:-1]) <= 1
            assert budgets[:-1].sum() == round(0.66 * limit)


def test_the_remainder_goes_to_any_class():
    rng = np.random.default_rng(0)
    extra = [int(class_budgets(2, 3, rng)[:-1].argmax()) for _ in range(300)]
    assert (np.bincount(extra, minlength=3) > 50).all()


def test_late_rounds_take_the_best_of_each_class_and_of_the_global_map():
    """Progress 1 leaves noise of scale 0.01; the classes want different rows."""
    class_entropy = np.full((100, 3), 1e-3)
    class_entropy[10:12, 1] = class_entropy[20:22, 2] = 0.5
    entropy = np.full(100, 1e-3)
    entropy[30:32] = 0.9
    picks = clasp_pe(
        np.arange(100), class_entropy, entropy, np.array([1, 2]), 1.0, 6, np.random.default_rng(0)
    )
    assert sorted(picks.tolist()) == [10, 11, 20, 21, 30, 31]


def test_an_item_wanted_twice_is_picked_once():
    class_entropy = np.tile(np.linspace(0.01, 1, 50)[:, None], (1, 3))
    picks = clasp_pe(
        np.arange(50),
        class_entropy,
        class_entropy.sum(axis=1),
        np.array([1, 2]),
        1.0,
        10,
        np.random.default_rng(0),
    )
    assert len(set(picks.tolist())) == 10


def test_early_rounds_spread_and_late_rounds_are_greedy():
    score = np.linspace(0.1, 1, 200)
    class_entropy = np.stack([score] * 2, axis=1)

    def mean_rank(progress):
        rng = np.random.default_rng(0)
        ask = (np.arange(200), class_entropy, score, np.array([1]), progress, 20, rng)
        return clasp_pe(*ask).mean()

    assert mean_rank(0.0) < 160 < 185 < mean_rank(1.0)


def test_without_foreground_the_global_map_decides():
    entropy = np.linspace(0.001, 1, 30)
    nothing = np.array([], dtype=np.int64)
    picks = clasp_pe(
        np.arange(30), np.zeros((30, 2)), entropy, nothing, 1.0, 3, np.random.default_rng(0)
    )
    assert set(picks.tolist()) <= set(range(24, 30))
