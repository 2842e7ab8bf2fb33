"""Networks give logits of the input's size, for every multiple of their stride."""

from typing import get_args

import pytest
import torch

from fewmasks.config import Network
from fewmasks.nn.segmenter import STRIDES, bottleneck_of, head_of, segmenter

NETWORKS = get_args(Network)


def test_every_network_has_a_stride():
    assert set(STRIDES) == set(NETWORKS)


@pytest.mark.slow
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 3), (3, 2)])
def test_logits_are_as_large_as_the_input(network, rows, columns):
    stride = STRIDES[network]
    pixels = torch.zeros(2, 1, rows * stride, columns * stride)
    net = segmenter(network, 1, 3).eval()
    with torch.inference_mode():
        assert net(pixels).shape == (2, 3, *pixels.shape[2:])


@pytest.mark.parametrize("network", ["unet", "resnet18"])
def test_every_parameter_learns(network):
    net = segmenter(network, 2, 3)
    net(torch.randn(2, 2, 64, 64)).square().sum().backward()
    assert [name for name, p in net.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize("network", ["unet", "resnet18"])
def test_the_head_and_the_bottleneck(network):
    net = segmenter(network, 1, 5).eval()
    seen = []
    bottleneck_of(net).register_forward_hook(lambda module, given, output: seen.append(output))
    assert head_of(net).out_channels == 5
    with torch.inference_mode():
        net(torch.zeros(1, 1, 64, 96))
    stride = STRIDES[network]
    assert seen[0].shape[2:] == (64 // stride, 96 // stride)


@pytest.mark.parametrize("network", ["unet", "resnet18"])
def test_bf16_stays_bf16_inside(network):
    """A single layer that falls back to float32 costs more than all the others save."""
    net = segmenter(network, 1, 2).to(memory_format=torch.channels_last)
    fallen = []

    def look(name):
        def hook(module, given, output):
            if isinstance(output, torch.Tensor) and given[0].dtype != torch.bfloat16:
                fallen.append(name)

        return hook

    for name, module in net.named_modules():
        if not list(module.children()):
            module.register_forward_hook(look(name))
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        net(torch.zeros(2, 1, 64, 64))
    assert fallen == [next(n for n, m in net.named_modules() if isinstance(m, torch.nn.Conv2d))]
