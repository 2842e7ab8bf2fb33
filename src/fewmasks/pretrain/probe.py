"""Whether pre-training helped: a start compared with the untrained network it began as."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor, nn

from fewmasks.io.cache import PixelCache
from fewmasks.io.masks import present_classes
from fewmasks.learn.data import Frames, mask_to_frame
from fewmasks.learn.embed import encode, encoder_of
from fewmasks.learn.model import Card, build, resolve_device
from fewmasks.learn.predict import BATCH
from fewmasks.learn.starts import load_start, read_origin
from fewmasks.learn.train import prepare_project
from fewmasks.nn.heads import Encoder, embedding_width, spread
from fewmasks.nn.segmenter import encoder_modules
from fewmasks.pretrain.course import LEAST_SPREAD
from fewmasks.project import Project
from fewmasks.query.distance import squared_distances
from fewmasks.types import UNKNOWN, Item, Label, Rows

Report = Callable[[str, int, int], None]
MOST_ITEMS = 2000
LARGEST_SHARE = 0.1
"""Of the sampled items that one group may give, so that no long video is all there is."""
MOST_LABELLED = 200
MOST_PIXELS = 4000
FOLDS = 4
RIDGE = 10.0
MOST_SETTLING = 256
SETTLING_BATCH = 32
GAIN = 0.05
"""Least difference of a share, 0 to 1, that counts. Untrained networks of different seeds have a
standard deviation of up to 0.04 in each figure, on slices of hippocampus and of hearts."""


@dataclass(frozen=True)
class Figures:
    """What the features of one network are good for."""

    pixels: float | None
    """Balanced accuracy, 0 to 1, of the classes of pixels by a linear probe of frozen features."""
    volume: float | None
    """Recall of an item's volume: the share of the slices there that are nearest to it."""
    patient: float | None
    """The same of its first group key; None where that says no more than the volume."""
    effective_rank: float
    """Directions that the embedding uses, 1 to its width."""
    spread: float
    """1 is healthy, 0 is collapsed."""


@dataclass(frozen=True)
class Probe:
    """A start beside the untrained network of its seed.

    Neighbouring slices look alike to any network, so that much of the recall is free: only the
    difference tells something.
    """

    start: Figures
    untrained: Figures
    items: int
    """Training items sampled."""
    width: int
    """Of the embedding."""
    labelled: int
    """Labelled items with which the linear probe was made."""
    why_no_pixels: str
    """Why there is no linear probe; empty where there is one."""

    @property
    def gain(self) -> float | None:
        """By how much the start is better, in the most telling figure that there is."""
        for name in ("pixels", "volume", "patient"):
            mine, theirs = getattr(self.start, name), getattr(self.untrained, name)
            if mine is not None and theirs is not None:
                return mine - theirs
        return None

    @property
    def helps(self) -> bool:
        """Whether to start from it: a collapsed embedding never helps."""
        if self.start.spread <= LEAST_SPREAD:
            return False
        if self.gain is None:
            return self.start.effective_rank > self.untrained.effective_rank
        return self.gain >= GAIN

    def sentence(self) -> str:
        """The verdict and the figures that it rests on."""
        verdict = "helps" if self.helps else "no gain here; start from scratch"
        if self.why_no_pixels and not self.helps:
            verdict = "no gain seen; start from scratch, or look again once there are labels"
        words = {
            "pixels": "linear probe of pixels",
            "volume": "same-volume recall",
            "patient": "same-patient recall",
        }
        parts = [
            f"{words[name]} {getattr(self.start, name):.2f} against "
            f"{getattr(self.untrained, name):.2f} untrained"
            for name in words
            if getattr(self.start, name) is not None
        ]
        parts.append(
            f"effective rank {self.start.effective_rank:.0f} of {self.width} "
            f"({self.untrained.effective_rank:.0f} untrained)"
        )
        parts.append(f"spread {self.start.spread:.2f} ({self.untrained.spread:.2f} untrained)")
        if self.why_no_pixels:
            parts.append(f"no linear probe, {self.why_no_pixels}")
        return f"{verdict}: {'; '.join(parts)}"


