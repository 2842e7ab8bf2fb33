"""Suggestive annotation with hard cover: an item is stood for, or it is not."""

import numpy as np
from jaxtyping import Float

from fewmasks.query.cover import cosine
from fewmasks.query.select import cover_hard, top
from fewmasks.query.strategies import variance
from fewmasks.query.strategies.suggestive import CANDIDATES_PER_PICK
from fewmasks.query.strategy import Rows, Strategy


def suggestive_hard(
    unlabelled: Rows,
    uncertainty: Float[np.ndarray, " n"],
    embedding: Float[np.ndarray, "n d"],
    limit: int,
) -> Rows:
    """Of the most uncertain items, pick those similar to the most items not yet covered.

    "Similar" is the cosine at which the median candidate covers its share of the pool, one
    `limit`-th. Equals are taken in order of uncertainty.
    """
    candidates = top(uncertainty, unlabelled, CANDIDATES_PER_PICK * limit)
    similarity = cosine(embedding, candidates, unlabelled)
    return candidates[cover_hard(similarity, fair_threshold(similarity, limit), limit)]


def fair_threshold(similarity: Float[np.ndarray, "K N"], k: int) -> float:
    """Threshold at which the median row covers N / k columns."""
    if similarity.size == 0:
        return 0.0
    n = similarity.shape[1]
    share = max(1, min(n, round(n / k)))
    return float(np.median(np.partition(similarity, n - share, axis=1)[:, n - share]))


STRATEGY = Strategy(
    "suggestive-hard",
    suggestive_hard,
    reference="Yang et al., Suggestive Annotation, MICCAI 2017, arXiv:1706.04737, with the hard "
    "cover of the thesis Resource-efficient image segmentation using self-supervision and active "
    "learning, KTH (DiVA kth-304422)",
    advice="Like `suggestive`, when items are either copies of each other or nothing alike.",
    bibtex=variance.STRATEGY.bibtex,
)
