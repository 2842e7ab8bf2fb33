import json
import subprocess
import sys
from itertools import combinations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from fewmasks.query import k_center as module
from fewmasks.query.k_center import k_center

NONE = np.array([], dtype=np.int64)


def by_definition(points, centres, candidates, k):
    """All distances, every time; of equals the lowest row."""
    points = points.astype(np.float64)
    candidates = sorted(candidates.tolist())
    chosen = list(centres)
    if not chosen:
        mean = points[candidates].mean(axis=0)
        chosen = [min(candidates, key=lambda row: ((points[row] - mean) ** 2).sum())]
    picks = chosen[len(centres) :]
    while len(picks) < min(k, len(candidates)):
        rest = [row for row in candidates if row not in picks]
        nearest = cdist(points[rest], points[chosen], "sqeuclidean").min(axis=1)
        picks.append(rest[int(nearest.argmax())])
        chosen.append(picks[-1])
    return picks


def radius(points, centres):
    return cdist(points, points[centres]).min(axis=1).max()


def test_five_points_on_a_line():
    line = np.array([[0.0], [1.0], [5.0], [6.0], [10.0]])
    picks = k_center(line, np.array([0]), np.arange(1, 5), 2)
    assert line[picks, 0].tolist() == [10, 5]
    assert radius(line, [0, *picks]) == 1


def test_the_first_of_a_cold_start_is_nearest_the_mean():
    line = np.array([[0.0], [4.0], [5.0], [20.0]])
    assert k_center(line, NONE, np.arange(4), 2).tolist() == [2, 3]


@pytest.fixture(params=["one phase", "many phases"])
def phases(request, monkeypatch):
    if request.param == "many phases":
        monkeypatch.setattr(module, "BLOCK_BYTES", 1)  # sets of the smallest size, 64


def made(kind, n=300, seed=0):
    rng = np.random.default_rng(seed)
    if kind == "gaussian":
        return rng.normal(size=(n, 6))
    if kind == "clusters":
        return rng.normal(size=(12, 6))[rng.integers(12, size=n)] + 0.05 * rng.normal(size=(n, 6))
    if kind == "grid":  # almost every distance is a tie
        return rng.integers(0, 4, size=(n, 3)).astype(np.float64)
    return np.repeat(rng.normal(size=(n // 30, 6)), 30, axis=0)  # near nothing but copies


@pytest.mark.usefixtures("phases")
@pytest.mark.parametrize("kind", ["gaussian", "clusters", "grid", "copies"])
@pytest.mark.parametrize("cold", [True, False], ids=["cold", "warm"])
def test_equals_the_definition(kind, cold):
    points = made(kind)
    centres = NONE if cold else np.array([5, 17, 200])
    candidates = np.setdiff1d(np.arange(0, 300, 1 if cold else 2), centres)
    k = 8 if kind == "copies" else 60  # after ten centres, copies of them are left: see below
    picks = k_center(points, centres, candidates[::-1], k)
    assert picks.tolist() == by_definition(points, centres, candidates, k)


@pytest.mark.usefixtures("phases")
def test_points_that_coincide_come_in_order_of_rows():
    picks = k_center(np.ones((300, 4)), NONE, np.arange(300), 300)
    assert picks.tolist() == list(range(300))


@pytest.mark.usefixtures("phases")
def test_single_precision_from_a_file_reaches_the_same_radius(tmp_path):
    points = made("clusters", n=600) + 100
    file = np.memmap(tmp_path / "embedding.f4", dtype=np.float32, mode="w+", shape=points.shape)
    file[:] = points
    picks = k_center(file, np.array([0]), np.arange(1, 600), 50)
    slow = by_definition(np.asarray(file), np.array([0]), np.arange(1, 600), 50)
    assert len(set(picks.tolist())) == 50
    assert radius(points, [0, *picks]) == pytest.approx(radius(points, [0, *slow]), rel=1e-4)


def test_at_most_twice_the_smallest_radius():
    for seed in range(20):
        points = np.random.default_rng(seed).normal(size=(9, 2))
        best = min(radius(points, list(three)) for three in combinations(range(9), 3))
        picks = k_center(points, np.array([0]), np.arange(1, 9), 2)
        assert radius(points, [0, *picks]) <= 2 * best


def test_asking_for_more_or_nothing():
    points = made("gaussian", n=5)
    assert sorted(k_center(points, np.array([0]), np.array([4, 2]), 9).tolist()) == [2, 4]
    assert k_center(points, np.array([0]), np.array([4, 2]), 0).tolist() == []
    assert k_center(points, NONE, NONE, 3).tolist() == []


CAPPED = """
import resource, sys
import numpy as np
from fewmasks.query.k_center import k_center

points = np.memmap(sys.argv[1], np.float32, "r", shape=(200_000, 512))
centres, rows = np.array([0]), np.arange(1, 200_000)
k_center(points[:100], centres, rows[:99], 2)  # BLAS takes its own memory on the first call
with open("/proc/self/status") as status:
    taken = next(int(line.split()[1]) << 10 for line in status if line.startswith("VmData"))
resource.setrlimit(resource.RLIMIT_DATA, (taken + (200 << 20),) * 2)
try:
    np.ones_like(points)
except MemoryError:
    print(k_center(points, centres, rows, 20).tolist())
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not limit memory like that")
def test_a_file_of_400_mb_is_searched_in_200_mib_of_memory(tmp_path):
    rng = np.random.default_rng(0)
    points = rng.normal(size=(200_000, 512)).astype(np.float32)
    points[::1000] *= 1 + np.arange(1, 201)[:, None] / 100  # no two are as far as each other
    points.tofile(tmp_path / "embedding.f4")
    command = [sys.executable, "-c", CAPPED, str(tmp_path / "embedding.f4")]
    capped = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
    nearest, picks = ((points - points[0]) ** 2).sum(axis=1), []
    while len(picks) < 20:
        picks.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, ((points - points[picks[-1]]) ** 2).sum(axis=1))
    assert json.loads(capped.stdout) == picks
