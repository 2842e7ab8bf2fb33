"""Speed and memory of the selectors against the common way to write them, in one run.

    python benchmarks/query.py [--quick] [--no-large] [NAME ...]

One thread; ratios count, seconds are for people. A peer that would take minutes runs fewer of
its equal steps and is scaled up, which the table marks with "~". Every timing ends in a check
that the answers agree.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from fewmasks.query.cover import cosine, cosine_bits, cosine_levels, cover, cover_bits
from fewmasks.query.select import (
    k_center,
    kmeans_plus_plus,
    prob_cover,
    project_and_match,
    typical,
)

NONE = np.array([], dtype=np.int64)
REPEATS = 3


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    name: str
    seconds: float
    extra_mib: float
    comparison: str
    value: float
    """A ratio to the peer, or an absolute number that the gate speaks of."""
    must: str
    passed: bool


def timed(run: Callable[[], Any], repeats: int = REPEATS) -> tuple[float, Any]:
    """Least CPU seconds of a few runs, and the answer; on one thread other work counts less."""
    best, answer = np.inf, None
    for _ in range(repeats):
        start = time.process_time()
        answer = run()
        best = min(best, time.process_time() - start)
    return best, answer


def extra_mib(run: Callable[[], Any]) -> float:
    """Most memory that a run holds above what was there before."""
    tracemalloc.start()
    run()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 2**20


def embedding(n: int, d: int, seed: int = 0) -> np.ndarray:
    """Clustered points of low rank with a little noise, as encoders give them."""
    rng = np.random.default_rng(seed)
    rank, clusters = min(32, d), 200
    middle = rng.normal(size=(clusters, rank))
    points = np.empty((n, d), dtype=np.float32)
    turn = rng.normal(size=(rank, d)) / np.sqrt(rank)
    for start in range(0, n, 8192):
        size = min(8192, n - start)
        inner = middle[rng.integers(clusters, size=size)] + 0.4 * rng.normal(size=(size, rank))
        points[start : start + size] = inner @ turn + 0.05 * rng.normal(size=(size, d))
    return points


def covering_radius(points: np.ndarray, picks: np.ndarray) -> float:
    """Largest squared distance from a point to its nearest pick."""
    lengths = np.einsum("nd,nd->n", points, points)
    worst = 0.0
    for start in range(0, len(points), 4096):
        block = points[start : start + 4096]
        product = lengths[start : start + 4096, None] - 2 * block @ points[picks].T
        worst = max(worst, float((product + lengths[picks]).min(axis=1).max()))
    return worst


def bench_k_center(quick: bool) -> list[Row]:
    """Farthest-first against one pass over all points per pick."""
    import torch

    n, d, k = (20_000, 128, 200) if quick else (200_000, 512, 1000)
    points = embedding(n, d)
    rows = np.arange(n)
    seconds, picks = timed(lambda: k_center(points, NONE, rows, k))
    few = 10

    def passes() -> np.ndarray:
        lengths = np.einsum("nd,nd->n", points, points)
        nearest = np.full(n, np.inf, dtype=np.float32)
        chosen = [int(picks[0])]
        while len(chosen) < few:
            product = points @ points[chosen[-1]]
            np.minimum(nearest, lengths - 2 * product + lengths[chosen[-1]], out=nearest)
            chosen.append(int(nearest.argmax()))
        return np.array(chosen)

    def cdist() -> np.ndarray:
        x = torch.from_numpy(points)
        chosen = [int(picks[0])]
        nearest = torch.full((n,), torch.inf)
        while len(chosen) < few:
            nearest = torch.minimum(nearest, torch.cdist(x, x[chosen[-1:]])[:, 0])
            chosen.append(int(nearest.argmax()))
        return np.array(chosen)

    with_gemv, slow = timed(passes, 2)
    with_cdist, _ = timed(cdist, 1)
    assert slow.tolist() == picks[:few].tolist()
    flat = points.reshape(-1)
    reading, _ = timed(lambda: flat @ flat)
    print(f"memory is read at {points.nbytes / reading / 1e9:.1f} GB/s")
    scale = (k - 1) / (few - 1)
    mib = extra_mib(lambda: k_center(points, NONE, rows, k))
    gemv, peer, limit = with_gemv * scale, with_cdist * scale, seconds / (k * reading)
    name = f"k-centre {n} x {d}, k={k}"
    return [
        Row(
            name,
            seconds,
            mib,
            "x faster than ~cdist per pick",
            peer / seconds,
            ">= 150",
            peer / seconds >= 150,
        ),
        Row(
            name,
            seconds,
            mib,
            "x faster than ~product per pick",
            gemv / seconds,
            ">= 10",
            gemv / seconds >= 10,
        ),
        Row(name, seconds, mib, "of the time to read all k times", limit, "<= 0.15", limit <= 0.15),
        Row(name, seconds, mib, "MiB extra", mib, "<= 200", mib <= 200),
    ]


def bench_k_center_large(quick: bool) -> list[Row]:
    """A million points: two gigabytes, of which most are read a few times only."""
    n, d, k = (50_000, 128, 200) if quick else (1_000_000, 512, 1000)
    points = embedding(n, d)
    rows, few = np.arange(n), 5
    seconds, picks = timed(lambda: k_center(points, NONE, rows, k), 2)
    lengths = np.einsum("nd,nd->n", points, points)
    nearest = np.full(n, np.inf, dtype=np.float32)
    for last, following in pairwise(picks[:few].tolist()):
        product = points @ points[last]
        np.minimum(nearest, lengths - 2 * product + lengths[last], out=nearest)
        assert int(nearest.argmax()) == following
    mib = extra_mib(lambda: k_center(points, NONE, rows, k))
    name = f"k-centre {n} x {d}, k={k}"
    return [
        Row(name, seconds, mib, "s", seconds, "<= 12", seconds <= 12),
        Row(name, seconds, mib, "MiB extra", mib, "<= 200", mib <= 200),
    ]


def bench_k_center_file(quick: bool) -> list[Row]:
    """A memory-mapped matrix twice as large as the memory that a process may take."""
    n, d, k = (20_000, 512, 100) if quick else (200_000, 512, 1000)
    points = embedding(n, d)
    picks = k_center(points, NONE, np.arange(n), k)
    most = 200 if not quick else 20
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "embedding.f4"
        points.tofile(path)
        command = [sys.executable, "-c", CAPPED, str(path), *map(str, (n, d, k, most))]
        answer = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    assert answer["picks"] == picks.tolist()
    name = f"k-centre of a file, {points.nbytes >> 20} MiB, k={k}"
    mib, seconds = answer["mib"], answer["seconds"]
    return [Row(name, seconds, mib, "MiB extra, more is refused", mib, f"<= {most}", mib <= most)]


CAPPED = """
import json, resource, sys, time, tracemalloc
import numpy as np
from fewmasks.query.select import k_center

