"""Class masks in files: numbers of classes, and 255 where nobody said."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Shaped, UInt8

from fewmasks.errors import FormatError, GeometryError
from fewmasks.io import open_source
from fewmasks.io.nifti import Volume
from fewmasks.io.palette import PALETTE, Colour
from fewmasks.io.picture import write_indexed
from fewmasks.io.source import Voxels
from fewmasks.types import UNKNOWN

__all__ = ["PALETTE", "check_grid", "check_mask", "present_classes", "read_mask", "write_mask"]

MOST_VOXELS_AWAY = 1.0  # converters disagree about half a voxel


def read_mask(
    path: Path, slice_axis: int | None = None, unknown: int = UNKNOWN
) -> UInt8[np.ndarray, "z y x"]:
    """Class numbers of a mask file, with its own `unknown` number turned to UNKNOWN.

    Takes integers, whole-number floats, grey stored as RGB, and palette entries as they are.
    """
    numbers = _one_channel(path, open_source(path, slice_axis).read_classes())
    if unknown != UNKNOWN:
        numbers = np.where(numbers == unknown, UNKNOWN, numbers)
    if numbers.dtype == np.uint8:
        return np.ascontiguousarray(numbers)
    _refuse_no_class(path, numbers)
    return np.ascontiguousarray(numbers.astype(np.uint8))


def write_mask(
    path: Path, mask: UInt8[np.ndarray, "y x"], palette: Sequence[Colour] | None = None
) -> None:
    """Write an indexed PNG: under a temporary name, synced, then renamed."""
    write_indexed(path, mask, palette)


def check_mask(
    mask: UInt8[np.ndarray, "z y x"], path: Path, n_classes: int, shape: tuple[int, ...]
) -> None:
    """Refuse a mask that does not fit the image of this (z, y, x, ...) shape or the classes."""
    if mask.shape != tuple(shape[:3]):
        raise GeometryError(
            f"{path}: the mask is {_size(mask.shape)}, its image {_size(shape[:3])} "
            f"(slices x height x width); pair it with the right image, or export it at full size"
        )
    beyond = sorted(number for number in present_classes(mask) if number >= n_classes)
    if beyond:
        numbers = ", ".join(map(str, beyond[:10])) + (", ..." if len(beyond) > 10 else "")
        raise FormatError(
            f"{path}: holds class {numbers}, but the classes are 0 to {n_classes - 1}; "
            f"name more classes, or correct the mask ({UNKNOWN} is for unknown pixels)"
        )


def check_grid(mask: Path, image: Path, slice_axis: int | None = None) -> None:
    """Refuse a NIfTI mask whose header puts it elsewhere than its image; only headers are read.

    A mask saved without the affine of its image, though of its size, would be turned or mirrored.
    """
    ours, theirs = open_source(mask, slice_axis), open_source(image, slice_axis)
    if not (isinstance(ours, Volume) and isinstance(theirs, Volume)):
        return
    away = theirs.voxels_away(ours)
    if away > MOST_VOXELS_AWAY:
        raise GeometryError(
            f"{mask}: its header puts it up to {away:.0f} voxels away from its image {image}; "
            f"save the mask with the affine of the image"
        )


def present_classes(mask: UInt8[np.ndarray, "..."]) -> frozenset[int]:
    """Class numbers that occur; UNKNOWN is none."""
    counts = np.bincount(mask.ravel(), minlength=UNKNOWN + 1)
    return frozenset(np.flatnonzero(counts[:UNKNOWN]).tolist())


def _one_channel(path: Path, numbers: Voxels) -> Shaped[np.ndarray, "z y x"]:
    first = numbers[..., 0]
    for channel in range(1, numbers.shape[3]):
        other = numbers[..., channel] != first
        if other.any():
            z, y, x = np.unravel_index(int(other.argmax()), first.shape)
            colour = tuple(numbers[z, y, x].tolist())
            raise FormatError(
                f"{path}: a mask needs one class number per pixel, but row {y}, column {x} has "
                f"the colour {colour}; turn colours into class numbers"
            )
    return first


def _refuse_no_class(path: Path, numbers: Shaped[np.ndarray, "z y x"]) -> None:
    for bad, what in (
        (lambda: numbers < 0, "negative"),
        (lambda: numbers > UNKNOWN, f"above {UNKNOWN}"),
        (lambda: numbers != np.floor(numbers), "fractional"),
    ):
        where = bad()
        if where.any():
            value = numbers.flat[int(where.argmax())]
            raise FormatError(
                f"{path}: a mask holds whole class numbers from 0 to {UNKNOWN}, but here is a "
                f"{what} one ({value:g}); export it as a label map"
            )


def _size(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))
