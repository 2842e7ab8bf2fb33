"""Training and prediction against MONAI's usual recipe, in one run and on one thread.

    python benchmarks/training.py [--quick]

64 fabricated pictures as PNG. MONAI's side: Dataset of dictionary transforms, DataLoader without
workers, BasicUNet as it comes (instance norm, LeakyReLU, float32), DiceCELoss, AdamW. Ours: pixel
cache, `fit`, `predict`. Ratios count, absolute speeds are for people; "MISSES" is an error only
without --quick. The ladder says which part of a ratio is the architecture and which the engine,
and the last table what both have learned after the same number of steps.
"""

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import torch
from monai.data import DataLoader, Dataset
from monai.losses import DiceCELoss
from monai.networks.nets import BasicUNet
from monai.transforms import (
    Compose,
    EnsureChannelFirstd,
    LoadImaged,
    RandAdjustContrastd,
    RandAffined,
    RandFlipd,
    RandGaussianNoised,
    ScaleIntensityd,
)
from torch import nn

from fewmasks.config import LearnConfig
from fewmasks.io.cache import PixelCache
from fewmasks.learn.data import Frames, load_labelled
from fewmasks.learn.model import Model
from fewmasks.learn.precision import choose_precision
from fewmasks.learn.predict import predict
from fewmasks.learn.train import fit, prepare
from fewmasks.metrics import confusion, dice_from_confusion
from fewmasks.nn import segmenter
from fewmasks.nn.augment import augment
from fewmasks.types import Item, Label

CLASSES = ("background", "striped", "dotted")
BATCH = 8
MONAI_WIDTH = (32, 32, 64, 128, 256, 32)
MUST = {"training": 3.0, "prediction": 5.0, "augmentation": 6.0}
LONGER = 4
"""Our narrow network takes so many steps in less than the time of MONAI's for one."""
LARGEST_LOSS = 0.02
"""Dice that the fast side may lose on average."""


@dataclass(frozen=True)
class Pictures:
    """Files, and what is on them."""

    folder: Path
    items: list[Item]
    labels: list[Label]

    @property
    def files(self) -> list[dict[str, str]]:
        """As MONAI wants them."""
        return [
            {"image": item.source, "mask": item.source.replace("image", "mask")}
            for item in self.items
        ]