def probe(
    project: Project,
    start: Path,
    seed: int = 0,
    report: Report = lambda what, done, of: None,
) -> Probe:
    """Compare a start with the untrained network of the same seed, on the training side alone.

    At most 2000 items are looked at, whole groups as far as they go. Classes of pixels are probed
    with the labels that people gave, never with reference masks.
    """
    origin = read_origin(start)
    card = prepare_project(project, project.config.learn)
    known, why = _labelled_items(project, seed)
    labels = [_stored(project, item) for item in known]
    sampled = Sampled(card, project.cache, sample_items(project, seed), known, labels, seed)
    untrained, trained = (build(card, seed if origin is None else origin.seed) for _ in range(2))
    load_start(trained, start)
    settle_statistics(untrained, sampled)
    found = _figures(trained, sampled, partial(report, "looking at what it learnt"))
    before = _figures(untrained, sampled, partial(report, "comparing with an untrained network"))
    return Probe(found, before, len(sampled.items), _width(trained, card), len(known), why)


@dataclass(frozen=True)
class Sampled:
    """What every network is judged by."""

    card: Card
    images: PixelCache
    items: list[Item]
    known: list[Item]
    """Labelled items for the linear probe; none where there can be no probe."""
    labels: list[Label]
    seed: int


def _figures(network: nn.Module, sampled: Sampled, report: Callable[[int, int], None]) -> Figures:
    look = encoder_of(sampled.card, network)
    points = encode(sampled.card, look, sampled.images, sampled.items, report)
    volume, patient = mate_codes(sampled.items)
    return Figures(
        pixels=probe_pixels(network, sampled) if sampled.known else None,
        volume=mate_recall(points, volume),
        patient=mate_recall(points, patient),
        effective_rank=effective_rank(points),
        spread=spread(torch.from_numpy(points)),
    )


def _width(network: nn.Module, card: Card) -> int:
    return embedding_width(Encoder(network), card.channels, 64)


