"""How well a predicted mask matches a reference mask, with every convention stated.

Arrays hold class indices in one shape; pixels that are UNKNOWN in the reference are left out.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int64, Integer

from fewmasks.errors import ConfigError, GeometryError
from fewmasks.types import UNKNOWN

Absent = Literal["skip", "one", "zero"]
"""Overlap of a class that is in neither mask: nan, 1 or 0."""
AbsentDistance = Literal["skip", "diagonal"]
"""Distance of a class that only one mask has: nan, or the diagonal of the image."""
Case = tuple[str, Integer[np.ndarray, "..."], Integer[np.ndarray, "..."], tuple[float, ...] | None]
"""Name, predicted mask, reference mask and spacing (None: 1 along each axis)."""

CHUNK = 1 << 20


@dataclass(frozen=True)
class Scores:
    """Agreement with the reference masks of a test set."""

    dice: float
    """Mean over foreground classes; nan if the reference has none of them."""
    hd95: float
    """Mean over foreground classes, in units of spacing, where both masks have the class."""
    per_class: dict[str, float]
    """Dice of each class by name, background included; nan if the reference lacks it."""


def confusion(
    pred: Integer[np.ndarray, "*shape"], truth: Integer[np.ndarray, "*shape"], n_classes: int
) -> Int64[np.ndarray, "c c"]:
    """Known pixels counted by reference class (row) and predicted class (column)."""
    counts = np.zeros((256, n_classes), dtype=np.int64)
    flat_pred, flat_truth = pred.reshape(-1), truth.reshape(-1)
    for start in range(0, flat_pred.size, CHUNK):
        columns = flat_pred[start : start + CHUNK]
        rows = flat_truth[start : start + CHUNK].astype(np.int64)
        if columns.max() >= n_classes:
            raise ValueError(f"prediction has class {columns.max()}, there are {n_classes}")
        counts += np.bincount(rows * n_classes + columns, minlength=counts.size).reshape(256, -1)
    strangers = np.flatnonzero(counts[n_classes:UNKNOWN].any(axis=1))
    if len(strangers):
        raise ValueError(f"reference has class {n_classes + strangers[0]}, there are {n_classes}")
    return counts[:n_classes]


def dice_from_confusion(
    counts: Int64[np.ndarray, "c c"], absent: Absent = "skip"
) -> Float[np.ndarray, " c"]:
    """Dice of each class, 2 TP / (2 TP + FP + FN).

    A class that is only in the reference, or only in the prediction, scores 0; `absent` is about
    a class in neither.
    """
    hits = np.diag(counts)
    return _ratio(2 * hits, counts.sum(axis=0) + counts.sum(axis=1), absent)


def iou_from_confusion(
    counts: Int64[np.ndarray, "c c"], absent: Absent = "skip"
) -> Float[np.ndarray, " c"]:
    """Intersection over union of each class; conventions as in `dice_from_confusion`."""
    hits = np.diag(counts)
    return _ratio(hits, counts.sum(axis=0) + counts.sum(axis=1) - hits, absent)


def dice(
    pred: Integer[np.ndarray, "*shape"],
    truth: Integer[np.ndarray, "*shape"],
    n_classes: int,
    absent: Absent = "skip",
) -> Float[np.ndarray, " c"]:
    """Dice of each class over known pixels; conventions as in `dice_from_confusion`.

    >>> dice(np.array([0, 1, 1, 0]), np.array([0, 1, 255, 1]), 3)
    array([0.66666667, 0.66666667,        nan])
    """
    return dice_from_confusion(confusion(pred, truth, n_classes), absent)


def agreement(
    one: Integer[np.ndarray, "*shape"], other: Integer[np.ndarray, "*shape"], n_classes: int
) -> Int64[np.ndarray, "c c"]:
    """Confusion of two annotators over the pixels that both know.

    Its Dice is the same whichever of them comes first.
    """
    known = (one != UNKNOWN) & (other != UNKNOWN)
    return confusion(one[known], other[known], n_classes)


def iou(
    pred: Integer[np.ndarray, "*shape"],
    truth: Integer[np.ndarray, "*shape"],
    n_classes: int,
    absent: Absent = "skip",
) -> Float[np.ndarray, " c"]:
    """Intersection over union of each class over known pixels, conventions as in `dice`."""
    return iou_from_confusion(confusion(pred, truth, n_classes), absent)


def hausdorff95(
    pred: Integer[np.ndarray, "*shape"],
    truth: Integer[np.ndarray, "*shape"],
    n_classes: int,
    spacing: Sequence[float] | None = None,
    absent: AbsentDistance = "skip",
) -> Float[np.ndarray, " c"]:
    """95th percentile Hausdorff distance of each class, in units of spacing.

    The larger of the two directed 95th percentiles between border pixels: those of a mask with a
    face neighbour outside it, or at the edge of the image (MONAI's definition). Where the
    reference is unknown, both masks are cut, and the cut is not a border. A class in neither mask
    is nan, and so is a class without a known border; `absent` is about a class in one mask only.
    """
    return np.array(
        [_distance(pred, truth, label, spacing, absent) for label in range(n_classes)],
        dtype=np.float64,
    )


def score_volumes(
    predictions: Iterable[Case], classes: Sequence[str], foreground: Sequence[str]
) -> Scores:
    """Score volumes one at a time: each class in each volume, mean over volumes, then classes.

    A volume where neither mask has the class is left out of the mean of that class.
    """
    counts, distances = _measure(predictions, classes, foreground)
    each = [dice_from_confusion(of_volume) for of_volume in counts]
    return _summary(np.reshape(each, (-1, len(classes))), counts, distances, classes, foreground)


def score_pictures(
    predictions: Iterable[Case], classes: Sequence[str], foreground: Sequence[str]
) -> Scores:
    """Score 2D pictures as one data set: pixels of all pictures are counted together.

    Dice of a small object in a single picture says little; `hd95` is a mean over pictures.
    """
    counts, distances = _measure(predictions, classes, foreground)
    return _summary(
        dice_from_confusion(counts.sum(axis=0))[None], counts, distances, classes, foreground
    )


def _ratio(
    above: Int64[np.ndarray, " c"], below: Int64[np.ndarray, " c"], absent: Absent
) -> Float[np.ndarray, " c"]:
    filler = {"skip": np.nan, "one": 1.0, "zero": 0.0}[absent]
    return np.divide(above, below, out=np.full(len(above), filler), where=below > 0)


def _distance(
    pred: Integer[np.ndarray, "*shape"],
    truth: Integer[np.ndarray, "*shape"],
    label: int,
    spacing: Sequence[float] | None,
    absent: AbsentDistance,
) -> float:
    step = np.ones(truth.ndim) if spacing is None else np.asarray(spacing, dtype=np.float64)
    window = _window((truth == label) | ((pred == label) & (truth != UNKNOWN)))
    unknown = truth[window] == UNKNOWN
    of_truth, of_pred = truth[window] == label, (pred[window] == label) & ~unknown
    if of_truth.any() and of_pred.any():
        return _percentile_distance(_border(of_pred, unknown), _border(of_truth, unknown), step)
    if not (of_truth.any() or of_pred.any()):
        return np.nan
    diagonal = float(np.linalg.norm(np.asarray(truth.shape) * step))
    return {"skip": np.nan, "diagonal": diagonal}[absent]


def _window(mask: Bool[np.ndarray, "*shape"]) -> tuple[slice, ...]:
    """The bounding box of a mask, grown by one pixel inside the array; empty for no mask."""
    axes = range(mask.ndim)
    spans = [np.flatnonzero(mask.any(axis=tuple(a for a in axes if a != axis))) for axis in axes]
    return tuple(
        slice(max(int(span[0]) - 1, 0), int(span[-1]) + 2) if len(span) else slice(0)
        for span in spans
    )


def _border(
    mask: Bool[np.ndarray, "*shape"], unknown: Bool[np.ndarray, "*shape"]
) -> Bool[np.ndarray, "*shape"]:
    from scipy.ndimage import binary_erosion

    return mask & ~binary_erosion(mask | unknown)


def _percentile_distance(
    one: Bool[np.ndarray, "*shape"],
    other: Bool[np.ndarray, "*shape"],
    step: Float[np.ndarray, " axes"],
) -> float:
    from scipy.ndimage import distance_transform_edt

    if not (one.any() and other.any()):
        return np.nan
    directed = [
        np.percentile(distance_transform_edt(~to, sampling=step)[start], 95)
        for start, to in ((one, other), (other, one))
    ]
    return float(max(directed))


def _measure(
    predictions: Iterable[Case], classes: Sequence[str], foreground: Sequence[str]
) -> tuple[Int64[np.ndarray, "v c c"], Float[np.ndarray, "v c"]]:
    """Confusion and distance of each case; only these small tables outlive a case."""
    strangers = [name for name in foreground if name not in classes]
    if strangers:
        raise ConfigError(f"foreground: no such class ({strangers[0]!r}); known: {list(classes)}")
    n_classes = len(classes)
    counts, distances = [], []
    for name, pred, truth, spacing in predictions:
        if pred.shape != truth.shape:
            raise GeometryError(
                f"{name}: the prediction is {pred.shape}, the reference mask {truth.shape}; "
                "give a reference mask of the image's own size"
            )
        counts.append(confusion(pred, truth, n_classes))
        # The background has the longest border and counts nowhere.
        distances.append(
            [
                _distance(pred, truth, label, spacing, "skip") if of in foreground else np.nan
                for label, of in enumerate(classes)
            ]
        )
    return (
        np.array(counts, dtype=np.int64).reshape(-1, n_classes, n_classes),
        np.array(distances, dtype=np.float64).reshape(-1, n_classes),
    )


def _summary(
    dices: Float[np.ndarray, "n c"],
    counts: Int64[np.ndarray, "v c c"],
    distances: Float[np.ndarray, "v c"],
    classes: Sequence[str],
    foreground: Sequence[str],
) -> Scores:
    """A class without a known pixel in the whole reference is nan, whatever was predicted."""
    known = counts.sum(axis=(0, 2)) > 0
    of_class = np.where(known, _mean(dices), np.nan)
    columns = [row for row, name in enumerate(classes) if name in foreground]
    return Scores(
        dice=float(_mean(of_class[columns])),
        hd95=float(_mean(_mean(distances)[columns])),
        per_class={name: float(value) for name, value in zip(classes, of_class, strict=True)},
    )


def _mean(values: Float[np.ndarray, "n *rest"]) -> Float[np.ndarray, "*rest"]:
    """Mean over the first axis without nan; nan, and no warning, where nothing else is."""
    finite = ~np.isnan(values)
    n = finite.sum(axis=0)
    total = np.where(finite, values, 0.0).sum(axis=0)
    return np.divide(total, n, out=np.full(np.shape(n), np.nan), where=n > 0)
