"""Items to tensors: one frame size for all, intensities normalised, unknown pixels kept apart."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor
from torch.nn import functional

from fewmasks.errors import GeometryError, ProjectError
from fewmasks.io.cache import PixelCache
from fewmasks.nn.augment import valid_area
from fewmasks.types import UNKNOWN, Item, Kind, Label

HEADROOM = 1.0
"""How far beyond the middle 99 % of a source intensities may go, in units of that range.

Hot pixels are tamed; a bright lesion, smaller than half a per cent of a scan, keeps its brightness.
"""
PRELOAD_BYTES = 2 << 30
"""A set of items whose frames are larger than this is read again for every batch."""

Reader = Callable[[Sequence[int]], Float[Tensor, "b c fy fx"]]
"""From positions of items to their frames."""


@dataclass(frozen=True)
class Intensity:
    """How intensities are made comparable: clip, subtract, divide, per channel."""

    kind: Literal["source", "pool"]
    """Each source by its own figures (scans), or all by the pool's (8-bit pictures)."""
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()


def frame_shape(shapes: Iterable[tuple[int, int]], size: int, stride: int = 16) -> tuple[int, int]:
    """The smallest (y, x), multiples of the network's stride, that holds every scaled item."""
    height = width = 1
    for shape in set(shapes):
        scaled = scaled_shape(shape, size)
        height, width = max(height, scaled[0]), max(width, scaled[1])
    return math.ceil(height / stride) * stride, math.ceil(width / stride) * stride


def scaled_shape(shape: tuple[int, int], size: int) -> tuple[int, int]:
    """Shape of an item in the frame: shrunk to a longest side of `size`, never enlarged."""
    factor = min(1.0, size / max(shape))
    return max(1, round(shape[0] * factor)), max(1, round(shape[1] * factor))


def item_shape(images: PixelCache, item: Item) -> tuple[int, int]:
    """Height and width of an item in its own pixels."""
    if item.box is not None:
        y0, x0, y1, x1 = item.box
        return y1 - y0, x1 - x0
    return images.shape(item.source)[1:3]


def measure_intensity(images: PixelCache, items: Sequence[Item], kind: str) -> Intensity:
    """The normalisation for a pool; `auto` takes scans by source and 8-bit pictures together."""
    sources = sorted({item.source for item in items})
    if kind == "auto":
        plain = all(images.shape(s)[0] == 1 for s in sources)
        kind = "pool" if plain and images.read(items[0]).dtype == np.uint8 else "source"
    if kind == "source":
        return Intensity("source")
    figures = [images.statistics(source) for source in sources]
    mean = np.mean([f.mean for f in figures], axis=0)
    # Total variance = mean of the variances + variance of the means.
    variance = np.mean([np.square(f.std) for f in figures], axis=0)
    variance = variance + np.var([f.mean for f in figures], axis=0)
    return Intensity(
        "pool",
        low=tuple(np.min([f.low for f in figures], axis=0).tolist()),
        high=tuple(np.max([f.high for f in figures], axis=0).tolist()),
        mean=tuple(mean.tolist()),
        std=tuple(np.sqrt(variance).clip(1e-6).tolist()),
    )


def read_normalised(
    images: PixelCache, item: Item, intensity: Intensity
) -> Float[np.ndarray, "c y x"]:
    """Pixels of an item with about zero mean and unit variance."""
    figures = images.statistics(item.source) if intensity.kind == "source" else intensity
    # Channels first before the arithmetic: its inner loops are then whole planes.
    pixels = np.moveaxis(images.read(item), -1, 0).astype(np.float32, order="C")
    if len(pixels) != len(figures.mean):
        raise GeometryError(
            f"{item.source}: {len(pixels)} channels, the model reads {len(figures.mean)}; "
            f"give images like those it was trained on"
        )
    low, high, mean, std = (
        np.asarray(figure, np.float32)[:, None, None]
        for figure in (figures.low, figures.high, figures.mean, figures.std)
    )
    room = HEADROOM * (high - low)
    np.clip(pixels, low - room, high + room, out=pixels)
    pixels -= mean
    pixels /= std
    return pixels


