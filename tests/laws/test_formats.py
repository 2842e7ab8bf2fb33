"""Laws of every format: what was written is read, and masks come back on the same grid."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from tests.makers import truncate, write_nifti, write_picture, write_png, write_tiff

from fewmasks.errors import FormatError
from fewmasks.io import FORMATS, open_source
from fewmasks.io.cache import PixelCache
from fewmasks.io.masks import read_mask
from fewmasks.types import Item

RNG = np.random.default_rng(0)
IMAGEJ = {"axes": "ZYX", "spacing": 3.0, "unit": "mm"}
OBLIQUE = np.array(
    [[0.1, -0.2, 2.0, 5.0], [0.9, 0.1, 0.1, -7.0], [0.1, -1.4, 0.2, 3.0], [0, 0, 0, 1]]
)


def noise(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    if dtype == "f4":
        return RNG.normal(size=shape).astype(dtype)
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    return RNG.integers(low, high, shape, dtype, endpoint=True)


@dataclass(frozen=True)
class Case:
    """A file to write, and the (z, y, x, channel) array that must be read from it."""

    name: str
    write: Callable[[Path, np.ndarray], Path]
    stored: np.ndarray
    expected: np.ndarray
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)


def plane(pixels: np.ndarray) -> np.ndarray:
    return pixels.reshape(1, *pixels.shape[:2], -1)


def cases() -> list[Case]:
    grey8, grey16 = noise((37, 29), "u1"), noise((37, 29), "u2")
    rgb8, rgb16 = noise((37, 29, 3), "u1"), noise((37, 29, 3), "u2")
    pages, bands = noise((5, 37, 29), "u2"), noise((37, 29, 6), "u1")
    real, volume = noise((37, 29), "f4"), noise((9, 8, 7), "i2")
    return [
        Case("grey8.png", write_png, grey8, plane(grey8)),
        Case("grey16.png", write_png, grey16, plane(grey16)),
        Case("rgb8.png", write_png, rgb8, plane(rgb8)),
        Case("rgb16.png", write_png, rgb16, plane(rgb16)),
        Case("rgb8.bmp", write_picture, rgb8, plane(rgb8)),
        Case("grey8.bmp", write_picture, grey8, plane(grey8)),
        Case("grey8.tif", write_tiff, grey8, plane(grey8)),
        Case("real.tiff", write_tiff, real, plane(real)),
        Case("rgb.tif", tiff(photometric="rgb"), rgb8, plane(rgb8)),
        Case("pages.tif", tiff(compression="zlib"), pages, pages[..., None]),
        Case(
            "bands.tif", tiff(planarconfig="separate"), bands.transpose(2, 0, 1).copy(),
            plane(bands),
        ),
        Case("big_endian.tif", tiff(byteorder=">"), grey16, plane(grey16)),
        Case(
            "imagej.tif",
            tiff(imagej=True, resolution=(2, 4), metadata=IMAGEJ),
            pages, pages[..., None], (3.0, 0.25, 0.5),
        ),
        Case("volume.nii.gz", write_nifti, volume, volume.transpose(2, 1, 0)[..., None]),
        Case("volume.nii", write_nifti, volume, volume.transpose(2, 1, 0)[..., None]),
        Case("volume.hdr", write_nifti, volume, volume.transpose(2, 1, 0)[..., None]),
        Case(
            "oblique.nii.gz", lambda p, v: write_nifti(p, v, OBLIQUE), volume,
            # i runs to anterior, j to inferior, k to the right and furthest: sagittal slices.
            volume.transpose(2, 1, 0)[::-1, :, ::-1, None],
            tuple(np.sqrt((OBLIQUE[:3, [2, 1, 0]] ** 2).sum(axis=0)).tolist()),
        ),
    ]  # fmt: skip


def tiff(**options: object) -> Callable[[Path, np.ndarray], Path]:
    return lambda path, pixels: write_tiff(path, pixels, **options)


CASES = cases()
every_case = pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])


def test_every_suffix_has_a_case():
    named = {suffix for case in CASES for suffix in [case.name[case.name.index(".") :]]}
    known = {suffix for each in FORMATS for suffix in each.suffixes}
    assert known - named == {".jpg", ".jpeg"}, "JPEG is lossy and has a test of its own"


@every_case
def test_what_was_written_is_read(case: Case, tmp_path: Path):
    source = open_source(case.write(tmp_path / case.name, case.stored))
    pixels = source.read()
    assert source.shape == case.expected.shape
    assert pixels.dtype == source.dtype
    assert pixels.dtype.isnative
    np.testing.assert_array_equal(pixels, case.expected)
    np.testing.assert_allclose(source.spacing, case.spacing, rtol=1e-6)


@every_case
def test_a_window_equals_the_slice(case: Case, tmp_path: Path):
    path = case.write(tmp_path / case.name, case.stored)
    cache = PixelCache(tmp_path / "cache")
    cache.add(path)
    for z in range(len(case.expected)):
        whole = cache.read(Item("i", str(path), ("g",), z))
        window = cache.read(Item("i", str(path), ("g",), z, box=(1, 2, 6, 5)))
        np.testing.assert_array_equal(whole, case.expected[z])
        np.testing.assert_array_equal(window, case.expected[z, 1:6, 2:5])
    assert cache.shape(path) == case.expected.shape
    np.testing.assert_allclose(cache.spacing(path), case.spacing, rtol=1e-6)


@every_case
def test_opening_reads_no_pixels(case: Case, tmp_path: Path):
    """A file cut off after its header still opens; reading it is refused by name."""
    path = case.write(tmp_path / case.name, case.stored)
    pixel_file = path.with_suffix(".img") if path.suffix == ".hdr" else path
    truncate(pixel_file, 0.7)
    if case.name in ("pages.tif", "imagej.tif"):  # their headers are spread over the file
        with pytest.raises(FormatError, match=str(path)):
            open_source(path)
        return
    source = open_source(path)
    assert source.shape == case.expected.shape
    with pytest.raises(FormatError, match=str(pixel_file)):
        source.read()


@every_case
def test_a_mask_written_like_a_source_lies_on_its_grid(case: Case, tmp_path: Path):
    source = open_source(case.write(tmp_path / case.name, case.stored))
    mask = RNG.integers(0, 4, source.shape[:3]).astype(np.uint8)
    mask[0, 0, 0] = 255
    written = tmp_path / f"mask{source.mask_suffix}"
    source.write_like(mask, written)
    again = read_mask(written)
    np.testing.assert_array_equal(again, mask)
    assert open_source(written).shape[:3] == source.shape[:3]
    assert not list(tmp_path.glob(".*")), "no temporary file is left"


@every_case
@pytest.mark.parametrize("content", [b"", b"\0" * 30, b"no image at all" * 60])
def test_a_file_that_is_something_else_is_refused_by_name(
    case: Case, content: bytes, tmp_path: Path
):
    path = tmp_path / case.name
    path.write_bytes(content)
    with pytest.raises(FormatError, match=str(path)):
        open_source(path)


@every_case
def test_a_damaged_file_is_read_or_refused_never_a_crash(case: Case, tmp_path: Path):
    path = case.write(tmp_path / case.name, case.stored)
    content = path.read_bytes()
    for seed in range(40):
        rng = np.random.default_rng(seed)
        broken = bytearray(content)
        for place in rng.integers(0, min(len(content), 700 if seed % 2 else 10**9), 4):
            broken[place] = rng.integers(0, 256)
        path.write_bytes(broken)
        with suppress(FormatError):
            source = open_source(path)
            if np.prod(source.shape, dtype=float) < 1e7:
                assert source.read().shape == source.shape


def test_errors_before_opening(tmp_path: Path):
    with pytest.raises(FormatError, match=r"scan\.xyz: no format has this suffix; known: \.bmp"):
        open_source(tmp_path / "scan.xyz")
    with pytest.raises(FormatError, match=r"scan\.png: there is no such file"):
        open_source(tmp_path / "scan.png")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(FormatError, match=r"folder\.png: is a folder"):
        open_source(tmp_path / "folder.png")
