from pathlib import Path

import numpy as np
import pytest
from tests.makers import write_palette_png, write_picture, write_png, write_tiff

from fewmasks.errors import FormatError
from fewmasks.io import open_source
from fewmasks.io.masks import read_mask
from fewmasks.io.palette import PALETTE, UNKNOWN_COLOUR
from fewmasks.io.source import PIXEL_LIMIT

GREY = np.arange(48, dtype=np.uint8).reshape(6, 8)
RGB = np.stack([GREY, GREY[::-1], GREY + 100], axis=-1)


def test_jpeg_has_its_size_and_nearly_its_pixels(tmp_path: Path):
    smooth = np.linspace(0, 255, 64 * 48).reshape(48, 64).astype(np.uint8)
    source = open_source(write_picture(tmp_path / "a.jpeg", smooth, quality=95))
    assert source.shape == (1, 48, 64, 1)
    assert np.abs(source.read()[0, ..., 0].astype(int) - smooth).max() < 8


@pytest.mark.parametrize(
    ("mode", "expected"), [("LA", GREY[..., None]), ("RGBA", RGB), ("CMYK", RGB)]
)
def test_other_modes_become_grey_or_rgb(mode: str, expected: np.ndarray, tmp_path: Path):
    pixels = GREY if mode == "LA" else RGB
    suffix, options = (".jpg", {"quality": 100}) if mode == "CMYK" else (".png", {})
    source = open_source(write_picture(tmp_path / f"a{suffix}", pixels, mode, **options))
    read = source.read()
    assert source.shape == read.shape == (1, *expected.shape)
    if mode != "CMYK":
        np.testing.assert_array_equal(read[0], expected)


def test_alpha_is_dropped_at_16_bits_too(tmp_path: Path):
    rgba = np.arange(6 * 8 * 4, dtype=np.uint16).reshape(6, 8, 4) * 300
    source = open_source(write_png(tmp_path / "a.png", rgba))
    assert source.shape == (1, 6, 8, 3)
    np.testing.assert_array_equal(source.read()[0], rgba[..., :3])


def test_bilevel_is_black_and_white_as_image_and_two_classes_as_mask(tmp_path: Path):
    path = write_picture(tmp_path / "a.png", GREY > 20)
    np.testing.assert_array_equal(open_source(path).read()[0, ..., 0], (GREY > 20) * 255)
    np.testing.assert_array_equal(read_mask(path)[0], GREY > 20)


def test_a_palette_is_colours_as_image_and_numbers_as_mask(tmp_path: Path):
    path = write_palette_png(tmp_path / "a.png", GREY % 3, [9, 8, 7, 200, 100, 50, 1, 2, 3])
    source = open_source(path)
    assert source.shape == (1, 6, 8, 3)
    assert source.read()[0, 0, 1].tolist() == [200, 100, 50]
    np.testing.assert_array_equal(read_mask(path)[0], GREY % 3)


def test_grey_of_four_bits_keeps_its_class_numbers(tmp_path: Path):
    """Pillow stretches 4 bits to 0..255; a mask of class 5 must not become class 85."""
    import zlib

    rows = b"".join(b"\0" + bytes([n << 4 | 15 - n]) for n in range(6))

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = zlib.crc32(kind + content).to_bytes(4)
        return len(content).to_bytes(4) + kind + content + checksum

    header = (2).to_bytes(4) + (6).to_bytes(4) + bytes([4, 0, 0, 0, 0])
    path = tmp_path / "a.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )  # fmt: skip
    assert read_mask(path)[0].tolist() == [[n, 15 - n] for n in range(6)]
    assert open_source(path).read()[0, 1, :, 0].tolist() == [17, 238]


def test_exif_orientation_is_left_alone(tmp_path: Path):
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6  # "turn by 90 degrees"
    path = write_picture(tmp_path / "a.png", GREY, exif=exif)
    np.testing.assert_array_equal(open_source(path).read()[0, ..., 0], GREY)


def test_a_decompression_bomb_is_refused_before_it_is_unpacked(tmp_path: Path):
    path = write_png(tmp_path / "a.png", GREY)
    content = bytearray(path.read_bytes())
    import zlib

    for side, fits in ((40_000, True), (60_000, False), (200_000, False)):
        assert (side * side <= PIXEL_LIMIT) == fits
        content[16:24] = side.to_bytes(4) * 2
        content[29:33] = zlib.crc32(content[12:29]).to_bytes(4)
        path.write_bytes(content)
        if fits:
            assert open_source(path).shape == (1, side, side, 1)
        else:
            with pytest.raises(FormatError, match=r"a\.png: .*; cut it into tiles"):
                open_source(path)


