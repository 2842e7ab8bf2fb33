import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.cluster import KMeans

from fewmasks.query import clusters as module
from fewmasks.query.clusters import k_means, proportional, stratified, typical

NONE = np.array([], dtype=np.int64)


def blobs(sizes, seed=0, spread=0.3):
    """Well separated clusters of these sizes, one after the other."""
    rng = np.random.default_rng(seed)
    centres = 10 * np.eye(len(sizes), 6)
    blob = np.repeat(np.arange(len(sizes)), sizes)
    return centres[blob] + spread * rng.normal(size=(len(blob), 6)), blob


def test_k_means_finds_separate_clusters():
    points, blob = blobs([30, 50, 20])
    cluster, _ = k_means(points, np.arange(100), 3, np.random.default_rng(0))
    pairs = set(zip(blob.tolist(), cluster.tolist(), strict=True))
    assert len(pairs) == 3


def test_k_means_is_about_as_good_as_scikit_learn():
    points = np.random.default_rng(0).normal(size=(3000, 8))
    ours = np.mean(
        [k_means(points, np.arange(3000), 20, np.random.default_rng(s))[1].sum() for s in range(3)]
    )
    theirs = KMeans(20, n_init=3, random_state=0).fit(points).inertia_
    assert ours < 1.03 * theirs


def test_every_row_is_assigned_to_its_nearest_mean(monkeypatch):
    monkeypatch.setattr(module, "POINTS_PER_CENTRE", 10)  # far fewer than there are
    points, _ = blobs([400, 400])
    cluster, distance = k_means(points, np.arange(800), 2, np.random.default_rng(0))
    means = np.stack([points[cluster == c].mean(axis=0) for c in (0, 1)])
    slow = cdist(points, means, "sqeuclidean")
    assert (cluster == slow.argmin(axis=1)).all()
    assert distance == pytest.approx(slow.min(axis=1), abs=1.5)  # its centres saw 20 points


def test_typical_takes_the_densest_point_of_each_blob():
    points, blob = blobs([30, 40, 50])
    for c in range(3):  # one point in the very middle of its blob
        points[np.flatnonzero(blob == c)[3]] = points[blob == c].mean(axis=0)
    picks = typical(points, np.arange(120), NONE, 3, np.random.default_rng(0))
    assert blob[picks].tolist() == [2, 1, 0]  # the largest first
    for pick in picks:
        mates = np.flatnonzero(blob == blob[pick])
        distance = cdist(points[mates], points[mates])
        mean = np.sort(distance, axis=1)[:, 1 : 1 + min(20, len(mates) // 2)].mean(axis=1)
        assert pick == mates[mean.argmin()]


def testtypicality_counts_the_neighbours_of_an_item_and_not_itself():
    points, _ = blobs([30])
    distance = np.sort(cdist(points, points), axis=1)[:, 1:16]
    typicality = module.typicality(
        lambda rows: points[rows], np.arange(30), np.random.default_rng(0)
    )
    assert typicality == pytest.approx(1 / (distance.mean(axis=1) + 1e-5))


def test_typical_turns_to_blobs_without_labels_first():
    points, blob = blobs([60, 30, 30])
    picks = typical(points, np.arange(1, 120), np.array([0]), 2, np.random.default_rng(0))
    assert sorted(blob[picks].tolist()) == [1, 2]


def test_typical_leaves_small_clusters_for_last():
    points, blob = blobs([40, 3, 40])
    picks = typical(points, np.arange(83), NONE, 3, np.random.default_rng(1))
    assert 1 not in blob[picks]
    everything = typical(points, np.arange(83), NONE, 83, np.random.default_rng(1))
    assert sorted(everything.tolist()) == list(range(83))


def test_large_clusters_look_for_neighbours_in_a_part(monkeypatch):
    monkeypatch.setattr(module, "REFERENCES", 50)
    points, _ = blobs([400])
    pick = typical(points, np.arange(400), NONE, 1, np.random.default_rng(0))
    distance = np.linalg.norm(points - points.mean(axis=0), axis=1)
    assert distance[pick[0]] < np.quantile(distance, 0.05)


def test_shares_are_proportional_at_least_one_and_sum_up():
    assert proportional(np.array([50, 30, 20]), 10).tolist() == [5, 3, 2]
    assert proportional(np.array([97, 1, 1, 1]), 5).tolist() == [2, 1, 1, 1]
    rng = np.random.default_rng(0)
    for _ in range(200):
        size = rng.integers(1, 20, size=rng.integers(1, 8))
        k = int(rng.integers(len(size), size.sum() + 1))
        share = proportional(size, k)
        assert share.sum() == k
        assert (share >= 1).all()
        assert (share <= size).all()


def test_stratified_takes_the_middle_of_every_cluster():
    points, blob = blobs([60, 30, 10])
    picks = stratified(points, np.arange(100), 6, np.random.default_rng(0))
    assert np.bincount(blob[picks]).tolist() == [3, 2, 1]
    middle = points[blob == 0].mean(axis=0)
    distance = np.linalg.norm(points[:60] - middle, axis=1)
    assert sorted(picks[:3].tolist()) == sorted(np.argsort(distance)[:3].tolist())
