"""The real data sets are read as they are."""

from pathlib import Path

import numpy as np
import pytest

from fewmasks.io import open_source
from fewmasks.io.cache import PixelCache
from fewmasks.io.masks import check_grid, check_mask, present_classes, read_mask
from fewmasks.io.scan import Entry, Listing, scan_table
from fewmasks.types import Item

pytestmark = pytest.mark.real

ENTRIES = {
    "acdc": 80, "aerial-dubai": 72, "cvc-clinicdb": 609, "davis": 238, "geo-rasters": 5,
    "glas": 57, "hippocampus": 260, "nuclei-dsb2018": 80,
}  # fmt: skip


def fits(entry: Entry, listing: Listing) -> None:
    source = open_source(entry.image, listing.slice_axis)
    assert source.read().shape == source.shape
    assert entry.mask is not None
    assert listing.classes is not None
    mask = read_mask(entry.mask, listing.slice_axis)
    check_mask(mask, entry.mask, len(listing.classes), source.shape)
    check_grid(entry.mask, entry.image, listing.slice_axis)
    assert present_classes(mask)


@pytest.mark.parametrize("name", sorted(ENTRIES))
def test_every_table_is_taken_as_it_is(name: str, real_data: Path):
    listing = scan_table(real_data / name / "meta.csv")
    assert len(listing.entries) == ENTRIES[name]
    assert listing.unknown == 255
    assert all(entry.z is None for entry in listing.entries)
    splits = {entry.split for entry in listing.entries}
    assert splits == ({None} if name == "geo-rasters" else {"train", "test"})
    fits(listing.entries[0], listing)


def test_all_of_hippocampus(real_data: Path, tmp_path: Path):
    """Among them masks 003 and 243, which hold whole numbers as float32."""
    listing = scan_table(real_data / "hippocampus" / "meta.csv")
    images = [entry.image for entry in listing.entries]
    masks = [entry.mask for entry in listing.entries if entry.mask]
    cache = PixelCache(tmp_path / "cache")
    cache.build(images, listing.slice_axis)
    cache.build(masks, listing.slice_axis, mask=True)
    for image, mask in zip(images, masks, strict=True):
        z, y, x, _ = cache.shape(image)
        for slice_z in range(z):
            item = Item("i", str(image), ("g",), slice_z)
            assert cache.read_mask(mask, item).shape == (y, x)
        assert cache.statistics(image).low < cache.statistics(image).high
        check_mask(read_mask(mask, listing.slice_axis), mask, 3, (z, y, x))
        check_grid(mask, image, listing.slice_axis)


def test_the_image_and_the_mask_of_acdc_agree(real_data: Path):
    """The blood pool is brighter than the muscle around it, so nothing is turned or flipped."""
    listing = scan_table(real_data / "acdc" / "meta.csv")
    entry = listing.entries[0]
    fits(entry, listing)
    assert entry.mask is not None
    pixels = open_source(entry.image, listing.slice_axis).read()[..., 0]
    mask = read_mask(entry.mask, listing.slice_axis)
    assert np.mean(pixels[mask == 3]) > 1.3 * np.mean(pixels[mask == 2])


def test_every_band_of_the_aerial_rasters_is_read(real_data: Path):
    source = open_source(real_data / "geo-rasters/images/naip_20200831.tif")
    assert source.shape == (1, 723, 934, 4)
