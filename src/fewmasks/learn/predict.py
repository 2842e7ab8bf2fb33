"""Masks from a model, in the pixels of the items themselves, and their score."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from fewmasks.io.cache import PixelCache
from fewmasks.learn.data import Frames, from_frame, item_shape
from fewmasks.learn.model import Model
from fewmasks.types import Item

BATCH = {"cpu": 8, "cuda": 64}
"""Items at a time: the maps of few stay in a CPU's cache, a GPU wants many."""


def frames_of(model: Model, images: PixelCache, items: Sequence[Item]) -> Frames:
    """Items as this model reads them."""
    card = model.card
    return Frames(images, items, card.frame, card.config.size, card.intensity)


def forward(
    model: Model, network: Callable[[Tensor], Tensor], pixels: Float[Tensor, "b c y x"]
) -> Float[Tensor, "b k y x"]:
    """Logits in float32, without gradients, under the model's own precision and layout."""
    pixels = pixels.to(model.device).contiguous(memory_format=torch.channels_last)
    enabled = model.card.precision == "bf16"
    with (
        torch.inference_mode(),
        torch.autocast(model.device.type, dtype=torch.bfloat16, enabled=enabled),
    ):
        return network(pixels).float()


def probabilities(
    model: Model,
    images: PixelCache,
    items: Sequence[Item],
    report: Callable[[int, int], None] | None = None,
) -> Iterator[Float[np.ndarray, "c y x"]]:
    """Class probabilities of each item, in its own pixels, in order."""
    frames = frames_of(model, images, items)
    model.network.eval()
    size = BATCH[model.device.type]
    for first in range(0, len(items), size):
        positions = range(first, min(first + size, len(items)))
        logits = forward(model, model.network, frames.batch(positions)).cpu()
        for position, one in zip(positions, logits, strict=True):
            shape = item_shape(images, items[position])
            yield from_frame(one, shape, model.card.config.size).softmax(dim=0).numpy()
        if report is not None:
            report(positions[-1] + 1, len(items))


def predict(
    model: Model,
    images: PixelCache,
    items: Sequence[Item],
    report: Callable[[int, int], None] | None = None,
) -> Iterator[UInt8[np.ndarray, "y x"]]:
    """The most probable class of every pixel of each item, in order."""
    for probs in probabilities(model, images, items, report):
        yield probs.argmax(axis=0).astype(np.uint8)


def mosaic(
    model: Model,
    images: PixelCache,
    pictures: Sequence[Item],
    window: tuple[int, int],
    overlap: float,
) -> Iterator[tuple[int, int, Float[np.ndarray, "c rows x"]]]:
    """Class probabilities of large pictures of one shape, in bands from top to bottom.

    Each band comes with the number of its picture and its first row. Windows of this height and
    width overlap by at least the share `overlap`, and the last ones lie flush with the border;
    where several look at a pixel, it has the mean of their probabilities. A window that is larger
    than the picture is cut, and keeps its scale. Of a picture only one row of windows is in memory.
    """
    if not pictures:
        return
    height, width = item_shape(images, pictures[0])
    high, wide = min(window[0], height), min(window[1], width)
    tops, lefts = starts(height, high, overlap), starts(width, wide, overlap)
    items = [
        replace(picture, id=f"{picture.id}:{y}:{x}", box=(y, x, y + high, x + wide))
        for picture in pictures
        for y in tops
        for x in lefts
    ]
    found = probabilities(_at_scale(model, max(window), max(high, wide)), images, items)
    sums = np.zeros((len(model.card.classes), high, width), np.float32)
    looks = np.zeros((high, width), np.float32)
    for number in range(len(pictures)):
        for top, below in pairwise([*tops, height]):
            for left in lefts:
                sums[:, :, left : left + wide] += next(found)
                looks[:, left : left + wide] += 1
            done = below - top
            yield number, top, sums[:, :done] / looks[:done]
            for unfinished in (sums, looks):
                unfinished[..., : high - done, :] = unfinished[..., done:, :].copy()
                unfinished[..., high - done :, :] = 0


def _at_scale(model: Model, longest: int, cut: int) -> Model:
    """The model with a size at which windows cut to this longest side shrink as whole ones do."""
    config = model.card.config
    if cut == longest or longest <= config.size:
        return model
    config = config.model_copy(update={"size": max(1, config.size * cut // longest)})
    return replace(model, card=replace(model.card, config=config))


def starts(length: int, window: int, overlap: float) -> list[int]:
    """First pixels of windows along one side: evenly spread, the last one flush with the end.

    >>> starts(100, 40, 0.25)
    [0, 30, 60]
    """
    room = max(length - window, 0)
    steps = math.ceil(room / max(1.0, window * (1 - overlap)))
    return [round(room * n / steps) for n in range(steps + 1)] if steps else [0]
