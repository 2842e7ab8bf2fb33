"""Predictions are in the item's own pixels and in order."""

import numpy as np
import pytest
import torch
from tests.learn import made
from tests.learn.made import quick

from fewmasks.learn.predict import predict, probabilities
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
