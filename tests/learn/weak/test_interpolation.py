"""Slices between slices: by signed distance, and never a class where neither side has one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fewmasks.learn.weak.interpolation import between
from fewmasks.types import UNKNOWN


def disc(radius: float, x: float = 20, number: int = 1, ground: int = 0) -> np.ndarray:
    yy, xx = np.mgrid[:40, :40]
    return np.where(np.hypot(yy - 20, xx - x) < radius, number, ground).astype(np.uint8)


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return 2 * (one & other).sum() / (one.sum() + other.sum())


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
def test_a_disc_grows_evenly(share):
    found = between(disc(4), disc(12), share)
    assert dice(found == 1, disc(4 + 8 * share) == 1) > 0.93


def test_the_ends_are_the_slices():
    first, second = disc(4), disc(12, x=24)
    assert np.array_equal(between(first, second, 0.0), first)
    assert np.array_equal(between(first, second, 1.0), second)


@pytest.mark.parametrize(("share", "is_there"), [(0.2, True), (0.45, True), (0.55, False)])
def test_a_class_that_ends_is_gone_half_way(share, is_there):
    found = between(disc(8), disc(0), share)
    assert (found == 1).any() == is_there
    assert (found == 1).sum() < (disc(8) == 1).sum()


def maps(seed: int) -> np.ndarray:
    """Blobs of three classes and of unknown pixels."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((16, 14), np.uint8)
    for number in (1, 2, UNKNOWN):
        y, x = rng.integers(0, 12, 2)
        mask[y : y + rng.integers(1, 9), x : x + rng.integers(1, 9)] = number
    return mask


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 10_000), st.floats(0.01, 0.99))
def test_where_both_agree_it_is_so_and_what_neither_knows_is_unknown(one, other, share):
    first, second = maps(one), maps(other)
    found = between(first, second, share)
    agreed = first == second
    assert np.array_equal(found[agreed], first[agreed])
    assert set(np.unique(found)) <= set(np.unique(first)) | set(np.unique(second))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 10_000), st.floats(0.1, 0.9))
def test_it_is_the_same_from_the_other_side(one, other, share):
    first, second = maps(one), maps(other)
    assert (between(first, second, share) != between(second, first, 1 - share)).mean() < 0.02


def test_two_scribbles_say_nothing_about_what_lies_between_strokes():
    """Never background where nobody said so: strokes at different places leave all unknown."""
    first, second = (np.full((20, 20), UNKNOWN, np.uint8) for _ in range(2))
    first[2], second[17] = 0, 1
    assert (between(first, second, 0.5) == UNKNOWN).all()


def test_all_of_one_class_stays_so():
    plain = np.full((6, 5), 2, np.uint8)
    assert np.array_equal(between(plain, plain, 0.4), plain)
    unknown = np.full((6, 5), UNKNOWN, np.uint8)
    assert (between(plain, unknown, 0.6) == UNKNOWN).all()
