"""Planes: PCA is that of scikit-learn, t-SNE keeps clusters apart and is the same for a seed."""

import sys

import numpy as np
import pytest
from sklearn.decomposition import PCA

from fewmasks.errors import MissingExtra
from fewmasks.study import plane as module
from fewmasks.study.plane import principal_plane, tsne_plane


def test_the_plane_is_that_of_scikit_learn():
    points = np.random.default_rng(0).normal(size=(50, 8)) * np.arange(1, 9) + 30
    plane, share = principal_plane(points)
    theirs = PCA(2).fit(points)
    assert np.abs(plane) == pytest.approx(np.abs(theirs.transform(points)))
    assert share == pytest.approx(theirs.explained_variance_ratio_.sum())


@pytest.mark.parametrize("shape", [(1, 4), (6, 1), (2, 3)])
def test_small_pools_have_a_plane_too(shape):
    plane, share = principal_plane(np.random.default_rng(0).normal(size=shape))
    assert plane.shape == (shape[0], 2)
    assert 0 < share <= 1 + 1e-9


def test_equal_points_have_an_equal_map_all_in_one_spot():
    plane, share = principal_plane(np.ones((9, 4)))
    assert plane == pytest.approx(np.zeros((9, 2)))
    assert share == 1


def test_a_mirrored_embedding_keeps_its_map():
    points = np.random.default_rng(0).normal(size=(20, 5))
    assert principal_plane(points)[0] == pytest.approx(principal_plane(points.copy())[0])


# t-SNE


@pytest.fixture
def tsne():
    pytest.importorskip("openTSNE", reason="openTSNE is not here: pip install 'fewmasks[viz]'")


def clusters(n=20, d=8):
    """Three tight balls far from each other, and the ball of each point."""
    rng = np.random.default_rng(0)
    ball = np.repeat(np.arange(3), n)
    return 20 * np.eye(3, d)[ball] + rng.normal(size=(3 * n, d)), ball


def test_neighbours_on_the_plane_are_neighbours(tsne):
    points, ball = clusters()
    found = tsne_plane(points, seed=0)
    apart = np.linalg.norm(found[:, None] - found[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    assert found.shape == (60, 2)
    assert (ball[apart.argmin(axis=1)] == ball).all()


def test_a_seed_has_one_map_to_the_last_digit(tsne):
    points, _ = clusters()
    assert np.array_equal(tsne_plane(points, seed=3), tsne_plane(points.copy(), seed=3))


@pytest.mark.parametrize("n", [module.FEWEST, 6, 31])
def test_few_points_and_equal_points_have_a_map(n, tsne):
    rng = np.random.default_rng(0)
    for points in (rng.normal(size=(n, 4)), np.ones((n, 4)), rng.normal(size=(n, 1))):
        assert np.isfinite(tsne_plane(points.astype(np.float32), seed=0)).all()


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "openTSNE", None)
    with pytest.raises(MissingExtra, match=r"^openTSNE: .*pip install 'fewmasks\[viz\]'"):
        tsne_plane(np.zeros((9, 3)), seed=0)
