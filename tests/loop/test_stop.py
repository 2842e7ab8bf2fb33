"""Stop advice: forecasts that hold, intervals that say what they know, words that follow."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fewmasks.config import StopConfig
from fewmasks.loop.stop import Trained, advise, forecast

CONFIG = StopConfig()


def curve(minutes, top=0.85, rise=0.4, rate=0.03):
    """c - a exp(-b (x - x0))."""
    x = np.asarray(minutes, dtype=np.float64)
    return top - rise * np.exp(-rate * (x - x[0]))


def trained(minutes, dice, **more):
    return [Trained(float(m), float(d), **more) for m, d in zip(minutes, dice, strict=True)]


def test_a_forecast_of_an_exact_curve_is_near_its_gain():
    minutes = np.arange(10.0, 101, 10)
    truth = curve([10, 100, 130])
    found = forecast(minutes, curve(minutes), 30.0)
    assert found.gain == pytest.approx(truth[2] - truth[1], abs=0.006)
    assert found.low <= truth[2] - truth[1] <= found.high


@pytest.mark.slow
def test_an_interval_holds_the_truth_about_as_often_as_it_says():
    """Forty annotators: curves of all kinds, four to ten trainings, noise of 0.01 to 0.02."""
    held = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        minutes = np.sort(rng.uniform(5, 200, rng.integers(4, 11)))
        kind = {"top": rng.uniform(0.6, 0.95), "rise": rng.uniform(0.1, 0.5)}
        kind["rate"] = rng.uniform(0.3, 5) / 200
        dice = curve(minutes, **kind) + rng.normal(0, rng.uniform(0.01, 0.02), len(minutes))
        found = forecast(minutes, dice, 30.0)
        later = curve([*minutes, minutes[-1] + 30], **kind)
        held += found.low - 1e-3 <= later[-1] - later[-2] <= found.high + 1e-3
    assert held >= 36


def test_more_trainings_make_a_narrower_interval():
    wide, narrow = (
        forecast(at, curve(at), 30.0) for at in (np.array([10.0, 60.0]), np.arange(10.0, 61, 5))
    )
    assert narrow.high - narrow.low < 0.6 * (wide.high - wide.low)


@given(
    st.lists(
        st.tuples(st.floats(0, 500), st.floats(0, 1)), min_size=2, max_size=8, unique_by=lambda p: p
    ),
    st.randoms(use_true_random=False),
)
@settings(max_examples=8, deadline=None)
def test_the_order_of_trainings_says_nothing_and_no_gain_is_negative(points, random):
    points = [(round(m, 3), round(d, 3)) for m, d in points]
    given_so = [Trained(m, d, d, 1 - d) for m, d in points]
    shuffled = random.sample(given_so, len(given_so))
    one = advise(given_so, CONFIG)
    assert one == advise(shuffled, CONFIG)
    if one.forecast is not None:
        assert 0 <= one.forecast.low <= one.forecast.gain <= one.forecast.high <= 1
    else:
        assert len({m for m, _ in points}) == 1


@pytest.mark.parametrize(("minutes", "dice"), [([], []), ([5.0], [0.5]), ([5.0, 5.0], [0.5, 0.6])])
def test_without_two_scores_at_different_times_there_is_no_forecast(minutes, dice):
    assert forecast(np.array(minutes), np.array(dice), 30.0) is None
    told = advise(trained(minutes, dice), CONFIG)
    assert told.forecast is None
    assert not told.is_enough
    assert "no forecast yet" in told.sentence


def test_trainings_without_a_score_are_left_out_of_the_forecast():
    some = trained([10, 40, 70], [0.5, 0.6, 0.65])
    blind = [Trained(20.0, None), Trained(30.0, float("nan"))]
    assert advise([*some, *blind], CONFIG).forecast == advise(some, CONFIG).forecast


def test_a_flat_curve_of_a_settled_model_is_enough():
    minutes = np.arange(10.0, 200, 20)
    flat = [
        Trained(float(m), float(d), 0.99, 0.1)
        for m, d in zip(minutes, curve(minutes, rate=0.2), strict=True)
    ]
    told = advise(flat, CONFIG)
    assert told.is_enough
    assert "stopping is worth a thought" in told.sentence
    restless = [Trained(each.minutes, each.dice, 0.8, 0.1) for each in flat]
    assert not advise(restless, CONFIG).is_enough


def test_a_steep_curve_is_not_enough():
    minutes = np.array([5.0, 10.0, 20.0, 30.0])
    told = advise(trained(minutes, curve(minutes, rate=0.01), agreement=0.99), CONFIG)
    assert not told.is_enough
    assert told.forecast.gain > CONFIG.gain


def test_the_words_say_the_figures():
    told = advise([Trained(10.0, 0.5, None, 0.3), Trained(40.0, 0.6, 0.875, 0.25)], CONFIG)
    gain = f"{told.forecast.gain:+.3f}"
    assert told.sentence.startswith(f"the next 30 minutes are expected to bring {gain} Dice (95 % ")
    assert "predictions agree with those of the model before by 0.875" in told.sentence
    assert told.sentence.endswith("overall uncertainty is 0.250, was 0.300")
