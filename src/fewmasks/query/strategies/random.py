"""Random choice: the baseline that every strategy must beat."""

import numpy as np

from fewmasks.query.strategy import Rows, Strategy


def random(unlabelled: Rows, limit: int, rng: np.random.Generator) -> Rows:
    """Draw uniformly without replacement; the draw follows the order of the rows."""
    return rng.choice(unlabelled, size=min(limit, len(unlabelled)), replace=False)


STRATEGY = Strategy(
    "random",
    random,
    reference="Uniform sampling without replacement",
    advice="The honest control: run it beside anything else.",
)
