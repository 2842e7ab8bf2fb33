"""DEAL: the items with the widest mix of parts that are easy and difficult for the model."""

import numpy as np
from jaxtyping import Float

from fewmasks.query.select import top
from fewmasks.query.strategy import Rows, Strategy


def deal(unlabelled: Rows, difficulty: Float[np.ndarray, " n"], limit: int) -> Rows:
    """The items whose difficulty map has the histogram of highest entropy.

    Without labelled items nobody knows where the model errs: the evidence is refused.
    """
    return top(difficulty, unlabelled, limit)


STRATEGY = Strategy(
    "deal",
    deal,
    reference="Xie, Feng, Chen, Sun, Ma and Song, DEAL: Difficulty-aware Active Learning for "
    "Semantic Segmentation, ACCV 2020, arXiv:2010.08705",
    advice="A trained baseline for comparisons: learns on labelled items where the model errs.",
    bibtex=r"""@inproceedings{xie2020deal,
  title = {{DEAL}: Difficulty-aware Active Learning for Semantic Segmentation},
  author = {Xie, Shuai and Feng, Zunlei and Chen, Ying and Sun, Songtao and Ma, Chao and
            Song, Mingli},
  booktitle = {ACCV},
  year = {2020},
  eprint = {2010.08705},
  archiveprefix = {arXiv}
}""",
)
