"""Scribbles made from masks: inside their class, one for each, the same for a seed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fewmasks.loop.scribbles import _walk, scribble
from fewmasks.types import UNKNOWN


def rng(seed=0):
    return np.random.default_rng(seed)


def blobs(seed: int, side: int, n_classes: int) -> np.ndarray:
    """A mask of ellipses, some of them on top of each other, some unknown."""
    draw = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    mask = np.zeros((side, side), np.uint8)
    for number in [*range(1, n_classes), UNKNOWN]:
        cy, cx = draw.uniform(0, side, 2)
        ry, rx = draw.uniform(1, max(2, side / 2), 2)
        mask[((y - cy) / ry) ** 2 + ((x - cx) / rx) ** 2 < 1] = number
    return mask


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 90), st.integers(1, 5))
def test_every_class_gets_a_stroke_inside_of_it(seed, side, n_classes):
    mask = blobs(seed, side, n_classes)
    for background in (None, 0):
        drawn = scribble(mask, rng(seed), background)
        known = drawn != UNKNOWN
        assert (drawn[known] == mask[known]).all()
        assert set(np.unique(drawn[known])) == set(np.unique(mask)) - {UNKNOWN}


def test_a_seed_gives_the_same_scribble_and_another_one_another():
    mask = blobs(3, 128, 4)
    before = mask.copy()
    assert np.array_equal(scribble(mask, rng(1)), scribble(mask, rng(1)))
    assert not np.array_equal(scribble(mask, rng(1)), scribble(mask, rng(2)))
    assert np.array_equal(mask, before)


def test_a_few_per_cent_are_drawn():
    shares = [(scribble(blobs(s, 200, 4), rng(s), 0) != UNKNOWN).mean() for s in range(10)]
    assert 0.005 < np.mean(shares) < 0.08


def test_a_mask_that_says_nothing_stays_unknown():
    nothing = np.full((9, 9), UNKNOWN, np.uint8)
    assert (scribble(nothing, rng()) == UNKNOWN).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (2, 2)])
def test_pictures_of_hardly_any_pixels(shape):
    drawn = scribble(np.zeros(shape, np.uint8), rng())
    assert (drawn == 0).any()


def test_a_pixel_is_its_own_scribble():
    mask = np.zeros((30, 30), np.uint8)
    mask[7, 9] = 1
    assert scribble(mask, rng())[7, 9] == 1


def test_a_walk_on_a_line_takes_all_of_it():
    line = np.zeros((20, 20), bool)
    line[5, 3:17] = True
    assert np.array_equal(_walk(line, rng()), line)


def test_a_walk_takes_one_branch_of_a_fork():
    fork = np.zeros((41, 41), bool)
    fork[20, :21] = True
    for step in range(20):
        fork[20 - step, 20 + step] = fork[20 + step, 20 + step] = True
    walked = _walk(fork, rng())
    assert walked.sum() < fork.sum()
    assert (walked <= fork).all()


def test_a_ring_is_walked_around_once():
    y, x = np.mgrid[:60, :60]
    away = np.hypot(y - 30, x - 30)
    drawn = scribble(((away > 15) & (away < 22)).astype(np.uint8), rng())
    assert (drawn == 1).sum() > 60


@pytest.mark.slow
def test_a_comb_of_four_million_pixels():
    """A skeleton of a hundred thousand pixels is walked without recursion."""
    mask = np.zeros((2000, 2000), np.uint8)
    mask[::20] = 1
    mask[:, 1000] = 1
    drawn = scribble(mask, rng(), background=0)
    assert (drawn == 1).any()
    assert (mask[drawn == 1] == 1).all()
