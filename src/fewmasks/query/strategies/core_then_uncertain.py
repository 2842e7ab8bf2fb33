"""Core points, then uncertain points: first what stands for the pool, then what is hard."""

import numpy as np
from jaxtyping import Float

from fewmasks.query.distance import nearest_of_rows, reader
from fewmasks.query.select import k_center, top
from fewmasks.query.strategies import coreset
from fewmasks.query.strategy import Rows, Strategy

CORE_PER_PICK = 5
KNOWN_SHARE = 0.1
"""Core points that lie as close to a label as this share of the pool does are dropped."""


def core_then_uncertain(
    unlabelled: Rows,
    labelled: Rows,
    embedding: Float[np.ndarray, "n d"],
    uncertainty: Float[np.ndarray, " n"],
    limit: int,
) -> Rows:
    """Reduce the pool to a core by k-centre, drop what is like a label, take the uncertain.

    When too few core points are left, those closest to a label come last.
    """
    core = k_center(embedding, labelled, unlabelled, CORE_PER_PICK * limit)
    if len(labelled) == 0:
        return top(uncertainty, core, limit)
    read = reader(embedding, unlabelled)
    known = read(labelled)
    bar = np.quantile(nearest_of_rows(read, unlabelled, known), KNOWN_SHARE) if len(core) else 0
    distance = nearest_of_rows(read, core, known)
    new = core[distance >= bar]
    near = core[distance < bar][np.argsort(-distance[distance < bar], kind="stable")]
    return np.concatenate([top(uncertainty, new, limit), near])[:limit]


STRATEGY = Strategy(
    "core-then-uncertain",
    core_then_uncertain,
    reference="Our own two steps: a core as of Sener and Savarese, ICLR 2018, arXiv:1708.00489, "
    "then its most uncertain items",
    advice="`suggestive` with its two steps swapped: for pools with many odd images.",
    bibtex=coreset.STRATEGY.bibtex,
)
