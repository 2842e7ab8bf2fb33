"""Closed-form gradients of the last layer against backward passes, in one run.

    python benchmarks/gradients.py [--quick]

One thread, one 256 x 256 image, a ResNet-18 U-Net with 64 features before its last layer and 13
classes: the shapes of ALGES's own code. Its first version is ALGES-img, its second ALGES-seg; a
strategy asks for one of them. Backward passes for every pixel are too many: a few are run and
scaled up, which the table marks with "~". Ratios count, milliseconds are for people. Ends with
an error when a ratio misses its gate or answers differ.
"""

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import sys
import time
import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from fewmasks.nn.gradients import image_gradient, pixel_gradient

CLASSES, FEATURES, SIDE = 13, 64, 256
MOST_OF_FORWARD = 0.03
LEAST_RATIO = 80
REPEATS = 5
PIXELS = 40


class Block(nn.Module):
    """Two convolutions and the way past them."""

    def __init__(self, given: int, wanted: int, stride: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            *conv(given, wanted, 3, stride),
            nn.Conv2d(wanted, wanted, 3, padding=1, bias=False),
            nn.BatchNorm2d(wanted),
        )
        self.past = nn.Identity() if stride == 1 else nn.Conv2d(given, wanted, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Half the size where the stride is two."""
        return functional.relu(self.main(x) + self.past(x))


class ResNetUNet(nn.Module):
    """U-Net over a ResNet-18, with two convolutions at full size on either side."""

    def __init__(self) -> None:
        super().__init__()
        self.full = nn.Sequential(*conv(3, 64, 3), *conv(64, 64, 3))
        self.stem = nn.Sequential(*conv(3, 64, 7, stride=2))
        self.pool = nn.MaxPool2d(3, 2, padding=1)
        widths, strides = [64, 64, 128, 256, 512], [1, 2, 2, 2]
        self.down = nn.ModuleList(
            nn.Sequential(Block(a, b, s), Block(b, b, 1))
            for a, b, s in zip(widths, widths[1:], strides, strict=False)
        )
        skips, ups = [256, 128, 64, 64, 64], [512, 256, 256, 128, FEATURES]
        self.up = nn.ModuleList(
            nn.Sequential(*conv(below + skip, wanted, 3))
            for below, skip, wanted in zip([512, *ups], skips, ups, strict=False)
        )
        self.head = nn.Conv2d(FEATURES, CLASSES, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """What enters the last layer, and the logits."""
        maps = [self.full(x), self.stem(x)]
        deep = self.pool(maps[-1])
        for stage in self.down:
            deep = stage(deep)
            maps.append(deep)
        maps.pop()
        for stage in self.up:
            deep = functional.interpolate(deep, scale_factor=2, mode="bilinear")
            deep = stage(torch.cat([deep, maps.pop()], dim=1))
        return deep, self.head(deep)


def conv(given: int, wanted: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    """Convolution, batch norm, ReLU."""
    layer = nn.Conv2d(given, wanted, kernel, stride, padding=kernel // 2, bias=False)
    return [layer, nn.BatchNorm2d(wanted), nn.ReLU(inplace=True)]


class Peak(TorchDispatchMode):
    """Most bytes of new tensors alive at once: what tracemalloc does not see of torch."""

    def __init__(self, given: list[Tensor]) -> None:
        super().__init__()
        self.given = {tensor.untyped_storage().data_ptr() for tensor in given}
        self.alive: dict[int, tuple[Any, int]] = {}
        self.most = 0

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Count what is alive after every operation."""
        result = function(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, (tuple, list)) else [result]:
            if isinstance(tensor, Tensor):
                storage = tensor.untyped_storage()
                if storage.data_ptr() not in self.given:
                    self.alive[storage.data_ptr()] = weakref.ref(tensor), storage.nbytes()
        self.alive = {place: kept for place, kept in self.alive.items() if kept[0]() is not None}
        self.most = max(self.most, sum(nbytes for _, nbytes in self.alive.values()))
        return result


def milliseconds(work: Callable[[], object], repeats: int = REPEATS) -> float:
    """Least CPU time of a few runs; on one thread other work counts less."""
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return 1e3 * min(taken)


def whole_backward(network: ResNetUNet, image: Tensor) -> Tensor:
    """ALGES's first version: a backward pass per image; here gradients start from zero."""
    network.zero_grad()
    _, logits = network(image)
    functional.cross_entropy(logits, logits.argmax(dim=1)).backward()
    assert network.head.weight.grad is not None
    return network.head.weight.grad.flatten(1).norm(dim=1)


def head_backward(network: ResNetUNet, features: Tensor) -> Tensor:
    """A backward pass through the last layer alone."""
    logits = network.head(features)
    loss = functional.cross_entropy(logits, logits.argmax(dim=1))
    (gradient,) = torch.autograd.grad(loss, network.head.weight)
    return gradient.flatten(1).norm(dim=1)


def pixel_backward(network: ResNetUNet, features: Tensor, places: list[int]) -> Tensor:
    """A backward pass through the last layer for every pixel, its squared norm per class."""
    logits = network.head(features)[0].flatten(1)
    parameters, total = list(network.head.parameters()), torch.zeros(CLASSES)
    for place in places:
        label = logits[:, place].argmax()
        loss = functional.cross_entropy(logits[None, :, place], label[None])
        gradients = torch.autograd.grad(loss, parameters, retain_graph=True)
        total[label] += sum(gradient.square().sum() for gradient in gradients)
    return total


def class_masks(features: Tensor, logits: Tensor) -> Tensor:
    """ALGES's second version, with its sum put right: the formula, class after class."""
    probs = logits.softmax(dim=1)[0].flatten(1)
    top, predicted = probs.max(dim=0)
    energy = (features[0].flatten(1) ** 2).sum(dim=0) + 1
    squares = ((probs**2).sum(dim=0) + 1 - 2 * top) * energy
    return torch.stack([squares[predicted == label].sum() for label in range(CLASSES)])


def check(network: ResNetUNet, image: Tensor, features: Tensor, logits: Tensor) -> None:
    """The closed forms, autograd and the formula with masks agree."""
    valid = torch.ones(1, SIDE, SIDE, dtype=torch.bool)
    norms = image_gradient(features, logits, valid)[0]
    torch.testing.assert_close(norms, whole_backward(network, image), rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(norms, head_backward(network, features), rtol=1e-4, atol=1e-7)
    squares = pixel_gradient(features, logits, valid, bias=True, reduce="sum")[0]
    torch.testing.assert_close(squares, class_masks(features, logits), rtol=1e-4, atol=1e-4)
    valid.view(-1)[PIXELS:] = False
    squares = pixel_gradient(features, logits, valid, bias=True, reduce="sum")[0]
    one_by_one = pixel_backward(network, features, list(range(PIXELS)))
    torch.testing.assert_close(squares, one_by_one, rtol=1e-4, atol=1e-6)


def extra_mb(work: Callable[[], object], given: list[Tensor]) -> float:
    """Most memory of new tensors, beside the given ones."""
    with Peak(given) as peak:
        work()
    return peak.most / 1e6


def main() -> int:
    """Measure, check that all agree, print, compare with the gates."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one run of each")
    repeats = 1 if parser.parse_args().quick else REPEATS
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = ResNetUNet().eval().to(memory_format=torch.channels_last)
    image = torch.randn(1, 3, SIDE, SIDE).contiguous(memory_format=torch.channels_last)
    valid = torch.ones(1, SIDE, SIDE, dtype=torch.bool)
    with torch.inference_mode():
        forward = milliseconds(lambda: network(image), repeats)
    with torch.no_grad():
        features, logits = network(image)
    check(network, image, features, logits)

    def img() -> Tensor:
        return image_gradient(features, logits, valid)

    def seg() -> Tensor:
        return pixel_gradient(features, logits, valid, bias=True)

    with torch.inference_mode():
        ours_img, ours_seg = (milliseconds(work, 4 * repeats) for work in (img, seg))
        masks = milliseconds(lambda: class_masks(features, logits), 4 * repeats)
        memory = max(extra_mb(work, [features, logits, valid]) for work in (img, seg))
    backward = milliseconds(lambda: whole_backward(network, image), repeats) - forward
    head = milliseconds(lambda: head_backward(network, features), repeats)
    few = milliseconds(lambda: pixel_backward(network, features, list(range(PIXELS))), 2)
    every = few * SIDE**2 / PIXELS
    print(f"forward pass, fp32                     {forward:9.1f} ms")
    print(f"ALGES-img                              {ours_img:9.1f} ms")
    for name, taken in {
        "  backward pass of the network": backward,
        "  backward pass of the last layer": head,
    }.items():
        print(f"{name:38} {taken:9.1f} ms  {taken / ours_img:9.1f}x")
    print(f"ALGES-seg                              {ours_seg:9.1f} ms")
    for name, taken in {"  masks of classes": masks, "  ~backward pass per pixel": every}.items():
        print(f"{name:38} {taken:9.1f} ms  {taken / ours_seg:9.1f}x")
    both = (ours_img + ours_seg) / forward
    print(f"one after the other {both:.2%} of the forward pass; {memory:.1f} MB extra")
    gates = {
        f"ALGES-img takes at most {MOST_OF_FORWARD:.0%} of the forward pass"
        f" ({ours_img / forward:.2%})": ours_img <= MOST_OF_FORWARD * forward,
        f"ALGES-seg takes at most {MOST_OF_FORWARD:.0%} of the forward pass"
        f" ({ours_seg / forward:.2%})": ours_seg <= MOST_OF_FORWARD * forward,
        f"at least {LEAST_RATIO}x a backward pass per image": backward >= LEAST_RATIO * ours_img,
        f"at least {LEAST_RATIO}x a backward pass per pixel": every >= LEAST_RATIO * ours_seg,
        "extra memory of at most the features": memory <= features.nbytes / 1e6,
    }
    for gate, holds in gates.items():
        print(f"{'holds ' if holds else 'MISSES'} {gate}")
    return 0 if all(gates.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
