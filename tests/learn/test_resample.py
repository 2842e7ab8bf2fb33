"""Intervals of a score over its test groups, beside a loop that scores each draw anew."""

import numpy as np
import pytest

from fewmasks.learn.resample import DRAWS, interval_of, resampled_dice
from fewmasks.metrics import confusion, score_pictures, score_volumes

CLASSES = ("background", "cell", "wall")
FOREGROUND = np.array([1, 2])


def cases(n, seed=0, side=8):
    """Pictures of which some lack a class."""
    rng = np.random.default_rng(seed)
    for _ in range(n):
        truth = rng.integers(0, rng.integers(1, 4), (side, side), dtype=np.uint8)
        pred = np.where(rng.random(truth.shape) < 0.3, rng.integers(0, 3, truth.shape), truth)
        yield pred.astype(np.uint8), truth


@pytest.mark.slow
@pytest.mark.parametrize("by_case", [True, False])
def test_each_draw_is_the_score_of_the_cases_drawn(by_case):
    groups = ["a", "b", "b", "c", "d", "e", "f"]
    pairs = list(cases(7))
    counts = np.stack([confusion(pred, truth, 3) for pred, truth in pairs])
    found = resampled_dice(counts, groups, FOREGROUND, by_case, seed=3)
    assert found.shape == (DRAWS,)
    names = sorted(set(groups))
    drawn = np.random.default_rng(3).integers(6, size=(DRAWS, 6))
    score = score_volumes if by_case else score_pictures
    for draw, dice in list(zip(drawn, found, strict=True))[:40]:
        chosen = [
            ("", *pair, None)
            for code in draw
            for pair, group in zip(pairs, groups, strict=True)
            if group == names[code]
        ]
        np.testing.assert_allclose(dice, score(chosen, CLASSES, CLASSES[1:]).dice)


def test_few_groups_have_no_interval_however_many_cases():
    counts = np.stack([confusion(pred, truth, 3) for pred, truth in cases(40)])
    found = resampled_dice(counts, list("abcd") * 10, FOREGROUND, by_case=True)
    assert len(found) == 0
    assert interval_of(found) is None


def test_the_interval_holds_the_middle_of_the_draws():
    low, high = interval_of(np.append(np.linspace(0, 1, 1001), np.nan))
    assert (low, high) == pytest.approx((0.025, 0.975))
    assert interval_of(np.full(3, np.nan)) is None


def test_pictures_of_one_patient_are_no_independent_evidence():
    """Every patient ten times over tells no more than every patient once."""
    counts = np.stack([confusion(pred, truth, 3) for pred, truth in cases(8)])
    groups = [str(n) for n in range(8)]
    once = resampled_dice(counts, groups, FOREGROUND, by_case=False)
    again = resampled_dice(np.tile(counts, (10, 1, 1)), groups * 10, FOREGROUND, by_case=False)
    np.testing.assert_allclose(once, again)
