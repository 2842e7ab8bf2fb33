"""All that a strategy may ask of a model, from one streamed pass over the pool."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn
from torch.nn import functional

from fewmasks.errors import ConfigError
from fewmasks.io.cache import PixelCache
from fewmasks.learn.core_gcn import graph_embedding
from fewmasks.learn.data import Frames, mask_to_frame
from fewmasks.learn.deal import difficulty
from fewmasks.learn.model import Model, seeded, state_on
from fewmasks.learn.predict import BATCH, forward, frames_of
from fewmasks.learn.vaal import novelty
from fewmasks.nn.gradients import badge_factors, image_gradient, pixel_gradient
from fewmasks.nn.pooling import picture_mean
from fewmasks.nn.segmenter import LAST, head_of, layer_of
from fewmasks.nn.uncertainty import SCORES, uncertainty
from fewmasks.types import UNKNOWN, Item, Label, Rows

THUMBNAILS = {"thumbnail": 16, "thumbnail_32": 32}
"""Raw pictures that serve without a model, and their side."""

GRADIENTS = frozenset({"gradient_img", "gradient_seg", "badge_error", "badge_feature"})
STREAMED = frozenset({*SCORES, *GRADIENTS, *THUMBNAILS, "embedding"})
"""Names of evidence that `gather` computes from one item at a time."""
LEARNT = frozenset({"gcn_embedding", "novelty", "difficulty", "known_pixels"})
"""Names of evidence that `learn` computes from what is labelled."""
OFFERED = STREAMED | LEARNT
"""Names of all evidence that a model gives."""
OF_POINTS = frozenset({*THUMBNAILS, "embedding"})
"""What a strategy may compare with labelled items."""


def gather(
    model: Model,
    images: PixelCache,
    items: Sequence[Item],
    rows: Rows,
    names: Sequence[str],
    seed: int = 0,
    report: Callable[[int, int], None] | None = None,
) -> dict[str, Float[np.ndarray, "n ..."]]:
    """Evidence for these rows of the pool; all other rows are NaN.

    Evaluation mode, no augmentation, no gradient: the model is left as it was, and an item's
    evidence does not depend on the items around it. Memory is bounded by a batch.
    """
    wanted = frozenset(names) & STREAMED
    tables: dict[str, Float[np.ndarray, "n ..."]] = {}
    if not wanted or not len(rows):
        return {name: np.full(len(items), np.nan) for name in wanted}
    model.network.eval()
    judges = _judges(model)
    size = BATCH[model.device.type]
    for first in range(0, len(rows), size):
        batch = rows[first : first + size]
        frames = frames_of(model, images, [items[row] for row in batch])
        for name, values in _batch_evidence(model, frames, judges, wanted, seed):
            if name not in tables:
                tables[name] = np.full((len(items), *values.shape[1:]), np.nan, values.dtype)
            tables[name][batch] = values
        if report is not None:
            report(min(first + size, len(rows)), len(rows))
    return tables


@dataclass(frozen=True)
class Known:
    """What is labelled, what may be asked for, and what the labels say."""

    labelled: Rows
    unlabelled: Rows
    labels: Callable[[], Iterable[Label]]
    """Labels of the labelled rows, in their order; read only where evidence needs them."""


def learn(
    model: Model,
    images: PixelCache,
    items: Sequence[Item],
    known: Known,
    names: Sequence[str],
    report: Callable[[str, int, int], None],
) -> dict[str, Shaped[np.ndarray, "n ..."]]:
    """Evidence that is learnt from what is labelled; rows of neither side are NaN, or False.

    The small networks behind it start from the seed of the model, which is left as it was. Empty
    where nothing may be asked for.
    """
    wanted = frozenset(names) & LEARNT
    if not wanted or not len(known.unlabelled):
        return {}
    seed, n = model.card.seed, len(items)
    labelled, unlabelled = (
        frames_of(model, images, [items[row] for row in rows])
        for rows in (known.labelled, known.unlabelled)
    )
    tables: dict[str, Shaped[np.ndarray, "n ..."]] = {}
    if "gcn_embedding" in wanted:
        tables["gcn_embedding"] = _graph_features(model, images, items, known, report)
    if "novelty" in wanted:
        tables["novelty"] = np.full(n, np.nan)
        tables["novelty"][known.unlabelled] = novelty(
            model, labelled, unlabelled, seed, partial(report, "telling labelled items apart")
        )
    if "difficulty" in wanted:
        tables["difficulty"] = np.full(n, np.nan)
        tables["difficulty"][known.unlabelled] = difficulty(
            model, labelled, known.labels(), unlabelled, seed, partial(report, "learning errors")
        )
    if "known_pixels" in wanted:
        width = model.card.channels * THUMBNAILS["thumbnail_32"] ** 2
        tables["known_pixels"] = np.zeros((n, width), dtype=bool)
        for row, label in zip(known.labelled, known.labels(), strict=True):
            assert label.item == items[row].id, (label.item, items[row].id)
            tables["known_pixels"][row] = _known_pixels(model, label)
    return tables


def _graph_features(
    model: Model,
    images: PixelCache,
    items: Sequence[Item],
    known: Known,
    report: Callable[[str, int, int], None],
) -> Float[np.ndarray, "n h"]:
    """A table by rows of the pool throughout, so that no other number can be taken for a row."""
    rows = np.sort(np.concatenate([known.labelled, known.unlabelled]))
    look = partial(report, "looking at the pool")
    points = gather(model, images, items, rows, ["embedding"], report=look)["embedding"]
    found = graph_embedding(
        points[rows],
        np.isin(rows, known.labelled),
        model.card.seed,
        model.device,
        partial(report, "telling labelled items apart"),
    )
    table = np.full((len(items), found.shape[1]), np.nan, found.dtype)
    table[rows] = found
    return table


def _known_pixels(model: Model, label: Label) -> Bool[np.ndarray, " p"]:
    """Cells of the larger thumbnail, of each channel, where the label says something of a pixel."""
    framed = mask_to_frame(label.mask, model.card.frame, model.card.config.size)
    share = (framed != UNKNOWN).float()[None]
    cells = functional.adaptive_max_pool2d(share, THUMBNAILS["thumbnail_32"])
    return np.tile(cells.flatten().numpy() > 0, model.card.channels)


@dataclass(frozen=True)
class Judges:
    """The ensemble whose dissent is uncertainty, ready to run."""

    states: tuple[Mapping[str, Tensor], ...]
    """Weights of members other than the network itself."""
    has_network: bool
    dropouts: int
    """Passes with dropout; 0 where other members judge."""


def _judges(model: Model) -> Judges:
    config = model.card.config
    if model.states:
        # The last snapshot is the network, whose pass gives the embedding as well.
        is_last = config.ensemble == "snapshots"
        others = model.states[:-1] if is_last else model.states
        return Judges(tuple(state_on(state, model.device) for state in others), is_last, 0)
    dropouts = config.members if config.ensemble == "dropout" and config.members > 1 else 0
    return Judges((), dropouts == 0, dropouts)


def _batch_evidence(
    model: Model, frames: Frames, judges: Judges, wanted: frozenset[str], seed: int
) -> Iterator[tuple[str, Float[np.ndarray, "b ..."]]]:
    pixels = frames.batch(range(len(frames.items)))
    for name, side in THUMBNAILS.items():
        if name in wanted:
            yield name, functional.adaptive_avg_pool2d(pixels, side).flatten(1).numpy()
    scores, gradients = wanted & frozenset(SCORES), wanted & GRADIENTS
    valid = frames.valid(range(len(frames.items))).to(model.device)
    logits = _dissenting(model, judges, pixels, seed) if scores else []
    if "embedding" in wanted or gradients or (scores and judges.has_network):
        layer, last = model.card.config.embedding_layer, head_of(model.network)
        looked_at = last if layer == LAST else layer_of(model.network, layer)
        with kept_output(looked_at) as put_out, kept_input(last) as decoded:
            main = forward(model, model.network, pixels)
        logits = [*logits, main] if judges.has_network else logits
        if "embedding" in wanted:
            maps = _maps(decoded[0] if layer == LAST else put_out[0], layer)
            yield "embedding", picture_mean(maps, valid).cpu().numpy()
        for name, values in _gradients(last, decoded[0], main, valid, gradients):
            yield name, values.cpu().numpy().astype(np.float64)
    if scores:
        for name, values in uncertainty(logits, valid, scores).items():
            yield name, values.cpu().numpy().astype(np.float64)


def _maps(found: object, layer: str) -> Float[Tensor, "b d y x"]:
    """What a layer puts out, where these are maps."""
    if not isinstance(found, Tensor) or found.ndim != 4:
        raise ConfigError(
            f"learn.embedding_layer: {layer!r} puts out no single stack of maps; name a part"
        )
    return found


def _gradients(
    last: nn.Conv2d,
    features: Float[Tensor, "b d y x"],
    logits: Float[Tensor, "b k y x"],
    valid: Bool[Tensor, "b y x"],
    wanted: frozenset[str],
) -> Iterator[tuple[str, Float[Tensor, "b _"]]]:
    """Gradients of the last layer that were asked for, reduced at once to a row per item."""
    kernel = last.kernel_size[0]
    if "gradient_img" in wanted:
        yield "gradient_img", image_gradient(features, logits, valid, kernel)
    if "gradient_seg" in wanted:
        has_bias = last.bias is not None
        yield "gradient_seg", pixel_gradient(features, logits, valid, kernel, has_bias)
    if wanted & {"badge_error", "badge_feature"}:
        error, feature = badge_factors(features, logits, valid)
        yield "badge_error", error
        yield "badge_feature", feature


def _dissenting(
    model: Model, judges: Judges, pixels: Float[Tensor, "b c y x"], seed: int
) -> list[Float[Tensor, "b k y x"]]:
    """Logits of every member that is not the network as it is."""
    if judges.dropouts:
        return _dropped_out(model, judges.dropouts, pixels, seed)
    return [
        forward(model, partial(_with_state, model.network, state), pixels)
        for state in judges.states
    ]


def _with_state(
    network: nn.Module, state: Mapping[str, Tensor], pixels: Float[Tensor, "b c y x"]
) -> Float[Tensor, "b k y x"]:
    """The network with another member's weights; the network itself stays as it is."""
    return torch.func.functional_call(network, dict(state), (pixels,))


