"""Learning curves and picks with known answers."""

import numpy as np
import pandas as pd

from fewmasks.study.statistics import RUN

COLUMNS = [*RUN, "round", "items", "seconds", "dice", "hd95"]


def curve_of(dices, items=None, start="scratch", annotation="mask"):
    """A curve from {strategy: one list of Dice per seed}; by default 10, 20, ... labels."""
    rows = []
    for strategy, seeds in dices.items():
        for seed, scores in enumerate(seeds):
            at = items or [10 * (number + 1) for number in range(len(scores))]
            rows += [
                (strategy, start, annotation, seed, number, n, 60.0 * n, dice, 9 - dice, 0.9, dice)
                for number, (n, dice) in enumerate(zip(at, scores, strict=True))
            ]
    return pd.DataFrame(rows, columns=[*COLUMNS, "dice_background", "dice_liver"])


def made_up_study(strategies=("random", "clasp-pe", "coreset"), seeds=3, rounds=5, k=6):
    """A curve and its picks that look like a real study."""
    rng = np.random.default_rng(7)
    rate = {name: 0.028 + 0.006 * order for order, name in enumerate(strategies)}
    curves, picks = [], []
    for strategy in strategies:
        for seed in range(seeds):
            for number in range(rounds):
                n = 20 * (number + 1)
                dice = 0.88 - 0.5 * np.exp(-rate[strategy] * n) + rng.normal(0, 0.008)
                run = (strategy, "scratch", "mask", seed, number)
                hd95 = 20 * (1 - dice)
                curves.append((*run, n, 60.0 * n, dice, hd95, 0.985, dice + 0.04, dice - 0.04))
                for order in range(k):
                    item = f"{strategy}-s{seed}r{number}i{order}"
                    reason = f"entropy {0.9 - 0.1 * order:.2f}"
                    picks.append((*run, order, item, f"patient{order:03}/ED", reason))
    classes = ["dice_background", "dice_anterior", "dice_posterior"]
    return (
        pd.DataFrame(curves, columns=[*COLUMNS, *classes]),
        pd.DataFrame(picks, columns=[*RUN, "round", "order", "item", "group", "reason"]),
    )