path, (n, d, k, most) = sys.argv[1], map(int, sys.argv[2:])
points, none = np.memmap(path, np.float32, "r", shape=(n, d)), np.array([], dtype=np.int64)
k_center(points[:100], none, np.arange(100), 2)  # BLAS takes its own memory on the first call
with open("/proc/self/status") as status:
    taken = next(int(line.split()[1]) << 10 for line in status if line.startswith("VmData"))
resource.setrlimit(resource.RLIMIT_DATA, (taken + (most << 20),) * 2)
start = time.process_time()
picks = k_center(points, none, np.arange(n), k).tolist()
seconds = time.process_time() - start
tracemalloc.start()
k_center(points, none, np.arange(n), k)
mib = tracemalloc.get_traced_memory()[1] / 2**20
print(json.dumps({"picks": picks, "seconds": seconds, "mib": mib}))
"""
"""A search in a process that gets no more memory than so many MiB: pages of files do not count."""


def bench_seeding(quick: bool) -> list[Row]:
    """D^2 seeding against scikit-learn, plain and greedy."""
    from sklearn.cluster import kmeans_plusplus

    def theirs(points: np.ndarray, k: int, trials: int, few: int) -> float:
        """Seconds for `k` picks from those for one and for a few: each takes as long."""

        def seconds(k: int) -> float:
            return timed(
                lambda: kmeans_plusplus(points, k, random_state=0, n_local_trials=trials), 2
            )[0]

        first = seconds(1)
        return first + (seconds(few) - first) * (k - 1) / (few - 1)

    _same_potential(kmeans_plusplus)
    n, d, k = (10_000, 128, 200) if quick else (100_000, 128, 1000)
    points, few = embedding(n, d), k // 20
    rows = np.arange(n)
    seconds, picks = timed(lambda: kmeans_plus_plus(points, rows, k, np.random.default_rng(0)))
    assert len(set(picks.tolist())) == k
    trials = 2 + int(np.log(k))
    ratio = theirs(points, k, trials, few) / seconds
    mib = extra_mib(lambda: kmeans_plus_plus(points, rows, k, np.random.default_rng(0)))
    table = [
        Row(
            f"D^2 seeding {n} x {d}, k={k}",
            seconds,
            mib,
            "x faster than ~scikit-learn",
            ratio,
            ">= 100",
            ratio >= 100,
        )
    ]
    n, d, k = (10_000, 208, 50) if quick else (50_000, 832, 100)
    points, rows, few = embedding(n, d), np.arange(n), 20
    trials = 2 + int(np.log(k))
    peer = theirs(points, k, trials, few)
    for trial, must in ((1, 50), (trials, 4)):

        def run(trial: int = trial) -> np.ndarray:
            return kmeans_plus_plus(points, rows, k, np.random.default_rng(0), trials=trial)

        seconds, _ = timed(run)
        ratio = peer / seconds
        name = f"{'greedy' if trial > 1 else 'D^2'} seeding {n} x {d}, k={k}"
        table.append(
            Row(
                name,
                seconds,
                extra_mib(run),
                "x faster than ~scikit-learn",
                ratio,
                f">= {must}",
                ratio >= must,
            )
        )
    return table


def _same_potential(peer: Callable[..., Any]) -> None:
    """Greedy seeding leaves the potential that scikit-learn leaves, in the mean of ten seeds."""
    points, k, trials = embedding(4000, 208), 50, 5
    left = np.zeros((2, 10))
    for seed in range(10):
        rng = np.random.default_rng(seed)
        ours = kmeans_plus_plus(points, np.arange(4000), k, rng, trials=trials)
        theirs = peer(points, k, random_state=seed, n_local_trials=trials)[1]
        left[:, seed] = [_nearest(points, picks).sum() for picks in (ours, theirs)]
    ours, theirs = left.mean(axis=1)
    assert abs(ours / theirs - 1) <= 0.03, f"potential {ours:.4g}, scikit-learn's {theirs:.4g}"


def bench_cover(quick: bool) -> list[Row]:
    """Hard cover and facility location of a large pool, similarities included."""
    n, size, k = (20_000, 1000, 50) if quick else (100_000, 5000, 100)
    points = embedding(n, 128)
    rows, columns = np.arange(size), np.arange(n)

    def hard() -> np.ndarray:
        return cover_bits(cosine_bits(points, rows, columns, 0.8), k)

    def soft() -> np.ndarray:
        return cover(cosine_levels(points, rows, columns), k)

    table = []
    for name, run, limit, memory in (
        ("hard cover", hard, 3, 250),
        ("facility location", soft, 8, 700),
    ):
        seconds, picks = timed(run, 2)
        assert len(set(picks.tolist())) == k
        mib = extra_mib(run)
        must = f"<= {limit} s, {memory} MiB"
        table.append(
            Row(
                f"{name} {size} of {n}, k={k}",
                seconds,
                mib,
                "s",
                seconds,
                must,
                seconds <= limit and mib <= memory,
            )
        )
    return table


def bench_facility(quick: bool) -> list[Row]:
    """Facility location against apricot's lazy greedy on a square similarity."""
    from apricot import FacilityLocationSelection

    n, k = (1000, 50) if quick else (5000, 100)
    points = embedding(n, 128)
    similarity = np.maximum(cosine(points, np.arange(n), np.arange(n)), 0)

    def theirs() -> Any:
        return (
            FacilityLocationSelection(k, metric="precomputed", optimizer="lazy")
            .fit(similarity.astype(np.float64))
            .ranking
        )

    theirs()  # numba compiles on the first call
    peer, ranking = timed(theirs, 1)
    seconds, picks = timed(lambda: cover(similarity, k))
    ours, other = (similarity[r].max(axis=0).sum() for r in (picks, ranking))
    assert ours >= 0.999 * other
    mib = extra_mib(lambda: cover(similarity, k))
    ratio = peer / seconds
    return [
        Row(
            f"facility location {n} of {n}, k={k}",
            seconds,
            mib,
            "x faster than apricot",
            ratio,
            ">= 8",
            ratio >= 8,
        )
    ]


