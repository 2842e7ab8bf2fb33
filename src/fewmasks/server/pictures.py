"""Pixels of items as PNG that a browser shows: 8 or 16 bits grey, or 8 bits colour."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Shaped, UInt

from fewmasks.io.cache import Statistics
from fewmasks.project import Project
from fewmasks.types import Item

LEVELS_16 = 65535


@dataclass(frozen=True)
class Scale:
    """How stored intensities become levels of a PNG: value = level * slope + intercept."""

    slope: float
    intercept: float
    bits: Literal[8, 16]
    channels: Literal[1, 3]

    def level(self, value: float) -> float:
        """The level of an intensity, within the PNG's range."""
        return float(np.clip((value - self.intercept) / self.slope, 0, 2**self.bits - 1))


def scale_of(project: Project, item: Item) -> Scale:
    """The scale of an item, equal for all slices of a file.

    Whole numbers of up to 16 bits keep every level. Others spread three times the range of 99 % of
    the pixels over 16 bits; colour of more than 8 bits shows that range itself.
    """
    y0, x0 = (0, 0) if item.box is None else item.box[:2]
    corner = project.cache.read(replace(item, box=(y0, x0, y0 + 1, x0 + 1)))
    kind, channels = corner.dtype, corner.shape[2]
    found = project.cache.statistics(item.source)
    if channels >= 3:
        return Scale(1.0, 0.0, 8, 3) if kind == np.uint8 else _colour(found)
    if kind.kind == "u" and kind.itemsize <= 2:
        return Scale(1.0, 0.0, 16 if kind.itemsize == 2 else 8, 1)
    if kind.kind == "i" and kind.itemsize <= 2:
        return Scale(1.0, float(np.iinfo(kind).min), 16 if kind.itemsize == 2 else 8, 1)
    low, high = found.low[0], found.high[0]
    spread = high - low if high > low else 1.0
    return Scale(3 * spread / LEVELS_16, low - spread, 16, 1)


def window_of(project: Project, item: Item, scale: Scale) -> tuple[float, float]:
    """Levels between which nearly all pixels of the file lie: black and white at first."""
    if scale.channels == 3:
        return 0.0, 255.0
    found = project.cache.statistics(item.source)
    low, high = scale.level(found.low[0]), scale.level(found.high[0])
    return (low, high) if low < high else (low, low + 1)


def levels(
    pixels: Shaped[np.ndarray, "y x channel"], scale: Scale
) -> UInt[np.ndarray, "y x shown"]:
    """Pixels as the PNG holds them: the first channel, or the first three as colour."""
    shown = pixels[..., : scale.channels]
    kind = np.uint8 if scale.bits == 8 else np.uint16
    if shown.dtype == kind:
        return shown
    if shown.dtype.kind in "iu" and scale.slope == 1.0:
        return (shown.astype(np.int64) - int(scale.intercept)).astype(kind)
    values = np.nan_to_num((shown.astype(np.float64) - scale.intercept) / scale.slope)
    return np.clip(np.rint(values), 0, 2**scale.bits - 1).astype(kind)


def picture(project: Project, item: Item) -> UInt[np.ndarray, "y x shown"]:
    """An item's pixels as levels."""
    return levels(project.cache.read(item), scale_of(project, item))


def _colour(found: Statistics) -> Scale:
    low, high = min(found.low[:3]), max(found.high[:3])
    return Scale((high - low if high > low else 1.0) / 255, low, 8, 3)
