"""Least confidence: items whose best guess is weak."""

import numpy as np
from jaxtyping import Float

from fewmasks.query.select import top
from fewmasks.query.strategy import Rows, Strategy


def least_confidence(
    unlabelled: Rows, least_confidence: Float[np.ndarray, " n"], limit: int
) -> Rows:
    """The items whose likeliest class has the lowest probability."""
    return top(least_confidence, unlabelled, limit)


STRATEGY = Strategy(
    "least-confidence",
    least_confidence,
    reference="Lewis and Gale, A sequential algorithm for training text classifiers, SIGIR 1994",
    advice="The simplest uncertainty score; close to margin for two classes.",
    bibtex=r"""@inproceedings{lewis1994sequential,
  title = {A Sequential Algorithm for Training Text Classifiers},
  author = {Lewis, David D. and Gale, William A.},
  booktitle = {SIGIR},
  year = {1994}
}""",
)
