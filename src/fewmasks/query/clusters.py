"""Clusters of the pool: k-means, its typical members, its members in proportion to size."""

import numpy as np
from jaxtyping import Float

from fewmasks.query.distance import (
    TILE,
    Points,
    Reader,
    reader,
    squared_distances,
    squared_lengths,
)
from fewmasks.query.seeding import kmeans_plus_plus
from fewmasks.types import Rows

POINTS_PER_CENTRE = 256
"""Points that Lloyd's rounds see for each centre; all points are assigned at the end."""
ROUNDS = 25
SETTLED = 0.01
"""Lloyd's rounds end when no larger share of the points changes cluster."""
MOST_CLUSTERS = 500
SMALLEST_CLUSTER = 5
"""Clusters of so few members or fewer are passed over as outliers."""
NEIGHBOURS = 20
REFERENCES = 2048
"""Members of a cluster among which neighbours are looked for; a random part of larger ones."""


def k_means(
    points: Points, rows: Rows, k: int, rng: np.random.Generator
) -> tuple[Rows, Float[np.ndarray, " r"]]:
    """Cluster of each row, and its squared distance to the centre of that cluster.

    Lloyd's algorithm from k-means++ seeds on at most 256 points a centre. Fewer than `k`
    clusters come back where points coincide.
    """
    read = reader(points, rows)
    k = min(max(k, 1), len(rows))
    some = np.sort(rng.choice(rows, size=min(len(rows), POINTS_PER_CENTRE * k), replace=False))
    centres = read(kmeans_plus_plus(points, some, k, rng))
    seen = read(some)
    cluster = _assign(seen, centres)
    for _ in range(ROUNDS):
        centres = _means(seen, cluster, centres)
        before, cluster = cluster, _assign(seen, centres)
        if (cluster != before).sum() <= SETTLED * len(seen):
            break
    clusters, distances = [rows[:0]], [squared_lengths(seen[:0])]
    for start in range(0, len(rows), 4096):
        block = read(rows[start : start + 4096])
        clusters.append(_assign(block, centres))
        distances.append(squared_lengths(block - centres[clusters[-1]]))
    return np.concatenate(clusters), np.concatenate(distances)


def _assign(x: Float[np.ndarray, "r d"], centres: Float[np.ndarray, "k d"]) -> Rows:
    """Nearest centre of each point; of equals the first."""
    nearest = np.empty(len(x), dtype=np.int64)
    lengths = squared_lengths(centres)
    height = max(256, TILE // max(len(centres), 1))
    for start in range(0, len(x), height):
        product = x[start : start + height] @ (-2 * centres).T
        product += lengths
        nearest[start : start + height] = product.argmin(axis=1)
    return nearest


def _means(
    x: Float[np.ndarray, "r d"], cluster: Rows, centres: Float[np.ndarray, "k d"]
) -> Float[np.ndarray, "k d"]:
    """Mean of each cluster; an empty one keeps its centre."""
    size = np.bincount(cluster, minlength=len(centres))
    total = np.zeros_like(centres)
    for start in range(0, len(x), 4096):
        mine = cluster[start : start + 4096] == np.arange(len(centres))[:, None]
        total += mine.astype(x.dtype) @ x[start : start + 4096]
    return np.where(size[:, None] > 0, total / np.maximum(size, 1)[:, None], centres)


def typical(
    points: Points, candidates: Rows, labelled: Rows, k: int, rng: np.random.Generator
) -> Rows:
    """Pick the candidate with the nearest neighbours in each cluster, cluster by cluster.

    As many clusters as labels there will be, those without labels first, then the largest.
    TypiClust, Hacohen, Dekel and Weinshall, ICML 2022, arXiv:2202.02794.
    """
    k = min(k, len(candidates))
    rows = np.concatenate([labelled, candidates])
    cluster, _ = k_means(points, rows, min(len(labelled) + k, MOST_CLUSTERS), rng)
    read = reader(points, rows)
    names = np.unique(cluster).tolist()
    members = {c: candidates[cluster[len(labelled) :] == c] for c in names}
    picks: list[int] = []
    for c in _round_robin(cluster, cluster[: len(labelled)], members, k):
        rest = members[c]
        best = int(typicality(read, rest, rng).argmax())
        picks.append(int(rest[best]))
        members[c] = np.delete(rest, best)
    return np.array(picks, dtype=np.int64)


def _round_robin(cluster: Rows, known: Rows, members: dict[int, Rows], k: int) -> list[int]:
    """Which cluster gives each of the `k` picks: fewest labels, then largest, then again."""
    left = {c: len(rows) for c, rows in members.items()}
    size = {c: int((cluster == c).sum()) for c in left}
    labels = {c: int((known == c).sum()) for c in left}
    order = sorted(left, key=lambda c: (size[c] <= SMALLEST_CLUSTER, labels[c], -size[c], c))
    large = sum(size[c] > SMALLEST_CLUSTER for c in order)
    turns: list[int] = []
    for level in (order[:large], order[large:]):  # small clusters only when the others ran out
        while len(turns) < k and any(left[c] for c in level):
            for c in level:
                if left[c] and len(turns) < k:
                    turns.append(c)
                    left[c] -= 1
    return turns


def typicality(read: Reader, rows: Rows, rng: np.random.Generator) -> Float[np.ndarray, " r"]:
    """One over the mean distance to the nearest neighbours among these rows."""
    among = rows
    if len(rows) > REFERENCES:
        among = np.sort(rng.choice(rows, size=REFERENCES, replace=False))
    others = read(among)
    near = min(NEIGHBOURS, max(1, len(among) // 2))
    mean = np.empty(len(rows))
    height = max(64, TILE // len(among))
    for start in range(0, len(rows), height):
        mine = rows[start : start + height]
        distance = squared_distances(read(mine), others)
        distance[mine[:, None] == among] = np.inf  # nobody is its own neighbour
        nearest = np.partition(distance, near - 1, axis=1)[:, :near]
        nearest[~np.isfinite(nearest)] = 0  # a cluster of one
        mean[start : start + height] = np.sqrt(nearest).mean(axis=1)
    return 1 / (mean + 1e-5)


def stratified(points: Points, candidates: Rows, k: int, rng: np.random.Generator) -> Rows:
    """Pick from every cluster in proportion to its size, the nearest to its centre first.

    Half as many clusters as picks, each giving at least one; the largest comes first.
    """
    k = min(k, len(candidates))
    if k <= 0:
        return candidates[:0]
    cluster, distance = k_means(points, candidates, k // 2, rng)
    present, size = np.unique(cluster, return_counts=True)
    share = proportional(size, k)
    picks = []
    for place in np.argsort(-size, kind="stable"):
        mine = np.flatnonzero(cluster == present[place])
        picks.append(mine[np.argsort(distance[mine], kind="stable")[: share[place]]])
    return candidates[np.concatenate(picks)]


def proportional(size: Rows, k: int) -> Rows:
    """Shares of `k` by size, each at least one and at most the size, by largest remainder."""
    quota = k * size / size.sum()
    share = np.maximum(1, quota.astype(np.int64))
    while share.sum() < k:
        share[np.where(share < size, quota - share, -np.inf).argmax()] += 1
    while share.sum() > k:
        share[np.where(share > 1, share - quota, -np.inf).argmax()] -= 1
    return share
