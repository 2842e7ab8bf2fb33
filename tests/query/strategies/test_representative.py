"""Strategies that look at the embedding."""

import numpy as np
import pytest

from fewmasks.query.strategies.cluster_stratified import cluster_stratified
from fewmasks.query.strategies.core_then_uncertain import core_then_uncertain
from fewmasks.query.strategies.coreset import coreset
from fewmasks.query.strategies.ipm import ipm
from fewmasks.query.strategies.ipm_uncertainty import ipm_uncertainty
from fewmasks.query.strategies.prob_k_center import prob_k_center
from fewmasks.query.strategies.probcover import probcover
from fewmasks.query.strategies.typiclust import typiclust

NONE = np.array([], dtype=np.int64)


def blobs(*sizes):
    rng = np.random.default_rng(0)
    blob = np.repeat(np.arange(len(sizes)), sizes)
    return 5 * np.eye(len(sizes), 4)[blob] + 0.2 * rng.normal(size=(len(blob), 4)), blob


def test_coreset_takes_what_is_unlike_any_label():
    line = np.array([[0.0], [1.0], [5.0], [6.0], [10.0]])
    assert coreset(np.arange(1, 5), np.array([0]), line, 2).tolist() == [4, 2]


def test_prob_k_center_prefers_what_is_far_but_not_always():
    """Row 2 is nine times as far as row 1; chances are as exp(10) to exp(10 / 9)."""
    line = np.array([[0.0], [1.0], [9.0], [8.5]])
    first = [
        prob_k_center(np.arange(1, 4), np.array([0]), line, 1, np.random.default_rng(s))[0]
        for s in range(600)
    ]
    share = np.bincount(first, minlength=4) / 600
    odds = np.exp(8.5 / 0.9) / (np.exp(8.5 / 0.9) + np.exp(10))
    assert share[3] == pytest.approx(odds, abs=0.06)
    assert share[1] < 0.01


def test_ipm_takes_one_item_of_each_direction_that_no_label_shows():
    embedding = np.array([[1.0, 0, 0], [3, 0, 0], [0, 2, 0], [0, 0, 1], [0, 5, 0]])
    assert set(ipm(np.array([1, 2, 3]), np.array([0]), embedding, 2).tolist()) == {2, 3}


def test_ipm_turns_to_uncertain_items_as_labels_add_up():
    rng = np.random.default_rng(0)
    embedding, uncertainty = rng.normal(size=(300, 6)), rng.random(300)
    early, late = (
        uncertainty[
            ipm_uncertainty(np.arange(n, 300), np.arange(n), embedding, uncertainty, n / 4, 4)
        ].mean()
        for n in (0, 200)
    )
    assert early < 0.85 < late


def test_core_then_uncertain_leaves_out_what_is_like_a_label():
    """Rows 0-4 crowd around the label, row 5 too but most uncertain; 6 to 9 stand apart."""
    embedding = np.array([[0.0], [0.01], [0.02], [0.03], [0.04], [0.005], [3], [5], [7], [9]])
    uncertainty = np.array([0, 0.1, 0.1, 0.1, 0.1, 0.9, 0.2, 0.6, 0.5, 0.3])
    picks = core_then_uncertain(np.arange(1, 10), np.array([0]), embedding, uncertainty, 2)
    assert picks.tolist() == [7, 8]


def test_core_then_uncertain_takes_near_items_when_nothing_else_is_left():
    embedding = np.array([[0.0], [0.1], [5.0]])
    picks = core_then_uncertain(
        np.array([1, 2]), np.array([0]), embedding, np.array([0, 0.9, 0.1]), 2
    )
    assert picks.tolist() == [2, 1]


def test_one_item_of_each_blob():
    embedding, blob = blobs(30, 40, 50)
    rng, rows = np.random.default_rng(0), np.arange(120)
    for picks in (
        coreset(rows, NONE, embedding, 3),
        typiclust(rows, NONE, embedding, 3, rng),
        probcover(rows, NONE, embedding, 3, rng),
    ):
        assert sorted(blob[picks].tolist()) == [0, 1, 2]


def test_labelled_blobs_wait():
    embedding, blob = blobs(30, 40, 50)
    rng, labelled = np.random.default_rng(0), np.array([80])
    rows = np.setdiff1d(np.arange(120), labelled)
    for picks in (
        coreset(rows, labelled, embedding, 2),
        typiclust(rows, labelled, embedding, 2, rng),
        probcover(rows, labelled, embedding, 2, rng),
    ):
        assert sorted(blob[picks].tolist()) == [0, 1]


def test_cluster_stratified_follows_the_sizes():
    embedding, blob = blobs(20, 40, 60)
    picks = cluster_stratified(np.arange(120), embedding, 6, np.random.default_rng(0))
    assert np.bincount(blob[picks]).tolist() == [1, 2, 3]
