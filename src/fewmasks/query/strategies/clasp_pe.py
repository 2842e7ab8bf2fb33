"""ClaSP PE: class-stratified, scheduled power predictive entropy."""

import numpy as np
from jaxtyping import Float

from fewmasks.query.select import power_noise, top
from fewmasks.query.strategy import Rows, Strategy

CLASS_SHARE = 0.66
"""Part of the batch that is split evenly over the foreground classes."""
LAST_BETA = 100.0
"""Noise falls from scale 1 in the first round to 1 / LAST_BETA in the last."""


def clasp_pe(
    unlabelled: Rows,
    class_entropy: Float[np.ndarray, "n c"],
    entropy: Float[np.ndarray, " n"],
    foreground: Rows,
    progress: float,
    limit: int,
    rng: np.random.Generator,
) -> Rows:
    """Fill a budget per foreground class from its own map, then the rest from the global one.

    Classes come in random order, each takes the highest of its noisy scores that nobody took.
    A class the model has never seen cannot be asked for.
    """
    beta = LAST_BETA**progress
    rest = unlabelled
    picks = [rest[:0]]
    for taken, score in zip(*_plan(class_entropy, entropy, foreground, limit, rng), strict=True):
        picks.append(top(power_noise(score, beta, rng), rest, int(taken)))
        rest = rest[~np.isin(rest, picks[-1])]
    return np.concatenate(picks)


def _plan(
    class_entropy: Float[np.ndarray, "n c"],
    entropy: Float[np.ndarray, " n"],
    foreground: Rows,
    limit: int,
    rng: np.random.Generator,
) -> tuple[Rows, list[Float[np.ndarray, " n"]]]:
    """Budgets, which sum to `limit`, and the scores they are spent on, in order."""
    order = rng.permutation(foreground)
    budgets = class_budgets(limit, len(order), rng)
    return budgets, [*(class_entropy[:, c] for c in order), entropy]


def class_budgets(limit: int, n_classes: int, rng: np.random.Generator) -> Rows:
    """Picks of each foreground class and, last, of the global map; they sum to `limit`."""
    for_classes = round(CLASS_SHARE * limit) if n_classes else 0
    budgets = np.zeros(n_classes + 1, dtype=np.int64)
    if n_classes:
        budgets[:-1] = for_classes // n_classes
        budgets[rng.choice(n_classes, for_classes % n_classes, replace=False)] += 1
    budgets[-1] = limit - for_classes
    return budgets


STRATEGY = Strategy(
    "clasp-pe",
    clasp_pe,
    reference="Lüth et al., ClaSP PE, TMLR 2026, arXiv:2601.13677",
    advice="The default: uncertain items of every class, spread out early and greedy late. "
    "Published for 3D patches; needs a start set that shows every class.",
    bibtex=r"""@article{luth2026outshining,
  title = {Finally Outshining the Random Baseline: A Simple and Effective Solution for Active
           Learning in {3D} Biomedical Imaging},
  author = {L{\"u}th, Carsten T. and Traub, Jeremias and Kahl, Kim-Celine and Bungert, Till J. and
            Klein, Lukas and Kr{\"a}mer, Lars and Jaeger, Paul F. and Maier-Hein, Klaus and
            Isensee, Fabian},
  journal = {TMLR},
  year = {2026},
  eprint = {2601.13677},
  archiveprefix = {arXiv}
}""",
)
