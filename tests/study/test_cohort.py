"""The made-up cohort looks as it says: tissues in order, rare lesions, the same for a seed."""

import nibabel as nib
import numpy as np
import pytest

from fewmasks.io.scan import scan_table
from fewmasks.study.cohort import CLASSES, SLICES, load_anatomy, make_patient, write_cohort

pytestmark = pytest.mark.slow

anatomy = pytest.fixture(scope="module")(lambda: load_anatomy())


def silent(what: str, done: int, of: int) -> None:
    pass


def test_a_patient_is_the_same_for_a_seed_and_another_for_another(anatomy):
    scan, mask = make_patient(anatomy, np.random.default_rng(1))
    again, same_mask = make_patient(anatomy, np.random.default_rng(1))
    other, _ = make_patient(anatomy, np.random.default_rng(2))
    np.testing.assert_array_equal(scan, again)
    np.testing.assert_array_equal(mask, same_mask)
    assert not np.array_equal(scan, other)


def test_tissues_are_as_bright_as_in_t1_and_every_slice_shows_brain(anatomy):
    scan, mask = make_patient(anatomy, np.random.default_rng(3))
    assert scan.shape == mask.shape
    assert scan.shape[2] == SLICES
    means = [scan[mask == tissue].mean() for tissue in range(3)]
    assert means[0] < means[1] < means[2]
    assert (mask > 0).any(axis=(0, 1)).all()


@pytest.mark.slow
def test_lesions_are_rare(anatomy):
    masks = [make_patient(anatomy, np.random.default_rng([9, n]))[1] for n in range(12)]
    with_lesion = [mask for mask in masks if (mask == 3).any()]
    assert 0 < len(with_lesion) < len(masks)
    assert np.mean([(mask == 3).mean() for mask in masks]) < 0.01


def test_a_cohort_is_a_table_that_create_takes(tmp_path):
    table = write_cohort(tmp_path, patients=2, seed=0, report=silent)
    listing = scan_table(table)
    assert [entry.id for entry in listing.entries] == ["patient01", "patient02"]
    assert listing.classes == CLASSES
    scan, mask = (nib.load(path) for path in (listing.entries[0].image, listing.entries[0].mask))
    assert scan.shape == mask.shape
    np.testing.assert_array_equal(scan.affine, mask.affine)
    before = table.stat().st_mtime_ns
    assert write_cohort(tmp_path, patients=2, seed=0, report=silent).stat().st_mtime_ns == before
