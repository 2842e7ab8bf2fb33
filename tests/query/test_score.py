import numpy as np
import pytest
from scipy.stats import entropy as scipy_entropy

from fewmasks.query import score


def pixels(*members):
    """Probabilities of one row of pixels: for each member a list of class vectors."""
    return np.moveaxis(np.array(members, dtype=np.float64), -1, 1)[:, :, None, :]


def test_variance_of_four_models_on_two_pixels():
    foreground = np.array([[0.9, 0.5], [0.1, 0.5], [0.9, 0.5], [0.1, 0.5]])
    probs = np.stack([1 - foreground, foreground], axis=1)[:, :, None, :]
    assert score.variance(probs) == pytest.approx(2 * 0.08)  # summed over the two classes
    assert score.variance(probs[:, :1]) == pytest.approx(0.08)


def test_bald_of_two_members():
    probs = pixels([[0.5, 0.5]], [[1.0, 0.0]])
    assert score.entropy(probs) == pytest.approx(0.562335, abs=1e-6)
    assert score.bald(probs) == pytest.approx(0.215762, abs=1e-6)


def test_bald_is_at_most_the_logarithm_of_the_number_of_classes():
    assert score.bald(np.eye(3)[:, :, None, None]) == pytest.approx(np.log(3))


def test_margin_and_least_confidence_by_hand():
    probs = pixels([[0.7, 0.2, 0.1], [0.4, 0.4, 0.2]])
    assert score.margin(probs) == pytest.approx((0.5 + 1.0) / 2)
    assert score.least_confidence(probs) == pytest.approx((0.3 + 0.6) / 2)


def test_variation_ratio_counts_outvoted_members():
    probs = pixels([[0.9, 0.1]], [[0.6, 0.4]], [[0.2, 0.8]])
    assert score.variation_ratio(probs) == pytest.approx(1 / 3)


def test_a_member_torn_between_classes_splits_its_vote():
    assert score.variation_ratio(pixels([[0.5, 0.5]])) == pytest.approx(0.5)


def test_entropy_equals_scipy():
    probs = np.moveaxis(np.random.default_rng(0).dirichlet(np.ones(5), size=(3, 6, 4)), -1, 1)
    assert score.entropy(probs) == pytest.approx(scipy_entropy(probs.mean(axis=0), axis=0).mean())


def test_class_entropy_splits_the_entropy_over_classes():
    probs = np.moveaxis(np.random.default_rng(0).dirichlet(np.ones(3), size=(2, 6, 4)), -1, 1)
    mean = probs.mean(axis=0)
    expected = (mean * scipy_entropy(mean, axis=0)).mean(axis=(1, 2))
    assert score.class_entropy(probs) == pytest.approx(expected)
    assert score.class_entropy(probs).sum() == pytest.approx(score.entropy(probs))


def test_class_share_counts_pixels():
    probs = pixels([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.5, 0.5]])
    assert score.class_share(probs).tolist() == [2.5 / 4, 1.5 / 4]


def test_without_a_valid_pixel_every_class_is_unknown():
    probs = pixels([[0.9, 0.1]])
    assert np.isnan(score.class_entropy(probs, np.zeros((1, 1), dtype=bool))).tolist() == [1, 1]
