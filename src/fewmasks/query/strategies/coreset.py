"""Coreset: the items farthest from all that are labelled or picked."""

import numpy as np
from jaxtyping import Float

from fewmasks.query.select import k_center
from fewmasks.query.strategy import Rows, Strategy


def coreset(
    unlabelled: Rows, labelled: Rows, embedding: Float[np.ndarray, "n d"], limit: int
) -> Rows:
    """Greedy k-centre over the embedding, starting from the labelled items."""
    return k_center(embedding, labelled, unlabelled, limit)


STRATEGY = Strategy(
    "coreset",
    coreset,
    reference="Sener and Savarese, Active Learning for CNNs: A Core-Set Approach, ICLR 2018, "
    "arXiv:1708.00489",
    advice="Diverse items; as good as the embedding, so pre-train first. Outliers come early.",
    bibtex=r"""@inproceedings{sener2018active,
  title = {Active Learning for Convolutional Neural Networks: A Core-Set Approach},
  author = {Sener, Ozan and Savarese, Silvio},
  booktitle = {ICLR},
  year = {2018},
  eprint = {1708.00489},
  archiveprefix = {arXiv}
}""",
)
