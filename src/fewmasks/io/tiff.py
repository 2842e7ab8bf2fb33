"""TIFF files: grey, colour and many-channel pictures, and stacks of pages as volumes.

Pages, and whatever else is not y, x or a channel, become the z axis. Alpha is dropped from a
picture, but all bands of a georeferenced raster are kept, since GDAL marks near infrared as
alpha. Thumbnails, overviews and transparency masks in the same file are passed over.
"""

import re
import struct
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from fewmasks.errors import FormatError
from fewmasks.io.atomic import atomic
from fewmasks.io.source import (
    Format,
    Voxels,
    damaged,
    refuse_huge,
    refuse_non_finite,
    refuse_other_shape,
)

# What tifffile and the codecs of imagecodecs (RuntimeError) raise on damaged files.
READ_ERRORS = (
    ValueError, OSError, RuntimeError, LookupError, ArithmeticError, TypeError, struct.error,
    EOFError,
)  # fmt: skip
PHOTOMETRIC_MINISWHITE, PHOTOMETRIC_RGB, PHOTOMETRIC_PALETTE = 0, 2, 3
ALPHA = (1, 2)  # values of ExtraSamples
GEO_TAGS = 33550, 33922, 34264, 34735, 34736, 34737
MILLIMETRES = {"mm": 1.0, "cm": 10.0, "m": 1000.0, "micron": 1e-3, "um": 1e-3, "nm": 1e-6}


@dataclass(frozen=True)
class Tiff:
    """A TIFF file, of which the first series of pages counts."""

    path: Path
    shape: tuple[int, int, int, int]
    dtype: np.dtype
    spacing: tuple[float, float, float]
    mask_suffix: str = ".tif"

    def read(self) -> Voxels:
        from tifffile import TiffFile

        with TiffFile(self.path) as file:
            series = _main_series(self.path, file)
            page = series.keyframe
            pixels = self._decode(series)
            if page.photometric == PHOTOMETRIC_PALETTE and page.colormap is not None:
                pixels = (page.colormap >> 8).astype(np.uint8).T[pixels[..., 0]]
        if pixels.dtype == np.bool_:
            pixels = pixels.astype(np.uint8) * 255
        if page.photometric == PHOTOMETRIC_MINISWHITE and pixels.dtype.kind == "u":
            pixels = np.iinfo(pixels.dtype).max - pixels
        pixels = pixels[..., : self.shape[3]].astype(self.dtype, copy=False)
        refuse_non_finite(self.path, pixels)
        return pixels

    def read_classes(self) -> Voxels:
        from tifffile import TiffFile

        with TiffFile(self.path) as file:
            series = _main_series(self.path, file)
            numbers = self._decode(series)
        return numbers.astype(np.uint8) if numbers.dtype == np.bool_ else numbers

    def write_like(self, mask: Shaped[np.ndarray, "z y x"], path: Path) -> None:
        from tifffile import TiffFile, imwrite

        refuse_other_shape(path, mask, self.shape)
        with TiffFile(self.path) as file:
            tags = _main_series(self.path, file).keyframe.tags
            geo = [
                (tag.code, int(tag.dtype), tag.count, tag.value, True)
                for tag in map(tags.get, GEO_TAGS)
                if tag is not None
            ]
            unit = tags.valueof("ResolutionUnit", default=1)
            across, down = (tags.valueof(f"{a}Resolution", default=(1, 1)) for a in "XY")
        with atomic(path) as target:
            imwrite(
                target,
                mask.astype(np.uint8) if len(mask) > 1 else mask[0].astype(np.uint8),
                photometric="minisblack",
                compression="zlib",
                resolution=(across, down),
                resolutionunit=int(unit),
                extratags=geo,
                metadata={"axes": "ZYX" if len(mask) > 1 else "YX"},
            )

    def _decode(self, series: Any) -> Voxels:
        length = self.path.stat().st_size
        try:
            for page in series.pages:
                # A strip beyond the end of the file would be read as zeros.
                if page is not None and any(
                    start + count > length
                    for start, count in zip(page.dataoffsets, page.databytecounts, strict=True)
                ):
                    raise damaged(self.path, "TIFF", f"it ends after {length} bytes")
            return _to_zyxc(series.asarray(), series.axes)
        except READ_ERRORS as error:
            raise damaged(self.path, "TIFF", error) from None


def open_tiff(path: Path, slice_axis: int | None = None) -> Tiff:
    """Open a TIFF file; only its tags are read. Pages are the z axis, whatever `slice_axis`."""
    from tifffile import TiffFile

    try:
        with TiffFile(path) as file:
            _refuse_lost_pages(path, file)
            series = _main_series(path, file)
            shape = _shape(path, series)
            spacing = _spacing(file, series)
            dtype = _dtype_of_read(path, series)
    except READ_ERRORS as error:
        raise damaged(path, "TIFF", error) from None
    refuse_huge(path, shape[1], shape[2])
    return Tiff(path, shape, dtype, spacing)


