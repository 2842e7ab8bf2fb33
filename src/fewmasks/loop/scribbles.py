"""Scribbles as a hurried annotator would draw them, made from a mask: one stroke per class.

After the generator of Valvano et al. 2021 as al-seg uses it (Vepa et al., NeurIPS 2024), without
its recursion: each class is thinned to its skeleton, a walk from one end of it is a stroke.
"""

import math

import numpy as np
from jaxtyping import Bool, Int64, UInt8

from fewmasks.types import UNKNOWN

LARGE = 900
"""Pixels from which a region is eroded first, so that strokes keep away from its border."""
EROSION = (4.0, 10.0)
"""Pixels of erosion, drawn from this range."""
SWAY = 1000
"""Pixels from which a stroke of a foreground class is moved and turned a little."""
MOST_SHIFT = 6
MOST_DEGREES = 15.0
EVERYWHERE = np.ones((3, 3), dtype=bool)
"""A pixel and its eight neighbours."""

Region = Bool[np.ndarray, "y x"]


def scribble(
    mask: UInt8[np.ndarray, "y x"], rng: np.random.Generator, background: int | None = None
) -> UInt8[np.ndarray, "y x"]:
    """A stroke inside every class that is present; all other pixels are unknown.

    A foreground class gets one stroke, in its largest part; the background gets its whole skeleton.
    Of equal masks and generators the same scribble comes out.
    """
    drawn = np.full_like(mask, UNKNOWN)
    for number in np.unique(mask[mask != UNKNOWN]).tolist():
        region = mask == number
        stroke = _stroke(region, rng, whole=number == background)
        drawn[stroke] = number
    return drawn


def _stroke(region: Region, rng: np.random.Generator, whole: bool) -> Region:
    """The pixels of one class that are drawn over: some of it, and never none."""
    from scipy.ndimage import binary_dilation

    line = _skeleton(_eroded(region, rng))
    if not whole:
        line = _walk(_largest(line), rng)
    stroke = binary_dilation(line, EVERYWHERE)
    if not whole and region.sum() > SWAY:
        swayed = _swayed(stroke, rng) & region
        stroke = swayed if swayed.any() else stroke
    return stroke & region


def _eroded(region: Region, rng: np.random.Generator) -> Region:
    """A large region without its rim; as much of the rim as leaves something of it."""
    from scipy.ndimage import binary_erosion

    if region.sum() <= LARGE:
        return region
    depth = math.ceil(rng.uniform(*EROSION))
    while depth > 0:
        inner = binary_erosion(region, EVERYWHERE, iterations=depth)
        if inner.any():
            return inner
        depth //= 2
    return region


def _skeleton(region: Region) -> Region:
    """Lines in the middle of a region; of one that has no line, its innermost pixel."""
    from scipy.ndimage import distance_transform_edt
    from skimage.morphology import skeletonize

    line = skeletonize(region, method="lee").astype(bool) & region
    if line.any():
        return line
    depth = distance_transform_edt(region)
    line.flat[int(depth.argmax())] = True
    return line


def _largest(line: Region) -> Region:
    """The connected part with most pixels."""
    from scipy.ndimage import label

    parts, count = label(line, EVERYWHERE)
    if count <= 1:
        return line
    return parts == 1 + int(np.bincount(parts.ravel())[1:].argmax())


def _walk(line: Region, rng: np.random.Generator) -> Region:
    """A path along a line from one of its ends, taking any branch where it forks.

    A path that ends while most of the line is still ahead goes on from the last fork it passed.
    """
    places: Int64[np.ndarray, "n 2"] = np.argwhere(line)
    number = np.full(np.add(line.shape, 2), -1)
    number[1:-1, 1:-1][line] = np.arange(len(places))
    steps = [(dy, dx) for dy in (0, 1, 2) for dx in (0, 1, 2) if (dy, dx) != (1, 1)]
    near = np.stack([number[places[:, 0] + dy, places[:, 1] + dx] for dy, dx in steps], axis=1)
    degree = (near >= 0).sum(axis=1)
    ends = np.flatnonzero(degree == 1) if (degree == 1).any() else np.arange(len(places))
    here = int(ends[rng.integers(len(ends))])
    path = [here]
    seen = {here}
    while True:
        ahead = [step for step in near[here].tolist() if step >= 0 and step not in seen]
        if ahead:
            here = ahead[0 if len(ahead) == 1 else int(rng.integers(len(ahead)))]
            seen.add(here)
            path.append(here)
        elif len(path) > 1 and len(seen) < len(places) / 2:
            path.pop()
            here = path[-1]
        else:
            break
    walked = np.zeros_like(line)
    walked[tuple(places[path].T)] = True
    return walked


def _swayed(stroke: Region, rng: np.random.Generator) -> Region:
    """A stroke moved by a few pixels and turned by a few degrees about its middle."""
    places = np.argwhere(stroke)
    angle = math.radians(rng.uniform(-MOST_DEGREES, MOST_DEGREES))
    shift = rng.integers(-MOST_SHIFT, MOST_SHIFT + 1, size=2)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    middle = places.mean(axis=0)
    moved = np.rint((places - middle) @ turn.T + middle + shift).astype(np.int64)
    inside = ((moved >= 0) & (moved < stroke.shape)).all(axis=1)
    swayed = np.zeros_like(stroke)
    swayed[tuple(moved[inside].T)] = True
    return swayed