def test_indexed_png_shows_the_palette_and_keeps_255(tmp_path: Path):
    from PIL import Image

    mask = np.array([[0, 1, 2], [11, 12, 255]], np.uint8)
    source = open_source(write_png(tmp_path / "a.png", mask))
    source.write_like(mask[None], tmp_path / "mask.png")
    with Image.open(tmp_path / "mask.png") as image:
        assert image.mode == "P"
        colours = np.asarray(image.convert("RGB"))
    assert tuple(colours[0, 2]) == PALETTE[2]
    assert tuple(colours[1, 1]) == PALETTE[1]
    assert tuple(colours[1, 2]) == UNKNOWN_COLOUR


def test_tiff_palette_bilevel_and_inverted_grey(tmp_path: Path):
    colormap = np.zeros((3, 256), np.uint16)
    colormap[:, 1] = (200 << 8, 100 << 8, 50 << 8)
    path = write_tiff(tmp_path / "p.tif", GREY % 2, photometric="palette", colormap=colormap)
    assert open_source(path).read()[0, 0, 1].tolist() == [200, 100, 50]
    np.testing.assert_array_equal(read_mask(path)[0], GREY % 2)
    path = write_tiff(tmp_path / "b.tif", GREY > 20)
    np.testing.assert_array_equal(open_source(path).read()[0, ..., 0], (GREY > 20) * 255)
    np.testing.assert_array_equal(read_mask(path)[0], GREY > 20)
    path = write_tiff(tmp_path / "w.tif", GREY, photometric="miniswhite")
    np.testing.assert_array_equal(open_source(path).read()[0, ..., 0], 255 - GREY)


def test_alpha_of_a_tiff_is_dropped_but_every_band_of_a_raster_kept(tmp_path: Path):
    rgba = np.dstack([RGB, GREY])
    options = {"photometric": "rgb", "extrasamples": ["unassalpha"]}
    plain = open_source(write_tiff(tmp_path / "a.tif", rgba, **options))
    np.testing.assert_array_equal(plain.read()[0], RGB)
    scale = [(33550, "d", 3, (0.5, 0.5, 0.0), True)]
    raster = open_source(write_tiff(tmp_path / "b.tif", rgba, extratags=scale, **options))
    np.testing.assert_array_equal(raster.read()[0], rgba)


def test_a_tiff_mask_keeps_the_georeference(tmp_path: Path):
    import tifffile

    tags = [(33550, "d", 3, (0.5, 0.5, 0.0), True), (33922, "d", 6, (0, 0, 0, 7, 9, 0), True)]
    source = open_source(write_tiff(tmp_path / "a.tif", GREY, extratags=tags))
    source.write_like((GREY % 3)[None], tmp_path / "m.tif")
    with tifffile.TiffFile(tmp_path / "m.tif") as file:
        written = file.pages[0].tags
        assert written[33550].value == (0.5, 0.5, 0.0)
        assert written[33922].value == (0, 0, 0, 7, 9, 0)


def test_tiff_axes_other_than_rows_columns_and_channels_become_slices(tmp_path: Path):
    hyperstack = np.arange(2 * 3 * 2 * 6 * 8, dtype=np.uint16).reshape(2, 3, 2, 6, 8)
    path = write_tiff(tmp_path / "a.tif", hyperstack, imagej=True, metadata={"axes": "TZCYX"})
    expected = hyperstack.reshape(6, 2, 6, 8).transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(open_source(path).read(), expected)


def test_ome_says_the_spacing(tmp_path: Path):
    sizes = {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.25, "PhysicalSizeZ": 2.0}
    metadata = {"axes": "ZYX", "PhysicalSizeXUnit": "µm", **sizes}
    path = write_tiff(tmp_path / "a.ome.tif", np.zeros((3, 6, 8), np.uint8), metadata=metadata)
    assert open_source(path).spacing == pytest.approx((0.002, 0.00025, 0.0005))


def test_a_thumbnail_is_passed_over_but_pages_of_many_sizes_are_refused(tmp_path: Path):
    import tifffile

    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(np.tile(GREY, (8, 8)), photometric="minisblack")
        file.write(GREY, photometric="minisblack", subfiletype=1)
    assert open_source(tmp_path / "a.tif").shape == (1, 48, 64, 1)
    with tifffile.TiffWriter(tmp_path / "b.tif") as file:
        file.write(GREY, photometric="minisblack")
        file.write(GREY[:, :6], photometric="minisblack")
    with pytest.raises(FormatError, match=r"b\.tif: its pages differ in size .*6 x 6, 6 x 8"):
        open_source(tmp_path / "b.tif")


def test_float_tiff_with_nan_is_refused_when_read(tmp_path: Path):
    pixels = GREY.astype(np.float32)
    pixels[1, 1:4] = [np.nan, np.inf, -np.inf]
    source = open_source(write_tiff(tmp_path / "a.tif", pixels))
    with pytest.raises(FormatError, match=r"a\.tif: 3 of 48 values are NaN or infinite"):
        source.read()


def test_complex_tiff_is_refused(tmp_path: Path):
    path = write_tiff(tmp_path / "a.tif", GREY.astype(np.complex64))
    with pytest.raises(FormatError, match="complex64 pixels are not numbers to learn from"):
        open_source(path)
