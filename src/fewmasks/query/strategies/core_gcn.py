"""CoreGCN: k-centre where a graph network has drawn labelled and unlabelled items apart."""

import numpy as np
from jaxtyping import Float

from fewmasks.query.select import k_center
from fewmasks.query.strategy import Rows, Strategy


def core_gcn(
    unlabelled: Rows, labelled: Rows, gcn_embedding: Float[np.ndarray, "n d"], limit: int
) -> Rows:
    """Greedy k-centre over the network's hidden features, starting from the labelled items.

    Without labelled items the first pick is the one nearest the mean.
    """
    return k_center(gcn_embedding, labelled, unlabelled, limit)


STRATEGY = Strategy(
    "core-gcn",
    core_gcn,
    reference="Caramalau, Bhattarai and Kim, Sequential Graph Convolutional Network for Active "
    "Learning, CVPR 2021, arXiv:2006.10219",
    advice="A trained baseline for comparisons: `coreset` drawn away from what is labelled.",
    bibtex=r"""@inproceedings{caramalau2021sequential,
  title = {Sequential Graph Convolutional Network for Active Learning},
  author = {Caramalau, Razvan and Bhattarai, Binod and Kim, Tae-Kyun},
  booktitle = {CVPR},
  year = {2021},
  eprint = {2006.10219},
  archiveprefix = {arXiv}
}""",
)
