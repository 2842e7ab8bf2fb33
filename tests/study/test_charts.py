"""The static picture parses as XML and puts points where they belong."""

import re
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.study.curves import curve_of, made_up_study

from fewmasks.study.charts import (
    BASELINE_COLOUR,
    PALETTE,
    Panel,
    _ticks,
    curves_figure,
    looks,
    plot_svg,
)

SVG = "{http://www.w3.org/2000/svg}"


def drawn(curve, tmp_path):
    return ElementTree.parse(plot_svg(curve, tmp_path / "curve.svg")).getroot()


def numbers(points):
    return [tuple(map(float, pair.split(","))) for pair in points.split()]


def test_svg_has_a_line_a_band_and_a_name_for_each_strategy(tmp_path):
    curve, _ = made_up_study()
    root = drawn(curve, tmp_path)
    names = [text.text for text in root.iter(f"{SVG}text")]
    assert {"random", "clasp-pe", "coreset", "labels", "Dice"} <= set(names)
    assert len(list(root.iter(f"{SVG}polyline"))) == 3
    assert all(len(numbers(p.get("points"))) == 2 * 5 for p in root.iter(f"{SVG}polygon"))


def test_svg_draws_the_mean_upwards_and_inside_the_axes(tmp_path):
    root = drawn(curve_of({"random": [[0.2, 0.4, 0.6], [0.4, 0.6, 0.8]]}), tmp_path)
    ((x0, y0), (x1, y1), (x2, y2)) = numbers(root.find(f".//{SVG}polyline").get("points"))
    assert 60 <= x0 < x1 < x2 <= 560
    assert 328 >= y0 > y1 > y2 >= 16
    assert y0 - y1 == pytest.approx(y1 - y2, abs=0.11)


@pytest.mark.parametrize(
    "dices",
    [
        {"random": [[0.5]]},
        {"random": [[np.nan, 0.5, 0.6]], "b": [[np.nan] * 3]},
        {"a<b>&\"'": [[0.5, 0.5]]},
        {"random": [[np.nan]]},
    ],
)
def test_svg_of_little_is_still_a_picture(dices, tmp_path):
    root = drawn(curve_of(dices), tmp_path)
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert set(dices) <= set(texts)
    assert "nan" not in (tmp_path / "curve.svg").read_text(encoding="utf-8")
    assert ("no score yet" in texts) == np.isnan([*dices.values()]).all()


def test_names_say_only_what_differs_and_the_baseline_is_grey():
    curve, _ = made_up_study()
    plain = looks(curve)
    assert [look.name for look in plain.values()] == ["random", "clasp-pe", "coreset"]
    assert [look.colour for look in plain.values()] == [BASELINE_COLOUR, *PALETTE[:2]]
    curve.loc[curve["strategy"] == "coreset", "start"] = "byol"
    assert [look.name for look in looks(curve).values()][-1] == "coreset · byol"


def test_strategies_differ_by_colour_and_starts_by_dash():
    byol = curve_of({"random": [[0.5]], "new": [[0.5]]}, start="byol")
    drawn = looks(pd.concat([curve_of({"random": [[0.5]], "new": [[0.5]]}), byol])).values()
    assert len({(look.colour, look.dash) for look in drawn}) == 4
    assert len({look.colour for look in drawn}) == 2


@pytest.mark.slow
def test_bands_need_three_seeds_and_few_arms(tmp_path):
    for strategies, seeds, n_points in ((4, 3, 2), (4, 2, 0), (5, 3, 0)):
        curve, _ = made_up_study([f"s{n}" for n in range(strategies)], seeds=seeds, rounds=1)
        root = drawn(curve, tmp_path)
        bands = [numbers(band.get("points")) for band in root.iter(f"{SVG}polygon")]
        assert {len(band) for band in bands} == {n_points}
        figure = curves_figure(curve, [Panel("Dice")], looks(curve), columns=1)
        assert {len(t.x) for t in figure.data if t.fill == "toself"} == {n_points}


def test_figure_scales_seconds_to_minutes_and_hides_nothing():
    curve = curve_of({"random": [[0.2, 0.4], [0.4, 0.6]]})
    panels = [Panel("labels"), Panel("minutes", over="seconds")]
    figure = curves_figure(curve, panels, looks(curve), columns=2)
    means = [trace for trace in figure.data if trace.mode == "lines+markers"]
    assert [list(trace.x) for trace in means] == [[10, 20], [10, 20]]
    assert [list(trace.y) for trace in means] == [pytest.approx([0.3, 0.5])] * 2
    assert [trace.showlegend for trace in means] == [True, False]
    assert len(figure.data) == 2 * (1 + 2 + 1)
    low, high = figure.layout.yaxis.range
    assert low < 0.2 < 0.6 < high


def test_names_in_the_figure_cannot_be_tags():
    curve = curve_of({"<b onclick='x()'>": [[0.2]]})
    figure = curves_figure(curve, [Panel("Dice")], looks(curve), columns=1)
    assert not any(re.search("[<>]", trace.name) for trace in figure.data)


@example(1.0, 0.4)
@given(st.floats(-1e3, 1e3), st.floats(1e-3, 1e4))
def test_ticks_are_few_and_inside(low, span):
    ticks = _ticks(low, low + span)
    assert 4 <= len(ticks) <= 11
    assert low - 1e-6 <= min(ticks)
    assert max(ticks) <= low + span + 1e-6
