"""The control arm: a share of every round is random, so that a lab sees whether choosing pays."""

from collections.abc import Collection, Sequence

import numpy as np

from fewmasks.types import Pick, Round, Rows

CONTROL = "control: drawn at random"
"""The reason of a pick of the control arm."""


def draw_control(unlabelled: Rows, limit: int, share: float, rng: np.random.Generator) -> Rows:
    """A share of the next `limit` picks, from all rows that may be asked for, in random order.

    It is drawn before the strategy chooses: what a strategy leaves over is no random sample. Where
    the share is no whole number of picks, chance rounds it, so that it holds over many rounds.
    """
    picks = share * min(limit, len(unlabelled))
    return rng.permutation(unlabelled)[: int(picks + rng.random())]


def mixed(
    chosen: Sequence[Pick], control: Sequence[Pick], rng: np.random.Generator
) -> tuple[Pick, ...]:
    """Both arms in one order, so that a round that is left halfway has some of each.

    The chosen ones stay best first; those of the control arm stand at random places among them.
    """
    is_control = rng.permutation(len(chosen) + len(control)) < len(control)
    left, right = iter(chosen), iter(control)
    return tuple(next(right if drawn else left) for drawn in is_control)


def matched(
    rounds: Sequence[Round], labelled: Collection[str], seed: int
) -> tuple[list[str], list[str]]:
    """As many labelled picks of the strategy as of the control arm, round by round, at random."""
    strategy: list[str] = []
    control: list[str] = []
    for each in rounds:
        known = [pick for pick in each.picks if pick.item in labelled and not pick.audit]
        random = [pick.item for pick in known if pick.control]
        chosen = [pick.item for pick in known if not pick.control]
        n = min(len(random), len(chosen))
        rng = np.random.default_rng([seed, each.number])
        strategy += sorted(rng.permutation(sorted(chosen))[:n].tolist())
        control += sorted(rng.permutation(sorted(random))[:n].tolist())
    return strategy, control
