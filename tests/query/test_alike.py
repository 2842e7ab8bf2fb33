"""Neighbours of an exemplar: nearest first, one of each volume first, itself never."""

import numpy as np
import pytest

from fewmasks.query.alike import alike

POINTS = np.array([[0.0], [0.1], [0.2], [1.0], [1.1], [5.0], [0.15]], dtype=np.float32)
VOLUME = np.array([0, 0, 0, 1, 1, 2, 3])
ALL = np.arange(7)


def by_definition(points, exemplar, candidates, volume, k):
    """Sort by distance, then once through the volumes, then all the rest."""
    away = {r: float(((points[r] - points[exemplar]) ** 2).sum()) for r in candidates.tolist()}
    away.pop(exemplar, None)
    ranked = sorted(away, key=lambda r: (away[r], r))
    seen, first = {volume[exemplar]}, []
    for row in ranked:
        if volume[row] not in seen:
            seen.add(volume[row])
            first.append(row)
    return (first + [row for row in ranked if row not in first])[:k]


def test_the_nearest_of_each_other_volume_then_the_rest():
    assert alike(POINTS, 0, ALL, VOLUME, 7).tolist() == [6, 3, 5, 1, 2, 4]
    assert alike(POINTS, 0, ALL, VOLUME, 2).tolist() == [6, 3]


@pytest.mark.parametrize("seed", range(8))
def test_equals_the_definition(seed):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(60, 5)) + 100
    volume = rng.integers(0, 12, 60)
    candidates = np.sort(rng.choice(60, size=40, replace=False))
    exemplar = int(rng.integers(60))
    for k in (0, 1, 7, 12, 60):
        picks = alike(points, exemplar, candidates, volume, k)
        assert picks.tolist() == by_definition(points, exemplar, candidates, volume, k)


def test_rows_that_may_not_be_asked_for_are_not_read():
    points = POINTS.copy()
    points[[3, 6]] = np.nan
    assert alike(points, 0, np.array([1, 2, 4, 5]), VOLUME, 3).tolist() == [4, 5, 1]


@pytest.mark.parametrize("candidates", [[], [0]])
def test_nothing_else_nothing_picked(candidates):
    assert alike(POINTS, 0, np.array(candidates, dtype=np.int64), VOLUME, 3).tolist() == []


def test_clones_come_in_the_order_of_the_pool():
    assert alike(np.ones((5, 3)), 2, np.arange(5), np.arange(5), 9).tolist() == [0, 1, 3, 4]
