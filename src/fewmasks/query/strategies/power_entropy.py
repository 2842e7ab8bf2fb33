"""Power entropy: uncertain items, drawn with chances in proportion to their score."""

import numpy as np
from jaxtyping import Float

from fewmasks.query.select import power_noise, top
from fewmasks.query.strategies import power_bald
from fewmasks.query.strategy import Rows, Strategy

BETA = 1.0  # the exponent of the published experiments


def power_entropy(
    unlabelled: Rows, entropy: Float[np.ndarray, " n"], limit: int, rng: np.random.Generator
) -> Rows:
    """Draw without replacement with chances as entropy ** BETA; noise follows the row order."""
    return top(power_noise(entropy, BETA, rng), unlabelled, limit)


STRATEGY = Strategy(
    "power-entropy",
    power_entropy,
    reference="Kirsch et al., Stochastic Batch Acquisition, TMLR 2023, arXiv:2106.12059",
    advice="Like `entropy`, with a batch that is spread out at no cost.",
    bibtex=power_bald.STRATEGY.bibtex,
)
