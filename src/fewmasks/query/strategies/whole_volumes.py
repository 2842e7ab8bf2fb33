"""Whole volumes at random: how labels are given where nobody chooses slices."""

import numpy as np

from fewmasks.query.strategies import prob_k_center
from fewmasks.query.strategy import Rows, Strategy


def whole_volumes(
    unlabelled: Rows, labelled: Rows, volume: Rows, z: Rows, limit: int, rng: np.random.Generator
) -> Rows:
    """All slices of one volume after another, those already begun first, then in random order.

    The round may end in the middle of a volume; the next one goes on there.
    """
    open_volumes = np.unique(volume[unlabelled])
    begun = np.isin(open_volumes, volume[labelled])
    turn = np.empty(int(volume.max(initial=-1)) + 1, dtype=np.int64)
    turn[open_volumes] = rng.permutation(len(open_volumes)) + np.where(begun, 0, len(open_volumes))
    order = np.lexsort((z[unlabelled], turn[volume[unlabelled]]))
    return unlabelled[order][:limit]


STRATEGY = Strategy(
    "whole-volumes",
    whole_volumes,
    reference="The baseline of full volumes in Vepa et al., Integrating Deep Metric Learning with "
    "Coreset for Active Learning in 3D Segmentation, NeurIPS 2024, arXiv:2411.15763",
    bibtex=prob_k_center.STRATEGY.bibtex,
    advice="A control: what labelling volume by volume teaches in the same time.",
)
