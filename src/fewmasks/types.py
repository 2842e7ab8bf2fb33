"""The values that travel through fewmasks: frozen, without behaviour."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Int64, UInt8

UNKNOWN = 255
"""Pixel value of "nobody said": in files, losses, metrics and exports alike."""

Kind = Literal["mask", "scribble"]
Split = Literal["train", "test"]
Rows = Int64[np.ndarray, " _"]
"""Positions in a `Pool`. They never leave the library; ids do."""


@dataclass(frozen=True)
class Item:
    """The unit of annotation: a 2D image, one slice of a volume, or one region of a raster."""

    id: str
    source: str
    """Path or URI of the image file."""
    group: tuple[str, ...]
    """Such as `("patient001", "ED")`: the first key is never split between train and test."""
    z: int = 0
    """Position along the slice axis, first axis of the (z, y, x, channel) array."""
    box: tuple[int, int, int, int] | None = None
    """Half-open `y0, x0, y1, x1`; None is all of it."""


@dataclass(frozen=True)
class Label:
    """What one annotator said about one item."""

    item: str
    kind: Kind
    mask: UInt8[np.ndarray, "y x"]
    """Class index per pixel, or UNKNOWN."""
    seconds: float
    """Annotation time, measured or estimated."""
    by: str


@dataclass(frozen=True)
class Pick:
    """One item of a round and why it was chosen."""

    item: str
    reason: str
    audit: bool = False
    """True for a random test item that a person labels to score the model."""
    control: bool = False
    """True for one that was drawn at random beside the strategy's, to compare these with."""
    readings: int = 1
    """How many people are asked; the second one does not see what the first one said."""


@dataclass(frozen=True)
class Round:
    """What was asked, with which strategy, seed and resolved configuration."""

    number: int
    strategy: str
    seed: int
    picks: tuple[Pick, ...]
    config: dict[str, object] = field(default_factory=dict)
