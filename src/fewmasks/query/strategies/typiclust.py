"""TypiClust: the most typical item of each cluster that has no label yet."""

import numpy as np
from jaxtyping import Float

from fewmasks.query.select import typical
from fewmasks.query.strategy import Rows, Strategy


def typiclust(
    unlabelled: Rows,
    labelled: Rows,
    embedding: Float[np.ndarray, "n d"],
    limit: int,
    rng: np.random.Generator,
) -> Rows:
    """As many clusters as labels there will be, each asked for its densest member."""
    return typical(embedding, unlabelled, labelled, limit, rng)


STRATEGY = Strategy(
    "typiclust",
    typiclust,
    reference="Hacohen, Dekel and Weinshall, TypiClust, ICML 2022, arXiv:2202.02794",
    advice="The first round on a pool without labels, on self-supervised embeddings.",
    bibtex=r"""@inproceedings{hacohen2022active,
  title = {Active Learning on a Budget: Opposite Strategies Suit High and Low Budgets},
  author = {Hacohen, Guy and Dekel, Avihu and Weinshall, Daphna},
  booktitle = {ICML},
  year = {2022},
  eprint = {2202.02794},
  archiveprefix = {arXiv}
}""",
)
