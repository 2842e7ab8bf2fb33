import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import chisquare
from sklearn.cluster import kmeans_plusplus

from fewmasks.query import seeding
from fewmasks.query.seeding import kmeans_plus_plus


def potential(points, picks):
    return cdist(points, points[picks], "sqeuclidean").min(axis=1).sum()


def by_definition(points, k, rng):
    """Plain D^2 sampling with all distances."""
    picks = [int(rng.integers(len(points)))]
    while len(picks) < k:
        weight = cdist(points, points[picks], "sqeuclidean").min(axis=1)
        picks.append(int(rng.choice(len(points), p=weight / weight.sum())))
    return picks


def blobs(n=400, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(15, 4))[rng.integers(15, size=n)] * 3 + rng.normal(size=(n, 4))


@pytest.mark.slow
def test_the_law_of_the_second_and_third_pick():
    points = np.array([[0.0], [1.0], [3.0], [7.0], [8.0]])
    chance = np.zeros((5, 5))
    for second in range(1, 5):
        first = points[:, 0] ** 2
        then = np.minimum(first, (points[:, 0] - points[second, 0]) ** 2)
        chance[second] = first[second] / first.sum() * then / then.sum()
    count = np.zeros((5, 5))
    rng = np.random.default_rng(0)
    for _ in range(3000):
        a, b = kmeans_plus_plus(points, np.arange(1, 5), 2, rng, centres=np.array([0]))
        count[a, b] += 1
    possible = chance > 0
    assert count[~possible].sum() == 0
    assert chisquare(count[possible], 3000 * chance[possible]).pvalue > 0.001


@pytest.mark.slow
@pytest.mark.parametrize("refresh_below", [0.0, 0.35, 1.1])
def test_old_weights_leave_the_law_alone(monkeypatch, refresh_below):
    """The potential of 40 picks is that of the definition, however rarely weights are renewed."""
    monkeypatch.setattr(seeding, "REFRESH_BELOW", refresh_below)
    points, rng = blobs(), np.random.default_rng(0)
    rows = np.arange(len(points))
    ours = [potential(points, kmeans_plus_plus(points, rows, 40, rng)) for _ in range(60)]
    slow = [potential(points, by_definition(points, 40, rng)) for _ in range(60)]
    error = np.hypot(np.std(ours), np.std(slow)) / np.sqrt(60)
    assert np.mean(ours) == pytest.approx(np.mean(slow), abs=4 * error)


@pytest.mark.slow
def test_more_trials_are_greedy_and_no_worse_than_scikit_learn():
    points, rng = blobs(), np.random.default_rng(0)
    rows = np.arange(len(points))
    ours = [potential(points, kmeans_plus_plus(points, rows, 30, rng, trials=5)) for _ in range(20)]
    theirs = [
        potential(points, kmeans_plusplus(points, 30, random_state=s, n_local_trials=5)[1])
        for s in range(20)
    ]
    plain = [potential(points, kmeans_plus_plus(points, rows, 30, rng)) for _ in range(20)]
    assert np.mean(ours) == pytest.approx(np.mean(theirs), rel=0.03)
    assert np.mean(ours) < 0.95 * np.mean(plain)


@pytest.mark.parametrize("trials", [1, 4])
@pytest.mark.parametrize("cold", [True, False], ids=["cold", "warm"])
def test_never_a_row_twice_however_many_coincide(trials, cold):
    points = np.zeros((10, 2))
    points[5] = 1
    centres = None if cold else np.array([9])
    for s in range(30):
        rng = np.random.default_rng(s)
        picks = kmeans_plus_plus(points, np.arange(9), 4, rng, centres, trials).tolist()
        assert len(set(picks)) == 4
        assert 5 in picks[: 2 if cold else 1]


def test_only_candidates_are_drawn_and_all_when_asked():
    rng = np.random.default_rng(0)
    some = np.array([3, 50, 7, 100])
    assert sorted(kmeans_plus_plus(blobs(), some, 9, rng).tolist()) == [3, 7, 50, 100]
    assert kmeans_plus_plus(blobs(), some, 0, rng).tolist() == []


@pytest.mark.parametrize("cold", [True, False], ids=["cold", "warm"])
def test_greedy_picks_are_the_same_with_and_without_sketches(monkeypatch, cold):
    rng = np.random.default_rng(0)
    points = blobs(1000) @ rng.normal(size=(4, 160)) + 0.05 * rng.normal(size=(1000, 160)) + 7
    rows, centres = np.arange(10, 990), None if cold else np.array([0, 999])

    def picks():
        rng = np.random.default_rng(1)
        return kmeans_plus_plus(points.astype(np.float32), rows, 60, rng, centres, trials=6)

    looked_at = []
    slow = seeding._weights_after
    monkeypatch.setattr(
        seeding, "_weights_after", lambda *a: (looked_at.append(len(a[3])), slow(*a))[1]
    )
    with_sketches = picks()
    assert np.mean(looked_at[20:]) < 0.5 * len(rows)
    monkeypatch.setattr(seeding, "AXES", 1000)
    assert with_sketches.tolist() == picks().tolist()
