"""Small pictures of any kind of image, with the mask where it belongs."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from fewmasks.study.thumbnail import thumbnail
from fewmasks.types import UNKNOWN

RED, GREEN = "#ff0000", "#00ff00"


def decoded(uri):
    head, body = uri.split(",")
    assert head == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(body))))


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((40, 20), np.uint8),
        np.random.default_rng(0).normal(size=(400, 200)).astype(np.float32),
        np.full((40, 20, 1), -1000, np.int16),
        np.zeros((40, 20, 3), np.uint8),
        np.zeros((40, 20, 4), np.float64),
        np.zeros((40, 20, 3), np.uint16),
    ],
)
def test_any_image_becomes_a_small_colour_picture(image):
    mask = np.zeros(image.shape[:2], np.uint8)
    assert decoded(thumbnail(image, mask, [RED])).shape == (96, 48, 3)
    assert decoded(thumbnail(image, None, [], side=30)).shape == (30, 15, 3)


def test_a_very_flat_image_keeps_one_pixel():
    assert decoded(thumbnail(np.zeros((1, 1000), np.uint8), None, [])).shape == (1, 96, 3)


def test_mask_is_outlined_and_filled_in_its_colour():
    image, mask = np.zeros((2, 96, 96), np.uint8)
    mask[30:60, 30:60] = 1
    mask[70:80, 70:80] = UNKNOWN
    shown = decoded(thumbnail(image, mask, [None, RED]))
    assert shown[30, 40].tolist() == [255, 0, 0]
    assert shown[45, 45].tolist() == [71, 0, 0]
    assert shown[10, 10].tolist() == shown[75, 75].tolist() == [0, 0, 0]


def test_classes_without_a_colour_are_left_alone():
    image, mask = np.zeros((96, 96), np.uint8), np.full((96, 96), 2, np.uint8)
    mask[:48] = 1
    shown = decoded(thumbnail(image, mask, [None, GREEN]))
    assert shown[10, 10, 1] > 0
    assert shown[80].max() == 0
