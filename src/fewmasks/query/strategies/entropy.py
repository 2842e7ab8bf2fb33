"""Predictive entropy: items whose pixels are hard to call."""

import numpy as np
from jaxtyping import Float

from fewmasks.query.select import top
from fewmasks.query.strategy import Rows, Strategy


def entropy(unlabelled: Rows, entropy: Float[np.ndarray, " n"], limit: int) -> Rows:
    """The most uncertain items by entropy of the mean prediction."""
    return top(entropy, unlabelled, limit)


STRATEGY = Strategy(
    "entropy",
    entropy,
    reference="Dagan and Engelson, Committee-based sampling, ICML 1995",
    advice="A plain, strong uncertainty score; mind near copies, which it picks together.",
    bibtex=r"""@inproceedings{dagan1995committee,
  title = {Committee-Based Sampling for Training Probabilistic Classifiers},
  author = {Dagan, Ido and Engelson, Sean P.},
  booktitle = {ICML},
  year = {1995}
}""",
)
