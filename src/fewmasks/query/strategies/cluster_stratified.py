"""Cluster-stratified choice: every cluster of the pool in proportion to its size."""

import numpy as np
from jaxtyping import Float

from fewmasks.query.select import stratified
from fewmasks.query.strategy import Rows, Strategy


def cluster_stratified(
    unlabelled: Rows,
    embedding: Float[np.ndarray, "n d"],
    limit: int,
    rng: np.random.Generator,
) -> Rows:
    """k-means over the embedding; each cluster gives the items nearest to its centre."""
    return stratified(embedding, unlabelled, limit, rng)


STRATEGY = Strategy(
    "cluster-stratified",
    cluster_stratified,
    reference="After Ghosh et al., Clustering Augmented Self-Supervised Learning: An Application "
    "to Land Cover Mapping, SIGSPATIAL 2022, arXiv:2108.07323",
    advice="A representative first round, also of land cover and tissue; needs no model.",
    bibtex=r"""@inproceedings{ghosh2022clustering,
  title = {Clustering Augmented Self-Supervised Learning: An Application to Land Cover Mapping},
  author = {Ghosh, Rahul and Jia, Xiaowei and Yin, L. and Lin, Chenxi and Jin, Zhenong and
            Kumar, Vipin},
  booktitle = {SIGSPATIAL},
  year = {2022},
  doi = {10.1145/3557915.3560937},
  eprint = {2108.07323},
  archiveprefix = {arXiv}
}""",
)
