"""BYOL's steps fed by our views against the same steps fed by Pillow, in one run, on one thread.

    python benchmarks/pretraining.py [--quick]

64 fabricated colour pictures of 128 x 128 as PNG. The peer is written as the usual pipelines of
self-supervision are: pictures are opened with Pillow and transformed one by one (crop, flip,
colour jitter, grey, blur, solarisation), with ranges as ours, and the network runs as PyTorch runs
it when nothing is said: in single precision, one channel after the other. Ours: pixel cache,
batched views, channels last, and bf16 where the trial of this CPU chose it. Network, loss and
optimiser are the same. What the views alone do is told apart: the peer's are also put before our
own step, which can gain no more by ours than the share that the peer's take of it. Times are CPU
seconds of this process, which a busy machine changes little.
"""

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import math
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image, ImageEnhance, ImageFilter, ImageOps
from scipy.ndimage import gaussian_filter
from torch import Tensor

from fewmasks.config import LearnConfig, PretrainConfig
from fewmasks.io.cache import PixelCache
from fewmasks.learn.data import Frames
from fewmasks.learn.model import Card, build
from fewmasks.learn.train import prepare
from fewmasks.pretrain.byol import Byol
from fewmasks.pretrain.course import make_optimiser
from fewmasks.pretrain.views import Views, make_views
from fewmasks.types import Item

SIDE, PICTURES, BATCH = 128, 64, 48
MUST_VIEWS = 2.0
"""Times the peer's speed from files to views."""
MUST_STEP = 3.0
"""Times the peer's speed of whole steps. Most of it is layout and precision: with the peer's views
before our step, views for nothing would gain a fifth."""

Batch = Float[Tensor, "b c y x"]


def fabricate(folder: Path) -> list[Item]:
    """Smooth colour pictures as PNG."""
    rng = np.random.default_rng(0)
    items = []
    for number in range(PICTURES):
        pixels = gaussian_filter(rng.normal(size=(SIDE, SIDE, 3)), (4, 4, 0)) * 500 + 128
        path = folder / f"{number:03d}.png"
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)
        items.append(Item(f"p{number}", str(path), (f"p{number}",)))
    return items


# The peer: one view of one picture


