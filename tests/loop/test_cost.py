"""Annotation time by the cost model, and the oracle that charges it."""

import numpy as np
import pytest

from fewmasks.config import CostConfig
from fewmasks.errors import ProjectError
from fewmasks.loop.cost import (
    NOTHING,
    Outline,
    Pace,
    as_labelled,
    choose_kinds,
    constant,
    fill,
    fit,
    mean_outline,
    outline,
    seconds_for,
    seconds_of,
    stated,
    total,
    with_skips,
)
from fewmasks.loop.oracle import truth_labels
from fewmasks.types import Item

COST = CostConfig()
PRIOR = stated("mask", COST)


def annotator(n, seed=0, truth=(20.0, 0.1, 5.0), noise=0.0):
    """Outlines, and the seconds of somebody who takes just as long as the model says, or about."""
    rng = np.random.default_rng(seed)
    drawn = [
        Outline(float(border), float(parts))
        for border, parts in zip(rng.uniform(50, 600, n), rng.integers(1, 8, n), strict=True)
    ]
    base, per_border, per_part = truth
    mean = np.array([base + per_border * one.border + per_part * one.parts for one in drawn])
    return drawn, mean * rng.lognormal(-(noise**2) / 2, noise, n)


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
    for kind, count in (("mask", masks), ("scribble", scribbles)):
        assert fill([seconds_for(kind, COST)] * 500, 60 * minutes) == count


def test_shares_of_the_time_for_all_slices_are_the_round_sizes_of_al_seg():
    """Vepa et al., NeurIPS 2024: 1 to 5, 10, 15, 20 and 40 % of 1454 slices."""
    seconds = [seconds_for("mask", COST)] * 1454
    sizes = [fill(seconds, share * sum(seconds) / 100) for share in (1, 2, 3, 4, 5, 10, 15, 20, 40)]
    assert sizes == [14, 29, 43, 58, 72, 145, 218, 290, 581]


def test_what_comes_beside_is_part_of_the_time():
    assert fill([60.0] * 10, 300.0) == 5
    assert fill([60.0] * 10, 300.0, lambda count: 60.0) == 4
    assert fill([60.0] * 10, 60.0, lambda count: 60.0) == 0
    assert fill([], 60.0) == 0


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


# Outlines


def test_an_outline_is_borders_and_parts_by_definition():
    rng = np.random.default_rng(3)
    mask = rng.integers(0, 3, (9, 7)).astype(np.uint8)
    mask[rng.random(mask.shape) < 0.2] = 255
    pairs = sum(
        int(mask[y, x] != mask[y + dy, x + dx])
        for y in range(9) for x in range(7) for dy, dx in ((0, 1), (1, 0))
        if y + dy < 9 and x + dx < 7
    )  # fmt: skip
    assert outline(mask, [0]).border == pairs
    assert outline(mask, [0]).parts == sum(parts_slowly(mask == n) for n in (1, 2))
    assert outline(mask).parts == sum(parts_slowly(mask == n) for n in (0, 1, 2))


def parts_slowly(region):
    left, parts = set(map(tuple, np.argwhere(region))), 0
    while left:
        parts += 1
        front = [left.pop()]
        while front:
            y, x = front.pop()
            for near in ((y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)):
                if near in left:
                    left.remove(near)
                    front.append(near)
    return parts


def test_nothing_drawn_is_nothing():
    assert outline(np.zeros((4, 4), np.uint8), [0]) == NOTHING
    assert outline(np.full((4, 4), 255, np.uint8)) == NOTHING


# The pace of an annotator


def test_a_pace_without_labels_is_what_was_expected():
    assert fit([], np.zeros(0), PRIOR) is PRIOR
    assert seconds_of(PRIOR) == 60


def test_a_fit_finds_the_truth():
    """Within two per cent where people are exact, within their noise where they are not."""
    found = fit(*annotator(400), PRIOR)
    np.testing.assert_allclose(
        (found.base, found.per_border, found.per_part), (20, 0.1, 5), rtol=0.05
    )
    assert found.labels == 400
    for seed in range(5):
        found = fit(*annotator(400, seed, noise=0.3), PRIOR)
        probe, true = annotator(50, seed + 100)
        assert total(found, probe).seconds == pytest.approx(true.sum(), rel=0.05)


