"""ProbCover: items whose neighbourhoods cover most of the pool."""

import numpy as np
from jaxtyping import Float

from fewmasks.query.clusters import MOST_CLUSTERS
from fewmasks.query.select import prob_cover, pure_radius
from fewmasks.query.strategy import Rows, Strategy


def probcover(
    unlabelled: Rows,
    labelled: Rows,
    embedding: Float[np.ndarray, "n d"],
    limit: int,
    rng: np.random.Generator,
) -> Rows:
    """Cover the pool with balls so small that 95 % of them stay inside one cluster.

    The clusters, which stand in for classes, are as many as labels there will be.
    """
    if limit <= 0 or len(unlabelled) == 0:
        return unlabelled[:0]
    clusters = max(2, min(len(labelled) + limit, MOST_CLUSTERS))
    radius = pure_radius(embedding, unlabelled, clusters, rng)
    return prob_cover(embedding, unlabelled, labelled, limit, radius)


STRATEGY = Strategy(
    "probcover",
    probcover,
    reference="Yehuda et al., ProbCover, NeurIPS 2022, arXiv:2205.11320",
    advice="Small budgets on self-supervised embeddings; dense regions first, outliers never.",
    bibtex=r"""@inproceedings{yehuda2022active,
  title = {Active Learning Through a Covering Lens},
  author = {Yehuda, Ofer and Dekel, Avihu and Hacohen, Guy and Weinshall, Daphna},
  booktitle = {NeurIPS},
  year = {2022},
  eprint = {2205.11320},
  archiveprefix = {arXiv}
}""",
)
