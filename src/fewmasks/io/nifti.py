"""NIfTI volumes, turned to left-posterior-superior so that every file shows the same side up.

A volume becomes slices along one axis. Within a slice the columns run to the patient's left (or,
in sagittal slices, to the back) and the rows to the back (or down, in coronal and sagittal ones).
"""

import gzip
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped

from fewmasks.errors import ConfigError, FormatError
from fewmasks.io.atomic import atomic
from fewmasks.io.source import (
    Format,
    Voxels,
    damaged,
    refuse_huge,
    refuse_non_finite,
    refuse_other_shape,
)

HEADER_BYTES = 348, 540  # NIfTI-1 and NIfTI-2, as their first number says
MILLIMETRES = {1: 1000.0, 2: 1.0, 3: 0.001}  # by the spatial code of xyzt_units
NEARLY_EQUAL = 1e-3
HEADER_PACKED_BYTES = 8192
GZIP_WBITS = 31  # zlib's number for "with a gzip header"
MOST_GZIP_CAN_SAVE = 1032  # deflate cannot pack tighter, so more is a false header


@dataclass(frozen=True)
class Grid:
    """How the file's own axes become z, y and x."""

    axes: tuple[int, int, int]
    """The file's axis that is z, y and x."""
    flips: tuple[bool, bool, bool]
    """Whether z, y and x run against that axis."""

    def turn(self, stored: Shaped[np.ndarray, "i j k *c"]) -> Shaped[np.ndarray, "z y x *c"]:
        """A view of the file's array in our order."""
        rest = range(3, stored.ndim)
        return stored.transpose(*self.axes, *rest)[self._steps()]

    def turn_back(self, ours: Shaped[np.ndarray, "z y x"]) -> Shaped[np.ndarray, "i j k"]:
        """A view of our array in the file's order."""
        return ours[self._steps()].transpose(*np.argsort(self.axes))

    def _steps(self) -> tuple[slice, ...]:
        return tuple(slice(None, None, -1 if flip else 1) for flip in self.flips)


@dataclass(frozen=True)
class Volume:
    """A NIfTI file: `.nii`, `.nii.gz`, or `.hdr` beside its `.img`."""

    path: Path
    shape: tuple[int, int, int, int]
    dtype: np.dtype
    spacing: tuple[float, float, float]
    header: Any
    grid: Grid
    mask_suffix: str

    def read(self) -> Voxels:
        stored = self._read_stored()
        slope, intercept = _scaling(self.path, self.header)
        if stored.dtype.names:  # RGB24 and RGBA32: alpha is dropped
            stored = np.stack([stored[colour] for colour in stored.dtype.names[:3]], axis=-1)
        if stored.ndim == 3:
            stored = stored[..., None]
        if (slope, intercept) != (1.0, 0.0):
            stored = (stored * slope + intercept).astype(np.float32)
        pixels = self.grid.turn(stored).astype(self.dtype, copy=False)
        refuse_non_finite(self.path, pixels)
        return pixels

    def read_classes(self) -> Voxels:
        return self.read()

    def voxels_away(self, other: "Volume") -> float:
        """How far another file puts its first and last voxel from where this one puts them."""
        apart = self._corners() - other._corners()
        affine: Float[np.ndarray, "4 4"] = self.header.get_best_affine()
        return float(np.abs(np.linalg.solve(affine[:3, :3], apart.T)).max())

    def _corners(self) -> Float[np.ndarray, "2 3"]:
        """Where the first and the last voxel, in our order, lie in the scanner."""
        sizes = zip(self.shape[:3], self.grid.flips, strict=True)
        ends = [(n - 1, 0) if flip else (0, n - 1) for n, flip in sizes]
        stored = np.empty((2, 3))
        stored[:, self.grid.axes] = np.array(ends).T
        affine: Float[np.ndarray, "4 4"] = self.header.get_best_affine()
        return stored @ affine[:3, :3].T + affine[:3, 3]

    def write_like(self, mask: Shaped[np.ndarray, "z y x"], path: Path) -> None:
        refuse_other_shape(path, mask, self.shape)
        stored = self.grid.turn_back(mask).astype(np.uint8)
        header = self.header.copy()
        header.set_data_shape(_spatial(header.get_data_shape()))
        header.set_data_dtype(np.uint8)
        header.set_slope_inter(1.0, 0.0)
        header["magic"] = header.single_magic
        header["vox_offset"] = header.single_vox_offset
        header["cal_min"], header["cal_max"] = 0, 0
        # Four zero bytes after the header say that no extension follows.
        content = header.binaryblock + bytes(4) + stored.tobytes(order="F")
        if path.name.lower().endswith(".gz"):
            content = gzip.compress(content, mtime=0)
        with atomic(path) as file:
            file.write(content)

    def _read_stored(self) -> Shaped[np.ndarray, "i j k *c"]:
        shape = _spatial(self.header.get_data_shape()) + self.header.get_data_shape()[3:4]
        dtype = self.header.get_data_dtype()
        wanted = int(np.prod(self.header.get_data_shape())) * dtype.itemsize
        path = _pixel_file(self.path)
        packed = path.stat().st_size
        if wanted > packed * (MOST_GZIP_CAN_SAVE if _is_gzip(path) else 1) + 1024:
            raise damaged(path, "NIfTI", f"its {packed} bytes cannot hold {wanted}")
        buffer = np.empty(wanted, np.uint8)
        try:
            with _stream(path) as file:
                _skip(file, int(self.header["vox_offset"]))
                got = _fill(file, buffer)
        except _read_errors() as error:
            raise damaged(path, "NIfTI", error) from None
        if got < wanted:
            raise damaged(path, "NIfTI", f"it ends after {got} of {wanted} bytes of pixels")
        stored = np.frombuffer(buffer, dtype).reshape(_three(shape), order="F")
        return stored.astype(dtype.newbyteorder("="), copy=False)


