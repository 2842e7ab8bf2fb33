import os
import pickle
import signal
import subprocess
import sys
from dataclasses import astuple
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from tests.makers import write_nifti, write_png

from fewmasks.errors import FormatError, GeometryError
from fewmasks.io import cache as cache_module
from fewmasks.io.cache import PixelCache, measure
from fewmasks.types import Item

GREY = np.arange(48, dtype=np.uint8).reshape(6, 8)
RGB = np.dstack([GREY, GREY + 60, GREY + 120])


def item(path: Path, z: int = 0, box: tuple[int, int, int, int] | None = None) -> Item:
    return Item("i", str(path), ("g",), z, box)


def entries(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


def test_a_second_build_touches_nothing(tmp_path: Path):
    paths = [write_png(tmp_path / f"{n}.png", GREY + n) for n in range(5)]
    cache = PixelCache(tmp_path / "cache")
    heard: list[tuple[int, int]] = []
    cache.build(paths, progress=lambda done, of: heard.append((done, of)))
    assert heard == [(n, 5) for n in range(1, 6)]
    before = entries(cache.folder)
    PixelCache(tmp_path / "cache").build([*paths, paths[0]])
    assert entries(cache.folder) == before
    assert len(before) == 10


def test_a_changed_source_is_refused_until_it_is_built_again(tmp_path: Path):
    path = write_png(tmp_path / "a.png", GREY)
    cache = PixelCache(tmp_path / "cache")
    cache.add(path)
    assert cache.is_valid(path)
    write_png(path, GREY[::-1, :5])
    again = PixelCache(tmp_path / "cache")
    assert not again.is_valid(path)
    with pytest.raises(FormatError, match=r"a\.png: changed since the project was made; run"):
        again.read(item(path))
    again.add(path)
    np.testing.assert_array_equal(again.read(item(path))[..., 0], GREY[::-1, :5])


def test_a_touched_source_is_kept_and_one_changed_at_equal_size_is_not(tmp_path: Path):
    path = write_nifti(tmp_path / "a.nii", GREY[..., None])
    cache = PixelCache(tmp_path / "cache")
    cache.add(path)
    pixels = next(cache.folder.glob("*.npy"))
    built = pixels.stat().st_mtime_ns
    os.utime(path, ns=(1, 1))
    assert cache.is_valid(path)
    cache.add(path)
    assert pixels.stat().st_mtime_ns == built
    write_nifti(path, GREY[::-1, :, None])
    os.utime(path, ns=(2, 2))
    assert not cache.is_valid(path)
    cache.add(path)
    np.testing.assert_array_equal(cache.read(item(path))[..., 0], GREY[::-1].T)


def test_a_source_that_is_gone_is_still_read(tmp_path: Path):
    path = write_png(tmp_path / "a.png", GREY)
    PixelCache(tmp_path / "cache").add(path)
    path.unlink()
    cache = PixelCache(tmp_path / "cache")
    assert cache.is_valid(path)
    np.testing.assert_array_equal(cache.read(item(path))[..., 0], GREY)


def test_another_slice_axis_or_unknown_number_builds_anew(tmp_path: Path):
    path = write_nifti(tmp_path / "a.nii", GREY.reshape(2, 4, 6))
    cache = PixelCache(tmp_path / "cache")
    assert [cache.add(path, axis) or cache.shape(path)[0] for axis in (0, 1, 2)] == [2, 4, 6]
    PixelCache(tmp_path / "cache").add(path, 2, mask=True)
    other = PixelCache(tmp_path / "cache", unknown=0)
    other.add(path, 2, mask=True)
    assert other.read_mask(path, item(path)).max() == 255


def test_grey_is_read_as_three_channels_where_the_project_has_three(tmp_path: Path):
    grey, rgb = write_png(tmp_path / "g.png", GREY), write_png(tmp_path / "c.png", RGB)
    cache = PixelCache(tmp_path / "cache", channels=3)
    cache.build([grey, rgb])
    np.testing.assert_array_equal(cache.read(item(grey)), np.dstack([GREY] * 3))
    np.testing.assert_array_equal(cache.read(item(rgb)), RGB)
    assert cache.shape(grey) == cache.shape(rgb) == (1, 6, 8, 3)
    assert len(cache.statistics(grey).mean) == 3
    with pytest.raises(GeometryError, match=r"c\.png: 3 channels, but the project has 1"):
        PixelCache(tmp_path / "cache", channels=1).read(item(rgb))


def test_what_is_read_belongs_to_the_reader(tmp_path: Path):
    path = write_png(tmp_path / "a.png", GREY)
    cache = PixelCache(tmp_path / "cache")
    cache.add(path)
    cache.add(path, mask=True)
    cache.read(item(path))[:] = 0
    cache.read_mask(path, item(path))[:] = 0
    np.testing.assert_array_equal(cache.read(item(path))[..., 0], GREY)
    np.testing.assert_array_equal(cache.read_mask(path, item(path)), GREY)


def test_mistakes_are_sentences(tmp_path: Path):
    path = write_png(tmp_path / "a.png", GREY)
    cache = PixelCache(tmp_path / "cache")
    with pytest.raises(FormatError, match=r"a\.png: not in the pixel cache"):
        cache.read(item(path))
    cache.add(path)
    with pytest.raises(GeometryError, match=r"has no slice 1, which i names; .* are 0 to 0"):
        cache.read(item(path, z=1))
    with pytest.raises(FormatError, match=r"b\.png: there is no such file"):
        cache.build([path, tmp_path / "b.png"])


def test_damaged_records_are_built_again(tmp_path: Path):
    path = write_png(tmp_path / "a.png", GREY)
    cache = PixelCache(tmp_path / "cache")
    cache.add(path)
    record = next(cache.folder.glob("*.json"))
    for content in (b"", b"{", b"[]", b'{"version": 0}', b"\0\0\0"):
        record.write_bytes(content)
        again = PixelCache(tmp_path / "cache")
        assert not again.is_valid(path)
        again.add(path)
        np.testing.assert_array_equal(again.read(item(path))[..., 0], GREY)


def test_few_maps_stay_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cache_module, "MOST_MAPS", 3)
    paths = [write_png(tmp_path / f"{n}.png", GREY + n) for n in range(7)]
    cache = PixelCache(tmp_path / "cache")
    cache.build(paths)
    for n in np.random.default_rng(0).integers(0, 7, 60).tolist():
        np.testing.assert_array_equal(cache.read(item(paths[n]))[..., 0], GREY + n)
        assert len(cache._maps) <= 3


