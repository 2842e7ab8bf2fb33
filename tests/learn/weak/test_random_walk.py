"""The random walker: up to edges, classes of the scribble alone, nothing where it is unsure."""

import numpy as np
import pytest
from tests.learn import made

from fewmasks.learn.weak import random_walk
from fewmasks.learn.weak.random_walk import complete
from fewmasks.types import UNKNOWN


def two_halves(channels: int = 1, seed: int = 0) -> np.ndarray:
    """Dark on the left, bright from column 22 on, with noise."""
    pixels = np.random.default_rng(seed).normal(0, 0.05, (channels, 32, 40)).astype(np.float32)
    pixels[:, :, 22:] += 1
    return pixels


def strokes() -> np.ndarray:
    scribble = np.full((32, 40), UNKNOWN, np.uint8)
    scribble[3:8, 3], scribble[20:28, 33] = 4, 7
    return scribble


@pytest.mark.parametrize("channels", [1, 3])
def test_it_stops_at_the_edge(channels):
    guess = complete(two_halves(channels), strokes())
    known = guess != UNKNOWN
    truth = np.broadcast_to(np.where(np.arange(40) >= 22, 7, 4), guess.shape)
    assert known.mean() > 0.5
    assert (guess[known] == truth[known]).mean() > 0.99


def test_it_says_nothing_about_what_is_labelled():
    scribble = strokes()
    assert (complete(two_halves(), scribble)[scribble != UNKNOWN] == UNKNOWN).all()


@pytest.mark.parametrize("present", [(), (4,)])
def test_of_fewer_than_two_classes_it_makes_nothing(present):
    scribble = np.where(np.isin(strokes(), present), strokes(), UNKNOWN).astype(np.uint8)
    assert (complete(two_halves(), scribble) == UNKNOWN).all()


def test_a_full_mask_leaves_nothing_to_guess():
    mask = np.zeros((32, 40), np.uint8)
    mask[:, 20:] = 1
    assert (complete(two_halves(), mask) == UNKNOWN).all()


def test_a_constant_picture_goes_to_the_nearer_stroke():
    scribble = np.full((20, 30), UNKNOWN, np.uint8)
    scribble[:, 4], scribble[:, 25] = 0, 1
    guess = complete(np.full((1, 20, 30), 3, np.float32), scribble)
    assert set(np.unique(guess[:, :7])) <= {0, UNKNOWN}
    assert set(np.unique(guess[:, 23:])) <= {1, UNKNOWN}
    assert (guess[:, 14:16] == UNKNOWN).all()


def test_the_scale_of_intensities_does_not_matter():
    pixels = two_halves()
    assert np.array_equal(complete(pixels, strokes()), complete(70 * pixels + 900, strokes()))


def test_a_large_picture_is_solved_by_steps_to_the_same_end(monkeypatch):
    direct = complete(two_halves(), strokes())
    monkeypatch.setattr(random_walk, "DIRECT", 0)
    assert (complete(two_halves(), strokes()) == direct).mean() > 0.98


def test_what_it_fills_in_of_a_disc_is_right():
    pixels, mask = made.disc(48, 48, seed=1)
    scribble = np.full_like(mask, UNKNOWN)
    scribble[2, 2:46] = 0
    y, x = np.argwhere(mask == 1).mean(axis=0).astype(int)
    scribble[y - 2 : y + 3, x] = 1
    guess = complete(pixels[None].astype(np.float32), scribble)
    known = guess != UNKNOWN
    assert (guess[known] == mask[known]).mean() > 0.97
    assert {0, 1} <= set(np.unique(guess))