def test_a_fit_is_what_a_search_finds():
    """The least of the loss that the docstring states, with no shortcut: small steps downhill."""
    for seed in range(2):
        drawn, seconds = annotator(5, seed, (0.0, 0.2, 0.0), noise=0.5)
        found = fit(drawn, seconds, PRIOR)
        x = np.array([(1, one.border, one.parts) for one in drawn])
        x /= x.mean(axis=0)
        mean = np.array([(1, one.border, one.parts) for one in drawn]).mean(axis=0)
        prior = np.array([60.0, 0, 0])
        theta = prior.copy()
        for _ in range(20_000):
            slope = x.T @ (x @ theta - seconds)
            slope += 3 * (theta - prior).sum() + 0.5 * (theta - prior)
            theta = np.maximum(0, theta - 0.02 * slope)
        ours = np.array([found.base, found.per_border, found.per_part]) * mean
        np.testing.assert_allclose(ours, theta, rtol=1e-4, atol=1e-3)


def test_few_labels_move_little_and_many_decide():
    quick = [Outline(100.0, 1.0)]
    after = [
        seconds_of(fit(quick * n, np.full(n, 6.0), PRIOR), quick[0]) for n in (0, 1, 3, 10, 100)
    ]
    assert after == sorted(after, reverse=True)
    assert after[1] > 20
    assert after[-1] < 8


def test_no_pace_is_ever_negative():
    """Long borders that took no longer, seconds near zero, one label, equal labels."""
    for seed in range(30):
        rng = np.random.default_rng(seed)
        n = int(rng.integers(1, 12))
        drawn, seconds = annotator(n, seed, tuple(rng.uniform(-1, 1, 3) * (30, 0.2, 10)))
        found = fit(drawn, np.abs(seconds) * rng.lognormal(0, 1, n), PRIOR)
        assert min(found.base, found.per_border, found.per_part) >= 0
        estimate = total(found, drawn)
        assert 0 <= estimate.low <= estimate.seconds <= estimate.high
        assert np.isfinite(estimate.high)


def test_a_break_for_lunch_is_seen_through():
    drawn, seconds = annotator(30, noise=0.2)
    without = total(fit(drawn, seconds, PRIOR), drawn).seconds
    seconds[4] = 3600
    assert total(fit(drawn, seconds, PRIOR), drawn).seconds == pytest.approx(without, rel=0.15)


def test_a_cost_is_the_sum_of_its_items():
    pace = fit(*annotator(20, noise=0.3), PRIOR)
    drawn, _ = annotator(9, seed=5)
    drawn = [*drawn, None]
    whole = total(pace, drawn)
    assert whole.seconds == pytest.approx(sum(seconds_of(pace, one) for one in drawn))
    assert whole.seconds == pytest.approx(
        total(pace, drawn[:4]).seconds + total(pace, drawn[4:]).seconds
    )
    assert total(pace, drawn[::-1]).seconds == pytest.approx(whole.seconds)
    assert total(pace, []) == total(pace, [])
    assert total(pace, []).high == 0


def test_the_order_of_labels_says_nothing():
    drawn, seconds = annotator(25, noise=0.4)
    order = np.random.default_rng(0).permutation(25)
    one = fit(drawn, seconds, PRIOR)
    other = fit([drawn[n] for n in order], seconds[order], PRIOR)
    assert seconds_of(one, drawn[0]) == pytest.approx(seconds_of(other, drawn[0]), rel=1e-9)


@pytest.mark.slow
def test_an_interval_holds_the_truth_about_as_often_as_it_says():
    """Twenty labels to come, after a dozen that were measured, noise of thirty per cent."""
    held = 0
    for seed in range(100):
        pace = fit(*annotator(12, seed, noise=0.3), PRIOR)
        to_come, seconds = annotator(20, seed + 1000, noise=0.3)
        estimate = total(pace, to_come, is_guess=False)
        held += estimate.low <= seconds.sum() <= estimate.high
    assert held >= 88


