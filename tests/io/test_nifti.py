import itertools
from pathlib import Path

import nibabel
import numpy as np
import pytest
from nibabel.orientations import (
    apply_orientation,
    axcodes2ornt,
    inv_ornt_aff,
    io_orientation,
    ornt_transform,
)
from tests.makers import truncate, write_nifti

from fewmasks.errors import ConfigError, FormatError, GeometryError
from fewmasks.io import open_source
from fewmasks.io.masks import check_grid, read_mask

VOXELS = np.random.default_rng(0).integers(-1000, 1000, (4, 5, 6)).astype(np.int16)
THICK_SLICES = np.diag([-0.5, -0.6, 3.0, 1.0])  # of an array in L, P, S order
CODES = [
    codes
    for axes in itertools.permutations(("LR", "PA", "SI"))
    for codes in itertools.product(*axes)
]


def write_as(path: Path, codes: tuple[str, ...], affine: np.ndarray) -> Path:
    """The same anatomy, stored along other axes."""
    turn = ornt_transform(io_orientation(affine), axcodes2ornt(codes))
    stored = apply_orientation(VOXELS, turn)
    return write_nifti(path, stored, affine @ inv_ornt_aff(turn, VOXELS.shape))


@pytest.mark.parametrize("codes", CODES, ids="".join)
def test_the_order_of_stored_axes_does_not_show(codes: tuple[str, ...], tmp_path: Path):
    source = open_source(write_as(tmp_path / "a.nii", codes, THICK_SLICES))
    np.testing.assert_array_equal(source.read()[..., 0], VOXELS.transpose(2, 1, 0))
    np.testing.assert_allclose(source.spacing, (3.0, 0.6, 0.5), rtol=1e-6)


def test_coronal_and_sagittal_slices_have_the_head_up(tmp_path: Path):
    path = write_nifti(tmp_path / "a.nii", VOXELS, THICK_SLICES)
    coronal, sagittal = open_source(path, 1), open_source(path, 0)
    np.testing.assert_array_equal(coronal.read()[..., 0], VOXELS.transpose(1, 2, 0)[:, ::-1])
    np.testing.assert_array_equal(sagittal.read()[..., 0], VOXELS.transpose(0, 2, 1)[:, ::-1])
    np.testing.assert_allclose(sagittal.spacing, (0.5, 3.0, 0.6), rtol=1e-6)


@pytest.mark.parametrize("axis", [None, 0, 1, 2])
@pytest.mark.parametrize("codes", CODES[::5], ids="".join)
def test_a_written_mask_lies_on_the_grid_of_its_image(
    codes: tuple[str, ...], axis: int | None, tmp_path: Path
):
    oblique = THICK_SLICES.copy()
    oblique[:3, :3] = nibabel.eulerangles.euler2mat(0.2, 0.3, -0.1) @ THICK_SLICES[:3, :3]
    path = write_as(tmp_path / "a.nii.gz", codes, oblique)
    source = open_source(path, axis)
    threshold = (source.read()[..., 0] > 0).astype(np.uint8)
    source.write_like(threshold, tmp_path / "m.nii.gz")
    image, mask = nibabel.load(path), nibabel.load(tmp_path / "m.nii.gz")
    np.testing.assert_array_equal(np.asarray(mask.dataobj), np.asarray(image.dataobj) > 0)
    np.testing.assert_array_equal(mask.affine, image.affine)
    for field in ("sform_code", "qform_code", "xyzt_units"):
        assert mask.header[field] == image.header[field]
    assert mask.get_data_dtype() == np.uint8
    np.testing.assert_array_equal(mask.header.get_zooms(), image.header.get_zooms())
    np.testing.assert_array_equal(mask.get_qform(), image.get_qform())


@pytest.mark.parametrize("codes", CODES[::7], ids="".join)
def test_a_mask_stored_along_other_axes_lies_on_its_image(codes: tuple[str, ...], tmp_path: Path):
    image = write_nifti(tmp_path / "i.nii", VOXELS, THICK_SLICES)
    check_grid(write_as(tmp_path / "m.nii", codes, THICK_SLICES), image)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_mask_without_the_affine_of_its_image_is_refused(axis: int, tmp_path: Path):
    image = write_nifti(tmp_path / "i.nii", VOXELS, THICK_SLICES)
    mirrored = THICK_SLICES.copy()
    mirrored[axis] *= -1
    for wrong in (mirrored, np.eye(4)):
        with pytest.raises(GeometryError, match=r"m\.nii: its header puts it up to .* voxels away"):
            check_grid(write_nifti(tmp_path / "m.nii", VOXELS, wrong), image, 2)


