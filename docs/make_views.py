"""Draw docs/views-*.png: views of one picture for each preset of pre-training.

    python docs/make_views.py

The pictures are made up here; nothing is downloaded, and they are nobody's.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree
from torch.nn import functional

from fewmasks.pretrain.views import Preset, make_views

FOLDER = Path(__file__).parent
SIDE, VIEWS, GAP, SEED = 96, 7, 4, 4
COLOURS = 256
"""Entries of a picture's palette, to keep the file small."""

Picture = Float[np.ndarray, "y x c"]


def scan() -> Picture:
    """A made-up slice of a head: skull, brain with folds, ventricles."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[-1:1:192j, -1:1:192j]
    folds = gaussian_filter(rng.normal(size=y.shape), 3) / 0.09
    away = np.hypot(y / 0.9, x / 0.72)
    picture = np.where(away < 1, 25.0, 0.0)
    picture[(away < 0.97) & (away > 0.9)] = 170
    brain = away < 0.85
    picture[brain] = (110 + 35 * np.tanh(2 * folds))[brain]
    picture[np.hypot((y + 0.05) / 0.45, x / 0.4) < 1] = 150
    for side in (-1, 1):
        picture[np.hypot((y + 0.05) / 0.28, (x - 0.12 * side - 0.1 * side * y) / 0.09) < 1] = 35
    noise = rng.normal(0, 4, picture.shape)
    return (gaussian_filter(picture, 0.8) + noise).clip(0)[..., None]


def still_life() -> Picture:
    """Made-up balls of several colours on a table, lit from the left."""
    y, x = np.mgrid[:192, :192].astype(float)
    wall, table = np.array([120.0, 150, 170]), np.array([150.0, 110, 70])
    depth = ((y - 90) / 102).clip(0, 1)[..., None]
    scene = np.where(
        y[..., None] < 90, wall * (0.7 + 0.3 * x[..., None] / 192), table * (1 - 0.4 * depth)
    )
    balls = [
        (120, 60, 38, (200, 40, 40)),
        (130, 135, 30, (230, 190, 40)),
        (95, 100, 24, (60, 130, 60)),
    ]
    for cy, cx, radius, colour in balls:
        shadow = np.hypot((y - cy - radius) / (0.35 * radius), (x - cx - 8) / radius) < 1
        scene[shadow] *= 0.6
        away = np.hypot(y - cy, x - cx) / radius
        light = 1.1 - np.hypot(y - cy + 0.4 * radius, x - cx + 0.4 * radius) / (1.8 * radius)
        shine = np.exp(-(((y - cy + 0.45 * radius) ** 2 + (x - cx + 0.45 * radius) ** 2) / 40))
        lit = light.clip(0.15, 1)[..., None] * np.array(colour) + 120 * shine[..., None]
        scene[away < 1] = lit[away < 1]
    return gaussian_filter(scene, (0.8, 0.8, 0)).clip(0, 255)


def tissue() -> Picture:
    """Made-up glands: lumens ringed by dark nuclei, in pink fibres."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:192, :192].astype(float)
    fibres = gaussian_filter(rng.normal(size=y.shape), (6, 1.5)) / 0.1
    pink, purple, pale = (
        np.array([225.0, 160, 195]),
        np.array([95.0, 60, 140]),
        np.array([245.0, 240, 245]),
    )
    scene = pink + 14 * fibres[..., None]
    for cy, cx, radius in ((55, 60, 36), (60, 145, 30), (140, 95, 42), (150, 175, 24)):
        angle = np.arctan2(y - cy, x - cx)
        edge = radius * (1 + 0.12 * np.sin(3 * angle + cy) + 0.06 * np.sin(7 * angle))
        away = np.hypot(y - cy, x - cx) / edge
        scene[away < 1.25] = pink * [0.9, 0.75, 0.95]
        scene[away < 0.7] = pale
        for turn in np.linspace(0, 2 * np.pi, int(radius * 0.9)):
            ny, nx = cy + 1.02 * radius * np.sin(turn), cx + 1.02 * radius * np.cos(turn)
            scene[np.hypot(y - ny, x - nx) < rng.uniform(2.6, 3.8)] = purple * rng.uniform(0.8, 1.2)
    for ny, nx in rng.uniform(0, 192, (60, 2)):
        scene[np.hypot((y - ny) / 2, x - nx) < 2] = purple
    return gaussian_filter(scene, (0.8, 0.8, 0)).clip(0, 255)


def fields() -> Picture:
    """Made-up fields, a road and a river in four bands, of which three are shown."""
    rng = np.random.default_rng(5)
    grid = np.stack(np.mgrid[:192, :192], axis=-1)
    warped = grid + 3 * gaussian_filter(rng.normal(size=grid.shape), (9, 9, 0)) / 0.03
    nearest = cKDTree(rng.uniform(0, 192, (22, 2))).query(grid @ [[1, 0.2], [-0.2, 1]])[1]
    crops = rng.uniform([60, 70, 40, 90], [150, 150, 90, 220], (22, 4))
    scene = crops[nearest] * (1 + 0.1 * rng.normal(size=(192, 192, 1)))
    furrows = np.sin(grid[..., 0] * np.cos(nearest) + grid[..., 1] * np.sin(nearest))
    scene *= 1 + 0.08 * furrows[..., None]
    y, x = warped[..., 0], grid[..., 1]
    scene[np.abs(y - 60 - 0.5 * x) < 5] = [40, 70, 80, 20]
    scene[np.abs(grid[..., 0] + 0.3 * x - 170) < 2.5] = [190, 185, 180, 150]
    return gaussian_filter(scene, (0.7, 0.7, 0))


PICTURES: dict[Preset, Callable[[], Picture]] = {
    "grey": scan,
    "colour": still_life,
    "histology": tissue,
    "overhead": fields,
}


def strip(preset: Preset) -> UInt8[np.ndarray, "y x c"]:
    """A picture, then views of it, side by side."""
    picture = torch.from_numpy(np.ascontiguousarray(PICTURES[preset]())).float()
    pixels = functional.interpolate(
        picture.permute(2, 0, 1)[None], (SIDE, SIDE), mode="bilinear", antialias=True
    )
    mean, std = pixels.mean((2, 3), keepdim=True), pixels.std((2, 3), keepdim=True)
    normal = (pixels - mean) / std
    view = make_views(preset, pixels.shape[1])
    shown = torch.cat([normal, view(normal.repeat(VIEWS, 1, 1, 1))]) * std + mean
    scale = 255 / float(pixels.max())
    tiles = (shown * scale).clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()[..., :3]
    gap = np.full((SIDE, GAP, tiles.shape[-1]), 255, np.uint8)
    return np.concatenate([part for tile in tiles for part in (tile, gap)][:-1], axis=1)


def draw(preset: Preset) -> None:
    torch.manual_seed(SEED)
    pixels = strip(preset)
    picture = Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels)
    path = FOLDER / f"views-{preset}.png"
    picture.quantize(COLOURS).save(path, optimize=True)
    print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    for name in PICTURES:
        draw(name)
