"""BADGE: diverse items with large gradients of the last layer."""

import numpy as np
from jaxtyping import Float

from fewmasks.query.distance import outer_products, squared_lengths
from fewmasks.query.select import seed
from fewmasks.query.strategy import Rows, Strategy


def badge(
    unlabelled: Rows,
    badge_error: Float[np.ndarray, "n c"],
    badge_feature: Float[np.ndarray, "n d"],
    limit: int,
    rng: np.random.Generator,
) -> Rows:
    """k-means++ seeding over gradients error x feature, the largest first, by the D^2 law.

    The distance of two gradients follows from their factors; the c * d numbers are never
    formed.
    """
    if len(unlabelled) == 0 or limit <= 0:
        return unlabelled[:0]
    error, feature = badge_error[unlabelled], badge_feature[unlabelled]
    first = unlabelled[[np.argmax(squared_lengths(error) * squared_lengths(feature))]]
    squared = outer_products(badge_error, badge_feature)
    rest = unlabelled[unlabelled != first]
    return np.concatenate([first, seed(squared, rest, limit - 1, rng, centres=first)])


STRATEGY = Strategy(
    "badge",
    badge,
    reference="Ash et al., BADGE, ICLR 2020, arXiv:1906.03671",
    advice="Uncertain and diverse in one; a steady choice for batches of any size.",
    bibtex=r"""@inproceedings{ash2020deep,
  title = {Deep Batch Active Learning by Diverse, Uncertain Gradient Lower Bounds},
  author = {Ash, Jordan T. and Zhang, Chicheng and Krishnamurthy, Akshay and Langford, John and
            Agarwal, Alekh},
  booktitle = {ICLR},
  year = {2020},
  eprint = {1906.03671},
  archiveprefix = {arXiv}
}""",
)
