"""Margin: items whose two likeliest classes lie close together."""

import numpy as np
from jaxtyping import Float

from fewmasks.query.select import top
from fewmasks.query.strategy import Rows, Strategy


def margin(unlabelled: Rows, margin: Float[np.ndarray, " n"], limit: int) -> Rows:
    """The items with the smallest lead of the likeliest class over the second."""
    return top(margin, unlabelled, limit)


STRATEGY = Strategy(
    "margin",
    margin,
    reference="Scheffer, Decomain and Wrobel, Active hidden Markov models, IDA 2001",
    advice="Where borders between two classes are what the model gets wrong.",
    bibtex=r"""@inproceedings{scheffer2001active,
  title = {Active Hidden {M}arkov Models for Information Extraction},
  author = {Scheffer, Tobias and Decomain, Christian and Wrobel, Stefan},
  booktitle = {IDA},
  year = {2001}
}""",
)
