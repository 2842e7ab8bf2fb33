"""Reference masks and scribbles of a new project: do they fit, and which classes do they show?"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from fewmasks.io import open_source
from fewmasks.io.cache import PixelCache
from fewmasks.io.masks import check_mask, present_classes
from fewmasks.types import UNKNOWN, Item


@dataclass(frozen=True)
class Classes:
    """Class names, and how the pixel 255 of reference masks is to be read."""

    names: tuple[str, ...]
    white_is_foreground: bool = False
    """The masks hold 0 and 255 alone, and 255 is class 1 rather than unknown."""
    white_is_unknown: bool = False
    """The masks hold unknown pixels, or a dataset.json gives a number for them."""


@dataclass(frozen=True)
class Seen:
    """What all masks together hold."""

    numbers: frozenset[int] = frozenset()
    any_unknown: bool = False


def check_all(
    cache: PixelCache,
    image_shapes: Mapping[Path, tuple[int, int, int, int]],
    slice_axis: int | None,
    n_classes: int,
) -> Seen:
    """Refuse the first cached mask that does not fit its image or the classes; 0 takes any."""
    numbers: frozenset[int] = frozenset()
    any_unknown = False
    for path, image_shape in image_shapes.items():
        mask = _read_whole(cache, path, slice_axis)
        check_mask(mask, path, n_classes or UNKNOWN, image_shape)
        numbers |= present_classes(mask)
        any_unknown = any_unknown or bool((mask == UNKNOWN).any())
    return Seen(numbers, any_unknown)


def decide_classes(
    names: Sequence[str], seen: Seen, declares_unknown: bool, say: Callable[[str], None]
) -> Classes:
    """The names that were given, else one for each number up to the largest in the masks."""
    only_white = seen.any_unknown and seen.numbers <= {0}
    if only_white and not declares_unknown and len(names) in (0, 2):
        chosen = tuple(names) or ("background", "foreground")
        say(f"the masks hold only 0 and 255, so 255 is read as class 1 ({chosen[1]})")
        return Classes(chosen, white_is_foreground=True)
    white_is_unknown = seen.any_unknown or declares_unknown
    if names:
        return Classes(tuple(names), white_is_unknown=white_is_unknown)
    if not seen.numbers:
        say(
            "neither class names nor masks are given, so the classes are background and "
            "foreground; name others with --classes"
        )
        return Classes(("background", "foreground"), white_is_unknown=white_is_unknown)
    chosen = ("background", *(f"class {n}" for n in range(1, max(seen.numbers | {1}) + 1)))
    say(f"no class names are given; by the numbers in the masks they are {_few(chosen)}")
    return Classes(chosen, white_is_unknown=white_is_unknown)


def _read_whole(
    cache: PixelCache, path: Path, slice_axis: int | None
) -> UInt8[np.ndarray, "z y x"]:
    depth = open_source(path, slice_axis).shape[0]
    slices = [Item(path.name, str(path), (), z) for z in range(depth)]
    return np.stack([cache.read_mask(path, each) for each in slices])


def _few(names: Sequence[str]) -> str:
    return ", ".join(names if len(names) <= 8 else [*names[:4], "...", names[-1]])
