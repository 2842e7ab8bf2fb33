"""Watershed outlines: touching discs come apart, a blank picture has nothing, people decide."""

import numpy as np
import pytest

from fewmasks.learn.weak.watershed import decided, judge, objects, opening_for
from fewmasks.types import Item

ITEM = Item("a", "a.png", ("a",))


def discs(*middles: tuple[int, int], radius: int = 60, side: int = 256) -> np.ndarray:
    y, x = np.mgrid[:side, :side]
    return np.any([np.hypot(y - my, x - mx) < radius for my, mx in middles], axis=0)


def picture(mask: np.ndarray, noise: float = 0.05) -> np.ndarray:
    return mask + np.random.default_rng(0).normal(0, noise, mask.shape)


def iou(one: np.ndarray, other: np.ndarray) -> float:
    return (one & other).sum() / (one | other).sum()


def test_two_touching_discs_are_two():
    truth = discs((128, 65), (128, 185))
    found = objects(picture(truth))
    assert set(np.unique(found)) == {0, 1, 2}
    assert iou(found > 0, truth) > 0.9
    assert len({found[128, 65], found[128, 185]}) == 2


@pytest.mark.parametrize("value", [0.0, 7.0])
def test_a_blank_picture_has_no_objects(value):
    assert not objects(np.full((40, 30), value)).any()


def test_specks_are_no_objects():
    speck = np.zeros((128, 128))
    speck[60:62, 60:62] = 1
    assert not objects(speck).any()
    lines = np.zeros((128, 128))
    lines[::20] = 1
    assert not objects(lines, opening=9).any()


def test_the_opening_follows_the_size_of_the_picture():
    assert [opening_for((side, 20)) for side in (32, 64, 128, 256, 512)] == [3, 3, 5, 9, 17]


@pytest.mark.parametrize(
    ("decision", "expected"),
    [
        ("accept", lambda found: found > 0),
        ("background", np.zeros_like),
        ("foreground", np.ones_like),
    ],
)
def test_a_decision_is_a_label_that_says_who_and_how(decision, expected):
    found = np.array([[0, 1], [2, 0]], np.int32)
    label = decided(ITEM, found, decision, (0, 3), "anna", 1.5)
    assert np.array_equal(label.mask, np.where(expected(found), 3, 0))
    assert (label.item, label.kind, label.seconds) == ("a", "mask", 1.5)
    assert label.by == f"anna (watershed: {decision})"


def test_what_is_skipped_is_no_label():
    assert decided(ITEM, np.zeros((2, 2), np.int32), "skip", (0, 1), "anna", 1.0) is None


@pytest.mark.parametrize(
    ("found", "truth", "said"),
    [
        ([[0, 1, 1, 2]], [[0, 1, 1, 1]], "accept"),
        ([[1, 1, 1, 1]], [[0, 0, 0, 0]], "background"),
        ([[0, 0, 0, 0]], [[1, 1, 1, 1]], "foreground"),
        ([[1, 1, 0, 0]], [[0, 0, 1, 1]], "skip"),
        ([[0, 0, 1, 1]], [[0, 255, 1, 1]], "accept"),
        ([[0, 0, 1, 1]], [[255, 255, 255, 255]], "skip"),
    ],
)
def test_somebody_who_knows_the_truth_says_what_is_right(found, truth, said):
    assert judge(np.array(found, np.int32), np.array(truth, np.uint8), (0, 1)) == said
