"""ALGES-img: diverse items with large gradients, one gradient norm per class and image."""

import numpy as np
from jaxtyping import Float

from fewmasks.query.select import kmeans_plus_plus
from fewmasks.query.strategy import Rows, Strategy


def alges_img(
    unlabelled: Rows,
    gradient_img: Float[np.ndarray, "n c"],
    limit: int,
    rng: np.random.Generator,
) -> Rows:
    """k-means++ seeding over the norms of the last layer's gradient, class by class."""
    return seed_by_gradient(gradient_img, unlabelled, limit, rng)


def seed_by_gradient(
    gradient: Float[np.ndarray, "n c"], unlabelled: Rows, limit: int, rng: np.random.Generator
) -> Rows:
    """Greedy seeding with 2 + ln k trials a pick, which the authors' experiments use."""
    trials = 2 + int(np.log(max(limit, 1)))
    return kmeans_plus_plus(gradient, unlabelled, limit, rng, trials=trials)


STRATEGY = Strategy(
    "alges-img",
    alges_img,
    reference="Aklilu and Yeung, ALGES, MLHC 2022, PMLR 182:892-911",
    advice="Items that would change the model in different ways; made for surgical frames.",
    bibtex=r"""@inproceedings{aklilu2022alges,
  title = {{ALGES}: Active Learning with Gradient Embeddings for Semantic Segmentation of
           Laparoscopic Surgical Images},
  author = {Aklilu, Josiah and Yeung, Serena},
  booktitle = {MLHC},
  series = {PMLR},
  volume = {182},
  pages = {892--911},
  year = {2022}
}""",
)
