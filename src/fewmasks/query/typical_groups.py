"""Typical items of clusters, spread over groups: the first round of a pre-trained project."""

import numpy as np

from fewmasks.query.clusters import MOST_CLUSTERS, SMALLEST_CLUSTER, k_means, typicality
from fewmasks.query.distance import Points, reader
from fewmasks.types import Rows


def typical_by_group(
    points: Points,
    candidates: Rows,
    labelled: Rows,
    group: Rows,
    k: int,
    rng: np.random.Generator,
) -> Rows:
    """Pick typical members cluster by cluster, from no group more than its even share.

    Clusters and their turns are those of `typical` (TypiClust); a group that has given its share
    of all labels is passed over while another group has items left. `group` holds a code per row
    of the pool.
    """
    k = min(k, len(candidates))
    if k <= 0:
        return candidates[:0]
    rows = np.concatenate([labelled, candidates])
    cluster, _ = k_means(points, rows, min(len(labelled) + k, MOST_CLUSTERS), rng)
    known, mine = cluster[: len(labelled)], cluster[len(labelled) :]
    read = reader(points, rows)
    turns = [c for c in _turns(cluster, known) if (mine == c).any()]
    queues: dict[int, Rows] = {}
    given = np.bincount(group[labelled], minlength=int(group.max()) + 1)
    share = -(-(len(labelled) + k) // len(np.unique(group[rows])))
    picks: list[int] = []
    while len(picks) < k:
        before = len(picks)
        for c in turns:
            if len(picks) == k:
                break
            if c not in queues:
                members = candidates[mine == c]
                queues[c] = members[np.argsort(-typicality(read, members, rng), kind="stable")]
            allowed = np.flatnonzero(given[group[queues[c]]] < share)
            if len(allowed):
                pick = int(queues[c][allowed[0]])
                picks.append(pick)
                given[group[pick]] += 1
                queues[c] = np.delete(queues[c], allowed[0])
        if len(picks) == before:  # all that is left is of groups which gave their share
            share += 1
    return np.array(picks, dtype=np.int64)


def _turns(cluster: Rows, known: Rows) -> list[int]:
    """The order of the clusters: outliers last, then fewest labels, then largest."""
    names, size = np.unique(cluster, return_counts=True)
    labels = (known == names[:, None]).sum(axis=1)
    return names[np.lexsort((names, -size, labels, size <= SMALLEST_CLUSTER))].tolist()
