"""The autoencoder fits every frame, and its losses are sums over an item."""

import math

import pytest
import torch

from fewmasks.nn.vae import (
    CODE,
    Autoencoder,
    autoencoder_loss,
    fooling_loss,
    judge,
    judge_loss,
    small_shape,
)


@pytest.mark.parametrize(
    ("frame", "small"),
    [
        ((16, 16), (16, 16)),
        ((64, 48), (64, 48)),
        ((128, 128), (64, 64)),
        ((512, 256), (64, 32)),
        ((16, 512), (8, 64)),
        ((4096, 4096), (64, 64)),
    ],
)
def test_frames_are_shrunk_to_multiples_of_eight(frame, small):
    assert small_shape(frame) == small


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("shape", [(8, 8), (64, 48)])
def test_frames_come_back_in_their_shape(channels, shape):
    network = Autoencoder(channels, shape)
    decoded, mean, log_variance = network(torch.randn(2, channels, *shape))
    assert decoded.shape == (2, channels, *shape)
    assert mean.shape == log_variance.shape == (2, CODE)
    assert judge()(mean).shape == (2, 1)


def test_in_evaluation_a_code_does_not_depend_on_the_other_frames():
    network, pixels = Autoencoder(1, (16, 16)).eval(), torch.randn(4, 1, 16, 16)
    alone = torch.cat([network.codes(one[None])[0] for one in pixels])
    torch.testing.assert_close(network.codes(pixels)[0], alone, atol=1e-5, rtol=1e-5)


def test_the_loss_is_a_sum_over_an_item_and_a_mean_over_the_batch():
    """Each pixel of four errs by 2; each code of two has mean 1 and variance e."""
    pixels, codes = torch.zeros(3, 1, 2, 2), torch.ones(3, 2)
    found = autoencoder_loss(pixels + 2, pixels, codes, codes, beta=0.5)
    divergence = 2 * 0.5 * (1 + math.e - 1 - 1)
    assert found.item() == pytest.approx(16 + 0.5 * divergence, abs=1e-5)


def test_a_standard_normal_code_costs_nothing():
    pixels, codes = torch.ones(3, 1, 2, 2), torch.zeros(3, 5)
    assert autoencoder_loss(pixels, pixels, codes, codes, beta=1.0).item() == 0


def test_the_judge_wants_one_for_labelled_and_zero_for_the_others():
    yes, no = torch.full((4, 1), 20.0), torch.full((4, 1), -20.0)
    assert judge_loss(yes, no).item() == pytest.approx(0, abs=1e-6)
    assert judge_loss(no, yes).item() == pytest.approx(40, abs=1e-4)
    assert judge_loss(0 * yes, 0 * no).item() == pytest.approx(2 * math.log(2), abs=1e-6)


def test_the_encoder_wants_one_for_all():
    yes, no = torch.full((4, 1), 20.0), torch.full((4, 1), -20.0)
    assert fooling_loss(yes, yes).item() == pytest.approx(0, abs=1e-6)
    assert fooling_loss(yes, no).item() == pytest.approx(20, abs=1e-4)
    assert fooling_loss(no, yes).item() == pytest.approx(20, abs=1e-4)
