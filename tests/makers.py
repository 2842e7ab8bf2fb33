"""Tiny files of every format, fabricated where a test needs them."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np


def write_png(path: Path, pixels: np.ndarray) -> Path:
    """Grey or RGB, 8 or 16 bits; two axes or (y, x, channel)."""
    import imagecodecs

    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(imagecodecs.png_encode(np.ascontiguousarray(pixels)))
    return path


def write_palette_png(path: Path, numbers: np.ndarray, colours: Sequence[int]) -> Path:
    """Indexed: the numbers are stored, and these colours (r, g, b, r, g, b, ...) beside them."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(numbers.astype(np.uint8))
    image.putpalette(list(colours))
    image.save(path)
    return path


def write_picture(path: Path, pixels: np.ndarray, mode: str | None = None, **options: Any) -> Path:
    """Whatever Pillow writes under this suffix, turned to a mode of Pillow first."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(path, **options)
    return path


def write_tiff(path: Path, pixels: np.ndarray, **options: Any) -> Path:
    """Options of tifffile.imwrite; grey unless `photometric` says otherwise."""
    import tifffile

    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, pixels, **({"photometric": "minisblack"} | options))
    return path


def write_nifti(
    path: Path,
    voxels: np.ndarray,
    affine: np.ndarray | None = None,
    header: Mapping[str, Any] | None = None,
) -> Path:
    """Stored as given; `header` sets fields afterwards, such as scl_slope."""
    import nibabel

    path.parent.mkdir(parents=True, exist_ok=True)
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) if affine is None else affine
    kind = nibabel.Nifti1Pair if path.suffix == ".hdr" else nibabel.Nifti1Image
    nibabel.save(kind(voxels, affine), path)
    if header:
        _set_fields(path, header)
    return path


def _set_fields(path: Path, header: Mapping[str, Any]) -> None:
    import gzip

    import nibabel

    is_packed = path.suffix == ".gz"
    content = gzip.decompress(path.read_bytes()) if is_packed else path.read_bytes()
    fields = nibabel.Nifti1Header(content[:348], check=False)
    for name, value in header.items():
        fields[name] = value
    content = fields.binaryblock + content[348:]
    path.write_bytes(gzip.compress(content) if is_packed else content)


def write_table(path: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    """A CSV table with the columns of the first row."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def truncate(path: Path, share: float) -> Path:
    """Keep this share of a file, from its beginning."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path