def open_nifti(path: Path, slice_axis: int | None = None) -> Volume:
    """Open a NIfTI file; only its header is read.

    `slice_axis` is the axis of the file's own array to slice along. Without it: the axis of
    length 1, else the one with the largest spacing, else the one from foot to head.
    """
    header = _read_header(path)
    if not _pixel_file(path).is_file():
        raise FormatError(f"{_pixel_file(path)}: there is no such file; put it beside {path.name}")
    shape, channels = _sizes(path, header)
    grid, spacing = _grid(path, header, shape, slice_axis)
    z, y, x = (shape[axis] for axis in grid.axes)
    refuse_huge(path, y, x)
    stored = header.get_data_dtype()
    suffix = ".nii" if path.name.lower().endswith(".nii") else ".nii.gz"
    dtype = _dtype_of_read(path, stored, _scaling(path, header))
    return Volume(path, (z, y, x, channels), dtype, spacing, header, grid, suffix)


def _read_header(path: Path) -> Any:
    from nibabel.nifti1 import Nifti1Header
    from nibabel.nifti2 import Nifti2Header
    from nibabel.spatialimages import HeaderDataError

    try:
        block = _first_bytes(path, HEADER_BYTES[1])
    except _read_errors() as error:
        raise damaged(path, "NIfTI", error) from None
    sizes = [int.from_bytes(block[:4], order) for order in ("little", "big")]
    length = next((size for size in sizes if size in HEADER_BYTES), 0)
    magic = block[344:347] if length == HEADER_BYTES[0] else block[4:7]
    if len(block) < length or magic not in (b"n+1", b"n+2", b"ni1", b"ni2"):
        raise damaged(path, "NIfTI", "no NIfTI header")
    kind = Nifti1Header if length == HEADER_BYTES[0] else Nifti2Header
    try:
        header = kind(block[:length], check=False)
        header.get_data_dtype(), header.get_data_shape()
    except (HeaderDataError, KeyError, ValueError) as error:
        raise damaged(path, "NIfTI", error) from None
    return header


def _sizes(path: Path, header: Any) -> tuple[tuple[int, int, int], int]:
    """Three spatial sizes and the number of channels."""
    shape = tuple(int(n) for n in header.get_data_shape())
    if not 2 <= len(shape) <= 4 or min(shape) < 1:
        raise FormatError(
            f"{path}: its array has the shape {shape}; fewmasks reads 2, 3 or 4 dimensions, "
            f"the fourth being channels: split or squeeze it first"
        )
    channels = shape[3] if len(shape) == 4 else 1
    if header.get_data_dtype().names:
        if channels != 1:
            raise FormatError(f"{path}: a series of colour volumes ({shape}); split it first")
        channels = 3
    return _three(shape[:3]), channels


def _grid(
    path: Path, header: Any, shape: tuple[int, int, int], slice_axis: int | None
) -> tuple[Grid, tuple[float, float, float]]:
    world, forward = _orientation(path, header)
    spacing = _spacing(header)
    z = _slice_axis(path, header, slice_axis, (shape, spacing, world))
    y, x = sorted({0, 1, 2} - {z}, key=lambda axis: -world[axis])
    # L and P are against nibabel's right and anterior; in a slice, superior goes to the top.
    flips = [forward[z] != (world[z] == 2)] + [forward[axis] for axis in (y, x)]
    ordered = (spacing[z], spacing[y], spacing[x])
    return Grid((z, y, x), (flips[0], flips[1], flips[2])), ordered


