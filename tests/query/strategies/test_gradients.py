import numpy as np
import pytest

from fewmasks.query.strategies.alges_img import alges_img
from fewmasks.query.strategies.alges_seg import alges_seg
from fewmasks.query.strategies.badge import badge


@pytest.mark.parametrize("method", [alges_img, alges_seg])
def test_alges_finds_the_rare_kind_of_gradient(method):
    """Three of 60 items stir class 2; a round of six nearly always holds one of them."""
    rng = np.random.default_rng(0)
    gradient = 0.05 * rng.random((60, 3))
    gradient[[7, 30, 45], 2] = 1.0
    rounds = [set(method(np.arange(60), gradient, 6, rng).tolist()) for _ in range(20)]
    assert sum(bool(picks & {7, 30, 45}) for picks in rounds) >= 19


def test_badge_takes_the_largest_gradient_first_then_another_direction():
    error = np.array([[0.1, -0.1], [0.9, -0.9], [0.88, -0.88], [-0.5, 0.5], [0.0, 0.0]])
    feature = np.tile([1.0, 2.0], (5, 1))
    picks = badge(np.arange(5), error, feature, 2, np.random.default_rng(0))
    assert picks[0] == 1
    counts = np.bincount(
        [badge(np.arange(5), error, feature, 2, np.random.default_rng(s))[1] for s in range(200)],
        minlength=5,
    )
    assert counts.argmax() == 3
    assert counts[1] == 0
    assert counts[2] < 5


def test_badge_skips_labelled_rows():
    rng = np.random.default_rng(0)
    error, feature = rng.normal(size=(20, 3)), rng.normal(size=(20, 4))
    error[0] *= 100
    assert 0 not in badge(np.arange(1, 20), error, feature, 10, rng)