def bench_prob_cover(quick: bool) -> list[Row]:
    """ProbCover against a table of all near pairs that is filtered for every pick."""
    import pandas as pd

    n, k = (5000, 50) if quick else (40_000, 100)
    points = embedding(n, 128)
    probe = points[:2000]
    distance = np.sqrt(np.maximum(((probe[:1000, None] - probe[None, 1000:1200]) ** 2).sum(-1), 0))
    radius = float(np.quantile(distance, 0.01))
    rows = np.arange(n)

    def pairs() -> Any:
        lengths = np.einsum("nd,nd->n", points, points)
        parts = []
        for start in range(0, n, 500):
            block = (
                lengths[start : start + 500, None]
                + lengths
                - 2 * points[start : start + 500] @ points.T
            )
            near = np.sqrt(np.maximum(block, 0))
            mine, theirs = np.nonzero(near < radius)
            columns = {"x": mine + start, "y": theirs, "d": near[mine, theirs]}
            parts.append(pd.DataFrame(columns))
        return pd.concat(parts)

    def filtered() -> np.ndarray:
        edges = pairs()
        chosen = []
        for _ in range(k):
            best = int(np.bincount(edges.x, minlength=n).argmax())
            chosen.append(best)
            edges = edges[~np.isin(edges.y, edges.y[edges.x == best])]
        return np.array(chosen)

    peer, slow = timed(filtered, 2)
    peer_mib = extra_mib(filtered)
    seconds, picks = timed(lambda: prob_cover(points, rows, NONE, k, radius), 2)
    mib = extra_mib(lambda: prob_cover(points, rows, NONE, k, radius))
    ours, theirs = (int((_nearest(points, some) < radius**2).sum()) for some in (picks, slow))
    assert ours == theirs, f"{ours} items are covered, {theirs} by the table of pairs"
    name, ratio, share = f"ProbCover {n} x 128, k={k}", peer / seconds, mib / peer_mib
    return [
        Row(name, seconds, mib, "x faster than a table of pairs", ratio, ">= 8", ratio >= 8),
        Row(name, seconds, mib, "of its memory", share, "<= 0.125", share <= 0.125),
    ]


