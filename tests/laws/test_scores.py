"""What every uncertainty score must do."""

import numpy as np
import pytest

from fewmasks.query import score

DOUBT = (score.entropy, score.margin, score.least_confidence, score.variation_ratio)
"""Scores that see doubt, shared by all members or not."""
DISAGREEMENT = (score.variance, score.variation_ratio, score.bald)
"""Scores that see members contradict each other."""
SCORES = tuple(dict.fromkeys(DOUBT + DISAGREEMENT))

every = pytest.mark.parametrize("of", SCORES, ids=lambda of: of.__name__)
doubt = pytest.mark.parametrize("of", DOUBT, ids=lambda of: of.__name__)
disagreement = pytest.mark.parametrize("of", DISAGREEMENT, ids=lambda of: of.__name__)


def random_probs(m=4, c=4, seed=0):
    rng = np.random.default_rng(seed)
    return np.moveaxis(rng.dirichlet(np.full(c, 0.3), size=(m, 7, 9)), -1, 1)


def one_hot(m=4, c=4):
    """Members that agree on a class, another one at each pixel."""
    classes = np.arange(7 * 9).reshape(7, 9) % c
    return np.repeat((classes == np.arange(c)[:, None, None])[None], m, axis=0).astype(np.float64)


def opposed(c=4):
    """As many members as classes, each sure of its own."""
    return np.tile(np.eye(c)[:, :, None, None], (1, 1, 7, 9))


@every
def test_finite_and_not_negative(of):
    for probs in (random_probs(), one_hot(), opposed(), random_probs(m=1), random_probs(c=1)):
        value = of(probs)
        assert isinstance(value, float)
        assert np.isfinite(value)
        assert value >= 0


@every
def test_least_for_one_hot(of):
    assert of(one_hot()) == 0
    assert all(of(random_probs(seed=seed)) > 0 for seed in range(5))


@doubt
def test_greatest_for_uniform(of):
    uniform = np.full((4, 4, 7, 9), 0.25)
    assert all(of(random_probs(seed=seed)) < of(uniform) for seed in range(5))


@disagreement
def test_greatest_for_members_that_are_sure_of_different_classes(of):
    assert all(of(random_probs(seed=seed)) < of(opposed()) for seed in range(5))


@pytest.mark.parametrize("of", [score.variance, score.bald], ids=lambda of: of.__name__)
def test_equal_members_do_not_disagree(of):
    assert of(np.repeat(random_probs(m=1), 4, axis=0)) == pytest.approx(0, abs=1e-15)


@every
def test_order_of_classes_and_members_does_not_matter(of):
    probs = random_probs()
    probs[:, :, 0, 0] = 0.25  # ties, where an argmax would prefer the first class
    order = np.array([2, 0, 3, 1])
    assert of(probs[:, order]) == pytest.approx(of(probs), rel=1e-12)
    assert of(probs[order]) == pytest.approx(of(probs), rel=1e-12)


@every
def test_only_valid_pixels_count(of):
    probs = random_probs()
    valid = np.zeros((7, 9), dtype=bool)
    valid[2:5, 3:6] = True
    holed = np.where(valid, probs, np.nan)
    assert of(holed, valid) == pytest.approx(of(probs[:, :, 2:5, 3:6]), rel=1e-12)


@every
def test_nan_is_passed_on_for_the_strategy_to_refuse(of):
    probs = random_probs()
    assert np.isnan(of(probs, np.zeros((7, 9), dtype=bool)))
    probs[0, 0, 0, 0] = np.nan
    assert np.isnan(of(probs))


@every
def test_chunks_make_no_difference(of, monkeypatch):
    probs = random_probs()
    whole = of(probs)
    monkeypatch.setattr(score, "CHUNK", 5)
    assert of(probs) == pytest.approx(whole, rel=1e-12)


@every
def test_half_precision_is_summed_in_double(of):
    probs = random_probs()
    assert of(probs.astype(np.float32)) == pytest.approx(of(probs), rel=1e-5)
