"""Foreground-aware random choice by ground truth: the baseline that is hard to beat."""

import numpy as np
from jaxtyping import Bool

from fewmasks.query.strategy import Rows, Strategy

UNIFORM_CHANCE = 1 / 3


def foreground_random(
    unlabelled: Rows,
    true_classes: Bool[np.ndarray, "n c"],
    foreground: Rows,
    limit: int,
    rng: np.random.Generator,
) -> Rows:
    """Draw items of classes that are truly there: an oracle, for simulation only."""
    return draw_by_class(true_classes[:, foreground], unlabelled, limit, rng)


def draw_by_class(
    contains: Bool[np.ndarray, "n f"], unlabelled: Rows, limit: int, rng: np.random.Generator
) -> Rows:
    """Draw item by item, two times in three from those that contain a class drawn first.

    Classes that no remaining item contains are not drawn; without any, the draw is uniform.
    """
    rest = unlabelled.copy()
    picks = np.empty(min(limit, len(rest)), dtype=np.int64)
    for turn in range(len(picks)):
        members = contains[rest]
        left = np.flatnonzero(members.any(axis=0))
        eligible = np.arange(len(rest))
        if rng.random() >= UNIFORM_CHANCE and len(left):
            eligible = np.flatnonzero(members[:, rng.choice(left)])
        position = rng.choice(eligible)
        picks[turn] = rest[position]
        rest = np.delete(rest, position)
    return picks


STRATEGY = Strategy(
    "foreground-random",
    foreground_random,
    reference="Lüth et al., nnActive, TMLR 2025, arXiv:2511.19183 (random 66 % foreground)",
    advice="An oracle baseline: it reads the ground truth, so it exists in simulation only.",
    bibtex=r"""@article{luth2025nnactive,
  title = {{nnActive}: A Framework for Evaluation of Active Learning in {3D} Biomedical
           Segmentation},
  author = {L{\"u}th, Carsten T. and Traub, Jeremias and Kahl, Kim-Celine and Bungert, Till J. and
            Klein, Lukas and Kr{\"a}mer, Lars and Jaeger, Paul F. and Isensee, Fabian and
            Maier-Hein, Klaus},
  journal = {TMLR},
  year = {2025},
  eprint = {2511.19183},
  archiveprefix = {arXiv}
}""",
)
