"""Variation ratio: items on whose class the members disagree."""

import numpy as np
from jaxtyping import Float

from fewmasks.query.select import top
from fewmasks.query.strategy import Rows, Strategy


def variation_ratio(unlabelled: Rows, variation_ratio: Float[np.ndarray, " n"], limit: int) -> Rows:
    """The items with the largest share of members outvoted."""
    return top(variation_ratio, unlabelled, limit)


STRATEGY = Strategy(
    "variation-ratio",
    variation_ratio,
    reference="Freeman, Elementary Applied Statistics, Wiley 1965",
    advice="Needs several members; coarse with few of them.",
    bibtex=r"""@book{freeman1965elementary,
  title = {Elementary Applied Statistics: For Students in Behavioral Science},
  author = {Freeman, Linton C.},
  publisher = {Wiley},
  year = {1965}
}""",
)
