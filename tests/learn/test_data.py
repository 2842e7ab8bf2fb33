"""Items become frames and come back; masks and padding never lie."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.learn import made
from tests.makers import write_nifti, write_png, write_tiff

from fewmasks.errors import GeometryError, ProjectError
from fewmasks.io.cache import PixelCache
from fewmasks.learn import data
from fewmasks.learn.data import (
    HEADROOM,
    Frames,
    Intensity,
    frame_shape,
    from_frame,
    item_shape,
    load_labelled,
    mask_to_frame,
    measure_intensity,
    read_normalised,
    remembering,
    scaled_shape,
    to_frame,
)
from fewmasks.learn.train import prepare
from fewmasks.types import Item

SHAPES = [(32, 32), (20, 30), (30, 20), (1, 1), (1, 40), (64, 64), (100, 36), (33, 90)]
PLAIN = Intensity("pool", (0.0,), (255.0,), (0.0,), (1.0,))


def smooth(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return np.stack([y / max(1, height - 1), x / max(1, width - 1)])


@pytest.mark.parametrize("shape", SHAPES)
def test_a_frame_comes_back_in_its_own_pixels(shape):
    pixels = smooth(*shape)
    frame = frame_shape([shape], 32)
    framed = to_frame(pixels, frame, 32)
    back = from_frame(framed, shape, 32)
    assert framed.shape == (2, *frame)
    assert back.shape == (2, *shape)
    shrunk = scaled_shape(shape, 32) != shape
    assert np.abs(back.numpy() - pixels).max() <= (0.12 if shrunk else 0)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_mask_comes_back(shape):
    mask = np.zeros(shape, np.uint8)
    mask[shape[0] // 2 :] = 3
    frame = frame_shape([shape], 32)
    framed = mask_to_frame(mask, frame, 32)
    assert set(framed.unique().tolist()) <= {0, 3, 255}
    one_hot = torch.stack([(framed == value).float() for value in range(4)])
    back = from_frame(one_hot, shape, 32).argmax(dim=0).numpy()
    assert (back == mask).mean() > (0.9 if scaled_shape(shape, 32) != shape else 0.999)


@pytest.mark.parametrize("shape", SHAPES)
def test_padding_is_unknown_and_nothing_else_is(shape):
    frame = (48, 64)
    framed = mask_to_frame(np.ones(shape, np.uint8), frame, 32)
    height, width = scaled_shape(shape, 32)
    assert (framed == 1).sum() == height * width
    assert (framed == 255).sum() == 48 * 64 - height * width
    rows, columns = torch.nonzero(framed == 1, as_tuple=True)
    assert (rows.max() - rows.min() + 1, columns.max() - columns.min() + 1) == (height, width)
    assert (to_frame(np.ones((1, *shape), np.float32), frame, 32)[0] == 0)[framed == 255].all()


def test_known_unknown_pixels_stay_unknown():
    mask = np.full((64, 64), 255, np.uint8)
    mask[:, 32:] = 2
    framed = mask_to_frame(mask, (32, 32), 32)
    assert (framed[:, :16] == 255).all()
    assert (framed[:, 16:] == 2).all()


@pytest.mark.parametrize("seed", range(5))
def test_thin_scribbles_are_seen_in_small_frames(seed):
    """By definition: a blank pixel has the class that most known pixels of its cell have."""
    rng = np.random.default_rng(seed)
    mask = np.full((90, 70), 255, np.uint8)
    for number in range(4):
        y, x = rng.integers(0, 60, 2)
        mask[y : y + 2, x : x + 40] = number
    framed = mask_to_frame(mask, (32, 32), 32)
    rows, columns = scaled_shape(mask.shape, 32)
    top, left = (32 - rows) // 2, (32 - columns) // 2
    inside = framed[top : top + rows, left : left + columns].numpy()
    for y, x in np.ndindex(rows, columns):
        ys = np.arange(90)[np.arange(90) * rows // 90 == y]
        xs = np.arange(70)[np.arange(70) * columns // 70 == x]
        counts = np.bincount(mask[np.ix_(ys, xs)].ravel(), minlength=256)[:255]
        if not counts.any():
            continue
        nearest = mask[int((y + 0.5) * 90 / rows), int((x + 0.5) * 70 / columns)]
        most = np.flatnonzero(counts == counts.max())[-1]
        assert inside[y, x] == (most if nearest == 255 else nearest)


def test_a_line_one_pixel_wide_never_vanishes():
    for column in range(200):
        mask = np.full((200, 200), 255, np.uint8)
        mask[20:180, column] = 1
        assert (mask_to_frame(mask, (16, 16), 16) == 1).any(dim=1).sum() >= 12


@pytest.mark.parametrize(("stride", "expected"), [(16, (48, 64)), (32, (64, 64))])
def test_the_frame_holds_every_item(stride, expected):
    assert frame_shape([(30, 64), (40, 20), (128, 128)], 64, stride) == (64, 64)
    assert frame_shape([(40, 50)], 64, stride) == expected


def test_items_are_never_enlarged():
    assert scaled_shape((10, 20), 64) == (10, 20)
    assert scaled_shape((1000, 10), 100) == (100, 1)
    assert scaled_shape((3000, 1), 100) == (100, 1)


def test_a_picture_that_does_not_fit_is_refused():
    with pytest.raises(GeometryError, match="32 x 20 pixels: larger than the model's frame"):
        to_frame(np.zeros((1, 32, 20), np.float32), (16, 32), 32)


def test_the_variance_of_a_pool_is_that_of_all_its_pixels(tmp_path):
    """Of equally large pictures without outliers: mean of variances plus variance of means."""
    rng = np.random.default_rng(0)
    pictures = [
        rng.integers(low, low + 40, (16, 16, 3)).astype(np.uint8) for low in (0, 90, 200, 30)
    ]
    items = []
    for number, pixels in enumerate(pictures):
        path = write_png(tmp_path / f"{number}.png", pixels)
        items.append(Item(str(number), str(path), ("g",)))
    cache = PixelCache(tmp_path / "cache", 3)
    cache.build([tmp_path / f"{n}.png" for n in range(4)])
    found = measure_intensity(cache, items, "auto")
    together = np.stack(pictures).reshape(-1, 3).astype(float)
    assert found.kind == "pool"
    np.testing.assert_allclose(found.mean, together.mean(axis=0), atol=0.1)
    np.testing.assert_allclose(found.std, together.std(axis=0), rtol=0.01)
    frames = Frames(cache, items, (16, 16), 16, found).batch(range(4))
    assert frames.mean().abs() < 0.01
    assert frames.std().item() == pytest.approx(1, abs=0.02)


def test_a_scan_is_normalised_by_its_own_figures(tmp_path):
    rng = np.random.default_rng(0)
    volume = rng.normal(300, 50, (12, 10, 8)).astype(np.int16)
    volume[0, 0, 0] = 30_000  # an outlier that the percentiles cut off
    path = write_nifti(tmp_path / "scan.nii.gz", volume)
    cache = PixelCache(tmp_path / "cache")
    cache.add(path, 2)
    item = Item("s3", str(path), ("patient",), z=3)
    intensity = measure_intensity(cache, [item], "auto")
    assert intensity == Intensity("source")
    low, high = np.percentile(volume, [0.5, 99.5], method="nearest")
    clipped = volume.clip(low, high).astype(float)
    bounded = volume[:, :, 3].T.clip(low - HEADROOM * (high - low), high + HEADROOM * (high - low))
    expected = (bounded - clipped.mean()) / clipped.std()
    np.testing.assert_allclose(
        read_normalised(cache, item, intensity)[0], expected, atol=0.02, rtol=0.02
    )


def test_a_bright_spot_keeps_its_brightness_and_a_hot_pixel_does_not(tmp_path):
    rng = np.random.default_rng(0)
    volume = rng.normal(300, 20, (40, 40, 8)).astype(np.int16)
    volume[10:13, 10:13, 4] = 400  # less than half a per cent of the scan
    volume[20, 20, 4] = 30_000
    path = write_nifti(tmp_path / "scan.nii.gz", volume)
    cache = PixelCache(tmp_path / "cache")
    cache.add(path, 2)
    item = Item("s4", str(path), ("patient",), z=4)
    seen = np.sort(read_normalised(cache, item, Intensity("source")).ravel())
    assert 4 < seen[-10] < seen[-1] < 15


def test_a_few_bright_spots_in_the_dark_are_seen(tmp_path):
    """Of a fluorescence picture both percentiles are the background."""
    pixels = np.zeros((64, 64), np.uint16)
    pixels[30:33, 10:13] = 3000
    path = write_tiff(tmp_path / "spots.tif", pixels)
    cache = PixelCache(tmp_path / "cache")
    cache.add(path)
    item = Item("spots", str(path), ("g",))
    seen = read_normalised(cache, item, measure_intensity(cache, [item], "auto"))[0]
    assert seen.std() == pytest.approx(1, rel=0.01)
    assert (seen > 10).sum() == 9


def test_another_number_of_channels_is_refused(tmp_path):
    cache, items, _ = made.pool(tmp_path, n=1)
    three = Intensity("pool", (0.0,) * 3, (1.0,) * 3, (0.0,) * 3, (1.0,) * 3)
    with pytest.raises(GeometryError, match=r"p0\.png: 1 channels, the model reads 3"):
        read_normalised(cache, items[0], three)


def test_the_network_reads_each_item_in_its_place(tmp_path):
    """Mixed shapes, portrait and landscape, in one batch."""
    cache, items, _ = made.pool(tmp_path, n=4, shapes=[(32, 20), (20, 32), (64, 64), (5, 7)])
    frames = Frames(cache, items, (32, 32), 32, PLAIN)
    batch, valid = frames.batch(range(4)), frames.valid(range(4))
    for number, item in enumerate(items):
        pixels = np.moveaxis(cache.read(item), -1, 0).astype(np.float32)
        assert torch.equal(batch[number], to_frame(pixels, (32, 32), 32))
        height, width = scaled_shape(item_shape(cache, item), 32)
        assert valid[number].sum() == height * width
        assert (batch[number, 0][~valid[number]] == 0).all()


@pytest.mark.parametrize(("room", "reads"), [(1 << 20, 4), (1000, 9)])
def test_frames_are_read_once_where_all_fit_into_memory(tmp_path, monkeypatch, room, reads):
    """The same frames either way, in any order and twice in a batch too."""
    cache, items, _ = made.pool(tmp_path, n=5)
    frames = Frames(cache, items, (32, 32), 32, PLAIN)
    asked = [[2, 0], [0, 3, 2], [1, 1, 2, 0]]
    expected = [frames.batch(positions) for positions in asked]
    read, seen = data.read_normalised, []

    def watched(images, item, intensity):
        seen.append(item.id)
        return read(images, item, intensity)

    monkeypatch.setattr(data, "PRELOAD_BYTES", room)
    monkeypatch.setattr(data, "read_normalised", watched)
    remembered = remembering(frames)
    found = [remembered(positions) for positions in asked]
    assert all(map(torch.equal, found, expected))
    assert len(seen) == reads
    found[0].zero_()
    assert torch.equal(remembered(asked[0]), expected[0])


def test_regions_are_items_of_their_own(tmp_path):
    cache, items, _ = made.pool(tmp_path, n=1)
    region = replace(items[0], id="r", box=(4, 8, 20, 32))
    assert item_shape(cache, region) == (16, 24)
    whole = Frames(cache, items, (32, 32), 32, PLAIN).batch([0])
    part = Frames(cache, [region], (16, 32), 32, PLAIN).batch([0])
    assert torch.equal(part[0, 0, :, 4:28], whole[0, 0, 4:20, 8:32])


def test_what_is_preloaded_equals_what_is_streamed(tmp_path, monkeypatch):
    cache, items, labels = made.pool(tmp_path, n=5, shapes=[(32, 20), (20, 32), (64, 64)])
    frames = Frames(cache, items, (32, 32), 32, measure_intensity(cache, items, "auto"))
    preloaded = load_labelled(frames, labels)
    monkeypatch.setattr("fewmasks.learn.data.PRELOAD_BYTES", 0)
    streamed = load_labelled(frames, labels)
    assert preloaded.preloaded is not None
    assert streamed.preloaded is None
    for ours, theirs in zip(preloaded.batch([4, 0, 0]), streamed.batch([4, 0, 0]), strict=True):
        assert torch.equal(ours, theirs)


def test_labels_must_come_in_the_order_of_the_items(tmp_path):
    cache, items, labels = made.pool(tmp_path, n=2)
    frames = Frames(cache, items, (32, 32), 32, PLAIN)
    with pytest.raises(AssertionError):
        load_labelled(frames, labels[::-1])
    with pytest.raises(ProjectError, match="no item is labelled"):
        load_labelled(replace(frames, items=[]), [])


@pytest.mark.parametrize(("network", "frame"), [("unet", (16, 48)), ("resnet18", (32, 64))])
def test_prepare_fits_the_frame_to_the_network(tmp_path, network, frame):
    cache, items, _ = made.pool(tmp_path, n=2, shapes=[(10, 40), (16, 33)], channels=3)
    card = prepare(cache, items, made.CLASSES, made.quick(network=network, size=48))
    assert (card.frame, card.channels, card.precision) == (frame, 3, "fp32")
    with pytest.raises(ProjectError, match="no items"):
        prepare(cache, [], made.CLASSES, made.QUICK)
