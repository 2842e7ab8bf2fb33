"""Small pools on disk that a network can learn in a moment."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tests.makers import write_png

from fewmasks.config import LearnConfig
from fewmasks.io.cache import PixelCache
from fewmasks.types import Item, Label

CLASSES = ("background", "disc")
QUICK = LearnConfig(
    size=32, batch=4, iterations=6, device="cpu", precision="fp32", members=3, flips="xy"
)


def quick(**changes) -> LearnConfig:
    return QUICK.model_copy(update=changes)


def alone(**changes) -> LearnConfig:
    """Nothing but labelled pixels, unless the changes say otherwise."""
    return quick(**{"gated_crf": 0.0, **changes})


def disc(height: int, width: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A bright disc on a dark, noisy ground, and where it is."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    radius = min(height, width) * rng.uniform(0.2, 0.35)
    away = np.hypot(
        y - rng.uniform(radius, height - radius), x - rng.uniform(radius, width - radius)
    )
    mask = (away < radius).astype(np.uint8)
    pixels = 70 + 90 * mask + rng.normal(0, 12, mask.shape)
    return pixels.clip(0, 255).astype(np.uint8), mask


def pool(
    folder: Path, n: int = 6, shapes: Sequence[tuple[int, int]] = ((32, 32),), channels: int = 1
) -> tuple[PixelCache, list[Item], list[Label]]:
    """Pictures of discs, in these shapes by turns, with a full mask each."""
    items, labels = [], []
    for number in range(n):
        pixels, mask = disc(*shapes[number % len(shapes)], seed=number)
        path = folder / "images" / f"p{number}.png"
        write_png(path, pixels if channels == 1 else np.stack([pixels] * channels, axis=2))
        items.append(Item(f"p{number}", str(path), (f"g{number}",)))
        labels.append(Label(f"p{number}", "mask", mask, 30.0, "test"))
    cache = PixelCache(folder / "cache", channels)
    cache.build([Path(item.source) for item in items])
    return cache, items, labels
