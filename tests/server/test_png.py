"""What is packed is what every other reader unpacks."""

import io

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from fewmasks.io.palette import PALETTE
from fewmasks.server.png import indexed_png, picture_png

SHAPES = [(1, 1), (1, 7), (9, 1), (5, 8), (33, 130)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("kind", "channels"), [("u1", 1), ("u2", 1), ("u1", 3)])
def test_pictures(shape, kind, channels):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, np.iinfo(kind).max, (*shape, channels), dtype=kind, endpoint=True)
    for stored in (pixels, np.asfortranarray(pixels), pixels[::-1, ::-1]):
        packed = picture_png(stored)
        read = np.asarray(Image.open(io.BytesIO(packed)))
        np.testing.assert_array_equal(read, stored[..., 0] if channels == 1 else stored)
        again = imagecodecs.png_decode(packed).reshape(stored.shape)
        np.testing.assert_array_equal(again, stored)


@pytest.mark.parametrize("shape", SHAPES)
def test_masks(shape):
    mask = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    for stored in (mask, np.asfortranarray(mask), mask[::-1, ::-1]):
        image = Image.open(io.BytesIO(indexed_png(stored)))
        assert image.mode == "P"
        np.testing.assert_array_equal(np.asarray(image), stored)
        assert tuple(image.getpalette()[3:6]) == PALETTE[1]
