"""Masks from a model, in the pixels of the items themselves, and their score."""

from collections.abc import Callable, Iterator, Sequence

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
