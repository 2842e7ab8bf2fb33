"""Items that look like one that is shown: its nearest neighbours, from different volumes first."""

import numpy as np

from fewmasks.query.distance import Points, nearest_of_rows, reader
from fewmasks.query.select import cap_groups, top
from fewmasks.types import Rows


def alike(points: Points, exemplar: int, candidates: Rows, volume: Rows, k: int) -> Rows:
    """The `k` candidates nearest to a row, one of each volume first; the row itself never.

    Neighbouring slices look alike whatever they show, so the volume of the exemplar comes last,
    as one that has had its turn. Of equals the lowest row.
    """
    candidates = candidates[candidates != exemplar]
    if len(candidates) == 0:
        return candidates
    read = reader(points, np.append(candidates, exemplar))
    distance = np.full(len(points), np.nan)
    distance[candidates] = nearest_of_rows(read, candidates, read(np.array([exemplar])))
    ranked = top(-distance, candidates, len(candidates))
    first = cap_groups(ranked[volume[ranked] != volume[exemplar]], volume, 1, k)
    rest = ranked[~np.isin(ranked, first)]
    return np.concatenate([first, rest])[:k]