def picture(side: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Ellipses that differ from each other and from the ground by their texture alone."""
    y, x = np.mgrid[:side, :side]
    mask = np.zeros((side, side), np.uint8)
    for label in (1, 2):
        cy, cx = rng.uniform(0.25, 0.75, 2) * side
        a, b = rng.uniform(0.12, 0.28, 2) * side
        turn = rng.uniform(0, np.pi)
        u = (y - cy) * np.cos(turn) + (x - cx) * np.sin(turn)
        v = (x - cx) * np.cos(turn) - (y - cy) * np.sin(turn)
        mask[(u / a) ** 2 + (v / b) ** 2 < 1] = label
    stripes, dots = np.sin(1.6 * (x + y)), np.sin(1.3 * x) * np.sin(1.3 * y) * 1.5
    texture = np.choose(mask, [rng.normal(0, 0.7, mask.shape), stripes, dots])
    light = rng.uniform(100, 150) + 30 * np.sin(x / side * 3 + rng.uniform(0, 6))
    pixels = light + rng.uniform(25, 40) * texture + rng.normal(0, 10, mask.shape)
    return pixels.clip(0, 255).astype(np.uint8), mask


def fabricate(folder: Path, n: int, side: int, seed: int) -> Pictures:
    """Pictures and masks as PNG."""
    rng = np.random.default_rng(seed)
    folder.mkdir()
    items, labels = [], []
    for number in range(n):
        pixels, mask = picture(side, rng)
        for kind, array in (("image", pixels), ("mask", mask)):
            (folder / f"{kind}{number:03d}.png").write_bytes(imagecodecs.png_encode(array))
        name = f"p{number}"
        items.append(Item(name, str(folder / f"image{number:03d}.png"), (name,)))
        labels.append(Label(name, "mask", mask, 1.0, "fabricated"))
    return Pictures(folder, items, labels)


# MONAI's side


def recipe(train: bool) -> Compose:
    """The dictionary transforms of its tutorials."""
    both = ["image", "mask"]
    steps = [LoadImaged(both), EnsureChannelFirstd(both), ScaleIntensityd("image")]
    if train:
        steps += [
            RandFlipd(both, prob=0.5, spatial_axis=1),
            RandAffined(
                both,
                prob=1.0,
                rotate_range=np.deg2rad(15),
                scale_range=0.15,
                mode=("bilinear", "nearest"),
                padding_mode="zeros",
            ),
            RandAdjustContrastd("image", prob=1.0, gamma=(0.75, 1.3)),
            RandGaussianNoised("image", prob=1.0, std=0.05),
        ]
    return Compose(steps)


def monai_batches(pictures: Pictures, train: bool) -> DataLoader:
    """Loaded and augmented picture by picture, in this process."""
    return DataLoader(
        Dataset(pictures.files, recipe(train)), num_workers=0, batch_size=BATCH, shuffle=train
    )


def monai_network() -> BasicUNet:
    return BasicUNet(2, 1, len(CLASSES), MONAI_WIDTH)


def monai_fit(pictures: Pictures, steps: int, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    network = monai_network().train()
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3)
    loss_of = DiceCELoss(to_onehot_y=True, softmax=True)
    batches = monai_batches(pictures, train=True)
    done = 0
    while done < steps:
        for batch in batches:
            optimiser.zero_grad()
            loss_of(network(batch["image"]), batch["mask"]).backward()
            optimiser.step()
            done += 1
            if done == steps:
                break
    return network.eval()


def monai_predict(network: nn.Module, pictures: Pictures) -> list[np.ndarray]:
    masks: list[np.ndarray] = []
    with torch.inference_mode():
        for batch in monai_batches(pictures, train=False):
            masks += list(network(batch["image"]).argmax(dim=1).byte().numpy())
    # Its loader gives x before y.
    return [mask.T for mask in masks]


# Our side


def our_cache(pictures: Pictures, name: str = "cache") -> PixelCache:
    cache = PixelCache(pictures.folder / name)
    cache.build([Path(item.source) for item in pictures.items])
    return cache


def our_fit(pictures: Pictures, steps: int, seed: int, precision: str = "auto") -> Model:
    """All of it: from the files to the trained model."""
    side = pictures.labels[0].mask.shape[0]
    config = LearnConfig(
        batch=BATCH, iterations=steps, size=side, device="cpu", precision=precision
    )
    cache = our_cache(pictures, f"cache{time.perf_counter_ns()}")
    card = prepare(cache, pictures.items, CLASSES, config)
    return fit(card, cache, pictures.items, pictures.labels, seed, ensemble=False)


def our_predict(model: Model, pictures: Pictures, cache: PixelCache) -> list[np.ndarray]:
    return list(predict(model, cache, pictures.items))


@contextmanager
def width(channels: tuple[int, ...]) -> Iterator[None]:
    """Our network at another width."""
    before = segmenter.UNET_CHANNELS
    segmenter.UNET_CHANNELS = channels  # type: ignore[assignment]
    try:
        yield
    finally:
        segmenter.UNET_CHANNELS = before


# Measuring


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def in_turns(repeats: int, *works: Callable[[], object]) -> list[float]:
    """The shortest time of each, taken by turns so that all meet the same machine."""
    rounds = [[seconds(work) for work in works] for _ in range(repeats)]
    return [min(times) for times in zip(*rounds, strict=True)]


def speeds(pictures: Pictures, steps: int, repeats: int) -> dict[str, float]:
    """Print pictures per second of both sides; the ratios."""
    n, cache = len(pictures.items), our_cache(pictures)
    network, model = monai_fit(pictures, 1, 0), our_fit(pictures, 1, 0)
    with width(MONAI_WIDTH):
        wide = our_fit(pictures, 1, 0)

    def our_wide_fit() -> None:
        with width(MONAI_WIDTH):
            our_fit(pictures, steps, 0)

    train = in_turns(
        repeats,
        lambda: monai_fit(pictures, steps, 0),
        lambda: our_fit(pictures, steps, 0),
        our_wide_fit,
    )
    infer = in_turns(
        repeats,
        lambda: monai_predict(network, pictures),
        lambda: our_predict(model, pictures, cache),
        lambda: our_predict(wide, pictures, cache),
    )
    moved = in_turns(
        repeats + 1,
        lambda: list(monai_batches(pictures, train=True)),
        lambda: our_augmentation(pictures, cache, model),
    )
    print(f"\npictures a second {'MONAI':>15} {'fewmasks':>18} {'at the width of MONAI':>26}")
    row("training", steps * BATCH, train)
    row("prediction", n, infer)
    row("augmentation", n, moved)
    return {
        "training": train[0] / train[1],
        "prediction": infer[0] / infer[1],
        "augmentation": moved[0] / moved[1],
    }


def row(name: str, n: int, times: list[float]) -> None:
    cells = [f"{n / taken:9.1f} {times[0] / taken:7.1f}x" for taken in times]
    print(f"{name:14}" + "".join(f"{cell:>19}" for cell in cells), flush=True)


def our_augmentation(pictures: Pictures, cache: PixelCache, model: Model) -> None:
    """From the pixel cache to augmented batches, once over all pictures."""
    card, generator = model.card, torch.Generator().manual_seed(0)
    frames = Frames(cache, pictures.items, card.frame, card.config.size, card.intensity)
    labelled = load_labelled(frames, pictures.labels)
    for first in range(0, len(pictures.items), BATCH):
        positions = range(first, min(first + BATCH, len(pictures.items)))
        augment(*labelled.batch(positions), card.config, generator)


def ladder(side: int, repeats: int) -> None:
    """Steps of the networks alone, from MONAI's to ours, one change at a time."""
    narrow = segmenter.UNET_CHANNELS
    plain: dict[str, Any] = {"spatial_dims": 2, "in_channels": 1, "out_channels": len(CLASSES)}
    relu: dict[str, Any] = {**plain, "norm": "batch", "act": ("relu", {"inplace": True})}
    with width(MONAI_WIDTH):
        unpadded = segmenter.segmenter("unet", 1, len(CLASSES))
    rungs = {
        "MONAI's network as it comes": (BasicUNet(**plain, features=MONAI_WIDTH), False, False),
        "+ batch norm and ReLU": (BasicUNet(**relu, features=MONAI_WIDTH), False, False),
        "+ channels last": (BasicUNet(**relu, features=MONAI_WIDTH), True, False),
        "+ bf16": (BasicUNet(**relu, features=MONAI_WIDTH), True, True),
        "+ no padding in the decoder": (unpadded, True, True),
        f"+ width {narrow}": (segmenter.segmenter("unet", 1, len(CLASSES)), True, True),
    }
    works = [
        (lambda rung=rung, train=train: network_step(*rung, side, train))
        for rung in rungs.values()
        for train in (True, False)
    ]
    for work in works:
        work()
    times = in_turns(repeats, *works)
    print("\nthe network alone, pictures a second        training         prediction")
    for n, name in enumerate(rungs):
        pair = times[2 * n : 2 * n + 2]
        cells = [f"{BATCH / t:8.1f} {times[k] / t:5.1f}x" for k, t in enumerate(pair)]
        print(f"{name:38}" + "    ".join(cells), flush=True)


def network_step(
    network: nn.Module, channels_last: bool, bf16: bool, side: int, train: bool
) -> None:
    """Forward, and backward where training, of one batch."""
    layout = torch.channels_last if channels_last else torch.contiguous_format
    network.to(memory_format=layout).train(train)  # type: ignore[call-overload]
    pixels = torch.zeros(BATCH, 1, side, side).contiguous(memory_format=layout)
    with (
        torch.set_grad_enabled(train),
        torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16),
    ):
        loss = network(pixels).float().sum()
    if train:
        network.zero_grad()
        loss.backward()


