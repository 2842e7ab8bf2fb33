"""VAAL: the items that look least like the labelled ones."""

import numpy as np
from jaxtyping import Float

from fewmasks.query.select import top
from fewmasks.query.strategy import Rows, Strategy


def vaal(unlabelled: Rows, novelty: Float[np.ndarray, " n"], limit: int) -> Rows:
    """The items that a trained judge believes least to be labelled.

    Without labelled items there is no such judge: the evidence is refused.
    """
    return top(novelty, unlabelled, limit)


STRATEGY = Strategy(
    "vaal",
    vaal,
    reference="Sinha, Ebrahimi and Darrell, Variational Adversarial Active Learning, ICCV 2019, "
    "arXiv:1904.00370",
    advice="A trained baseline for comparisons; looks at pixels alone, and picks copies together.",
    bibtex=r"""@inproceedings{sinha2019variational,
  title = {Variational Adversarial Active Learning},
  author = {Sinha, Samarth and Ebrahimi, Sayna and Darrell, Trevor},
  booktitle = {ICCV},
  year = {2019},
  eprint = {1904.00370},
  archiveprefix = {arXiv}
}""",
)