def _refuse_lost_pages(path: Path, file: Any) -> None:
    """Every page names the place of the next; tifffile passes over one beyond the file's end."""
    kind, handle, last = file.tiff, file.filehandle, file.pages[-1].offset
    handle.seek(last)
    (tags,) = struct.unpack(kind.tagnoformat, handle.read(kind.tagnosize))
    handle.seek(last + kind.tagnosize + tags * kind.tagsize)
    (following,) = struct.unpack(kind.offsetformat, handle.read(kind.offsetsize))
    if following:
        raise damaged(path, "TIFF", f"it ends before page {len(file.pages) + 1}")


def _main_series(path: Path, file: Any) -> Any:
    full = [s for s in file.series if not s.keyframe.subfiletype & 0b101]
    if not full:
        raise damaged(path, "TIFF", "no page with pixels")
    first = full[0]
    alike = [s for s in full[1:] if _plane(s) >= _plane(first) // 4]
    if alike:
        sizes = sorted({f"{s.keyframe.imagelength} x {s.keyframe.imagewidth}" for s in full})
        raise FormatError(
            f"{path}: its pages differ in size or type ({', '.join(sizes)}); "
            f"save them as files of their own"
        )
    return first


def _plane(series: Any) -> int:
    return int(series.keyframe.imagelength * series.keyframe.imagewidth)


def _shape(path: Path, series: Any) -> tuple[int, int, int, int]:
    sizes = dict(zip(series.axes, series.shape, strict=True))
    if not {"Y", "X"} <= sizes.keys() or series.dtype is None:
        raise damaged(path, "TIFF", f"its axes are {series.axes!r}, without rows and columns")
    z, y, x, channels = _split(series.axes)
    planes = prod(sizes[axis] for axis in z)
    return planes, sizes[y], sizes[x], _channels(series, prod(sizes[axis] for axis in channels))


def _channels(series: Any, stored: int) -> int:
    """Channels that `read` returns: palettes become RGB, alpha is dropped."""
    page = series.keyframe
    if page.photometric == PHOTOMETRIC_PALETTE and page.colormap is not None:
        return 3
    colours = 3 if page.photometric == PHOTOMETRIC_RGB else 1
    has_alpha = (
        len(page.extrasamples) == 1
        and int(page.extrasamples[0]) in ALPHA
        and page.samplesperpixel == stored == colours + 1
    )
    is_raster = any(page.tags.get(code) is not None for code in GEO_TAGS)
    return stored - 1 if has_alpha and not is_raster else stored


def _dtype_of_read(path: Path, series: Any) -> np.dtype:
    stored = np.dtype(series.dtype)
    page = series.keyframe
    if stored.kind == "b" or (
        page.photometric == PHOTOMETRIC_PALETTE and page.colormap is not None
    ):
        return np.dtype(np.uint8)
    if stored.kind not in "iuf":
        raise FormatError(f"{path}: {stored} pixels are not numbers to learn from; convert them")
    return np.dtype(np.float32) if stored.kind == "f" else stored.newbyteorder("=")


def _split(axes: str) -> tuple[str, str, str, str]:
    """Letters that become z, y, x and channel."""
    return (
        "".join(a for a in axes if a not in "YXSC"),
        "Y",
        "X",
        "".join(c for c in "CS" if c in axes),
    )


def _to_zyxc(stored: Shaped[np.ndarray, "..."], axes: str) -> Voxels:
    z, y, x, channels = _split(axes)
    order = [axes.index(letter) for letter in z + y + x + channels]
    sizes = dict(zip(axes, stored.shape, strict=True))
    shape = (prod(sizes[a] for a in z), sizes[y], sizes[x], prod(sizes[a] for a in channels))
    return stored.transpose(order).reshape(shape)


def _spacing(file: Any, series: Any) -> tuple[float, float, float]:
    """In millimetres, where ImageJ or OME say so; dots per inch of a picture are no size."""
    if file.is_imagej and file.imagej_metadata:
        said = file.imagej_metadata
        unit = MILLIMETRES.get(str(said.get("unit", "")).replace("\\u00B5", "u").replace("µ", "u"))
        if unit:
            across, down = (
                series.keyframe.tags.valueof(f"{a}Resolution", default=(1, 1)) for a in "XY"
            )
            pitch = [unit * n[1] / n[0] if n[0] and n[1] else 1.0 for n in (down, across)]
            return float(said.get("spacing", 1.0)) * unit or 1.0, pitch[0], pitch[1]
    if file.is_ome and file.ome_metadata:
        z, y, x = (_ome_size(file.ome_metadata, axis) for axis in "ZYX")
        return z, y, x
    return 1.0, 1.0, 1.0


def _ome_size(xml: str, axis: str) -> float:
    size = re.search(rf'\bPhysicalSize{axis}="([0-9.eE+-]+)"', xml)
    unit = re.search(rf'\bPhysicalSize{axis}Unit="([^"]+)"', xml)
    factor = MILLIMETRES.get(unit.group(1).replace("µ", "u")) if unit else MILLIMETRES["um"]
    return float(size.group(1)) * factor if size and factor else 1.0


FORMAT = Format(
    "tiff",
    suffixes=(".tif", ".tiff"),
    open=open_tiff,
    guidance="2D images of any depth and channel count; pages are the slices of a volume",
)
