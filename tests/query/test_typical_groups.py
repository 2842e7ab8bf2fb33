"""Typical items of clusters, from no group more than its share while others have items."""

from collections import Counter

import numpy as np
import pytest

from fewmasks.query.clusters import typical
from fewmasks.query.typical_groups import typical_by_group

NONE = np.array([], dtype=np.int64)


def blobs(sizes, seed=0):
    rng = np.random.default_rng(seed)
    blob = np.repeat(np.arange(len(sizes)), sizes)
    return 10 * np.eye(len(sizes), 6)[blob] + 0.3 * rng.normal(size=(len(blob), 6)), blob


def ask(points, group, k, labelled=NONE, seed=0):
    candidates = np.setdiff1d(np.arange(len(points)), labelled)
    rng = np.random.default_rng(seed)
    return typical_by_group(points, candidates, labelled, group, k, rng)


def test_one_of_each_cluster_and_one_of_each_group():
    points, blob = blobs([40, 40, 40])
    group = np.arange(120) % 3
    picks = ask(points, group, 3)
    assert sorted(blob[picks].tolist()) == [0, 1, 2]
    assert sorted(group[picks].tolist()) == [0, 1, 2]


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("k", [1, 5, 12, 20, 37])
def test_no_group_gives_more_than_its_share_while_another_has_none(k, seed):
    rng = np.random.default_rng(seed)
    points, group = rng.normal(size=(200, 4)), rng.integers(0, 12, 200)
    given = Counter(group[ask(points, group, k, seed=seed)].tolist())
    assert max(given.values()) <= -(-k // 12)
    assert k < 12 or len(given) == 12 or k % 12


def test_a_group_that_is_all_of_the_pool_is_plain_typiclust():
    points, _ = blobs([40, 30, 20])
    everyone = np.arange(90)
    plain = typical(points, everyone, NONE, 3, np.random.default_rng(0))
    assert ask(points, np.zeros(90, np.int64), 3).tolist() == plain.tolist()


def test_where_groups_run_out_the_others_give_more():
    points, _ = blobs([20, 20])
    group = np.array([0] * 37 + [1] * 2 + [2])
    picks = ask(points, group, 12)
    assert Counter(group[picks].tolist()) == {0: 9, 1: 2, 2: 1}


def test_labels_count_towards_the_share():
    points, _ = blobs([30, 30])
    group = np.arange(60) % 2
    labelled = np.array([0, 2, 4])  # all of group 0
    assert group[ask(points, group, 3, labelled)].tolist() == [1, 1, 1]


def test_the_most_typical_member_that_may_be_taken():
    points, _ = blobs([30])
    points[7] = points.mean(axis=0)
    assert ask(points, np.arange(30), 1).tolist() == [7]