def test_an_interval_holds_the_truth_of_items_nobody_has_seen_too():
    held = 0
    for seed in range(60):
        pace = fit(*annotator(15, seed, noise=0.3), PRIOR)
        _, seconds = annotator(10, seed + 1000, noise=0.3)
        estimate = total(pace, [None] * 10)
        held += estimate.low <= seconds.sum() <= estimate.high
    assert held >= 53


def test_what_was_never_seen_costs_no_more_than_the_largest_seen():
    drawn, seconds = annotator(30)
    pace = fit(drawn, seconds, PRIOR)
    most = Outline(max(one.border for one in drawn), max(one.parts for one in drawn))
    assert seconds_of(pace, Outline(1e6, 1e4)) == seconds_of(pace, most)


def test_of_an_unknown_item_a_typical_one_is_expected():
    drawn, seconds = annotator(200)
    assert seconds_of(fit(drawn, seconds, PRIOR)) == pytest.approx(seconds.mean(), rel=0.02)


def test_a_model_that_sees_half_of_all_there_is_misses_nothing():
    drawn, seconds = annotator(200)
    pace = fit(drawn, seconds, PRIOR)
    half = [Outline(one.border / 2, one.parts / 3) for one in drawn]
    scaled = [as_labelled(one, mean_outline(half), pace) for one in half]
    assert total(pace, scaled).seconds == pytest.approx(seconds.sum(), rel=0.02)
    for one, truth in zip(scaled, drawn, strict=True):
        assert (one.border, one.parts) == pytest.approx((truth.border, truth.parts))
    assert as_labelled(half[0], NOTHING, pace) == pace.typical
    assert as_labelled(half[0], NOTHING, PRIOR) == half[0]


def test_who_skips_half_needs_half_the_time_and_the_skips():
    pace = with_skips(constant(60.0), 0.5, 4.0)
    assert seconds_of(pace) == 32
    assert with_skips(PRIOR, 0.0, 4.0) == PRIOR


def test_long_borders_are_worth_a_scribble_and_short_ones_a_mask():
    """A scribble gains half of what a mask does, in 6 s: it is worth it where a mask takes 12 s."""
    paces = {"mask": Pace(5.0, per_border=0.1), "scribble": Pace(6.0)}
    drawn = [Outline(float(border), 1.0) for border in (0, 60, 71, 500)]
    assert choose_kinds(paces, drawn, 0.5) == ["mask", "mask", "scribble", "scribble"]
    assert choose_kinds(paces, drawn, 1.0) == ["mask", "scribble", "scribble", "scribble"]
    assert choose_kinds(paces, [None], 0.5) == ["mask"]


# What the settings state


def test_regions_and_borders_have_prices_of_their_own():
    cost = CostConfig(seconds_per_region=20, seconds_per_border=0.5, seconds_per_part=2)
    assert seconds_for("mask", cost, is_region=True) == 20
    assert seconds_for("mask", COST, is_region=True) == 60
    assert seconds_of(stated("mask", cost), Outline(10.0, 3.0)) == 60 + 5 + 6
    assert seconds_of(stated("scribble", cost), Outline(10.0, 3.0)) == (60 + 5 + 6) / 15


def test_the_oracle_charges_what_it_drew():
    mask = np.zeros((4, 4), np.uint8)
    mask[1, 1] = mask[3, 3] = 1
    cost = CostConfig(seconds_per_mask=10, seconds_per_border=1, seconds_per_part=100)
    (label,) = truth_labels([Item("i0", "f", ("g",))], lambda item: mask, "mask", cost, 0)
    assert label.seconds == 10 + 6 + 200
    region = Item("i0", "f", ("g",), 0, (0, 0, 4, 4))
    cost = CostConfig(seconds_per_region=7)
    (label,) = truth_labels([region], lambda item: mask, "mask", cost, 0)
    assert label.seconds == 7


def test_a_pace_can_be_given_by_hand():
    assert total(Pace(5.0), [None, None]).seconds == 10
