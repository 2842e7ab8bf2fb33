"""Annotation time by the cost model, and the oracle that charges it."""

import numpy as np
import pytest

from fewmasks.config import CostConfig
from fewmasks.errors import ProjectError
from fewmasks.loop.cost import items_for, seconds_for
from fewmasks.loop.oracle import truth_labels
from fewmasks.types import Item

COST = CostConfig()


def test_scribbles_on_two_fifths_of_the_slices_cost_a_fortieth():
    """By default a scribble is fifteen times faster than a mask."""
    n = 1000
    masks = n * seconds_for("mask", COST)
    scribbles = 0.4 * n * seconds_for("scribble", COST)
    assert scribbles / masks == pytest.approx(0.4 / 15)
    assert scribbles / masks == pytest.approx(0.026667, abs=1e-6)


@pytest.mark.parametrize(
    ("minutes", "masks", "scribbles"), [(30.0, 30, 450), (0.5, 0, 7), (0.0, 0, 0)]
)
def test_minutes_hold_whole_labels(minutes, masks, scribbles):
    assert items_for(minutes, "mask", COST) == masks
    assert items_for(minutes, "scribble", COST) == scribbles


def test_the_cost_is_what_the_settings_say():
    assert seconds_for("mask", CostConfig(seconds_per_mask=90)) == 90
    assert seconds_for("scribble", CostConfig(seconds_per_mask=90, scribble_speedup=3)) == 30


def test_the_oracle_answers_in_order_and_charges_each_answer():
    items = [Item(f"i{k}", "f", ("g",)) for k in range(3)]
    masks = {item.id: np.full((2, 2), k, np.uint8) for k, item in enumerate(items)}
    labels = list(truth_labels(items, lambda item: masks[item.id], "scribble", COST))
    assert [label.item for label in labels] == ["i0", "i1", "i2"]
    assert {label.seconds for label in labels} == {4.0}
    assert [int(label.mask[0, 0]) for label in labels] == [0, 1, 2]


def test_the_oracle_reads_one_mask_at_a_time():
    seen = []
    items = [Item(f"i{k}", "f", ("g",)) for k in range(3)]

    def reference(item):
        seen.append(item.id)
        return np.zeros((1, 1), np.uint8)

    next(truth_labels(items, reference, "mask", COST))
    assert seen == ["i0"]


def test_the_oracle_names_what_it_cannot_answer():
    with pytest.raises(ProjectError, match="i0: no reference scribble"):
        list(truth_labels([Item("i0", "f", ("g",))], lambda item: None, "scribble", COST))