def test_scaling(tmp_path: Path):
    scaled = write_nifti(tmp_path / "a.nii.gz", VOXELS, header={"scl_slope": 0.5, "scl_inter": -10})
    source = open_source(scaled)
    assert source.dtype == source.read().dtype == np.float32
    np.testing.assert_allclose(source.read()[..., 0], VOXELS.transpose(2, 1, 0) * 0.5 - 10)
    for slope, intercept in ((1, 0), (0, 7), (np.nan, np.nan)):
        plain = {"scl_slope": slope, "scl_inter": intercept}
        source = open_source(write_nifti(tmp_path / "b.nii", VOXELS, header=plain))
        assert source.dtype == np.int16
        np.testing.assert_array_equal(source.read()[..., 0], VOXELS.transpose(2, 1, 0))
    broken = write_nifti(tmp_path / "c.nii", VOXELS, header={"scl_slope": 2, "scl_inter": np.inf})
    with pytest.raises(FormatError, match=r"c\.nii: pixels are scaled by 2\.0 and inf"):
        open_source(broken)


def test_a_mask_written_like_a_scaled_image_is_not_scaled(tmp_path: Path):
    path = write_nifti(tmp_path / "a.nii", VOXELS, header={"scl_slope": 0.5, "scl_inter": 3})
    source = open_source(path)
    mask = np.ones(source.shape[:3], np.uint8)
    source.write_like(mask, tmp_path / "m.nii")
    assert nibabel.load(tmp_path / "m.nii").get_fdata().max() == 1


@pytest.mark.parametrize("share", [np.nan, np.inf])
def test_non_finite_voxels_are_counted_when_read(share: float, tmp_path: Path):
    voxels = VOXELS.astype(np.float32)
    voxels[1, 2, 3:5] = share
    source = open_source(write_nifti(tmp_path / "a.nii.gz", voxels))
    with pytest.raises(FormatError, match=r"a\.nii\.gz: 2 of 120 values are NaN or infinite"):
        source.read()


def test_numbers_of_dimensions(tmp_path: Path):
    plane = open_source(write_nifti(tmp_path / "2.nii", VOXELS[..., 0]), 0)
    np.testing.assert_array_equal(plane.read()[0, ..., 0], VOXELS[..., 0].T)
    single = open_source(write_nifti(tmp_path / "41.nii", VOXELS[..., None]))
    np.testing.assert_array_equal(single.read()[..., 0], VOXELS.transpose(2, 1, 0))
    channels = np.stack([VOXELS, VOXELS + 1, VOXELS + 2], axis=-1)
    path = write_nifti(tmp_path / "43.nii", channels)
    np.testing.assert_array_equal(open_source(path).read(), channels.transpose(2, 1, 0, 3))
    mask = np.zeros(open_source(path).shape[:3], np.uint8)
    open_source(path).write_like(mask, tmp_path / "m.nii.gz")
    assert nibabel.load(tmp_path / "m.nii.gz").shape == VOXELS.shape
    plane.write_like(np.ones((1, 5, 4)), tmp_path / "m2.nii.gz")
    assert nibabel.load(tmp_path / "m2.nii.gz").shape == (4, 5)
    assert read_mask(tmp_path / "m2.nii.gz").shape == (1, 5, 4)
    with pytest.raises(FormatError, match=r"5\.nii: its array has the shape \(4, 5, 6, 1, 2\)"):
        open_source(write_nifti(tmp_path / "5.nii", np.zeros((4, 5, 6, 1, 2), np.uint8)))


