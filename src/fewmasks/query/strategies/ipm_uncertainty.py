"""IPM with uncertainty: items that span the pool, ever more the uncertain ones."""

import numpy as np
from jaxtyping import Float

from fewmasks.query.select import project_and_match
from fewmasks.query.strategies import ipm
from fewmasks.query.strategy import Rows, Strategy

FADE = 0.95
"""Weight of the alignment after each round's worth of labels; uncertainty takes the rest."""


def ipm_uncertainty(
    unlabelled: Rows,
    labelled: Rows,
    embedding: Float[np.ndarray, "n d"],
    uncertainty: Float[np.ndarray, " n"],
    rounds: float,
    limit: int,
) -> Rows:
    """Projection and matching blended with the uncertainty, scaled to 0 to 1 over the pool."""
    if limit <= 0 or len(unlabelled) == 0:
        return unlabelled[:0]
    seen = uncertainty[unlabelled]
    spread = float(np.ptp(seen)) or 1.0
    return project_and_match(
        embedding,
        unlabelled,
        limit,
        selected=labelled,
        uncertainty=(uncertainty - seen.min()) / spread,
        alpha=FADE**rounds,
    )


STRATEGY = Strategy(
    "ipm-uncertainty",
    ipm_uncertainty,
    reference="Zaeemzadeh et al., Iterative Projection and Matching, CVPR 2019, arXiv:1811.12326",
    advice="Representative items first, uncertain ones as labels add up.",
    bibtex=ipm.STRATEGY.bibtex,
)