def _dropped_out(
    model: Model, members: int, pixels: Float[Tensor, "b c y x"], seed: int
) -> list[Float[Tensor, "b k y x"]]:
    """Logits with dropout on. Members, not items, make a batch: each item meets the same ones."""
    passes = []
    for one in pixels:
        with dropout_only(model.network), seeded(model.device, seed):
            passes.append(forward(model, model.network, one.repeat(members, 1, 1, 1)))
    return list(torch.stack(passes, dim=1))


@contextmanager
def kept_output(module: nn.Module) -> Iterator[list[Tensor]]:
    """The outputs of a module while the block runs; the hook is gone afterwards."""
    kept: list[Tensor] = []
    handle = module.register_forward_hook(lambda _module, _given, output: kept.append(output))
    try:
        yield kept
    finally:
        handle.remove()


@contextmanager
def kept_input(module: nn.Module) -> Iterator[list[Tensor]]:
    """What enters a module while the block runs; the hook is gone afterwards."""
    kept: list[Tensor] = []
    handle = module.register_forward_pre_hook(lambda _module, given: kept.append(given[0]))
    try:
        yield kept
    finally:
        handle.remove()


@contextmanager
def dropout_only(network: nn.Module) -> Iterator[None]:
    """Dropout on, all else as in evaluation: batch-norm statistics stay untouched."""
    layers = [m for m in network.modules() if isinstance(m, nn.modules.dropout._DropoutNd)]
    for layer in layers:
        layer.train()
    try:
        yield
    finally:
        for layer in layers:
            layer.eval()