def to_frame(
    pixels: Float[np.ndarray, "c y x"], frame: tuple[int, int], size: int
) -> Float[Tensor, "c fy fx"]:
    """Shrink to the frame with anti-aliasing where needed, centre, pad with the mean (0)."""
    tensor = torch.from_numpy(np.ascontiguousarray(pixels))
    scaled = scaled_shape((tensor.shape[1], tensor.shape[2]), size)
    if scaled != tensor.shape[1:]:
        tensor = functional.interpolate(
            tensor[None], scaled, mode="bilinear", align_corners=False, antialias=True
        )[0]
    return functional.pad(tensor, _margins(scaled, frame))


def mask_to_frame(
    mask: UInt8[np.ndarray, "y x"], frame: tuple[int, int], size: int
) -> UInt8[Tensor, "fy fx"]:
    """Nearest pixel of the mask at frame size, or what else is known there; padding is unknown."""
    tensor = torch.from_numpy(np.ascontiguousarray(mask))
    scaled = scaled_shape((tensor.shape[0], tensor.shape[1]), size)
    if scaled != tensor.shape:
        nearest = functional.interpolate(tensor[None, None], scaled, mode="nearest-exact")[0, 0]
        tensor = _with_thin_lines(nearest.numpy(), mask)
    return functional.pad(tensor, _margins(scaled, frame), value=UNKNOWN)


