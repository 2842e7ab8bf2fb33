"""Areas and differences whose answers can be worked out by hand."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.study.curves import curve_of

from fewmasks.study.statistics import (
    area_under_curve,
    holm,
    interval,
    labels_to_reach,
    mean_curve,
    paired_difference,
)


def areas(curve, over="items"):
    return area_under_curve(curve, over)["area"].tolist()


def test_interval_of_three_seeds_is_students():
    """Mean 2, standard error 1 / sqrt(3), and 4.3027 is the quantile for two degrees."""
    mean, low, high = interval([1.0, 2.0, 3.0])
    assert mean == 2
    assert (low, high) == pytest.approx((2 - 4.302653 / 3**0.5, 2 + 4.302653 / 3**0.5))


def test_interval_without_spread_to_judge():
    assert np.isnan(interval([])).all()
    assert interval([0.5, np.nan])[0] == 0.5
    assert np.isnan(interval([0.5, np.nan])[1:]).all()
    assert interval([0.5, 0.5]) == (0.5, 0.5, 0.5)


def test_area_is_the_mean_height_whatever_the_unit_of_labels():
    curve = curve_of({"random": [[0.5, 0.7, 0.7]]})
    assert areas(curve) == pytest.approx([0.65])
    assert areas(curve, "seconds") == pytest.approx([0.65])
    assert areas(curve_of({"random": [[0.5, 0.7, 0.7]]}, items=[0, 30, 40])) == pytest.approx(
        [(0.6 * 30 + 0.7 * 10) / 40]
    )


def test_area_is_over_the_range_that_all_runs_share():
    """The second seed stopped at 20 labels, so neither is judged beyond."""
    table = area_under_curve(curve_of({"random": [[0.2, 0.4, 1.0], [0.3, 0.5]]}))
    assert table["area"].tolist() == pytest.approx([0.3, 0.4])
    assert table[["first", "last"]].to_numpy().tolist() == [[10, 20], [10, 20]]


def test_area_of_one_round_of_no_dice_and_of_ranges_that_never_meet():
    assert areas(curve_of({"random": [[0.4]]})) == [0.4]
    assert areas(curve_of({"random": [[0.4, np.nan, 0.8]]})) == pytest.approx([0.6])
    nothing = areas(curve_of({"random": [[0.4, 0.4]], "b": [[np.nan, np.nan]]}))
    assert nothing[0] == 0.4
    assert np.isnan(nothing[1])
    apart = [curve_of({n: [[0.4, 0.5]]}, items=at) for n, at in {"a": [1, 2], "b": [5, 6]}.items()]
    assert np.isnan(areas(pd.concat(apart))).all()


def test_settings_do_not_narrow_each_other():
    short = curve_of({"random": [[0.2, 0.4]]}, start="byol")
    long = curve_of({"random": [[0.2, 0.4, 0.6]]})
    assert areas(pd.concat([short, long])) == pytest.approx([0.3, 0.4])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=2, max_size=6), st.floats(0, 1))
def test_area_lies_between_the_least_and_greatest_dice_and_shifts_with_them(dices, shift):
    area = areas(curve_of({"a": [dices]}))[0]
    assert min(dices) - 1e-12 <= area <= max(dices) + 1e-12
    moved = areas(curve_of({"a": [[dice + shift for dice in dices]]}))[0]
    assert moved == pytest.approx(area + shift)


def test_difference_is_paired_by_seed():
    """Seeds differ by 0.4 from each other, yet the gain is 0.1, 0.2 and 0.3."""
    curve = curve_of(
        {"random": [[0.1] * 2, [0.3] * 2, [0.5] * 2], "new": [[0.2] * 2, [0.5] * 2, [0.8] * 2]}
    )
    (row,) = paired_difference(curve).to_dict("records")
    assert row["strategy"] == "new"
    assert (row["seeds"], row["wins"]) == (3, 3)
    half = 4.302653 * 0.1 / 3**0.5
    assert [row["difference"], row["low"], row["high"]] == pytest.approx(
        [0.2, 0.2 - half, 0.2 + half]
    )
    assert row["p"] == pytest.approx(0.0741799)  # t = 3.4641 with two degrees of freedom
    assert row["p_holm"] == row["p"]
    assert "few" in row["note"]


def test_only_seeds_that_both_ran_are_compared():
    curve = curve_of({"random": [[0.1], [0.2]], "new": [[0.2], [0.4], [0.9]]})
    assert paired_difference(curve)["seeds"].tolist() == [2]


def test_what_cannot_be_judged_says_so():
    one = paired_difference(curve_of({"random": [[0.1]], "new": [[0.2]]})).iloc[0]
    assert one["difference"] == pytest.approx(0.1)
    assert np.isnan(one[["low", "high", "p", "p_holm"]].astype(float)).all()
    assert "one seed" in one["note"]
    same = paired_difference(curve_of({"random": [[0.25]] * 3, "new": [[0.5]] * 3})).iloc[0]
    assert np.isnan(same["p"])
    assert "same amount" in same["note"]
    alone = paired_difference(curve_of({"new": [[0.2]]})).iloc[0]
    assert alone["seeds"] == 0
    assert "baseline" in alone["note"]
    assert paired_difference(curve_of({"random": [[0.2]]})).empty


@pytest.mark.parametrize("seeds", [2, 5, 12])
def test_the_interval_of_a_difference_is_students(seeds):
    rng = np.random.default_rng(0)
    base, gain = rng.normal(0.5, 0.1, seeds), rng.normal(0.05, 0.02, seeds)
    curve = curve_of(
        {"random": [[b] for b in base], "new": [[b + g] for b, g in zip(base, gain, strict=True)]}
    )
    row = paired_difference(curve).iloc[0]
    assert tuple(row[["difference", "low", "high"]]) == pytest.approx(interval(gain))


def test_a_line_of_other_minutes_takes_nothing_from_the_comparison_of_others():
    """Scribbles of a tenth of the time share no range with masks, which still share theirs."""
    curve = curve_of({"random": [[0.4, 0.5]] * 3, "new": [[0.5, 0.7], [0.5, 0.6], [0.6, 0.7]]})
    alone = paired_difference(curve, over="seconds")
    quick = curve[curve["strategy"] == "new"].assign(strategy="quick")
    quick["seconds"] = 1e-3 * quick["seconds"]
    both = paired_difference(pd.concat([curve, quick]), over="seconds").set_index("strategy")
    assert alone["difference"].notna().all()
    assert both.loc["new", "difference"] == alone["difference"].item()
    assert np.isnan(both.loc["quick", "difference"])


def test_p_is_that_of_scipy():
    from scipy.stats import ttest_rel

    rng = np.random.default_rng(1)
    a, b = rng.normal(0.5, 0.1, (2, 7))
    curve = curve_of({"random": [[x] for x in a], "new": [[x] for x in b]})
    assert paired_difference(curve)["p"].item() == pytest.approx(ttest_rel(b, a).pvalue)


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_equals_its_definition(p):
    """Step down: the i-th smallest is compared with alpha / (m - i), and the first miss stops."""
    corrected = holm(np.array(p, dtype=np.float64))
    for alpha in (0.01, 0.05, 0.2):
        rejected = set()
        for step, row in enumerate(np.argsort(p, kind="stable")):
            if p[row] * (len(p) - step) > alpha:
                break
            rejected.add(int(row))
        assert set(np.flatnonzero(corrected <= alpha)) == rejected


def test_holm_does_not_count_what_was_not_asked():
    np.testing.assert_array_equal(holm(np.array([0.02, np.nan])), [0.02, np.nan])


def test_mean_curve_and_labels_to_reach():
    curve = curve_of({"random": [[0.4, 0.6], [0.6, 0.8]], "new": [[0.7, 0.9], [0.7, np.nan]]})
    means = mean_curve(curve)
    assert means["mean"].tolist() == pytest.approx([0.5, 0.7, 0.7, 0.9])
    assert means["seeds"].tolist() == [2, 2, 2, 1]
    assert means["x"].tolist() == [10, 20, 10, 20]
    reached = labels_to_reach(curve, 0.7).set_index("strategy")["items"]
    assert reached.to_dict() == {"random": 20, "new": 10}
    assert np.isnan(labels_to_reach(curve, 0.95)["items"]).all()


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_intervals_cover_the_truth_as_often_as_they_say(seeds):
    samples = np.random.default_rng(2).normal(size=(1000, seeds))
    covered = [low < 0 < high for _, low, high in map(interval, samples)]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.02)