def _orientation(path: Path, header: Any) -> tuple[tuple[int, ...], tuple[bool, ...]]:
    """For each axis of the file: which of R, A, S it is nearest to, and if it runs that way."""
    from nibabel.orientations import io_orientation
    from nibabel.spatialimages import HeaderDataError

    try:
        affine: Float[np.ndarray, "4 4"] = header.get_best_affine()
        nearest = io_orientation(affine) if np.isfinite(affine).all() else np.full((3, 2), np.nan)
    except (HeaderDataError, ValueError, np.linalg.LinAlgError) as error:
        raise damaged(path, "NIfTI", error) from None
    if not np.isfinite(nearest).all():
        raise FormatError(
            f"{path}: its orientation matrix has an axis without direction "
            f"({affine.tolist()}); correct the sform or qform"
        )
    return tuple(int(axis) for axis, _ in nearest), tuple(bool(way > 0) for _, way in nearest)


def _spacing(header: Any) -> tuple[float, float, float]:
    """Along the file's axes, in millimetres; 1 where the header says 0."""
    unit = MILLIMETRES.get(int(header["xyzt_units"]) & 7, 1.0)
    zooms = [abs(float(size)) * unit for size in header["pixdim"][1:4]]
    return tuple(size if np.isfinite(size) and size > 0 else 1.0 for size in zooms)  # type: ignore[return-value]


def _slice_axis(
    path: Path,
    header: Any,
    wanted: int | None,
    geometry: tuple[tuple[int, int, int], tuple[float, float, float], tuple[int, ...]],
) -> int:
    shape, spacing, world = geometry
    if len(header.get_data_shape()) == 2:
        return 2
    if wanted is not None:
        if wanted not in (0, 1, 2):
            raise ConfigError(f"{path}: there is no slice axis {wanted}; choose 0, 1 or 2")
        return wanted
    flat = [axis for axis in range(3) if shape[axis] == 1]
    if len(flat) == 1:
        return flat[0]
    largest = max(spacing)
    tied = [axis for axis in range(3) if spacing[axis] >= largest * (1 - NEARLY_EQUAL)]
    return max(tied, key=lambda axis: world[axis])


def _scaling(path: Path, header: Any) -> tuple[float, float]:
    """Slope and intercept; a slope of 0 or NaN means that there is none."""
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    if header.get_data_dtype().names or slope == 0 or np.isnan(slope):
        return 1.0, 0.0
    if not np.isfinite([slope, intercept]).all():
        raise FormatError(
            f"{path}: pixels are scaled by {slope} and {intercept}; correct scl_slope and scl_inter"
        )
    return slope, intercept


def _dtype_of_read(path: Path, stored: np.dtype, scaling: tuple[float, float]) -> np.dtype:
    if stored.names:
        return np.dtype(np.uint8)
    if stored.kind not in "iuf":
        raise FormatError(f"{path}: {stored} voxels are not numbers to learn from; convert them")
    if scaling != (1.0, 0.0) or stored.kind == "f":
        return np.dtype(np.float32)
    return stored.newbyteorder("=")


def _spatial(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(shape[:3])


def _three(shape: tuple[int, ...]) -> Any:
    """Sizes with a third axis of 1 where a 2D file has none."""
    return tuple(shape) + (1,) * (3 - len(shape))


def _pixel_file(path: Path) -> Path:
    """The `.img` beside a `.hdr`, else the file itself."""
    return path.with_suffix(".img") if path.suffix.lower() == ".hdr" else path


def _is_gzip(path: Path) -> bool:
    return path.suffix.lower() == ".gz"


def _read_errors() -> tuple[Any, ...]:
    from isal.igzip_lib import IsalError

    return OSError, EOFError, IsalError


def _first_bytes(path: Path, count: int) -> bytes:
    with path.open("rb") as file:
        packed = file.read(HEADER_PACKED_BYTES)
    if not _is_gzip(path):
        return packed[:count]
    from isal import isal_zlib

    return isal_zlib.decompressobj(wbits=GZIP_WBITS).decompress(packed, count)


def _stream(path: Path) -> BufferedIOBase:
    if not _is_gzip(path):
        return path.open("rb")
    from isal import igzip

    return igzip.open(path, "rb")


def _skip(file: BufferedIOBase, count: int) -> None:
    while count > 0 and (passed := len(file.read(min(count, 65536)))):
        count -= passed


def _fill(file: BufferedIOBase, buffer: Shaped[np.ndarray, " n"]) -> int:
    """Read until the buffer is full or the file ends; how many bytes came."""
    view, got = buffer.data, 0
    while got < len(view) and (came := file.readinto(view[got:])):
        got += came
    return got


FORMAT = Format(
    "nifti",
    suffixes=(".nii", ".nii.gz", ".hdr"),
    open=open_nifti,
    guidance="3D volumes and their masks; .hdr is read with the .img beside it",
)
