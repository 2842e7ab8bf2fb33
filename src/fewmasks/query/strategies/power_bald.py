"""Power BALD: uncertain items, drawn with chances in proportion to their score."""

import numpy as np
from jaxtyping import Float

from fewmasks.query.select import power_noise, top
from fewmasks.query.strategy import Rows, Strategy

BETA = 1.0  # the exponent of the published experiments


def power_bald(
    unlabelled: Rows, bald: Float[np.ndarray, " n"], limit: int, rng: np.random.Generator
) -> Rows:
    """Draw without replacement with chances as bald ** BETA; noise follows the row order."""
    return top(power_noise(bald, BETA, rng), unlabelled, limit)


STRATEGY = Strategy(
    "power-bald",
    power_bald,
    reference="Kirsch et al., Stochastic Batch Acquisition, TMLR 2023, arXiv:2106.12059",
    advice="Like `bald`, with a batch that is spread out at no cost.",
    bibtex=r"""@article{kirsch2023stochastic,
  title = {Stochastic Batch Acquisition: A Simple Baseline for Deep Active Learning},
  author = {Kirsch, Andreas and Farquhar, Sebastian and Atighehchian, Parmida and
            Jesson, Andrew and Branchaud-Charron, Fr{\'e}d{\'e}ric and Gal, Yarin},
  journal = {TMLR},
  year = {2023},
  eprint = {2106.12059},
  archiveprefix = {arXiv}
}""",
)
