"""ALGES-seg: diverse items with large gradients, summed over the pixels of each class."""

import numpy as np
from jaxtyping import Float

from fewmasks.query.strategies import alges_img
from fewmasks.query.strategies.alges_img import seed_by_gradient
from fewmasks.query.strategy import Rows, Strategy


def alges_seg(
    unlabelled: Rows,
    gradient_seg: Float[np.ndarray, "n c"],
    limit: int,
    rng: np.random.Generator,
) -> Rows:
    """k-means++ seeding over squared pixel gradients, summed where each class is predicted."""
    return seed_by_gradient(gradient_seg, unlabelled, limit, rng)


STRATEGY = Strategy(
    "alges-seg",
    alges_seg,
    reference="Aklilu and Yeung, ALGES, MLHC 2022, PMLR 182:892-911",
    advice="Like `alges-img`, with more weight on classes that cover many pixels.",
    bibtex=alges_img.STRATEGY.bibtex,
)