# Quality


def quality(folder: Path, steps: int, seeds: int) -> dict[str, float]:
    """Print the Dice of both sides for equal steps and for more of ours; the mean gains of ours."""
    print(f"\nDice of both textures on 32 unseen pictures, {steps} steps of {BATCH}")
    print("seed    MONAI   fewmasks   in 4x the steps (time)   at MONAI's width   that in fp32")
    rows = [quality_of_seed(folder, steps, seed) for seed in range(seeds)]
    theirs, equal_steps, longer, wide, exact = np.mean(rows, axis=0)
    print(f"mean {theirs:8.3f} {equal_steps:10.3f} {longer:15.3f} {wide:26.3f} {exact:14.3f}")
    return {
        "in 4x the steps": longer - theirs,
        "of bf16 to fp32": wide - exact,
    }


def quality_of_seed(folder: Path, steps: int, seed: int) -> list[float]:
    """One line of the table."""
    known = fabricate(folder / f"known{seed}", 32, 64, seed)
    unseen = fabricate(folder / f"unseen{seed}", 32, 64, 1000 + seed)
    cache = our_cache(unseen)

    def ours(steps: int, precision: str = "auto") -> float:
        return dice_of(our_predict(our_fit(known, steps, seed, precision), unseen, cache), unseen)

    start = time.perf_counter()
    network = monai_fit(known, steps, seed)
    spent = time.perf_counter() - start
    start = time.perf_counter()
    longer = ours(LONGER * steps)
    share = (time.perf_counter() - start) / spent
    with width(MONAI_WIDTH):
        wide = [ours(steps, precision) for precision in ("auto", "fp32")]
    dices = [dice_of(monai_predict(network, unseen), unseen), ours(steps), longer, *wide]
    print(
        f"{seed:4} {dices[0]:8.3f} {dices[1]:10.3f} {dices[2]:15.3f} ({share:.2f})"
        f"{dices[3]:20.3f} {dices[4]:14.3f}",
        flush=True,
    )
    return dices