def settle_statistics(network: nn.Module, sampled: Sampled) -> None:
    """Give an untrained network the batch statistics of the pool; its weights stay.

    With those that it is built with, zero and one, its layers shrink all items to one point, and
    any start would look good beside it.
    """
    card = sampled.card
    device = resolve_device(card.config.device)
    encoder = Encoder(network).to(device).eval()
    norms = [m for m in encoder.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over the batches
        norm.train()
    items = np.random.default_rng(sampled.seed).permutation(len(sampled.items))[:MOST_SETTLING]
    frames = Frames(sampled.images, sampled.items, card.frame, card.config.size, card.intensity)
    # In even parts: of one item left over, the deepest map of a small frame has but one value.
    parts = np.array_split(items, max(1, len(items) // SETTLING_BATCH))
    with torch.inference_mode():
        for part in parts:
            pixels = frames.batch(part.tolist()).to(device)
            encoder(pixels.contiguous(memory_format=torch.channels_last))
    encoder.eval()


def sample_items(project: Project, seed: int) -> list[Item]:
    """Training items of whole groups, in the order of the pool, MOST_ITEMS at most."""
    rng = np.random.default_rng(seed)
    rows = project.train
    if len(rows) <= MOST_ITEMS:
        return project.pool.at(rows)
    group = project.pool.group_codes()[rows]
    taken: list[Rows] = []
    left = MOST_ITEMS
    for code in rng.permutation(np.unique(group)):
        mine = rows[group == code]
        wanted = min(len(mine), left, round(LARGEST_SHARE * MOST_ITEMS))
        taken.append(rng.permutation(mine)[:wanted])
        left -= wanted
        if not left:
            break
    return project.pool.at(np.sort(np.concatenate(taken)))


def mate_codes(items: list[Item]) -> tuple[Rows, Rows]:
    """An integer per item, equal within a volume and within a patient.

    Where every volume is a patient of its own the second tells nothing more, and each item is
    alone.
    """
    volume = _codes(item.source for item in items)
    patient = _codes(item.group[:1] for item in items)
    if len(np.unique(volume)) == len(np.unique(patient)):
        patient = np.arange(len(items))
    return volume, patient


def _codes(keys: Iterable[object]) -> Rows:
    codes: dict[object, int] = {}
    return np.array([codes.setdefault(key, len(codes)) for key in keys], dtype=np.int64)


def mate_recall(
    points: Float32[np.ndarray, "n d"], code: Rows, near: int | None = None
) -> float | None:
    """Share of an item's nearest neighbours that have its own code, itself left out.

    Of as many neighbours as it has mates, or `near`: the first is recall at R, which is precision
    at R too (Manning et al., Introduction to Information Retrieval, 2008, section 8.4). The mean
    over items that share their code with another one; None where no item does.
    """
    mates = np.bincount(code)[code] - 1
    asked = np.flatnonzero(mates)
    if not len(asked):
        return None
    shifted = (points - points.mean(axis=0)).astype(np.float64)
    found = 0.0
    for first in range(0, len(asked), 256):
        mine = asked[first : first + 256]
        distance = squared_distances(shifted[mine], shifted)
        distance[np.arange(len(mine)), mine] = np.inf
        nearest = np.argsort(distance, axis=1)[:, :-1]
        counted = mates[mine] if near is None else np.full(len(mine), min(near, len(points) - 1))
        hits = (code[nearest] == code[mine][:, None]).cumsum(axis=1)
        found += float((hits[np.arange(len(mine)), counted - 1] / counted).sum())
    return found / len(asked)


def effective_rank(points: Float32[np.ndarray, "n d"]) -> float:
    """Exponential of the entropy of the singular values, as shares of their sum.

    Roy and Vetterli, The Effective Rank, EUSIPCO 2007; of the centred points, since the mean of
    an embedding tells items apart no better than 0 does. 1 where all points coincide.
    """
    values = np.linalg.svd(points - points.mean(axis=0, dtype=np.float64), compute_uv=False)
    if values.sum() <= 1e-6 * (1 + np.abs(points).max()):
        return 1.0
    share = values[values > 0] / values.sum()
    return float(np.exp(-(share * np.log(share)).sum()))


def _labelled_items(project: Project, seed: int) -> tuple[list[Item], str]:
    """Items for the linear probe, and why there can be none."""
    rows = project.labelled
    if not len(rows):
        return [], "as nothing is labelled"
    rng = np.random.default_rng(seed)
    items = project.pool.at(np.sort(rng.permutation(rows)[:MOST_LABELLED]))
    present = {item: present_classes(_stored(project, item).mask) for item in items}
    items = [item for item in items if present[item]]  # a label may say nothing
    if len({item.group[:1] for item in items}) < 2:
        return [], "as all labels are of one group"
    if len(frozenset().union(*present.values())) < 2:
        return [], "as all labels are of one class"
    return items, ""


def _stored(project: Project, item: Item) -> Label:
    label = project.label(item.id)
    assert label is not None
    return label


def probe_pixels(network: nn.Module, sampled: Sampled) -> float:
    """Balanced accuracy of a linear probe of the encoder's feature maps, pixel by pixel.

    The maps of all depths make one vector a pixel (hypercolumns, Hariharan et al., CVPR 2015). The
    same pixels are drawn for every network, as many of each class of an item.
    """
    features, classes, group = [], [], []
    rng = np.random.default_rng(sampled.seed)
    card, items = sampled.card, sampled.known
    each = max(1, MOST_PIXELS // len(items))
    codes = _codes(item.group[:1] for item in items)
    for maps, code, label in zip(_maps(network, sampled), codes, sampled.labels, strict=True):
        mask = mask_to_frame(label.mask, card.frame, card.config.size).numpy()
        y, x = _draw_pixels(mask, each, rng)
        features.append(_at_pixels(maps, y, x, card.frame))
        classes.append(mask[y, x].astype(np.int64))
        group.append(np.full(len(y), code))
    return linear_probe(
        np.concatenate(features), np.concatenate(classes), np.concatenate(group), sampled.seed
    )


def _maps(network: nn.Module, sampled: Sampled) -> Iterator[list[Float[Tensor, "_ _ _"]]]:
    """The feature maps of every labelled item, shallow to deep."""
    card, items = sampled.card, sampled.known
    device = resolve_device(card.config.device)
    parts = nn.Sequential(*encoder_modules(network)).to(device).eval()
    frames = Frames(sampled.images, items, card.frame, card.config.size, card.intensity)
    for first in range(0, len(items), BATCH[device.type]):
        positions = range(first, min(first + BATCH[device.type], len(items)))
        pixels = frames.batch(positions).to(device)
        with torch.inference_mode():
            maps = _all_maps(parts, pixels.contiguous(memory_format=torch.channels_last))
        for place in range(len(positions)):
            yield [one[place].float().cpu() for one in maps]


def _all_maps(parts: nn.Sequential, pixels: Float[Tensor, "b c y x"]) -> list[Tensor]:
    if len(parts) == 1:  # a ResNet, which gives the maps of all depths itself
        return list(parts(pixels))
    maps = []
    for part in parts:
        pixels = part(pixels)
        maps.append(pixels)
    return maps


def _draw_pixels(mask: np.ndarray, count: int, rng: np.random.Generator) -> tuple[Rows, Rows]:
    """Positions of known pixels, as many of each class that is there."""
    present = np.setdiff1d(np.unique(mask), UNKNOWN)
    drawn = [np.empty((0, 2), np.int64)]
    for label in present:
        places = np.argwhere(mask == label)
        drawn.append(rng.permutation(places)[: max(1, count // len(present))])
    y, x = np.concatenate(drawn).T
    return y, x


def _at_pixels(
    maps: list[Float[Tensor, "_ _ _"]], y: Rows, x: Rows, frame: tuple[int, int]
) -> Float[np.ndarray, "p d"]:
    columns = [one[:, y * one.shape[1] // frame[0], x * one.shape[2] // frame[1]].T for one in maps]
    return torch.cat(columns, dim=1).numpy().astype(np.float64)


def linear_probe(
    features: Float[np.ndarray, "p d"],
    classes: Int64[np.ndarray, " p"],
    group: Int64[np.ndarray, " p"],
    seed: int,
) -> float:
    """Balanced accuracy of ridge regression on the classes, of groups it has not seen.

    Every group is held out once, in four folds where there are so many. Chance is one over the
    number of classes.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(np.unique(group))
    folds = np.array_split(order, min(FOLDS, len(order)))
    predicted = np.full(len(classes), -1)
    for fold in folds:
        held_out = np.isin(group, fold)
        predicted[held_out] = _ridge(features[~held_out], classes[~held_out], features[held_out])
    recalls = [(predicted[classes == c] == c).mean() for c in np.unique(classes)]
    return float(np.mean(recalls))


def _ridge(
    features: Float[np.ndarray, "p d"],
    classes: Int64[np.ndarray, " p"],
    unseen: Float[np.ndarray, "q d"],
) -> Int64[np.ndarray, " q"]:
    """Classes of unseen pixels; in the fit every class weighs the same."""
    names, code, size = np.unique(classes, return_inverse=True, return_counts=True)
    weight = len(classes) / (len(names) * size[code])
    middle = np.average(features, axis=0, weights=weight)
    scale = features.std(axis=0) + 1e-8
    x = (features - middle) / scale
    target = np.eye(len(names))[code] - 1 / len(names)
    gram = (x * weight[:, None]).T @ x + RIDGE * np.eye(x.shape[1])
    slope = np.linalg.solve(gram, (x * weight[:, None]).T @ target)
    return names[((unseen - middle) / scale @ slope).argmax(axis=1)]
