"""Predictions are in the item's own pixels and in order."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.learn import made
from tests.learn.made import quick

from fewmasks.learn.predict import mosaic, predict, probabilities, starts
from fewmasks.learn.train import fit, prepare

SHAPES = [(32, 32), (20, 33), (70, 41), (1, 5)]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    cache, items, labels = made.pool(tmp_path_factory.mktemp("pool"), n=12, shapes=SHAPES)
    card = prepare(cache, items, made.CLASSES, quick(iterations=12))
    return fit(card, cache, items[:4], labels[:4], seed=0), cache, items, labels


def test_masks_have_the_shape_of_their_items(world):
    model, cache, items, labels = world
    masks = list(predict(model, cache, items))
    assert [mask.shape for mask in masks] == [said.mask.shape for said in labels]
    assert all(mask.dtype == np.uint8 and mask.max() < 2 for mask in masks)


def test_probabilities_sum_to_one_and_masks_are_the_likeliest(world):
    model, cache, items, _ = world
    pairs = zip(probabilities(model, cache, items), predict(model, cache, items), strict=True)
    for probs, mask in pairs:
        np.testing.assert_allclose(probs.sum(axis=0), 1, atol=1e-5)
        assert np.array_equal(probs.argmax(axis=0), mask)


def test_an_item_is_predicted_alike_in_any_company(world):
    model, cache, items, _ = world
    order = np.random.default_rng(0).permutation(len(items))
    straight = list(probabilities(model, cache, items))
    shuffled = probabilities(model, cache, [items[n] for n in order])
    for n, probs in zip(order, shuffled, strict=True):
        np.testing.assert_allclose(probs, straight[n], atol=1e-5)


def test_between_two_items_the_caller_may_train(world):
    """The generator keeps its modes of inference to itself."""
    model, cache, items, _ = world
    found = probabilities(model, cache, items)
    next(found)
    assert not torch.is_inference_mode_enabled()
    assert torch.is_grad_enabled()
    torch.ones(1, requires_grad=True).square().backward()
    found.close()


def test_no_items_no_masks(world):
    model, cache, _, _ = world
    assert list(predict(model, cache, [])) == []


def test_the_report_counts_items(world):
    model, cache, items, _ = world
    heard: list[tuple[int, int]] = []
    list(predict(model, cache, items, lambda done, of: heard.append((done, of))))
    assert heard[-1] == (12, 12)


# Pictures in windows


@given(st.integers(1, 300), st.integers(1, 120), st.floats(0, 0.9))
def test_windows_cover_the_side_and_the_last_is_flush(length, window, overlap):
    found = starts(length, window, overlap)
    assert found[0] == 0
    assert found[-1] == max(length - window, 0)
    gaps = np.diff(found)
    assert (gaps > 0).all()
    assert (gaps <= max(1, window * (1 - overlap)) + 1).all()  # rounded to whole pixels
    assert (gaps <= window).all()


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """A model that knows pictures of 24 x 32 pixels, and two larger pictures."""
    shapes = [(24, 32), (24, 32), (70, 81), (70, 81)]
    cache, items, labels = made.pool(tmp_path_factory.mktemp("pool"), n=4, shapes=shapes)
    card = prepare(cache, items[:2], made.CLASSES, quick(iterations=12))
    model = fit(card, cache, items[:2], labels[:2], seed=0)
    model.network.eval()
    return model, cache, items[2:]


def whole(bands, n: int, shape: tuple[int, int]) -> np.ndarray:
    found = np.full((n, 2, *shape), np.nan, np.float32)
    for number, top, probs in bands:
        assert np.isnan(found[number, :, top : top + probs.shape[1]]).all()
        found[number, :, top : top + probs.shape[1]] = probs
    return found


@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5])
@pytest.mark.parametrize("window", [(24, 32), (20, 17)])
def test_a_mosaic_is_the_mean_of_the_windows_that_look_at_a_pixel(scenes, window, overlap):
    model, cache, pictures = scenes
    found = whole(mosaic(model, cache, pictures, window, overlap), 2, (70, 81))
    for number, picture in enumerate(pictures):
        sums, looks = np.zeros((2, 70, 81)), np.zeros((70, 81))
        for y in starts(70, window[0], overlap):
            for x in starts(81, window[1], overlap):
                box = (y, x, y + window[0], x + window[1])
                (probs,) = probabilities(model, cache, [replace(picture, box=box)])
                sums[:, y : box[2], x : box[3]] += probs
                looks[y : box[2], x : box[3]] += 1
        np.testing.assert_allclose(found[number], sums / looks, atol=1e-5)


def test_of_a_network_that_sees_one_pixel_windows_do_not_matter(scenes):
    """And they cover every pixel: the mosaic is what the network says to the whole picture."""
    model, cache, pictures = scenes
    torch.manual_seed(0)
    plain = replace(model, network=torch.nn.Conv2d(1, 2, 1).eval())
    large = replace(plain, card=replace(plain.card, frame=(80, 96)))
    large = replace(large, card=replace(large.card, config=quick(size=128)))
    expected = np.stack(list(probabilities(large, cache, pictures)))
    for window, overlap in (((24, 32), 0.3), ((7, 31), 0.0), ((24, 9), 0.75)):
        found = whole(mosaic(plain, cache, pictures, window, overlap), 2, (70, 81))
        np.testing.assert_allclose(found, expected, atol=1e-5)