def dice_of(masks: list[np.ndarray], pictures: Pictures) -> float:
    pairs = zip(masks, pictures.labels, strict=True)
    counts = np.sum([confusion(mask, said.mask, len(CLASSES)) for mask, said in pairs], axis=0)
    return float(dice_from_confusion(counts)[1:].mean())


def main() -> int:
    """Measure, print, compare with the gates."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="fewer pictures, steps and seeds")
    quick = parser.parse_args().quick
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", category=FutureWarning)  # MONAI's, of torch
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pictures = fabricate(folder / "pictures", 16 if quick else 64, 128, seed=0)
        print(f"precision here: {choose_precision(torch.device('cpu'))}")
        ratios = speeds(pictures, 2 if quick else 6, 1 if quick else 2)
        ladder(128, 1 if quick else 2)
        gains = quality(folder, 10 if quick else 40, 1 if quick else 3)
    gates = {f"{name} at least {MUST[name]}x": r >= MUST[name] for name, r in ratios.items()}
    for name, gain in gains.items():
        gates[f"Dice {name} at most {LARGEST_LOSS} lower (mean {gain:+.3f})"] = (
            gain >= -LARGEST_LOSS
        )
    print()
    for gate, holds in gates.items():
        print(f"{'holds ' if holds else 'MISSES'} {gate}")
    return 0 if quick or all(gates.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
