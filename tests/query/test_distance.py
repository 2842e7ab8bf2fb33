import numpy as np
import pytest
from scipy.spatial.distance import cdist

from fewmasks.query import distance
from fewmasks.query.distance import (
    at_rows,
    euclidean,
    nearest_of_rows,
    outer_products,
    reader,
    sketch,
    squared_distances,
)

X = np.random.default_rng(0).normal(size=(60, 5))
Y = np.random.default_rng(1).normal(size=(33, 5))


def test_squared_distances_equal_scipy():
    assert squared_distances(X, Y) == pytest.approx(cdist(X, Y, "sqeuclidean"))


def test_nearest_equals_the_least_of_all_in_tiles_too(monkeypatch):
    monkeypatch.setattr(distance, "TILE", 100)
    rows = np.arange(60)
    nearest = nearest_of_rows(lambda some: X[some], rows, Y)
    assert nearest == pytest.approx(cdist(X, Y, "sqeuclidean").min(axis=1))


def test_points_far_from_the_origin_keep_their_distances_in_single_precision():
    far = (X + 1000).astype(np.float32)
    rows = np.arange(60)
    exact = cdist(far.astype(np.float64), far.astype(np.float64), "sqeuclidean")
    read = reader(far, rows)
    assert squared_distances(read(rows), read(rows)) == pytest.approx(exact, rel=1e-4, abs=1e-5)
    assert euclidean(far, rows)(rows, rows) == pytest.approx(exact, rel=1e-3, abs=3e-3)


def test_whole_numbers_keep_exact_ties():
    grid = np.random.default_rng(2).integers(100, 140, size=(50, 4)).astype(np.float32)
    rows = np.arange(50)
    exact = cdist(grid, grid, "sqeuclidean")
    assert (euclidean(grid, rows)(rows, rows) == exact).all()


def test_outer_products_equal_the_products_written_out():
    error, feature = X[:, :3], X[:, 2:]
    written = np.einsum("nc,nd->ncd", error, feature).reshape(60, -1)
    a, b = np.arange(40), np.arange(30, 60)
    expected = cdist(written[a], written[b], "sqeuclidean")
    assert outer_products(error, feature)(a, b) == pytest.approx(expected, abs=1e-12)


def test_rows_without_a_gap_are_not_copied():
    assert at_rows(X, np.arange(3, 9)).base is X
    assert (at_rows(X, np.arange(3, 9)) == X[3:9]).all()
    assert (at_rows(X, np.array([3, 5, 4])) == X[[3, 5, 4]]).all()


def test_a_reader_shifts_all_rows_alike_and_widens_half_precision():
    half = X.astype(np.float16)
    read = reader(half, np.arange(60))
    assert read(np.arange(2)).dtype == np.float32
    shift = read(np.arange(60)) - half
    assert shift == pytest.approx(np.tile(shift[:1], (60, 1)), abs=1e-6)


@pytest.mark.parametrize("axes", [1, 3, 9])
def test_sketches_are_never_farther_apart_than_rows_nor_much_nearer(axes):
    rows = np.array([9, 3, 50, *range(20, 40)])
    short = sketch(X, rows, axes)
    assert short.shape == (23, min(axes, 5) + 1)
    least, exact = cdist(short, short, "sqeuclidean"), cdist(X[rows], X[rows], "sqeuclidean")
    room = 4 * np.outer(short[:, -1], short[:, -1])
    assert (least <= exact + 1e-9).all()
    assert (exact <= least + room + 1e-9).all()
    if axes >= 5:
        assert least == pytest.approx(exact)


def test_a_sketch_takes_the_widest_direction():
    line = np.outer(np.arange(30.0), [3, 4]) + 0.01 * np.random.default_rng(0).normal(size=(30, 2))
    short = sketch(line, np.arange(30), 1)
    assert np.abs(np.diff(short[:, 0])) == pytest.approx(np.full(29, 5), abs=0.1)
    assert short[:, 1] == pytest.approx(np.zeros(30), abs=0.1)