def pillow_view(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Crop, flip, jitter, grey, blur and solarise, as BYOL does (Grill et al. 2020, appendix B)."""
    area = rng.uniform(0.08, 1.0) * SIDE * SIDE
    ratio = math.exp(rng.uniform(math.log(3 / 4), math.log(4 / 3)))
    x = min(SIDE, round(math.sqrt(area * ratio)))
    y = min(SIDE, round(math.sqrt(area / ratio)))
    left, top = rng.integers(0, SIDE - x + 1), rng.integers(0, SIDE - y + 1)
    box = (left, top, left + x, top + y)
    view = picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR, box=box)
    if rng.random() < 0.5:
        view = ImageOps.mirror(view)
    if rng.random() < 0.8:
        view = ImageEnhance.Brightness(view).enhance(rng.uniform(0.6, 1.4))
        view = ImageEnhance.Contrast(view).enhance(rng.uniform(0.6, 1.4))
        view = ImageEnhance.Color(view).enhance(rng.uniform(0.8, 1.2))
        view = hue_moved(view, rng.uniform(-0.1, 0.1))
    if rng.random() < 0.2:
        view = view.convert("L").convert("RGB")
    if rng.random() < 0.5:
        view = view.filter(ImageFilter.GaussianBlur(rng.uniform(0.1, SIDE / 112)))
    if rng.random() < 0.2:
        view = ImageOps.solarize(view)
    return view


def hue_moved(picture: Image.Image, turn: float) -> Image.Image:
    hue, saturation, value = picture.convert("HSV").split()
    moved = Image.fromarray(np.asarray(hue) + np.uint8(round(turn * 255) % 256))
    return Image.merge("HSV", (moved, saturation, value)).convert("RGB")


def pillow_batch(
    items: list[Item], rng: np.random.Generator, layout: torch.memory_format = torch.channels_last
) -> tuple[Batch, Batch]:
    """Two views of each picture, opened once."""
    pictures = [Image.open(item.source).convert("RGB") for item in items]
    one, other = (
        np.stack([np.asarray(pillow_view(p, rng), np.float32) for p in pictures])
        .transpose(0, 3, 1, 2)
        for _ in range(2)
    )  # fmt: skip
    return as_input(one, layout), as_input(other, layout)


def as_input(pixels: np.ndarray, layout: torch.memory_format) -> Batch:
    return torch.from_numpy(pixels).sub_(128).div_(60).contiguous(memory_format=layout)


# The step, fed by either


class Fed:
    """Gives the views that it was handed, in place of drawing them."""

    def __init__(self) -> None:
        self.waiting: list[Batch] = []

    def __call__(self, pixels: Batch) -> Batch:
        return self.waiting.pop(0)


def make_step(
    card: Card, views: Views, layout: torch.memory_format = torch.channels_last
) -> Callable[[Batch], None]:
    """One step of BYOL on a batch."""
    config = PretrainConfig(method="byol")
    byol = Byol(build(card, 0), 3, views, config).to(memory_format=layout).train()
    optimiser = make_optimiser(byol, config)
    bf16 = card.precision == "bf16"

    def step(pixels: Batch) -> None:
        optimiser.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss, _ = byol(pixels, torch.empty(len(pixels), 0, dtype=torch.long))
        loss.backward()
        optimiser.step()
        byol.after_step(0.5)

    return step


def seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def in_turns(repeats: int, *works: Callable[[], object]) -> list[float]:
    """The shortest time of each, taken by turns so that all meet the same machine."""
    rounds = [[seconds(work) for work in works] for _ in range(repeats)]
    return [min(times) for times in zip(*rounds, strict=True)]


def measure(folder: Path, repeats: int) -> dict[str, float]:
    """CPU seconds a batch of each part."""
    items = fabricate(folder)
    cache = PixelCache(folder / "cache")
    cache.build([Path(item.source) for item in items])
    card = prepare(cache, items, ("background", "thing"), LearnConfig(size=SIDE, device="cpu"))
    frames = Frames(cache, items, card.frame, SIDE, card.intensity)
    rng, view, fed = np.random.default_rng(0), make_views("colour", 3), Fed()
    positions, batch = list(range(BATCH)), items[:BATCH]
    ours, mixed = make_step(card, view), make_step(card, fed)
    plain = torch.contiguous_format
    theirs = make_step(replace(card, precision="fp32"), fed, plain)
    network_alone = make_step(card, lambda pixels: pixels)
    pixels = frames.batch(positions).contiguous(memory_format=torch.channels_last)

    def their_step() -> None:
        fed.waiting = list(pillow_batch(batch, rng, plain))
        theirs(fed.waiting[0])

    def their_views_our_step() -> None:
        fed.waiting = list(pillow_batch(batch, rng))
        mixed(fed.waiting[0])

    def our_views() -> None:
        read = frames.batch(positions)
        view(read), view(read)

    names = ("our step", "their step", "their views, our step", "our views and reading",
             "their views and reading", "our views", "network")  # fmt: skip
    works = (
        lambda: ours(frames.batch(positions).contiguous(memory_format=torch.channels_last)),
        their_step, their_views_our_step, our_views, lambda: pillow_batch(batch, rng),
        lambda: (view(pixels), view(pixels)), lambda: network_alone(pixels),
    )  # fmt: skip
    for work in works:
        work()
    print(f"precision {card.precision}, {BATCH} pictures of {SIDE} x {SIDE} a step, two views each")
    return dict(zip(names, in_turns(repeats, *works), strict=True))


def report(times: dict[str, float]) -> list[str]:
    """Print pictures a second and ratios; which musts are missed."""
    for name, taken in times.items():
        print(f"{name:26} {1e3 * taken / BATCH:7.2f} ms a picture {BATCH / taken:8.1f} a second")
    step = times["their step"] / times["our step"]
    mixed = times["their views, our step"] / times["our step"]
    views = times["their views and reading"] / times["our views and reading"]
    share = times["our views"] / times["our step"]
    most = times["their views, our step"] / times["network"]
    print(f"whole step                 {step:7.2f}x (must be {MUST_STEP:.0f}x)")
    print(f"of which by our views      {mixed:7.2f}x (views for nothing would give {most:.2f}x)")
    print(f"from files to views        {views:7.2f}x (must be {MUST_VIEWS:.0f}x)")
    print(f"our views are {share:.0%} of our step: the network sets the pace, not the views")
    musts = {"whole step": (step, MUST_STEP), "from files to views": (views, MUST_VIEWS)}
    return [
        f"{name} {ratio:.2f}x, must be {must:.0f}x"
        for name, (ratio, must) in musts.items()
        if ratio < must
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer repeats, no verdict")
    quick = parser.parse_args().quick
    torch.set_num_threads(1)
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        missed = report(measure(Path(folder), 3 if quick else 8))
    for line in missed:
        print(f"MISSES: {line}")
    if missed and not quick:
        sys.exit(1)


if __name__ == "__main__":
    main()
