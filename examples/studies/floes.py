"""Made-up ice floes on dark water, for the study sea_ice.toml beside this file.

    python examples/studies/floes.py floes

writes floes/meta.csv and its pictures, and in floes/choose scenes to choose among models by.

Floes of all sizes touch each other; some have dark ponds, which still are ice. Slush between them
is bright and is none: a watershed takes it for ice where it is thick, and ponds for water.
"""

import argparse
import csv
from pathlib import Path

import numpy as np
from numpy.random import Generator
from PIL import Image
from scipy.ndimage import gaussian_filter


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("out", type=Path)
    words.add_argument("--scenes", type=int, default=16)
    words.add_argument("--choose", type=int, default=4, help="Scenes to choose among models by.")
    words.add_argument("--side", type=int, default=256, help="Of a scene, in pixels.")
    asked = words.parse_args()
    for number in range(asked.scenes, asked.scenes + asked.choose):
        write(asked.out / "choose", number, asked.side)
    with (asked.out / "meta.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["id", "image", "mask", "group", "split"])
        for number in range(asked.scenes):
            name = write(asked.out, number, asked.side)
            part = "test" if number % 4 == 3 else "train"
            table.writerow([name, f"images/{name}.png", f"masks/{name}.png", name, part])


def write(out: Path, number: int, side: int) -> str:
    """Write the picture and the mask of a scene; the name of both."""
    name = f"scene{number:02d}"
    for part, pixels in zip(
        ("images", "masks"), scene(np.random.default_rng(number), side), strict=True
    ):
        (out / part).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(out / part / f"{name}.png")
    return name


def scene(rng: Generator, side: int) -> tuple[np.ndarray, np.ndarray]:
    """A grey picture, and where there are floes."""
    y, x = np.mgrid[:side, :side]
    floe, pond = np.zeros((2, side, side), bool)
    for _ in range(int(rng.integers(15, 60))):
        middle, radius = rng.uniform(0, side, 2), rng.lognormal(2.4, 0.6)
        angle, flat = rng.uniform(0, np.pi), rng.uniform(0.6, 1)
        dy, dx = y - middle[0], x - middle[1]
        along = dx * np.cos(angle) + dy * np.sin(angle)
        across = (dy * np.cos(angle) - dx * np.sin(angle)) / flat
        edge = smooth(rng, side, 4) * 0.2 * radius
        here = np.hypot(along, across) + edge < radius
        floe |= here
        if radius > 16 and rng.random() < 0.5:
            pond |= np.hypot(along - radius / 4, across) + edge < radius / 3
    light = rng.uniform(120, 190) + 12 * smooth(rng, side, 12)
    slush = (smooth(rng, side, 3) > rng.uniform(0.6, 1.6)) & ~floe
    water = rng.uniform(20, 60) + 6 * smooth(rng, side, 6)
    grey = np.where(floe & ~pond, light, water) + 60 * slush + 25 * (floe & pond)
    grey = gaussian_filter(grey, 0.8) + rng.normal(0, rng.uniform(4, 12), grey.shape)
    return grey.clip(0, 255).astype(np.uint8), floe.astype(np.uint8)


def smooth(rng: Generator, side: int, scale: float) -> np.ndarray:
    """Noise of unit variance whose bumps are about `scale` pixels wide."""
    noise = gaussian_filter(rng.normal(size=(side, side)), scale)
    return noise / noise.std()


if __name__ == "__main__":
    main()
