"""The simulated annotator: reference masks, given scribbles, drawn scribbles."""

import numpy as np
import pytest

from fewmasks.config import CostConfig
from fewmasks.errors import ProjectError
from fewmasks.loop.oracle import scribbles, truth_labels
from fewmasks.types import UNKNOWN, Item

ITEMS = [Item("a", "a.png", ("g",)), Item("b/é", "b.png", ("g",))]
MASK = np.zeros((100, 100), np.uint8)
MASK[10:90, 20:70] = 1


def nothing(item):
    return None


def test_the_masks_are_the_answers():
    labels = list(truth_labels(ITEMS, lambda item: MASK, "mask", CostConfig()))
    assert [label.item for label in labels] == ["a", "b/é"]
    assert all(label.mask is MASK and label.seconds == 60 for label in labels)


def test_an_item_without_an_answer_is_named():
    with pytest.raises(ProjectError, match="a: no reference mask to answer with"):
        list(truth_labels(ITEMS, nothing, "mask", CostConfig()))


def test_a_scribble_that_was_given_is_the_answer():
    given = np.full((100, 100), UNKNOWN, np.uint8)
    answer = scribbles(lambda item: given, lambda item: MASK, 0)
    assert answer(ITEMS[0]) is given


def test_a_drawn_scribble_is_the_same_whenever_it_is_asked_for():
    answer, again = (scribbles(nothing, lambda item: MASK, 0, seed=3) for _ in range(2))
    first = answer(ITEMS[0])
    assert np.array_equal(again(ITEMS[0]), first)
    assert np.array_equal(answer(ITEMS[0]), first)
    assert not np.array_equal(answer(ITEMS[1]), first)
    assert not np.array_equal(scribbles(nothing, lambda item: MASK, 0, seed=4)(ITEMS[0]), first)


def test_without_scribble_and_mask_there_is_no_answer():
    assert scribbles(nothing, nothing, 0)(ITEMS[0]) is None
