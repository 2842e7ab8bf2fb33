"""Composites: objects as they were, background texture around them."""

import numpy as np
import pytest

from fewmasks.learn.weak.composite import composite, composite_mask, texture
from fewmasks.types import UNKNOWN


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def numbered(height: int = 20, width: int = 30) -> np.ndarray:
    """Two channels in which every pixel has a value of its own."""
    count = np.arange(height * width, dtype=np.float32).reshape(height, width)
    return np.stack([count, -count])


def test_texture_is_of_known_background_alone():
    pixels = numbered()
    background = np.zeros((20, 30), bool)
    background[3:15, 2:17] = True
    laid = texture(pixels, background, (33, 41), rng())
    assert laid.shape == (2, 33, 41)
    assert np.isin(laid[0], pixels[0][background]).all()
    assert np.array_equal(laid[1], -laid[0])


@pytest.mark.parametrize("side", [0, 4])
def test_too_little_background_makes_no_texture(side):
    background = np.zeros((20, 30), bool)
    background[:side, :side] = True
    assert texture(numbered(), background, (20, 30), rng()) is None


def test_texture_reaches_the_border_of_a_picture_that_is_all_background():
    laid = texture(numbered(), np.ones((20, 30), bool), (20, 30), rng())
    assert np.isin(laid[0], numbered()[0]).all()


def test_a_composite_is_objects_before_texture():
    pixels, ground = numbered(), np.full((2, 20, 30), 7, np.float32)
    objects = np.zeros((20, 30), bool)
    objects[4:8, 5:9] = True
    made = composite(pixels, objects, ground)
    assert np.array_equal(made[:, objects], pixels[:, objects])
    assert (made[:, ~objects] == 7).all()


def test_its_mask_is_background_where_no_object_is():
    mask = np.array([[0, 2, UNKNOWN], [1, UNKNOWN, 0]], np.uint8)
    assert composite_mask(mask, 0).tolist() == [[0, 2, 0], [1, 0, 0]]
    assert composite_mask(np.array([[0, UNKNOWN]], np.uint8), 0) is None
