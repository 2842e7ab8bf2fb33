"""BYOL: the loss, the schedule and the target of the paper, by hand."""

import copy

import pytest
import torch
from torch import nn

from fewmasks.config import PretrainConfig
from fewmasks.nn.segmenter import segmenter
from fewmasks.pretrain.byol import Byol, follow, momentum_at, regression

CONFIG = PretrainConfig(hidden=16, projection=8)


def noisy(pixels):
    return pixels + 0.1 * torch.randn_like(pixels)


def made(seed=0) -> Byol:
    torch.manual_seed(seed)
    return Byol(segmenter("unet", 1, 2), 1, noisy, CONFIG)


@pytest.mark.parametrize(
    ("target", "distance"), [((1.0, 0.0), 0), ((0.0, 1.0), 2), ((-1.0, 0.0), 4), ((5.0, 0.0), 0)]
)
def test_the_distance_of_unit_vectors(target, distance):
    assert regression(torch.tensor([[1.0, 0.0]]), torch.tensor([target])) == pytest.approx(distance)


@pytest.mark.parametrize(
    ("share", "momentum"),
    [(0.0, 0.996), (0.25, 0.996586), (0.5, 0.998), (0.75, 0.999414), (1.0, 1.0)],
)
def test_the_momentum_rises_to_one(share, momentum):
    assert momentum_at(share, 0.996) == pytest.approx(momentum, abs=5e-7)


def test_the_target_moves_a_tenth_of_the_way():
    target, online = nn.Linear(1, 1), nn.Linear(1, 1)
    nn.init.constant_(target.weight, 1.0)
    nn.init.constant_(online.weight, 3.0)
    follow(target, online, momentum=0.9)
    assert target.weight.item() == pytest.approx(1.2)


def test_statistics_of_the_target_are_those_of_the_online_network():
    byol = made()
    byol.train()
    byol(torch.randn(4, 1, 32, 32), torch.empty(4, 0, dtype=torch.long))
    byol.after_step(0.5)
    for kept, newest in zip(byol.target.buffers(), byol.online.buffers(), strict=True):
        assert torch.equal(kept, newest)


def test_no_gradient_reaches_the_target():
    byol = made()
    loss, embedding = byol(torch.randn(4, 1, 32, 32), torch.empty(4, 0, dtype=torch.long))
    loss.backward()
    assert all(p.grad is None for p in byol.target.parameters())
    assert all(p.grad is not None for p in byol.online.parameters())
    assert embedding.shape == (4, 128)


def test_the_loss_does_not_care_which_view_comes_first():
    byol = made().eval()
    one, other = torch.randn(2, 4, 1, 32, 32)

    def loss_of(*views):
        turns = iter(views)
        byol.views = lambda pixels: next(turns)
        return byol(one, torch.empty(4, 0, dtype=torch.long))[0].item()

    assert loss_of(one, other) == pytest.approx(loss_of(other, one), rel=1e-5)
    assert 0 <= loss_of(one, other) <= 8


def test_it_trains_the_encoder_of_the_network_it_was_given():
    torch.manual_seed(0)
    network = segmenter("unet", 1, 2)
    before = copy.deepcopy(network.state_dict())
    byol = Byol(network, 1, noisy, CONFIG)
    optimiser = torch.optim.SGD([p for p in byol.parameters() if p.requires_grad], lr=0.1)
    byol(torch.randn(4, 1, 32, 32), torch.empty(4, 0, dtype=torch.long))[0].backward()
    optimiser.step()
    after = network.state_dict()
    assert not torch.equal(after["conv_0.conv_0.conv.weight"], before["conv_0.conv_0.conv.weight"])
    assert torch.equal(after["final_conv.weight"], before["final_conv.weight"])
