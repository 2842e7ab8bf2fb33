"""Ensemble variance: items on whose probabilities the members disagree."""

import numpy as np
from jaxtyping import Float

from fewmasks.query.select import top
from fewmasks.query.strategy import Rows, Strategy


def variance(unlabelled: Rows, variance: Float[np.ndarray, " n"], limit: int) -> Rows:
    """The items with the largest variance over ensemble members."""
    return top(variance, unlabelled, limit)


STRATEGY = Strategy(
    "variance",
    variance,
    reference="Yang et al., Suggestive Annotation, MICCAI 2017, arXiv:1706.04737",
    advice="Needs members that differ, such as bootstraps; blind to doubt that all members share.",
    bibtex=r"""@inproceedings{yang2017suggestive,
  title = {Suggestive Annotation: A Deep Active Learning Framework for Biomedical Image
           Segmentation},
  author = {Yang, Lin and Zhang, Yizhe and Chen, Jianxu and Zhang, Siyuan and Chen, Danny Z.},
  booktitle = {MICCAI},
  year = {2017},
  eprint = {1706.04737},
  archiveprefix = {arXiv}
}""",
)
