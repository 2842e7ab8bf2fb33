"""TypiClust that asks every group for its share."""

import numpy as np
from jaxtyping import Float

from fewmasks.query.strategies import typiclust
from fewmasks.query.strategy import Rows, Strategy
from fewmasks.query.typical_groups import typical_by_group


def typiclust_by_group(
    unlabelled: Rows,
    labelled: Rows,
    embedding: Float[np.ndarray, "n d"],
    group: Rows,
    limit: int,
    rng: np.random.Generator,
) -> Rows:
    """The densest member of each cluster, from no group more than an even share."""
    return typical_by_group(embedding, unlabelled, labelled, group, limit, rng)


STRATEGY = Strategy(
    "typiclust-by-group",
    typiclust_by_group,
    reference=f"After {typiclust.STRATEGY.reference}",
    advice="The first round of a pre-trained project, so that it shows every patient or scene.",
    bibtex=typiclust.STRATEGY.bibtex,
)
