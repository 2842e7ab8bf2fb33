"""IPM: items whose embeddings span the pool."""

import numpy as np
from jaxtyping import Float

from fewmasks.query.select import project_and_match
from fewmasks.query.strategy import Rows, Strategy


def ipm(unlabelled: Rows, labelled: Rows, embedding: Float[np.ndarray, "n d"], limit: int) -> Rows:
    """Iterative projection and matching, starting outside the span of the labelled items."""
    return project_and_match(embedding, unlabelled, limit, selected=labelled)


STRATEGY = Strategy(
    "ipm",
    ipm,
    reference="Zaeemzadeh et al., Iterative Projection and Matching, CVPR 2019, arXiv:1811.12326",
    advice="Representative items for the first rounds; needs an embedding, no model.",
    bibtex=r"""@inproceedings{zaeemzadeh2019iterative,
  title = {Iterative Projection and Matching: Finding Structure-Preserving Representatives and
           Its Application to Computer Vision},
  author = {Zaeemzadeh, Alireza and Joneidi, Mohsen and Rahnavard, Nazanin and Shah, Mubarak},
  booktitle = {CVPR},
  year = {2019},
  eprint = {1811.12326},
  archiveprefix = {arXiv}
}""",
)
