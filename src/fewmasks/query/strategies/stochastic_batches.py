"""Stochastic batches: the most uncertain of many random batches."""

import numpy as np
from jaxtyping import Float

from fewmasks.query.strategy import Rows, Strategy


def stochastic_batches(
    unlabelled: Rows,
    uncertainty: Float[np.ndarray, " n"],
    limit: int,
    rng: np.random.Generator,
) -> Rows:
    """Deal the pool into batches of `limit` and take the one of highest mean uncertainty.

    What is left over when the pool is dealt out is in no batch this time.
    """
    shuffled = rng.permutation(unlabelled)
    if limit <= 0 or limit >= len(shuffled):
        return shuffled[: max(limit, 0)]
    batches = shuffled[: len(shuffled) // limit * limit].reshape(-1, limit)
    return batches[uncertainty[batches].mean(axis=1).argmax()]


STRATEGY = Strategy(
    "stochastic-batches",
    stochastic_batches,
    reference="Gaillochet, Desrosiers and Lombaert, Active learning for medical image "
    "segmentation with stochastic batches, Medical Image Analysis 2023, arXiv:2301.07670",
    advice="Any uncertainty with the diversity of chance; cheap, and hard to beat in batches.",
    bibtex=r"""@article{gaillochet2023active,
  title = {Active Learning for Medical Image Segmentation with Stochastic Batches},
  author = {Gaillochet, M{\'e}lanie and Desrosiers, Christian and Lombaert, Herv{\'e}},
  journal = {Medical Image Analysis},
  volume = {90},
  pages = {102958},
  year = {2023},
  eprint = {2301.07670},
  archiveprefix = {arXiv}
}""",
)
