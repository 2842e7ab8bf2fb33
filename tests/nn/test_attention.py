"""Attention and the histogram equal their definitions; unknown pixels teach nothing."""

import math

import numpy as np
import pytest
import torch

from fewmasks.nn.attention import (
    DifficultyHead,
    PositionAttention,
    attention_shape,
    difficulty_loss,
    enlarged,
    error_mask,
    histogram_entropy,
)


@pytest.mark.parametrize("channels", [1, 2, 5, 13])
def test_attention_equals_the_definition(channels):
    torch.manual_seed(0)
    layer, maps = PositionAttention(channels), torch.randn(2, channels, 4, 6)
    torch.nn.init.constant_(layer.share, 0.7)
    found = layer(maps)
    query, key, value = (f(maps).flatten(2) for f in (layer.query, layer.key, layer.value))
    for item in range(2):
        for pixel in range(24):
            match = torch.stack([query[item, :, pixel] @ key[item, :, o] for o in range(24)])
            taken = (match.softmax(dim=0) * value[item]).sum(dim=1)
            place = (item, slice(None), pixel // 6, pixel % 6)
            expected = maps[place] + 0.7 * taken
            torch.testing.assert_close(found[place], expected, atol=1e-5, rtol=1e-5)


def test_attention_starts_as_the_identity():
    maps = torch.randn(1, 3, 5, 5)
    assert torch.equal(PositionAttention(3)(maps), maps)


def test_every_parameter_of_the_head_learns():
    torch.manual_seed(0)
    head = DifficultyHead(3)
    torch.nn.init.constant_(head.attention.share, 0.5)
    head(torch.rand(2, 3, 6, 6)).square().sum().backward()
    # A shift of all keys alike leaves the softmax as it is.
    silent = [n for n, p in head.named_parameters() if p.grad is None or not p.grad.any()]
    assert set(silent) <= {"attention.key.bias"}


@pytest.mark.parametrize(
    ("frame", "small"),
    [((16, 16), (4, 4)), ((128, 96), (32, 24)), ((512, 512), (56, 56)), ((4096, 16), (56, 1))],
)
def test_attention_runs_on_a_small_map(frame, small):
    assert attention_shape(frame) == small
    assert enlarged(torch.zeros(2, *small), frame).shape == (2, *frame)


def test_errors_are_known_where_labels_are():
    predicted = torch.tensor([[[0, 1, 1, 0]]], dtype=torch.uint8)
    truth = torch.tensor([[[0, 0, 255, 7]]], dtype=torch.uint8)
    assert error_mask(predicted, truth).tolist() == [[[0, 1, 255, 1]]]


def test_unknown_pixels_have_no_gradient():
    logits = torch.zeros(1, 1, 4, requires_grad=True)
    errors = torch.tensor([[[1, 0, 255, 255]]], dtype=torch.uint8)
    loss = difficulty_loss(logits, errors)
    loss.backward()
    assert loss.item() == pytest.approx(math.log(2), abs=1e-6)
    assert logits.grad.tolist() == [[[-0.25, 0.25, 0, 0]]]


def test_without_a_known_pixel_the_loss_is_zero():
    errors = torch.full((1, 2, 2), 255, dtype=torch.uint8)
    assert difficulty_loss(torch.ones(1, 2, 2), errors).item() == 0


def test_the_histogram_of_a_worked_example():
    """Two of four pixels in the first bin, one in the second, one (the value 1) in the last."""
    maps = torch.tensor([[[0.05, 0.09], [0.15, 1.0]]])
    valid = torch.ones(1, 2, 2, dtype=torch.bool)
    expected = 0.5 * math.log(2) + 2 * 0.25 * math.log(4)
    assert histogram_entropy(maps, valid).item() == pytest.approx(expected, abs=1e-6)
    valid[0, 1] = False
    assert histogram_entropy(maps, valid).item() == pytest.approx(0, abs=1e-6)


def test_the_histogram_equals_that_of_numpy():
    maps = torch.rand(3, 20, 30, generator=torch.Generator().manual_seed(0))
    valid = torch.rand(3, 20, 30, generator=torch.Generator().manual_seed(1)) < 0.6
    for item, found in enumerate(histogram_entropy(maps, valid)):
        seen = maps[item][valid[item]].numpy()
        share = np.histogram(seen, bins=10, range=(0, 1))[0] / len(seen)
        assert found.item() == pytest.approx(-(share * np.log(share)).sum(), abs=1e-5)


def test_bounds_of_the_entropy_and_no_valid_pixel():
    every_bin = (torch.arange(10) / 10 + 0.05).reshape(1, 1, 10)
    valid = torch.ones(1, 1, 10, dtype=torch.bool)
    assert histogram_entropy(every_bin, valid).item() == pytest.approx(math.log(10), abs=1e-6)
    assert histogram_entropy(0 * every_bin, valid).item() == 0
    assert histogram_entropy(every_bin, ~valid).isnan().all()
