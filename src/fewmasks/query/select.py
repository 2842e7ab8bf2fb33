"""Selectors: from numbers or points per item to rows of the pool.

Those with an algorithm of their own live in the file named after them.
"""

import numpy as np
from jaxtyping import Float

from fewmasks.errors import EvidenceError
from fewmasks.query.clusters import k_means, stratified, typical
from fewmasks.query.cover import cover, cover_hard
from fewmasks.query.k_center import k_center
from fewmasks.query.matching import project_and_match
from fewmasks.query.prob_cover import prob_cover, pure_radius
from fewmasks.query.seeding import kmeans_plus_plus, seed
from fewmasks.types import Rows

__all__ = [
    "cap_groups",
    "cover",
    "cover_hard",
    "k_center",
    "k_means",
    "kmeans_plus_plus",
    "power_noise",
    "prob_cover",
    "project_and_match",
    "pure_radius",
    "seed",
    "stratified",
    "top",
    "typical",
]


def top(scores: Float[np.ndarray, " n"], candidates: Rows, k: int) -> Rows:
    """The `k` candidates of highest score, highest first; of equals the lowest row.

    >>> top(np.array([0.1, 0.9, 0.5]), np.array([0, 2]), 1)
    array([2])
    """
    seen = scores[candidates]
    if np.isnan(seen).any():
        row = candidates[np.isnan(seen).argmax()]
        raise EvidenceError(f"row {row}: its score is not a number; look at that image")
    return candidates[np.lexsort((candidates, -seen))[: max(k, 0)]]


def power_noise(
    scores: Float[np.ndarray, " n"], beta: float, rng: np.random.Generator
) -> Float[np.ndarray, " n"]:
    """Logarithm of the scores plus Gumbel noise of scale 1 / beta, drawn in row order.

    The highest `k` are then a draw without replacement with chances as score ** beta: cheap
    diversity for a batch (Kirsch et al., TMLR 2023, arXiv:2106.12059).
    """
    floor = np.finfo(np.float64).tiny  # a score of zero comes last, in random order
    return np.log(np.maximum(scores, floor)) + rng.gumbel(scale=1 / beta, size=scores.shape)


def cap_groups(ranked: Rows, group: Rows, cap: int, k: int) -> Rows:
    """The first `k` of the ranked rows, passing over a group once it has given `cap`.

    `group` holds a code per row of the pool. Fewer than `k` come back when the groups run out.
    """
    if len(ranked) == 0:
        return ranked
    codes = group[ranked]
    order = np.argsort(codes, kind="stable")
    _, start, size = np.unique(codes[order], return_index=True, return_counts=True)
    turn = np.empty(len(ranked), dtype=np.int64)
    turn[order] = np.arange(len(ranked)) - np.repeat(start, size)
    return ranked[turn < cap][:k]
