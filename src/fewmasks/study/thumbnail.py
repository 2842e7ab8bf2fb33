"""A small picture of an item with its reference mask drawn on it, as text for a page."""

import base64
import io
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Integer, Num, UInt8

from fewmasks.types import UNKNOWN

FILL = 0.28


def thumbnail(
    image: Num[np.ndarray, "*pixels"],
    mask: Integer[np.ndarray, "y x"] | None,
    colours: Sequence[str | None],
    side: int = 96,
) -> str:
    """A PNG data URI whose longer side is `side` pixels.

    `image` is (y, x) or (y, x, channel): three channels are colour, else the first is shown.
    `colours` holds `#rrggbb` per class, None for a class that is not drawn; a class beyond the
    list and unknown pixels are not drawn either.
    """
    from PIL import Image

    shown = _displayable(image)
    scale = side / max(shown.shape[:2])
    height, width = (max(1, round(n * scale)) for n in shown.shape[:2])
    picture = Image.fromarray(shown).convert("RGB").resize((width, height))
    if mask is not None:
        rows = np.arange(height) * mask.shape[0] // height
        columns = np.arange(width) * mask.shape[1] // width
        drawn = _overlay(np.asarray(picture), mask[np.ix_(rows, columns)], colours)
        picture = Image.fromarray(drawn)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _displayable(image: Num[np.ndarray, "*pixels"]) -> UInt8[np.ndarray, "*shown"]:
    """Grey or colour bytes; anything but bytes is stretched from its 1st to 99th percentile."""
    shown = image
    if image.ndim == 3 and image.shape[-1] != 3:
        shown = image[..., 0]
    if shown.dtype == np.uint8:
        return np.ascontiguousarray(shown)
    low, high = np.percentile(shown, [1, 99])
    stretched = (shown - low) / max(float(high - low), 1e-12)
    return (255 * np.clip(stretched, 0, 1)).astype(np.uint8)


def _overlay(
    picture: UInt8[np.ndarray, "y x 3"],
    mask: Integer[np.ndarray, "y x"],
    colours: Sequence[str | None],
) -> UInt8[np.ndarray, "y x 3"]:
    blended: Float[np.ndarray, "y x 3"] = picture.astype(np.float64)
    edge = _edge(mask)
    for label, colour in enumerate(colours[:UNKNOWN]):
        if colour is None:
            continue
        ink = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)], dtype=np.float64)
        inside = mask == label
        blended[inside] = (1 - FILL) * blended[inside] + FILL * ink
        blended[inside & edge] = ink
    return blended.round().astype(np.uint8)


def _edge(mask: Integer[np.ndarray, "y x"]) -> Bool[np.ndarray, "y x"]:
    padded = np.pad(mask, 1, mode="edge")
    centre = padded[1:-1, 1:-1]
    across = (padded[1:-1, :-2] != centre) | (padded[1:-1, 2:] != centre)
    down = (padded[:-2, 1:-1] != centre) | (padded[2:, 1:-1] != centre)
    return across | down