def bench_matching(quick: bool) -> list[Row]:
    """IPM against a sparse SVD of the explicit residual for every pick."""
    from scipy.sparse.linalg import svds

    n, d, k = (4000, 64, 10) if quick else (20_000, 256, 30)
    points = embedding(n, d)
    rows = np.arange(n)

    def explicit() -> np.ndarray:
        residual, lengths = points.copy(), np.linalg.norm(points, axis=1)
        free = np.ones(n, dtype=bool)
        chosen: list[int] = []
        for _ in range(k):
            v = svds(residual, k=1, random_state=0)[2][0]
            chosen.append(int(np.where(free, np.abs(points @ v) / lengths, -1).argmax()))
            free[chosen[-1]] = False
            r = residual[chosen[-1]] / np.linalg.norm(residual[chosen[-1]])
            residual -= np.outer(residual @ r, r)
        return np.array(chosen)

    peer, slow = timed(explicit, 1)
    seconds, picks = timed(lambda: project_and_match(points, rows, k))
    same = int((slow == picks).sum())
    assert same >= 0.9 * k, f"{same} of {k} picks agree"
    mib = extra_mib(lambda: project_and_match(points, rows, k))
    ratio = peer / seconds
    return [
        Row(f"IPM {n} x {d}, k={k}", seconds, mib, "x faster than svds", ratio, ">= 6", ratio >= 6)
    ]