def test_a_cache_travels_to_another_process(tmp_path: Path):
    path = write_png(tmp_path / "a.png", GREY)
    cache = PixelCache(tmp_path / "cache", channels=3)
    cache.add(path)
    cache.read(item(path))
    twin = pickle.loads(pickle.dumps(cache))
    np.testing.assert_array_equal(twin.read(item(path)), cache.read(item(path)))


def test_a_killed_build_goes_on(tmp_path: Path):
    paths = [write_png(tmp_path / f"{n}.png", GREY + n) for n in range(40)]
    script = """
import os, signal, sys
from pathlib import Path
from fewmasks.io.cache import PixelCache
def progress(done, of):
    if done == 17:
        os.kill(os.getpid(), signal.SIGKILL)
PixelCache(Path(sys.argv[1])).build([Path(p) for p in sys.argv[2:]], progress=progress)
"""
    folder = tmp_path / "cache"
    killed = subprocess.run([sys.executable, "-c", script, folder, *paths], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert 17 <= sum(PixelCache(folder).is_valid(path) for path in paths) < 40
    left = folder / ".half.npy.1-1.tmp"
    left.write_bytes(b"half")
    os.utime(left, (0, 0))
    cache = PixelCache(folder)
    cache.build(paths)
    for n, path in enumerate(paths):
        np.testing.assert_array_equal(cache.read(item(path))[..., 0], GREY + n)
    assert not left.exists()


def slow_statistics(values: np.ndarray) -> tuple[float, float, float, float]:
    """From the definition: the values at two ranks, then moments of what is clipped to them."""
    ordered = sorted(values.tolist())
    low, high = (ordered[round(share * (len(ordered) - 1))] for share in (0.005, 0.995))
    if low == high:  # all there is to see lies beyond them
        low, high = ordered[0], ordered[-1]
    clipped = [min(max(value, low), high) for value in ordered]
    mean = sum(clipped) / len(clipped)
    variance = sum((value - mean) ** 2 for value in clipped) / len(clipped)
    return low, high, mean, variance**0.5 if low < high else 1.0


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(["u1", "i2", "u2", "i4", "f4"]).flatmap(
        lambda dtype: arrays(
            dtype,
            array_shapes(min_dims=4, max_dims=4, max_side=7),
            elements=st.integers(0, 200) if dtype != "f4" else st.integers(-99, 99).map(float),
        )
    )
)
def test_statistics_are_those_of_the_definition(pixels: np.ndarray):
    found = measure(pixels)
    for channel in range(pixels.shape[3]):
        expected = slow_statistics(pixels[..., channel].ravel())
        np.testing.assert_allclose([f[channel] for f in astuple(found)], expected, atol=1e-9)


def test_negative_levels_and_many_pixels(monkeypatch: pytest.MonkeyPatch):
    pixels = np.random.default_rng(0).normal(-500, 100, (20, 64, 64, 1)).astype(np.int16)
    whole = measure(pixels)
    assert astuple(whole)[2][0] == pytest.approx(slow_statistics(pixels.ravel())[2])
    monkeypatch.setattr(cache_module, "MOST_SAMPLES", 8000)
    thinned = measure(pixels)
    assert thinned != whole
    np.testing.assert_allclose(np.ravel(astuple(thinned)), np.ravel(astuple(whole)), rtol=0.05)


def test_thinning_sees_every_column(monkeypatch: pytest.MonkeyPatch):
    """With a step of 16 in rows of 64, columns 1 to 15 would never be looked at."""
    monkeypatch.setattr(cache_module, "MOST_SAMPLES", 256)
    columns = np.tile(np.arange(64, dtype=np.uint8), (64, 1))[None, ..., None]
    assert measure(columns).mean[0] == pytest.approx(31.5, abs=1)
