"""Uncertainty scores straight from logits against the usual way to write them, in one run.

    python benchmarks/uncertainty.py [--quick]

One thread, four members, four classes, 24 slices of 240 x 240 pixels: entropy, BALD and variance
of every slice. Ratios count, absolute speeds are for people. Ends with an error when a ratio
falls below its gate or the answers differ.
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
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from fewmasks.nn.uncertainty import uncertainty

MEMBERS, CLASSES, SIDE = 4, 4, 240
NAMES = frozenset({"entropy", "bald", "variance"})
LEAST_RATIO = 10
LEAST_MB_PER_SECOND = 1000
REPEATS = 4


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


def naive(logits: list[Tensor]) -> dict[str, Tensor]:
    """Stack, softmax, mean, log, var: each a pass over everything."""
    probs = torch.stack(logits).softmax(dim=2)
    mean = probs.mean(dim=0)
    entropy = -(mean * torch.log(mean + 1e-12)).sum(dim=1)
    within = -(probs * torch.log(probs + 1e-12)).sum(dim=2).mean(dim=0)
    maps = {
        "entropy": entropy,
        "bald": entropy - within,
        "variance": probs.var(dim=0, correction=0).sum(dim=1),
    }
    return {name: pixels.mean(dim=(1, 2)) for name, pixels in maps.items()}


def seconds(work: Callable[[], object]) -> float:
    """Of one run."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def extra_mb(work: Callable[[], object], given: list[Tensor]) -> float:
    """Most memory of new tensors, beside the given ones."""
    with Peak(given) as peak:
        work()
    return peak.most / 1e6


def main() -> int:
    """Measure in turns, check that both agree, print, compare with the gates."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a quarter of the slices")
    slices = 6 if parser.parse_args().quick else 24
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    shape = (slices, CLASSES, SIDE, SIDE)
    logits = [3 * torch.randn(shape, generator=generator) for _ in range(MEMBERS)]
    valid = torch.ones(slices, SIDE, SIDE, dtype=torch.bool)
    megabytes = sum(member.nbytes for member in logits) / 1e6

    def ours() -> dict[str, Tensor]:
        return uncertainty(logits, valid, NAMES)

    def theirs() -> dict[str, Tensor]:
        return naive(logits)

    expected = theirs()
    for name, values in ours().items():
        torch.testing.assert_close(values, expected[name], atol=1e-5, rtol=1e-4)
    taken = [(seconds(ours), seconds(theirs)) for _ in range(REPEATS)]
    fast, slow = map(min, zip(*taken, strict=True))
    read = min(seconds(lambda: [member.sum() for member in logits]) for _ in range(REPEATS))
    print(f"{megabytes:.0f} MB of logits; reading them once: {megabytes / read:.0f} MB/s")
    print(f"naive torch {megabytes / slow:6.0f} MB/s  {extra_mb(theirs, logits):6.1f} MB extra")
    memory = extra_mb(ours, logits)
    print(f"fewmasks    {megabytes / fast:6.0f} MB/s  {memory:6.1f} MB extra, {slow / fast:.1f}x")
    three_maps = 3 * 4 * slices * SIDE * SIDE / 1e6
    gates = {
        f"at least {LEAST_RATIO}x the naive way": slow / fast >= LEAST_RATIO,
        f"at least {LEAST_MB_PER_SECOND} MB of logits a second (for people: not a ratio)": (
            megabytes / fast >= LEAST_MB_PER_SECOND
        ),
        "extra memory of at most three maps and 8 MB": memory <= three_maps + 8,
    }
    for gate, holds in gates.items():
        print(f"{'holds ' if holds else 'MISSES'} {gate}")
    ratio, _, small = gates.values()
    return 0 if ratio and small else 1


if __name__ == "__main__":
    sys.exit(main())
