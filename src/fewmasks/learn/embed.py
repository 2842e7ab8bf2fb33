"""Embeddings of a pool before any label: by pre-trained weights, or the pictures themselves."""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32
from torch import Tensor, nn
from torch.nn import functional

from fewmasks.config import IMAGENET, METHODS, Network
from fewmasks.errors import ConfigError, FormatError
from fewmasks.io.atomic import atomic
from fewmasks.io.cache import ABANDONED_SECONDS, PixelCache
from fewmasks.io.weights import weights_digest
from fewmasks.learn.data import Frames
from fewmasks.learn.evidence import THUMBNAILS
from fewmasks.learn.foundation import (
    CONFIG,
    HUB,
    fetch_checkpoint,
    first_token,
    load_checkpoint,
    pictures,
    side_of,
)
from fewmasks.learn.model import Card, build, resolve_device
from fewmasks.learn.predict import BATCH
from fewmasks.learn.starts import find_start, load_start
from fewmasks.nn.heads import Encoder
from fewmasks.nn.pooling import picture_mean
from fewmasks.types import Item, Rows

MODEL = "model"
"""The embedding of the newest trained model, which needs labels."""
THUMBNAIL = "thumbnail"
"""The picture itself, 16 x 16 pixels of each channel."""
EMBEDDINGS = (MODEL, THUMBNAIL, *METHODS, IMAGENET)
FORMAT_VERSION = 3
MOST_KEPT = 8
"""Embeddings in a cache folder; of more, those used longest ago go."""
GAP = 4096
"""Rows without an embedding that are written at a time."""

Look = Callable[[PixelCache, Sequence[Item]], Float[Tensor, "b d"]]
"""From a few items to an embedding of each, on the CPU."""
Report = Callable[[int, int], None]


def embedding_start(folder: Path, name: str, network: Network) -> Path | None:
    """The weights behind an embedding's name, a file or a checkpoint's folder; None: thumbnails."""
    if name == THUMBNAIL:
        return None
    name = settled_embedding(name)
    if (Path(name) / CONFIG).is_file():
        return Path(name)
    if name not in (*METHODS, IMAGENET) and not Path(name).is_file():
        raise ConfigError(
            f"query.embedding: {name} is neither a file nor one of {', '.join(EMBEDDINGS)}, nor a "
            f"folder with a {CONFIG}; name one"
        )
    return find_start(folder, name, network)


def settled_embedding(name: str) -> str:
    """The name, or the folder of what is fetched by it, whose weights no longer change."""
    return str(fetch_checkpoint(name.removeprefix(HUB))) if name.startswith(HUB) else name


def embed(
    card: Card,
    start: Path | None,
    images: PixelCache,
    items: Sequence[Item],
    rows: Rows,
    report: Report | None = None,
) -> Float32[np.ndarray, "n d"]:
    """The embedding of these rows of the pool by a start; all other rows are NaN.

    Evaluation mode, one item at a time as far as the values go. It is kept in the cache folder of
    the pixels and read from there, memory-mapped and read-only, until the weights, the items or
    the way they are read change. Without `start` it is the thumbnail.
    """
    rows = np.unique(rows)
    folder = images.folder / "embeddings"
    path = folder / f"{_key(card, start, images, items, rows)}.npy"
    if path.exists():
        os.utime(path)
    else:
        folder.mkdir(parents=True, exist_ok=True)
        _write(path, card, look_of(card, start), images, items, rows, report)
        _sweep(folder)
    try:
        return np.load(path, mmap_mode="r")
    except ValueError as error:
        raise FormatError(f"{path}: damaged ({error}); delete it") from None


def encode(
    card: Card,
    look: Look,
    images: PixelCache,
    items: Sequence[Item],
    report: Report | None = None,
) -> Float32[np.ndarray, "n d"]:
    """The embedding of each of a few items, in memory and kept nowhere."""
    return np.concatenate(list(_stream(card, look, images, items, report)))


def look_of(card: Card, start: Path | None) -> Look:
    """The network of a start or of a checkpoint's folder as a function; else the thumbnail."""
    if start is None:
        return _thumbnails(card)
    if start.is_dir():
        return _checkpoint(card, load_checkpoint(start, card.channels))
    network = build(card)
    load_start(network, start)
    return encoder_of(card, network)


def encoder_of(card: Card, network: nn.Module) -> Look:
    """The pooled encoder of a network, scaled to unit length, run as its card says."""
    parts = Encoder(network).parts

    def read(images: PixelCache, items: Sequence[Item]) -> tuple[Tensor, Tensor]:
        frames, positions = _frames(card, images, items), range(len(items))
        return frames.batch(positions), frames.valid(positions)

    def pooled(
        pixels: Float[Tensor, "b c y x"], valid: Bool[Tensor, "b y x"]
    ) -> Float[Tensor, "b d"]:
        maps = parts(pixels)
        return picture_mean(maps[-1] if isinstance(maps, list) else maps, valid)

    return _look(card, parts, read, pooled)


