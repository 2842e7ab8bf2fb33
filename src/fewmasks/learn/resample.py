"""How far a score on the test side depends on which groups happen to be in it."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int64

from fewmasks.metrics import dice_from_confusion
from fewmasks.types import Rows

FEWEST_GROUPS = 5
"""Resampling fewer says little about those that were not drawn."""
DRAWS = 1000


def resampled_dice(
    counts: Int64[np.ndarray, "v c c"],
    groups: Sequence[str],
    foreground: Rows,
    by_case: bool,
    seed: int = 0,
) -> Float[np.ndarray, " draws"]:
    """Dice as the score has it, on test groups drawn with replacement; empty for too few groups.

    `counts` are the confusions of cases, of which those of one group come together: slices of a
    patient are no independent evidence. `by_case` scores each case and takes the mean (volumes);
    else all pixels are counted together (pictures). Two models under one seed are compared on the
    same draws.
    """
    codes = np.unique(np.array(groups), return_inverse=True)[1]
    n_groups = int(codes.max(initial=-1)) + 1
    if n_groups < FEWEST_GROUPS:
        return np.empty(0)
    drawn = np.random.default_rng(seed).integers(n_groups, size=(DRAWS, n_groups))
    times = np.stack([np.bincount(draw, minlength=n_groups) for draw in drawn])[:, codes]
    known = (times @ counts.sum(axis=2)) > 0
    if by_case:
        each = np.stack([dice_from_confusion(of_case) for of_case in counts])
        finite = ~np.isnan(each)
        of_class = _ratio(times @ np.where(finite, each, 0.0), times @ finite)
    else:
        total = np.tensordot(times, counts, axes=1)
        of_class = np.stack([dice_from_confusion(of_draw) for of_draw in total])
    of_class = np.where(known, of_class, np.nan)[:, foreground]
    finite = ~np.isnan(of_class)
    return _ratio(np.where(finite, of_class, 0.0).sum(axis=1), finite.sum(axis=1))


def interval_of(draws: Float[np.ndarray, " draws"]) -> tuple[float, float] | None:
    """The middle 95 % of resampled scores; None where there are none."""
    known = draws[~np.isnan(draws)]
    if not len(known):
        return None
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)


def _ratio(
    above: Float[np.ndarray, "*shape"], below: Int64[np.ndarray, "*shape"]
) -> Float[np.ndarray, "*shape"]:
    return np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below > 0)
