"""BALD: items about which a label would tell the ensemble most."""

import numpy as np
from jaxtyping import Float

from fewmasks.query.select import top
from fewmasks.query.strategy import Rows, Strategy


def bald(unlabelled: Rows, bald: Float[np.ndarray, " n"], limit: int) -> Rows:
    """The items with the largest mutual information of label and ensemble member."""
    return top(bald, unlabelled, limit)


STRATEGY = Strategy(
    "bald",
    bald,
    reference="Houlsby et al., Bayesian Active Learning by Disagreement, 2011, arXiv:1112.5745",
    advice="Looks for doubt that labels can settle, and passes over noise; needs several members.",
    bibtex=r"""@misc{houlsby2011bayesian,
  title = {Bayesian Active Learning for Classification and Preference Learning},
  author = {Houlsby, Neil and Husz{\'a}r, Ferenc and Ghahramani, Zoubin and Lengyel, M{\'a}t{\'e}},
  year = {2011},
  eprint = {1112.5745},
  archiveprefix = {arXiv}
}""",
)