def bench_typical(quick: bool) -> list[Row]:
    """TypiClust against scikit-learn's mini-batch k-means and neighbours."""
    from sklearn.cluster import MiniBatchKMeans
    from sklearn.neighbors import NearestNeighbors

    n, k = (5000, 50) if quick else (50_000, 100)
    points = embedding(n, 128)

    def theirs() -> np.ndarray:
        cluster = MiniBatchKMeans(k, batch_size=5000, random_state=0, n_init=3).fit_predict(points)
        chosen = []
        for c in range(k):
            rows = np.flatnonzero(cluster == c)
            if len(rows) > 5:
                near = min(20, len(rows) // 2)
                tree = NearestNeighbors(n_neighbors=near).fit(points[rows])
                chosen.append(rows[tree.kneighbors()[0].mean(axis=1).argmin()])
        return np.array(chosen)

    def ours() -> np.ndarray:
        return typical(points, np.arange(n), NONE, k, np.random.default_rng(0))

    peer, slow = timed(theirs, 2)
    seconds, picks = timed(ours)
    far, near = (np.sqrt(_nearest(points, rows)).mean() for rows in (slow, picks))
    assert near <= 1.03 * far
    ratio = peer / seconds
    return [
        Row(
            f"TypiClust {n} x 128, k={k}",
            seconds,
            extra_mib(ours),
            "x faster than ~scikit-learn",
            ratio,
            ">= 2.5",
            ratio >= 2.5,
        )
    ]


def _nearest(points: np.ndarray, picks: np.ndarray) -> np.ndarray:
    lengths = np.einsum("nd,nd->n", points, points)
    product = lengths[:, None] - 2 * points @ points[picks].T + lengths[picks]
    return np.maximum(product, 0).min(axis=1)


BENCHMARKS = {
    "k-center": bench_k_center,
    "k-center-large": bench_k_center_large,
    "k-center-file": bench_k_center_file,
    "seeding": bench_seeding,
    "cover": bench_cover,
    "facility": bench_facility,
    "prob-cover": bench_prob_cover,
    "matching": bench_matching,
    "typical": bench_typical,
}


def main() -> None:
    """Run the benchmarks named, or all, and print one line per gate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*BENCHMARKS, []], metavar="NAME")
    parser.add_argument("--quick", action="store_true", help="small sizes; the gates do not hold")
    parser.add_argument("--no-large", action="store_true", help="without the matrix of 2 GB")
    arguments = parser.parse_args()
    skipped = {"k-center-large"} if arguments.no_large else set()
    with threadpool_limits(1):
        _one_torch_thread()
        for name in arguments.names or [name for name in BENCHMARKS if name not in skipped]:
            for row in BENCHMARKS[name](arguments.quick):
                verdict = "" if arguments.quick else "ok" if row.passed else "MISSED"
                print(
                    f"{row.name:40} {row.seconds:8.3f} s {row.extra_mib:7.1f} MiB "
                    f"{row.value:8.2f} {row.comparison:34} must {row.must:16} {verdict}",
                    flush=True,
                )


def _one_torch_thread() -> None:
    import torch

    torch.set_num_threads(1)


if __name__ == "__main__":
    main()
