"""How uncertain an ensemble is about one item: one number, larger is less certain."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float

Probs = Float[np.ndarray, "m c y x"]
"""Probabilities of `m` ensemble members, summing to one over the classes `c`."""
Valid = Bool[np.ndarray, "y x"]
"""False where pixels do not count: padding, outside the tissue."""

CHUNK = 1 << 14
"""Pixels held in float64 at a time: a few megabytes, which the cache keeps."""


def entropy(probs: Probs, valid: Valid | None = None) -> float:
    """Entropy of the mean prediction in nats, mean over valid pixels.

    Like every score here: NaN without a valid pixel, which strategies refuse by name.

    >>> entropy(np.full((3, 2, 4, 4), 0.5))  # ln 2
    0.6931471805599453
    """
    return _mean(probs, valid, lambda p: _entropy(p.mean(axis=0)))


def margin(probs: Probs, valid: Valid | None = None) -> float:
    """One minus the lead of the likeliest class over the second, mean over valid pixels."""
    return _mean(probs, valid, _pixel_margin)


def least_confidence(probs: Probs, valid: Valid | None = None) -> float:
    """One minus the probability of the likeliest class, mean over valid pixels."""
    return _mean(probs, valid, lambda p: 1 - p.mean(axis=0).max(axis=0))


def variance(probs: Probs, valid: Valid | None = None) -> float:
    """Population variance over members, summed over classes, mean over valid pixels.

    The uncertainty of suggestive annotation (Yang et al. 2017).
    """
    return _mean(probs, valid, lambda p: p.var(axis=0).sum(axis=0))


def variation_ratio(probs: Probs, valid: Valid | None = None) -> float:
    """Share of members that do not vote for the winning class, mean over valid pixels.

    A member torn between classes splits its vote, so that the order of classes never matters.
    """
    return _mean(probs, valid, _pixel_variation_ratio)


def bald(probs: Probs, valid: Valid | None = None) -> float:
    """Entropy of the mean minus mean entropy of the members, mean over valid pixels."""
    return _mean(probs, valid, _pixel_bald)


def class_entropy(probs: Probs, valid: Valid | None = None) -> Float[np.ndarray, " c"]:
    """Probability of each class times the entropy of the pixel, mean over valid pixels.

    These are the class maps of ClaSP PE; over the classes they sum to `entropy`.
    """
    return _mean_of_maps(probs, valid, _pixel_class_entropy)


def class_share(probs: Probs, valid: Valid | None = None) -> Float[np.ndarray, " c"]:
    """Share of the valid pixels where each class is the likeliest; ties are split."""
    return _mean_of_maps(probs, valid, lambda p: _votes(p.mean(axis=0, keepdims=True)))


def _pixel_margin(p: Float[np.ndarray, "m c n"]) -> Float[np.ndarray, " n"]:
    if p.shape[1] == 1:
        return 1 - p.mean(axis=0)[0]
    second, first = np.sort(p.mean(axis=0), axis=0)[-2:]
    return 1 - (first - second)


def _pixel_variation_ratio(p: Float[np.ndarray, "m c n"]) -> Float[np.ndarray, " n"]:
    return 1 - _votes(p).max(axis=0)


def _pixel_bald(p: Float[np.ndarray, "m c n"]) -> Float[np.ndarray, " n"]:
    information = _entropy(p.mean(axis=0)) - _entropy(p.swapaxes(0, 1)).mean(axis=0)
    return np.maximum(information, 0)  # never negative but for rounding; keeps NaN


def _pixel_class_entropy(p: Float[np.ndarray, "m c n"]) -> Float[np.ndarray, "c n"]:
    mean = p.mean(axis=0)
    return mean * _entropy(mean)


def _votes(p: Float[np.ndarray, "m c n"]) -> Float[np.ndarray, "c n"]:
    """Share of members that vote for each class."""
    best = p.max(axis=1, keepdims=True)
    vote = np.where(np.isnan(best), np.nan, p == best)
    return (vote / vote.sum(axis=1, keepdims=True)).mean(axis=0)


def _entropy(p: Float[np.ndarray, "c *rest"]) -> Float[np.ndarray, "*rest"]:
    """Entropy over the first axis; 0 log 0 is 0."""
    return -(p * np.log(np.where(p > 0, p, 1))).sum(axis=0) + 0.0


def _mean(probs: Probs, valid: Valid | None, score: Callable[[np.ndarray], np.ndarray]) -> float:
    return float(_mean_of_maps(probs, valid, score))


def _mean_of_maps(
    probs: Probs, valid: Valid | None, score: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Mean over valid pixels of `score`, which maps (m, c, n) to (..., n), in float64."""
    pixels = probs.reshape(*probs.shape[:2], -1)
    if valid is not None:
        pixels = pixels[:, :, valid.ravel()]
    n = pixels.shape[2]
    if n == 0:
        return np.full(score(np.ones((*probs.shape[:2], 1))).shape[:-1], np.nan)
    starts = range(0, n, CHUNK)
    chunks = (pixels[:, :, start : start + CHUNK].astype(np.float64) for start in starts)
    return np.asarray(sum(score(chunk).sum(axis=-1) for chunk in chunks) / n)