def test_colour_volumes(tmp_path: Path):
    rgb = np.random.default_rng(0).integers(0, 256, (4, 5, 6, 3)).astype(np.uint8)
    packed = rgb.view([("R", "u1"), ("G", "u1"), ("B", "u1")])[..., 0]
    source = open_source(write_nifti(tmp_path / "a.nii", packed))
    assert (source.shape, source.dtype) == ((6, 5, 4, 3), np.uint8)
    np.testing.assert_array_equal(source.read(), rgb.transpose(2, 1, 0, 3))


def test_big_endian_and_nifti_2(tmp_path: Path):
    header = nibabel.Nifti1Header(endianness=">")
    header.set_data_dtype(">i2")
    nibabel.save(nibabel.Nifti1Image(VOXELS, THICK_SLICES, header), tmp_path / "a.nii")
    nibabel.save(nibabel.Nifti2Image(VOXELS, THICK_SLICES), tmp_path / "b.nii.gz")
    assert (tmp_path / "a.nii").read_bytes()[:4] == b"\0\0\1\x5c"
    for name in ("a.nii", "b.nii.gz"):
        source = open_source(tmp_path / name)
        assert source.read().dtype.isnative
        np.testing.assert_array_equal(source.read()[..., 0], VOXELS.transpose(2, 1, 0))
        source.write_like(np.ones((6, 5, 4), np.uint8), tmp_path / "m.nii.gz")
        affine = nibabel.load(tmp_path / "m.nii.gz").affine
        np.testing.assert_array_equal(affine, nibabel.load(tmp_path / name).affine)


@pytest.mark.parametrize(
    ("spacing", "shape", "axis"),
    [
        ((1, 1, 1), (4, 5, 6), 2),
        ((3, 1, 1), (4, 5, 6), 0),
        ((1, 3, 3), (4, 5, 6), 2),
        ((3, 3, 1), (4, 5, 6), 1),
        ((1, 1, 0.9999), (4, 5, 6), 2),
        ((3, 3, 1), (4, 5, 1), 2),
    ],
)
def test_the_slice_axis_found(
    spacing: tuple[float, ...], shape: tuple[int, ...], axis: int, tmp_path: Path
):
    """The axis of length 1, else the thickest, else from foot to head, else front to back."""
    path = write_nifti(tmp_path / "a.nii", np.zeros(shape, np.uint8), np.diag([*spacing, 1]))
    assert open_source(path).shape[0] == shape[axis]
    assert open_source(path).spacing[0] == pytest.approx(spacing[axis])


def test_units_are_turned_to_millimetres(tmp_path: Path):
    path = write_nifti(tmp_path / "a.nii", VOXELS, THICK_SLICES, {"xyzt_units": 3})
    np.testing.assert_allclose(open_source(path).spacing, (0.003, 0.0006, 0.0005), rtol=1e-6)


def test_mistakes_are_sentences(tmp_path: Path):
    path = write_nifti(tmp_path / "a.nii", VOXELS)
    with pytest.raises(ConfigError, match=r"a\.nii: there is no slice axis 3; choose 0, 1 or 2"):
        open_source(path, 3)
    flat = {"srow_x": [0, 0, 0, 0], "sform_code": 1, "qform_code": 0}
    with pytest.raises(FormatError, match=r"b\.nii: its orientation matrix has an axis without"):
        open_source(write_nifti(tmp_path / "b.nii", VOXELS, header=flat))
    with pytest.raises(FormatError, match=r"c\.nii: complex64 voxels are not numbers"):
        open_source(write_nifti(tmp_path / "c.nii", VOXELS.astype(np.complex64)))
    with pytest.raises(FormatError, match=r"it ends after|cannot hold"):
        open_source(truncate(path, 0.8)).read()
    pair = write_nifti(tmp_path / "d.hdr", VOXELS)
    pair.with_suffix(".img").unlink()
    with pytest.raises(FormatError, match=r"d\.img: there is no such file; put it beside d\.hdr"):
        open_source(pair)


def test_a_header_that_claims_more_than_gzip_can_pack_is_refused_unread(tmp_path: Path):
    path = write_nifti(
        tmp_path / "a.nii.gz", VOXELS, header={"dim": [3, 30000, 30000, 30000, 1, 1, 1, 1]}
    )
    with pytest.raises(FormatError, match=r"bytes cannot hold 54000000000000"):
        open_source(path).read()
