"""Suggestive annotation: the most uncertain items that best stand for the rest."""

import numpy as np
from jaxtyping import Float

from fewmasks.query.cover import cosine
from fewmasks.query.select import cover, top
from fewmasks.query.strategies import variance
from fewmasks.query.strategy import Rows, Strategy

CANDIDATES_PER_PICK = 2  # 16 candidates for 8 picks in the paper


def suggestive(
    unlabelled: Rows,
    uncertainty: Float[np.ndarray, " n"],
    embedding: Float[np.ndarray, "n d"],
    limit: int,
) -> Rows:
    """Rank by uncertainty, then by how much of the unlabelled pool each item stands for.

    Keeps the `2 * limit` most uncertain items and greedily picks those whose embeddings are
    closest to the unlabelled items that no pick stands for yet.
    """
    candidates = top(uncertainty, unlabelled, CANDIDATES_PER_PICK * limit)
    similarity = cosine(embedding, candidates, unlabelled)
    return candidates[cover(similarity, limit)]


STRATEGY = Strategy(
    "suggestive",
    suggestive,
    reference="Yang et al., Suggestive Annotation, MICCAI 2017, arXiv:1706.04737",
    advice="Uncertain and representative: for pools with many near copies, such as slices.",
    bibtex=variance.STRATEGY.bibtex,
)
