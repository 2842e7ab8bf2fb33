"""Fused coreset: k-centre by features and by the pixels that labels say something about."""

import numpy as np
from jaxtyping import Bool, Float

from fewmasks.query.distance import at_rows, squared_distances
from fewmasks.query.strategy import Rows, Strategy

PIXEL_WEIGHT = 1500 / 256
"""Times the root of the number of pixels. The authors' 1500 is for 256 x 256 of them; a norm
divided by the number of its pixels shrinks as the root of that number."""
FEATURE_WEIGHT = 12**0.5
"""The authors repeat each feature twelve times beside the pixels."""
HEIGHT = 512
WIDTH = 256
"""Rows, and labelled centres, compared at a time: a few megabytes."""

Described = tuple[Float[np.ndarray, "_ p"], Float[np.ndarray, "_ d"]]
"""Pixels and features: those of the pool, or in double precision those of some items."""


def fused_coreset(
    unlabelled: Rows,
    labelled: Rows,
    embedding: Float[np.ndarray, "n d"],
    thumbnail_32: Float[np.ndarray, "n p"],
    known_pixels: Bool[np.ndarray, "n p"],
    limit: int,
) -> Rows:
    """Greedy k-centre by w |m (x - c)| / |m| over pixels plus sqrt(12) |x - c| over features.

    m marks the pixels that the label of centre c knows. A centre without known pixels counts them
    all, and so does one picked in this round, whose label nobody has seen yet: `known_pixels` is
    read of labelled rows only. An ablation: the distance from x to c is not that from c to x, so
    the bound of k-centre (twice the smallest radius) does not hold. Without labelled items the
    first pick is the one nearest the mean.
    """
    rows, points = np.sort(unlabelled), (thumbnail_32, embedding)
    if len(rows) == 0:
        return rows
    every_pixel = np.ones((1, thumbnail_32.shape[1]), dtype=bool)
    near = np.full(len(rows), np.finfo(np.float64).max)
    if len(labelled) == 0:
        near[_nearest(points, rows, _mean(points, rows), every_pixel).argmin()] = np.inf
    for start in range(0, len(labelled), WIDTH):
        some = labelled[start : start + WIDTH]
        known = known_pixels[some]
        known = known | ~known.any(axis=1, keepdims=True)
        near = np.minimum(near, _nearest(points, rows, _described(points, some), known))
    picks: list[int] = []
    while len(picks) < min(limit, len(rows)):
        picks.append(int(near.argmax()))
        new = _described(points, rows[picks[-1:]])
        near = np.minimum(near, _nearest(points, rows, new, every_pixel))
        near[picks] = -1
    return rows[picks]


def _described(points: Described, rows: Rows) -> Described:
    pixels, features = (at_rows(some, rows).astype(np.float64) for some in points)
    return pixels, features


def _mean(points: Described, rows: Rows) -> Described:
    """The mean of these rows, as if it were an item."""
    sums = [np.zeros((1, some.shape[1])) for some in points]
    for start in range(0, len(rows), HEIGHT):
        for total, block in zip(
            sums, _described(points, rows[start : start + HEIGHT]), strict=True
        ):
            total += block.sum(axis=0)
    return sums[0] / len(rows), sums[1] / len(rows)


def _nearest(
    points: Described, rows: Rows, centres: Described, known: Bool[np.ndarray, "s p"]
) -> Float[np.ndarray, " _"]:
    """Distance from each row to the nearest of a few centres."""
    blocks = [
        _apart(_described(points, rows[start : start + HEIGHT]), centres, known).min(axis=1)
        for start in range(0, len(rows), HEIGHT)
    ]
    return np.concatenate(blocks)


def _apart(
    items: Described, centres: Described, known: Bool[np.ndarray, "s p"]
) -> Float[np.ndarray, "r s"]:
    """The fused distance from each item to each centre."""
    pixels, there = items[0], centres[0] * known
    squared = pixels**2 @ known.T.astype(np.float64)
    squared -= 2 * pixels @ there.T
    squared += (there**2).sum(axis=1)
    weight = PIXEL_WEIGHT * pixels.shape[1] ** 0.5 / known.sum(axis=1)
    by_pixels = weight * np.sqrt(np.maximum(squared, 0))
    return by_pixels + FEATURE_WEIGHT * np.sqrt(squared_distances(items[1], centres[1]))


STRATEGY = Strategy(
    "fused-coreset",
    fused_coreset,
    reference="After the fused metric of Vepa et al., Integrating Deep Metric Learning with "
    "Coreset for Active Learning in 3D Segmentation, NeurIPS 2024, arXiv:2411.15763",
    advice="An ablation of `coreset`: pixels that labels know count beside features.",
    bibtex=r"""@inproceedings{vepa2024integrating,
  title = {Integrating Deep Metric Learning with Coreset for Active Learning in {3D} Segmentation},
  author = {Vepa, Arvind Murari and Yang, Zukang and Choi, Andrew and Joo, Jungseock and
            Scalzo, Fabien and Sun, Yizhou},
  booktitle = {NeurIPS},
  year = {2024},
  eprint = {2411.15763},
  archiveprefix = {arXiv}
}""",
)
