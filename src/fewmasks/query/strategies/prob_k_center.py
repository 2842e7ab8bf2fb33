"""Probabilistic k-centre: far items, drawn rather than taken."""

import numpy as np
from jaxtyping import Float

from fewmasks.query.distance import nearest_of_rows, reader
from fewmasks.query.strategies import fused_coreset
from fewmasks.query.strategy import Rows, Strategy

TEMPERATURE = 0.1
"""Times the largest distance to a centre: an item half as far is then 150 times less likely."""


def prob_k_center(
    unlabelled: Rows,
    labelled: Rows,
    embedding: Float[np.ndarray, "n d"],
    limit: int,
    rng: np.random.Generator,
) -> Rows:
    """Draw items one by one with chances as exp(distance to the nearest centre / T).

    Centres are the labelled items and the earlier draws; without any the first is uniform.
    """
    read = reader(embedding, unlabelled)
    rest = np.arange(len(unlabelled))
    nearest = np.zeros(len(rest))
    if len(labelled):
        nearest = np.sqrt(nearest_of_rows(read, unlabelled, read(labelled)))
    picks: list[int] = []
    while len(picks) < min(limit, len(unlabelled)):
        scale = TEMPERATURE * nearest[rest].max() or 1.0
        drawn = int((nearest[rest] / scale + rng.gumbel(size=len(rest))).argmax())
        picks.append(int(rest[drawn]))
        new = np.sqrt(nearest_of_rows(read, unlabelled, read(unlabelled[picks[-1:]])))
        nearest = new if len(picks) == 1 and len(labelled) == 0 else np.minimum(nearest, new)
        rest = np.delete(rest, drawn)
    return unlabelled[picks]


STRATEGY = Strategy(
    "prob-k-center",
    prob_k_center,
    reference="The randomised k-centre of Vepa et al., Integrating Deep Metric Learning with "
    "Coreset for Active Learning in 3D Segmentation, NeurIPS 2024, arXiv:2411.15763",
    advice="`coreset` that does not chase every outlier.",
    bibtex=fused_coreset.STRATEGY.bibtex,
)
