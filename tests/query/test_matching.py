import numpy as np
import pytest

from fewmasks.query.matching import project_and_match

NONE = np.array([], dtype=np.int64)


def by_definition(points, k, selected=NONE):
    """A full singular value decomposition of the explicit residual for every pick."""
    residual = points.copy()
    if len(selected):
        basis = np.linalg.svd(points[selected], full_matrices=False)[2]
        residual = points - points @ basis.T @ basis
    lengths = np.linalg.norm(points, axis=1)
    picks = []
    for _ in range(k):
        free = [r for r in range(len(points)) if r not in picks and r not in selected]
        v = np.linalg.svd(residual[free])[2][0]
        picks.append(free[int((np.abs(points[free] @ v) / lengths[free]).argmax())])
        r = residual[picks[-1]] / np.linalg.norm(residual[picks[-1]])
        residual = residual - np.outer(residual @ r, r)
    return picks


def unexplained(points, picks):
    basis = np.linalg.svd(points[picks], full_matrices=False)[2]
    return np.linalg.norm(points - points @ basis.T @ basis)


def test_one_row_from_each_of_two_directions():
    rows = np.array([[2.0, 0], [2, 0], [2, 0], [0, 1], [0, 1]])
    picks = project_and_match(rows, np.arange(5), 2)
    assert picks.tolist() == [0, 3]
    assert unexplained(rows, picks) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("d", [6, 24])
@pytest.mark.parametrize("seed", range(5))
def test_equals_the_definition(seed, d):
    points = np.random.default_rng(seed).normal(size=(80, d)) * np.linspace(1, 4, d)
    assert project_and_match(points, np.arange(80), 6).tolist() == by_definition(points, 6)


def test_the_residual_falls_and_is_zero_at_the_rank():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(30, 4)) @ rng.normal(size=(4, 10))
    picks = project_and_match(points, np.arange(30), 4)
    left = [unexplained(points, picks[:k]) for k in range(1, 5)]
    assert (np.diff(left) < 0).all()
    assert left[-1] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("seed", range(5))
def test_beyond_the_rank_it_starts_anew_and_never_repeats(dtype, seed):
    rng = np.random.default_rng(seed)
    points = (rng.normal(size=(60, 4)) @ rng.normal(size=(4, 30))).astype(dtype)
    picks = project_and_match(points, np.arange(60), 60)
    assert sorted(picks.tolist()) == list(range(60))
    again = project_and_match(points, np.delete(np.arange(60), picks[:4]), 3)
    assert picks[4:7].tolist() == again.tolist()


def test_starts_outside_the_span_of_the_selected_rows():
    points = np.random.default_rng(3).normal(size=(40, 8))
    selected = np.array([2, 30])
    candidates = np.setdiff1d(np.arange(40), selected)
    picks = project_and_match(points, candidates, 3, selected)
    # the definition takes the direction over the same free rows
    assert picks.tolist() == by_definition(points, 3, selected)


def test_selected_rows_that_span_everything_do_not_stop_it():
    points = np.random.default_rng(0).normal(size=(12, 2))
    picks = project_and_match(points, np.arange(4, 12), 3, np.arange(4))
    assert len(set(picks.tolist())) == 3


def test_uncertainty_takes_over_as_alpha_falls():
    points = np.random.default_rng(0).normal(size=(20, 5))
    uncertainty = np.linspace(0, 1, 20)
    rows = np.arange(20)
    assert project_and_match(points, rows, 2, None, uncertainty, 0.0).tolist() == [19, 18]
    plain = project_and_match(points, rows, 2)
    assert project_and_match(points, rows, 2, None, uncertainty, 1.0).tolist() == plain.tolist()


def test_rows_of_zeros_come_last():
    points = np.zeros((6, 3))
    points[4] = [0, 1, 0]
    assert project_and_match(points, np.arange(6), 3).tolist() == [4, 0, 1]


def test_single_precision_finds_the_same_rows():
    points = np.random.default_rng(0).normal(size=(500, 40)) * np.linspace(1, 3, 40)
    single = project_and_match(points.astype(np.float32), np.arange(500), 10)
    assert single.tolist() == project_and_match(points, np.arange(500), 10).tolist()
