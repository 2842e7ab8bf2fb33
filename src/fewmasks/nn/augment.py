"""Batched augmentation of images and masks on tensors: one set of parameters per item.

Plain torch, not kornia: see docs/decisions/0003.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor
from torch.nn import functional

from fewmasks.config import LearnConfig

STRONGER = 2.0
"""Contrast and noise of a strong view, beside those of training."""


@dataclass(frozen=True)
class Warp:
    """What was drawn for a batch; the same draw moves images and masks alike."""

    affine: Float[Tensor, "b 2 3"]
    gain: Float[Tensor, "b 1 1 1"]
    offset: Float[Tensor, "b 1 1 1"]
    gamma: Float[Tensor, "b 1 1 1"]


def draw_warp(
    batch: int, shape: tuple[int, int], config: LearnConfig, generator: torch.Generator
) -> Warp:
    """Random flips, rotation, scale and contrast for `batch` items of `shape` (y, x)."""

    def uniform(low: float, high: float) -> Float[Tensor, " b"]:
        return low + (high - low) * torch.rand(batch, generator=generator)

    angle = uniform(-1.0, 1.0) * math.radians(config.rotate_degrees)
    zoom = 1 + uniform(-1.0, 1.0) * config.scale
    flip_x = torch.where((uniform(0.0, 1.0) < 0.5) & (config.flips != "none"), -1.0, 1.0)
    flip_y = torch.where((uniform(0.0, 1.0) < 0.5) & (config.flips == "xy"), -1.0, 1.0)
    # grid_sample works in units of half the picture, so a rotation must undo the aspect ratio.
    aspect = shape[0] / shape[1]
    cos, sin = torch.cos(angle) / zoom, torch.sin(angle) / zoom
    zero = torch.zeros(batch)
    rows = [cos * flip_x, -sin * aspect * flip_y, zero, sin / aspect * flip_x, cos * flip_y, zero]
    contrast = config.contrast
    return Warp(
        affine=torch.stack(rows, dim=1).reshape(batch, 2, 3),
        gain=(1 + uniform(-1.0, 1.0) * contrast).reshape(-1, 1, 1, 1),
        offset=(uniform(-1.0, 1.0) * contrast).reshape(-1, 1, 1, 1),
        gamma=torch.exp(uniform(-1.0, 1.0) * contrast).reshape(-1, 1, 1, 1),
    )


def augment(
    images: Float[Tensor, "b c y x"],
    masks: UInt8[Tensor, "b *k y x"],
    config: LearnConfig,
    generator: torch.Generator,
) -> tuple[Float[Tensor, "b c y x"], UInt8[Tensor, "b *k y x"]]:
    """Warp images (bilinear) and masks (nearest) alike; what moves in from outside is unknown.

    The generator is the CPU's on every device, so that a GPU draws the same.
    """
    warp = draw_warp(len(images), (images.shape[2], images.shape[3]), config, generator)
    noise = torch.randn(images.shape, generator=generator) * config.noise
    warp = _on(warp, images.device)
    moved, labels = _move(images, masks, warp)
    return _contrast(moved, warp).add_(noise.to(images.device)), labels


def weak_and_strong(
    images: Float[Tensor, "b c y x"],
    masks: UInt8[Tensor, "b y x"],
    config: LearnConfig,
    generator: torch.Generator,
) -> tuple[Float[Tensor, "b c y x"], Float[Tensor, "b c y x"], UInt8[Tensor, "b y x"]]:
    """Two views that lie pixel on pixel, and the masks moved with them.

    Both are moved by one draw; only the strong one changes contrast, `STRONGER` times as much as
    `augment` does, and has noise.
    """
    stronger = config.model_copy(update={"contrast": STRONGER * config.contrast})
    warp = draw_warp(len(images), (images.shape[2], images.shape[3]), stronger, generator)
    noise = STRONGER * config.noise * torch.randn(images.shape, generator=generator)
    warp = _on(warp, images.device)
    weak, labels = _move(images, masks, warp)
    return weak, _contrast(weak, warp).add_(noise.to(images.device)), labels


def _on(warp: Warp, device: torch.device) -> Warp:
    return Warp(*(t.to(device) for t in (warp.affine, warp.gain, warp.offset, warp.gamma)))


def _move(
    images: Float[Tensor, "b c y x"], masks: UInt8[Tensor, "b *k y x"], warp: Warp
) -> tuple[Float[Tensor, "b c y x"], UInt8[Tensor, "b *k y x"]]:
    grid = functional.affine_grid(warp.affine, list(images.shape), align_corners=False)
    moved = functional.grid_sample(
        images, grid, mode="bilinear", padding_mode="zeros", align_corners=False
    )
    # Unknown is 0 and classes count from 1 while moving, because grid_sample fills with zeros.
    planes = masks.reshape(len(masks), -1, *masks.shape[-2:])
    shifted = (planes + 1).float()  # bytes wrap around: 255 becomes 0
    labels = functional.grid_sample(
        shifted, grid, mode="nearest", padding_mode="zeros", align_corners=False
    )
    return moved, (labels.to(torch.uint8) - 1).reshape(masks.shape)


def _contrast(images: Float[Tensor, "b c y x"], warp: Warp) -> Float[Tensor, "b c y x"]:
    """Gamma around each item's own range, then gain and offset; inputs have unit variance."""
    low, high = torch.aminmax(images.flatten(1), dim=1)
    low, span = low.reshape(-1, 1, 1, 1), (high - low).clamp_min(1e-6).reshape(-1, 1, 1, 1)
    curved = ((images - low) / span).pow_(warp.gamma)
    return curved.mul_(span * warp.gain).add_(low * warp.gain + warp.offset)


def valid_area(
    shape: tuple[int, int], frame: tuple[int, int], device: torch.device
) -> Bool[Tensor, "y x"]:
    """True where a centred picture of `shape` lies inside its padded `frame`."""
    top, left = (frame[0] - shape[0]) // 2, (frame[1] - shape[1]) // 2
    inside = torch.zeros(frame, dtype=torch.bool, device=device)
    inside[top : top + shape[0], left : left + shape[1]] = True
    return inside
