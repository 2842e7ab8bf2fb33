"""One image file, open but not read."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Shaped

from fewmasks.errors import FormatError

Voxels = Shaped[np.ndarray, "z y x channel"]

PIXEL_LIMIT = 2_000_000_000
"""Pixels of one plane: what claims to be larger is refused before a byte of it is unpacked."""


@runtime_checkable
class Source(Protocol):
    """One image file, open but not read; axes always (z, y, x, channel)."""

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Sizes along z, y, x and channel, known without reading pixels."""
        ...

    @property
    def dtype(self) -> np.dtype:
        """Of the pixels that `read` returns."""
        ...

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Distance between neighbours along z, y, x; millimetres where the file says, else 1."""
        ...

    @property
    def mask_suffix(self) -> str:
        """Suffix of the files that `write_like` makes, such as `.nii.gz`."""
        ...

    def read(self) -> Voxels:
        """All pixels, scaled as the file says (such as NIfTI's scl_slope)."""
        ...

    def read_classes(self) -> Voxels:
        """The numbers as they are stored: palette entries, not the colours they stand for."""
        ...

    def write_like(self, mask: Shaped[np.ndarray, "z y x"], path: Path) -> None:
        """Write a class mask with this file's own geometry, axes order and format family."""
        ...


@runtime_checkable
class Opener(Protocol):
    """Opens one file; only volumes heed the slice axis, which counts in the file's own array."""

    def __call__(self, path: Path, slice_axis: int | None = None) -> Source: ...


@dataclass(frozen=True)
class Format:
    """A family of files that one function opens."""

    name: str
    suffixes: tuple[str, ...]
    """Lower case, with the dot; the longest match wins (`.nii.gz` before `.gz`)."""
    open: Opener
    guidance: str = ""


def damaged(path: Path, kind: str, error: BaseException | str) -> FormatError:
    """The sentence for a file that breaks off or is not what its name says."""
    return FormatError(
        f"{path}: cannot be read as {kind} ({error}); make the file again, or leave it out"
    )


def refuse_huge(path: Path, height: int, width: int) -> None:
    """Stop before a plane beyond PIXEL_LIMIT is unpacked."""
    if height * width > PIXEL_LIMIT:
        raise FormatError(
            f"{path}: the header claims {height} x {width} pixels, more than the "
            f"{PIXEL_LIMIT:,} that one plane may have; cut it into tiles first"
        )


def refuse_non_finite(path: Path, pixels: Shaped[np.ndarray, "..."]) -> None:
    """NaN or infinite pixels would poison every mean that they enter."""
    if pixels.dtype.kind != "f":
        return
    count = pixels.size - int(np.count_nonzero(np.isfinite(pixels)))
    if count:
        raise FormatError(
            f"{path}: {count} of {pixels.size} values are NaN or infinite; "
            f"replace them, for instance by 0, or leave the file out"
        )


def refuse_other_shape(
    path: Path, mask: Shaped[np.ndarray, "z y x"], shape: tuple[int, int, int, int]
) -> None:
    """A mask that is written like a source covers exactly that source: ours to keep."""
    if mask.shape != shape[:3]:
        raise ValueError(f"{path}: mask {mask.shape} is not of the source's size {shape[:3]}")