def _checkpoint(card: Card, network: nn.Module) -> Look:
    side = side_of(network)
    return _look(
        card,
        network,
        lambda images, items: (pictures(images, items, card.intensity, side),),
        lambda pixels: first_token(network, pixels),
    )


def _look(
    card: Card,
    network: nn.Module,
    read: Callable[[PixelCache, Sequence[Item]], tuple[Tensor, ...]],
    points: Callable[..., Float[Tensor, "b d"]],
) -> Look:
    """What `read` gives of items, their pixels first, made into points by the network."""
    device = resolve_device(card.config.device)
    network.to(device).eval()
    enabled = card.precision == "bf16"

    def look(images: PixelCache, items: Sequence[Item]) -> Float[Tensor, "b d"]:
        pixels, *others = (tensor.to(device) for tensor in read(images, items))
        pixels = pixels.contiguous(memory_format=torch.channels_last)
        with (
            torch.inference_mode(),
            torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled),
        ):
            # Self-supervision trains the direction alone; lengths would rule every distance.
            return functional.normalize(points(pixels, *others)).cpu()

    return look


def _thumbnails(card: Card) -> Look:
    side = THUMBNAILS["thumbnail"]
    return lambda images, items: functional.adaptive_avg_pool2d(
        _frames(card, images, items).batch(range(len(items))), side
    ).flatten(1)


def _frames(card: Card, images: PixelCache, items: Sequence[Item]) -> Frames:
    return Frames(images, items, card.frame, card.config.size, card.intensity)


def _stream(
    card: Card, look: Look, images: PixelCache, items: Sequence[Item], report: Report | None
) -> Iterator[Float32[np.ndarray, "b d"]]:
    """Embeddings batch by batch, in order."""
    size = BATCH[resolve_device(card.config.device).type]
    for first in range(0, len(items), size):
        some = items[first : first + size]
        yield look(images, some).numpy()
        if report is not None:
            report(first + len(some), len(items))


def _write(
    path: Path,
    card: Card,
    look: Look,
    images: PixelCache,
    items: Sequence[Item],
    rows: Rows,
    report: Report | None,
) -> None:
    """The table as a .npy file, whole or not at all; memory is bounded by a batch."""
    wanted = [items[row] for row in rows]
    width = look(images, (wanted or items)[:1]).shape[1]
    about = {"descr": "<f4", "fortran_order": False, "shape": (len(items), width)}
    nothing = np.full((1, width), np.nan, "<f4").tobytes()
    with atomic(path) as file:
        np.lib.format.write_array_header_1_0(file, about)
        at = 0  # the row that comes next in the file
        to_come = iter(rows.tolist())
        for values in _stream(card, look, images, wanted, report):
            for one in values.astype("<f4", copy=False):
                row = next(to_come)
                _fill(file.write, nothing, row - at)
                file.write(one.tobytes())
                at = row + 1
        _fill(file.write, nothing, len(items) - at)


def _fill(write: Callable[[bytes], int], nothing: bytes, count: int) -> None:
    for first in range(0, count, GAP):
        write(nothing * min(GAP, count - first))


def _key(
    card: Card, start: Path | None, images: PixelCache, items: Sequence[Item], rows: Rows
) -> str:
    """Changes with whatever may change a digit of the embedding."""
    device = resolve_device(card.config.device)
    about = [
        FORMAT_VERSION, card.frame, card.config.size, card.config.network, card.channels,
        asdict(card.intensity), card.precision, device.type, torch.get_num_threads(),
    ]  # fmt: skip
    digest = hashlib.blake2b(json.dumps(about).encode(), digest_size=16)
    if start is not None:
        digest.update(weights_digest(start).encode())
    digest.update(len(items).to_bytes(8, "little") + rows.tobytes())
    last = None
    for row in rows.tolist():
        item = items[row]
        digest.update(f"\0{item.id}\0{item.source}\0{item.z}\0{item.box}".encode())
        if item.source != last:  # its intensities stand for its pixels
            digest.update(repr(images.statistics(item.source)).encode())
            last = item.source
    return digest.hexdigest()


def _sweep(folder: Path) -> None:
    """Remove what killed runs left half written, and all but the newest embeddings."""
    for left in folder.glob(".*.tmp"):
        if time.time() - left.stat().st_mtime > ABANDONED_SECONDS:
            left.unlink(missing_ok=True)
    kept = sorted(folder.glob("*.npy"), key=lambda path: path.stat().st_mtime, reverse=True)
    for old in kept[MOST_KEPT:]:
        old.unlink(missing_ok=True)
