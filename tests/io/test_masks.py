from pathlib import Path

import numpy as np
import pytest
from tests.makers import write_nifti, write_picture, write_png, write_tiff

from fewmasks.errors import FormatError, GeometryError
from fewmasks.io.masks import PALETTE, check_mask, present_classes, read_mask, write_mask

MASK = np.array([[0, 1, 2], [3, 255, 0]], np.uint8)


@pytest.mark.parametrize("dtype", ["i2", "f4", "f8", "u2", "i4"])
def test_any_type_with_whole_numbers_is_a_mask(dtype: str, tmp_path: Path):
    volume = MASK.astype(dtype)[..., None]
    read = read_mask(write_nifti(tmp_path / "m.nii.gz", volume), 2)
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read[0], MASK.T)


def test_grey_stored_as_rgb_is_a_mask(tmp_path: Path):
    path = write_png(tmp_path / "m.png", np.dstack([MASK] * 3))
    np.testing.assert_array_equal(read_mask(path)[0], MASK)


def test_true_colours_are_refused_with_the_first_one(tmp_path: Path):
    colours = np.dstack([MASK] * 3)
    colours[1, 2] = (0, 128, 64)
    path = write_png(tmp_path / "m.png", colours)
    with pytest.raises(FormatError, match=r"row 1, column 2 has the colour \(0, 128, 64\)"):
        read_mask(path)


@pytest.mark.parametrize(
    ("value", "sentence"),
    [(-1.0, r"negative one \(-1\)"), (256.0, r"above 255 one \(256\)"),
     (1.5, r"fractional one \(1\.5\)")],
)  # fmt: skip
def test_what_is_no_class_number_is_refused_with_its_value(
    value: float, sentence: str, tmp_path: Path
):
    numbers = MASK.astype(np.float32)
    numbers[0, 1] = value
    with pytest.raises(FormatError, match=sentence):
        read_mask(write_tiff(tmp_path / "m.tif", numbers))


def test_a_jpeg_is_no_mask(tmp_path: Path):
    path = write_picture(tmp_path / "m.jpg", MASK)
    with pytest.raises(FormatError, match=r"m\.jpg: JPEG blurs class numbers"):
        read_mask(path)


def test_another_number_may_mean_unknown(tmp_path: Path):
    numbers = np.array([[0, 4, -1]], np.int16)[..., None]
    path = write_nifti(tmp_path / "m.nii.gz", np.where(numbers == -1, 4, numbers))
    assert read_mask(path, 2, unknown=4).ravel().tolist() == [0, 255, 255]
    path = write_nifti(tmp_path / "n.nii.gz", numbers)
    assert read_mask(path, 2, unknown=-1).ravel().tolist() == [0, 4, 255]


def test_write_then_read(tmp_path: Path):
    every_number = np.arange(256, dtype=np.uint8).reshape(16, 16)
    write_mask(tmp_path / "m.png", every_number)
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png")[0], every_number)
    assert [p.name for p in tmp_path.iterdir()] == ["m.png"]


def test_check_mask(tmp_path: Path):
    path = tmp_path / "m.png"
    check_mask(MASK[None], path, 4, (1, 2, 3, 3))
    with pytest.raises(GeometryError, match=r"the mask is 1 x 2 x 3, its image 1 x 3 x 2"):
        check_mask(MASK[None], path, 4, (1, 3, 2, 3))
    with pytest.raises(FormatError, match=r"holds class 2, 3, but the classes are 0 to 1"):
        check_mask(MASK[None], path, 2, (1, 2, 3, 3))


def test_unknown_is_no_class():
    assert present_classes(MASK) == {0, 1, 2, 3}
    assert present_classes(np.full((2, 2), 255, np.uint8)) == frozenset()


def test_palette_colours_differ():
    assert len(set(PALETTE)) == len(PALETTE) == 12