def _with_thin_lines(
    nearest: UInt8[np.ndarray, "fy fx"], mask: UInt8[np.ndarray, "y x"]
) -> UInt8[Tensor, "fy fx"]:
    """Where the nearest pixel is unknown, the class of most known pixels under one of the frame.

    A scribble is thinner than what such a pixel covers, and would be lost between the nearest ones.
    """
    blank, found = nearest == UNKNOWN, nearest.copy()
    if not blank.any():
        return torch.from_numpy(found)
    rows, columns = (np.arange(n) * m // n for n, m in zip(mask.shape, blank.shape, strict=True))
    y, x = np.nonzero(blank[rows[:, None], columns] & (mask != UNKNOWN))
    place = rows[y] * nearest.shape[1] + columns[x]
    said, votes = np.unique(place * (UNKNOWN + 1) + mask[y, x], return_counts=True)
    said = said[np.argsort(votes, kind="stable")]  # of several in one place the last one stays
    found.flat[said // (UNKNOWN + 1)] = said % (UNKNOWN + 1)
    return torch.from_numpy(found)


def from_frame(
    logits: Float[Tensor, "c fy fx"], shape: tuple[int, int], size: int
) -> Float[Tensor, "c y x"]:
    """Undo `to_frame`: cut the padding off and enlarge to the item's own pixels."""
    scaled = scaled_shape(shape, size)
    top, left = (logits.shape[1] - scaled[0]) // 2, (logits.shape[2] - scaled[1]) // 2
    inside = logits[:, top : top + scaled[0], left : left + scaled[1]]
    if scaled == shape:
        return inside
    return functional.interpolate(inside[None], shape, mode="bilinear", align_corners=False)[0]


def _margins(scaled: tuple[int, int], frame: tuple[int, int]) -> tuple[int, int, int, int]:
    """Left, right, top and bottom padding that centres a picture in its frame."""
    if scaled[0] > frame[0] or scaled[1] > frame[1]:
        raise GeometryError(
            f"picture of {scaled[0]} x {scaled[1]} pixels: larger than the model's frame of "
            f"{frame[0]} x {frame[1]}; give images of the shape it was trained on"
        )
    top, left = (frame[0] - scaled[0]) // 2, (frame[1] - scaled[1]) // 2
    return left, frame[1] - scaled[1] - left, top, frame[0] - scaled[0] - top


@dataclass(frozen=True)
class Frames:
    """Items as network input, read batch by batch."""

    images: PixelCache
    items: Sequence[Item]
    frame: tuple[int, int]
    size: int
    intensity: Intensity

    def batch(self, positions: Sequence[int]) -> Float[Tensor, "b c fy fx"]:
        """Normalised frames of the items at these positions of `items`."""
        chosen = [self.items[position] for position in positions]
        frames = torch.empty(len(chosen), _channels(self), *self.frame)
        for frame, item in zip(frames, chosen, strict=True):
            pixels = read_normalised(self.images, item, self.intensity)
            frame.copy_(to_frame(pixels, self.frame, self.size))
        return frames

    def valid(self, positions: Sequence[int]) -> Bool[Tensor, "b fy fx"]:
        """True inside each picture, False in its padding."""
        shapes = [item_shape(self.images, self.items[position]) for position in positions]
        areas = {
            shape: valid_area(scaled_shape(shape, self.size), self.frame, torch.device("cpu"))
            for shape in set(shapes)
        }
        return torch.stack([areas[shape] for shape in shapes])


@dataclass(frozen=True)
class Labelled:
    """Labelled items as tensors: masks always in memory, pixels too while they fit."""

    frames: Frames
    masks: UInt8[Tensor, "n fy fx"]
    preloaded: Float[Tensor, "n c fy fx"] | None
    kinds: tuple[Kind, ...] = ()
    """Of the labels, in order."""
    guesses: UInt8[Tensor, "n 2 fy fx"] | None = None
    """Class and source of pixels that nobody labelled and something guesses; see `learn.weak`."""

    def __len__(self) -> int:
        return len(self.masks)

    def to(self, device: torch.device) -> "Labelled":
        """All that is in memory, moved to a device once."""
        pixels = None if self.preloaded is None else self.preloaded.to(device)
        guesses = None if self.guesses is None else self.guesses.to(device)
        masks = _moved(self.masks, device)
        return replace(self, masks=masks, preloaded=pixels, guesses=guesses)

    def batch(
        self, positions: Sequence[int]
    ) -> tuple[Float[Tensor, "b c fy fx"], UInt8[Tensor, "b fy fx"]]:
        """Frames and masks at these positions."""
        rows = torch.as_tensor(positions, device=self.masks.device)
        if self.preloaded is not None:
            return self.preloaded[rows], self.masks[rows]
        return self.frames.batch(positions), self.masks[rows]


def _moved(masks: UInt8[Tensor, "n fy fx"], device: torch.device) -> UInt8[Tensor, "n fy fx"]:
    """Masks on a device. A view of one value stays one, which torch would write out in full."""
    if any(masks.stride()):
        return masks.to(device)
    return masks[:1, :1, :1].to(device).expand(masks.shape)


def load_labelled(frames: Frames, labels: Iterable[Label]) -> Labelled:
    """Tensors of labelled items; `labels` come in the order of `frames.items`.

    The last items may be without a label, and are left out.
    """
    masks: list[UInt8[Tensor, "fy fx"]] = []
    kinds: list[Kind] = []
    for position, label in enumerate(labels):
        item = frames.items[position]
        assert label.item == item.id, (label.item, item.id)
        masks.append(mask_to_frame(label.mask, frames.frame, frames.size))
        kinds.append(label.kind)
    if not masks:
        raise ProjectError("train: no item is labelled; label one first")
    frames = replace(frames, items=frames.items[: len(masks)])
    return Labelled(frames, torch.stack(masks), preload(frames), tuple(kinds))


def preload(frames: Frames) -> Float[Tensor, "n c fy fx"] | None:
    """The pixels of all items, or None where they take more than `PRELOAD_BYTES`."""
    return frames.batch(range(len(frames.items))) if _fits(frames) else None


def remembering(frames: Frames) -> Reader:
    """`frames.batch`, for which each item is read only once where all fit into `PRELOAD_BYTES`.

    Unlike `preload` it reads what is asked for: a large pool may be seen in part, and nobody waits
    for all of it at the start.
    """
    if not _fits(frames):
        return frames.batch
    pixels = torch.empty(len(frames.items), _channels(frames), *frames.frame)
    known: set[int] = set()

    def batch(positions: Sequence[int]) -> Float[Tensor, "b c fy fx"]:
        fresh = sorted(set(positions) - known)
        if fresh:
            pixels[fresh] = frames.batch(fresh)
            known.update(fresh)
        return pixels[list(positions)]

    return batch


def _fits(frames: Frames) -> bool:
    """Whether the pixels of all items may stay in memory."""
    values = len(frames.items) * _channels(frames) * math.prod(frames.frame)
    return 4 * values <= PRELOAD_BYTES


def _channels(frames: Frames) -> int:
    return frames.images.shape(frames.items[0].source)[3]
