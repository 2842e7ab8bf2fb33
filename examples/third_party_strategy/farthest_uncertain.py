"""Farthest uncertain: hard items that are unlike all that is labelled."""

import numpy as np
from jaxtyping import Float

from fewmasks.query.select import top
from fewmasks.query.strategy import Rows, Strategy


def farthest_uncertain(
    unlabelled: Rows,
    labelled: Rows,
    entropy: Float[np.ndarray, " n"],
    embedding: Float[np.ndarray, "n d"],
    limit: int,
) -> Rows:
    """The highest entropy times distance to the nearest label; without labels, entropy alone."""
    points = embedding[unlabelled]
    nearest = np.full(len(unlabelled), np.inf if len(labelled) else 1.0)
    for row in labelled:
        nearest = np.minimum(nearest, np.linalg.norm(points - embedding[row], axis=1))
    scores = np.zeros(len(entropy))
    scores[unlabelled] = entropy[unlabelled] * nearest
    return top(scores, unlabelled, limit)


STRATEGY = Strategy(
    "farthest-uncertain",
    farthest_uncertain,
    reference="An example of fewmasks; no paper",
    advice="Hard items that look like nothing labelled so far; outliers come early.",
)
