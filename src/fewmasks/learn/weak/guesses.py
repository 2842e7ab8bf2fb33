"""Guesses about the items of a training: class maps of the network's frame, none where unsure."""

from collections.abc import Collection

import numpy as np
from jaxtyping import Float, UInt8

from fewmasks.learn.data import Frames, Labelled
from fewmasks.learn.weak.composite import composite, composite_mask, texture
from fewmasks.learn.weak.interpolation import between
from fewmasks.learn.weak.random_walk import complete
from fewmasks.learn.weak.watershed import objects
from fewmasks.types import UNKNOWN

Plane = UInt8[np.ndarray, "y x"]
Inside = tuple[slice, slice]
"""Rows and columns of a frame that the picture takes up."""


def completed(labelled: Labelled) -> dict[int, Plane]:
    """By position: what the random walker fills in around scribbles. Masks are as they are."""
    found = {}
    for position, kind in enumerate(labelled.kinds):
        if kind == "scribble":
            pixels, inside = _picture(labelled.frames, position)
            guess = complete(pixels, labelled.masks[position].numpy()[inside])
            if (guess != UNKNOWN).any():
                found[position] = _framed(guess, labelled.frames.frame, inside)
    return found


def interpolated(labelled: Labelled, unlabelled: Frames, gap: int) -> dict[int, Plane]:
    """By position among the unlabelled: slices between labelled ones at most `gap` apart."""
    known: dict[tuple[object, ...], list[tuple[int, int]]] = {}
    for row, item in enumerate(labelled.frames.items):
        known.setdefault((item.source, item.box), []).append((item.z, row))
    found = {}
    for position, item in enumerate(unlabelled.items):
        slices = known.get((item.source, item.box), [])
        below = max((each for each in slices if each[0] < item.z), default=None)
        above = min((each for each in slices if each[0] > item.z), default=None)
        if below is None or above is None or above[0] - below[0] > gap:
            continue
        first, second = (labelled.masks[row].numpy() for _, row in (below, above))
        guess = between(first, second, (item.z - below[0]) / (above[0] - below[0]))
        if (guess != UNKNOWN).any():
            found[position] = guess
    return found


def outlined(
    labelled: Labelled,
    unlabelled: Frames,
    taken: Collection[int],
    background_and_foreground: tuple[int, int],
) -> dict[int, Plane]:
    """By position among the unlabelled: watershed masks of all that are not taken.

    Labels say whether objects are brighter or darker than their surroundings. Without a labelled
    object nothing does, and nothing is guessed.
    """
    background, foreground = background_and_foreground
    brightness = _brightness(labelled, foreground)
    if brightness == 0:
        return {}
    found = {}
    for position in sorted({*range(len(unlabelled.items))} - {*taken}):
        pixels, inside = _picture(unlabelled, position)
        is_object = objects(brightness * pixels.mean(axis=0)) > 0
        guess = np.where(is_object, foreground, background).astype(np.uint8)
        found[position] = _framed(guess, unlabelled.frame, inside)
    return found


def composites(
    labelled: Labelled, background: int, seed: int
) -> dict[int, tuple[Float[np.ndarray, "c y x"], Plane]]:
    """By position: a frame with a mask's objects before the texture of an item drawn at random.

    Of masks alone: a scribble shows strokes, not objects.
    """
    frames = labelled.frames
    masks = [n for n, kind in enumerate(labelled.kinds) if kind == "mask"]
    rng = np.random.default_rng([seed, len(masks)])
    found = {}
    for position in masks:
        pixels, inside = _picture(frames, position)
        guess = composite_mask(labelled.masks[position].numpy()[inside], background)
        donor = masks[rng.integers(len(masks))]
        ground, around = _picture(frames, donor)
        is_ground = labelled.masks[donor].numpy()[around] == background
        laid = texture(ground, is_ground, pixels.shape[1:], rng)
        if guess is None or laid is None:
            continue
        picture = np.zeros((len(pixels), *frames.frame), np.float32)
        picture[:, *inside] = composite(pixels, guess != background, laid)
        found[position] = picture, _framed(guess, frames.frame, inside)
    return found


def _picture(frames: Frames, position: int) -> tuple[Float[np.ndarray, "c y x"], Inside]:
    """A picture without the padding of its frame, and where it lies in that."""
    valid = frames.valid([position])[0].numpy()
    rows, columns = np.flatnonzero(valid.any(axis=1)), np.flatnonzero(valid.any(axis=0))
    inside = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    return frames.batch([position])[0].numpy()[:, *inside], inside


def _framed(guess: Plane, frame: tuple[int, int], inside: Inside) -> UInt8[np.ndarray, "fy fx"]:
    padded = np.full(frame, UNKNOWN, np.uint8)
    padded[inside] = guess
    return padded


def _brightness(labelled: Labelled, foreground: int) -> int:
    """1 where labelled objects are brighter than the rest of their pictures, -1 where darker."""
    above = 0.0
    for position in range(len(labelled)):
        is_object = labelled.masks[position] == foreground
        if is_object.any():
            pixels, inside = _picture(labelled.frames, position)
            here = is_object.numpy()[inside]
            above += float(pixels.mean(axis=0)[here].mean() - pixels.mean())
    return int(np.sign(above))
