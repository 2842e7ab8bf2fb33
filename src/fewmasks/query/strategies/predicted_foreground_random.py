"""Foreground-aware random choice by what the model predicts, so that people can use it."""

import numpy as np
from jaxtyping import Float

from fewmasks.query.strategies import foreground_random
from fewmasks.query.strategies.foreground_random import draw_by_class
from fewmasks.query.strategy import Rows, Strategy

MIN_SHARE = 0.001
"""An item contains a class that is predicted on more than this share of its pixels; below it
lie specks (16 pixels of a 128 x 128 image)."""


def predicted_foreground_random(
    unlabelled: Rows,
    class_share: Float[np.ndarray, "n c"],
    foreground: Rows,
    limit: int,
    rng: np.random.Generator,
) -> Rows:
    """Draw items two times in three from those where a class drawn first is predicted."""
    return draw_by_class(class_share[:, foreground] > MIN_SHARE, unlabelled, limit, rng)


STRATEGY = Strategy(
    "predicted-foreground-random",
    predicted_foreground_random,
    reference="After the random 66 % foreground of Lüth et al., nnActive, TMLR 2025, "
    "arXiv:2511.19183, with predictions in place of ground truth",
    advice="A strong, cheap control where much of the pool is empty.",
    bibtex=foreground_random.STRATEGY.bibtex,
)
