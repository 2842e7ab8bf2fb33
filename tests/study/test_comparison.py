"""Lines of a study side by side: with known answers, and against the definition."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.study.curves import curve_of

from fewmasks.study.comparison import ALL, compare, named, sentences
from fewmasks.study.file import Study
from fewmasks.study.statistics import holm

RNG = np.random.default_rng(4)
BASE = 0.5 + 0.05 * RNG.normal(size=(6, 3)).cumsum(axis=1)


def study(**more):
    given = {"strategies": ("random",), "task": ({"name": "a", "project": "a"},)}
    given["arm"] = ({"name": "off"}, {"name": "on"})
    return Study.model_validate(given | more)


def line(task, arm, dices, strategy="random"):
    made = curve_of({strategy: dices.tolist()})
    made.insert(0, "task", task)
    made.insert(1, "arm", arm)
    return made


def table_of(*lines, **more):
    curve, baseline = named(pd.concat(lines, ignore_index=True), study(**more), Path("study.toml"))
    return compare(curve, baseline), baseline


def test_an_arm_that_gains_the_same_everywhere():
    table, baseline = table_of(
        line("a", "off", BASE), line("a", "on", BASE + 0.1 + 0.001 * RNG.normal(size=(6, 1)))
    )
    assert baseline == "off"
    on = table.set_index("name").loc["on"]
    assert on["difference"] == pytest.approx(0.1, abs=0.002)
    assert on["low"] < 0.1 < on["high"]
    assert on["p_holm"] < 1e-6
    assert (on["wins"], on["seeds"]) == (6, 6)
    (said,) = sentences(table, baseline)
    assert said.startswith("on: +0.1")
    assert said.endswith("against off, better")


def test_lines_that_share_no_range_of_labels_are_compared_over_minutes():
    cheap = line("a", "on", BASE + 0.1)
    cheap["items"] *= 10
    table, baseline = table_of(line("a", "off", BASE), cheap)
    (said,) = sentences(table, baseline)
    assert said.endswith("as no seed of it and the baseline is over a range that both share")
    curve, _ = named(pd.concat([line("a", "off", BASE), cheap]), study(), Path("study.toml"))
    by_minutes = compare(curve, baseline, "seconds").set_index("name")
    assert by_minutes.loc["on", "difference"] == pytest.approx(0.1)
    areas = np.trapezoid(BASE, [10, 20, 30], axis=1) / 20
    assert by_minutes.loc["off", "area"] == pytest.approx(areas.mean())


def test_figures_are_those_of_the_definition():
    off, on = BASE, BASE + 0.02 * RNG.normal(size=BASE.shape)
    table, _ = table_of(line("a", "off", off), line("a", "on", on))
    areas = [np.trapezoid(dices, [10, 20, 30], axis=1) / 20 for dices in (off, on)]
    rows = table.set_index("name")
    np.testing.assert_allclose(rows.loc["on", "area"], areas[1].mean())
    np.testing.assert_allclose(rows.loc["on", "sd"], areas[1].std(ddof=1))
    np.testing.assert_allclose(rows.loc["on", "difference"], (areas[1] - areas[0]).mean())
    np.testing.assert_allclose(rows.loc["off", "last"], off[:, -1].mean())
    assert rows.loc["off", "note"] == "baseline"


def test_over_tasks_each_counts_alike_and_a_seed_is_a_mean():
    gains = {"a": RNG.normal(0.02, 0.01, (6, 1)), "b": RNG.normal(0.04, 0.01, (6, 1))}
    lines = [
        line(task, arm, BASE + gain * (arm == "on"))
        for task, gain in gains.items() for arm in ("off", "on")
    ]  # fmt: skip
    table, baseline = table_of(*lines)
    rows = table.set_index(["task", "name"])
    both = (gains["a"] + gains["b"]) / 2
    of_all = rows.loc[(ALL, "on")]
    assert of_all["difference"] == pytest.approx(both.mean())
    assert of_all["wins"] == (both > 0).sum()
    assert of_all["difference"] == pytest.approx(
        np.mean([rows.loc[(task, "on"), "difference"] for task in "ab"])
    )
    assert len(sentences(table, baseline)) == 1


def test_a_seed_that_a_task_lacks_is_left_out_of_all():
    lines = [line("a", arm, BASE + 0.01 * n) for n, arm in enumerate(("off", "on"))]
    lines += [line("b", arm, (BASE + 0.01 * n)[:4]) for n, arm in enumerate(("off", "on"))]
    lines[3]["dice"] += 0.001 * lines[3]["seed"]
    table, _ = table_of(*lines)
    assert table.set_index(["task", "name"]).loc[(ALL, "on"), "wins"] == 4


def test_p_is_corrected_for_the_lines_of_a_task():
    arms = ({"name": "off"}, {"name": "one"}, {"name": "two"}, {"name": "three"})
    lines = [line("a", "off", BASE)]
    lines += [line("a", arm["name"], BASE + RNG.normal(0.01, 0.02, BASE.shape)) for arm in arms[1:]]
    table, _ = table_of(*lines, arm=arms)
    compared = table[table["name"] != "off"]
    np.testing.assert_allclose(compared["p_holm"], holm(compared["p"].to_numpy()))


def test_lines_are_named_by_what_differs():
    lines = [
        line("a", arm, BASE, strategy) for arm in ("off", "on") for strategy in ("random", "core")
    ]
    _, baseline = table_of(
        *lines, strategies=("random", "core"), baseline={"arm": "on", "strategy": "core"}
    )
    assert baseline == "on · core"


def test_the_order_of_the_rows_says_nothing():
    lines = [line("a", "off", BASE), line("a", "on", BASE + RNG.normal(0, 0.02, BASE.shape))]
    one, _ = table_of(*lines)
    other, _ = table_of(*[each.sample(frac=1, random_state=1) for each in lines[::-1]])
    columns = ["difference", "low", "high", "p", "area", "sd"]
    pd.testing.assert_frame_equal(
        one.set_index("name").sort_index()[columns], other.set_index("name").sort_index()[columns]
    )
