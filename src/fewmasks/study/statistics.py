"""What a learning curve says: areas, paired differences and how sure they are.

A curve is a table with the columns `strategy, start, annotation, seed, round, items, seconds,
dice, hd95` and `dice_<class>`. One strategy, start and annotation is an arm; an arm and a seed
is a run.
"""

from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
import pandas as pd
from jaxtyping import Float

Over = Literal["items", "seconds"]

SETTING = ["start", "annotation"]
ARM = ["strategy", *SETTING]
RUN = [*ARM, "seed"]
Arm = tuple[str, ...]
"""Values of the columns ARM."""

SMALL = 5
"""Below so many seeds a comparison carries a warning."""


def interval(values: Iterable[float]) -> tuple[float, float, float]:
    """Mean and its 95 % t interval over seeds, nan left out; one value has no interval."""
    from scipy.special import stdtrit

    known = _known(values)
    if len(known) == 0:
        return np.nan, np.nan, np.nan
    mean = float(known.mean())
    if len(known) == 1:
        return mean, np.nan, np.nan
    half = float(stdtrit(len(known) - 1, 0.975) * _standard_error(known))
    return mean, mean - half, mean + half


def rows_of(arm: Arm, table: pd.DataFrame) -> pd.DataFrame:
    """The rows of one arm of a curve, of picks or of a table made from them."""
    return table[(table[ARM] == list(arm)).all(axis=1)]


def mean_curve(curve: pd.DataFrame, column: str = "dice", over: Over = "items") -> pd.DataFrame:
    """Mean and t interval over seeds per arm and round: `x, mean, low, high, seeds`."""
    rows = [
        (*key, at_round[over].mean(), *interval(at_round[column]), at_round[column].notna().sum())
        for key, at_round in curve.groupby([*ARM, "round"], sort=False, dropna=False)
    ]
    return pd.DataFrame(rows, columns=[*ARM, "round", "x", "mean", "low", "high", "seeds"])


def area_under_curve(curve: pd.DataFrame, over: Over = "items") -> pd.DataFrame:
    """Mean Dice along the curve of each run: `area`, and the range `first` to `last` it is over.

    Trapezoids, divided by the range, so in units of Dice. The range is what all runs of one start
    and annotation share: a run that stopped early is not compared by its easy part. Rounds
    without a Dice are left out; a range of a single point gives the Dice there.
    """
    rows = []
    for _, setting in curve.groupby(SETTING, sort=False, dropna=False):
        scored = setting[setting["dice"].notna()]
        ends = scored.groupby(RUN, dropna=False)[over].agg(["min", "max"])
        first, last = float(ends["min"].max()), float(ends["max"].min())
        for key, run in setting.groupby(RUN, sort=False, dropna=False):
            rows.append((*key, first, last, _mean_height(run, over, first, last)))
    return pd.DataFrame(rows, columns=[*RUN, "first", "last", "area"])


def paired_difference(
    curve: pd.DataFrame, baseline: str = "random", over: Over = "items"
) -> pd.DataFrame:
    """How far the area of each arm lies above the baseline's, paired by seed.

    One row per arm other than the baseline: mean `difference` and its 95 % interval (`low`,
    `high`), `seeds` that both ran, `wins`, paired t test `p`, the same corrected for the number
    of rows by Holm (`p_holm`), and a `note` that says what is missing to be sure. The interval is
    Student's: a percentile bootstrap of ten seeds would hold the truth in 90 % of cases.
    The areas of an arm and the baseline are over the range that these two share.
    """
    return _compared(gains_over(curve, baseline, over))


def paired_over_tasks(
    curves: Sequence[pd.DataFrame], baseline: str = "random", over: Over = "items"
) -> pd.DataFrame:
    """The same over several tasks: of each seed the mean of what it gained in every task.

    The tasks are those that are of interest, not a sample of others; seeds that some task lacks
    are left out.
    """
    gains = pd.concat([gains_over(curve, baseline, over) for curve in curves])
    means = gains.groupby([*ARM, "seed"], sort=False, dropna=False)["gain"]
    found = means.agg(gain="mean", tasks="count").reset_index()
    found["gain"] = found["gain"].where(found["tasks"] == len(curves))
    return _compared(found)


def gains_over(curve: pd.DataFrame, baseline: str, over: Over) -> pd.DataFrame:
    """How far the area of each run lies above the baseline's of its seed; nan where that is not."""
    others = curve[curve["strategy"] != baseline]
    found = [pd.DataFrame(columns=[*RUN, "gain"])]
    for arm, mine in others.groupby(ARM, sort=False, dropna=False):
        theirs = rows_of((baseline, *arm[1:]), curve)
        # Of these two alone: an arm of other minutes is no reason to compare less of them.
        areas = area_under_curve(pd.concat([mine, theirs]), over)
        is_baseline = areas["strategy"] == baseline
        against = areas.loc[is_baseline, ["seed", "area"]]
        pairs = areas[~is_baseline].merge(against, on="seed", how="left", suffixes=("", "_other"))
        found.append(pairs[RUN].assign(gain=pairs["area"] - pairs["area_other"]))
    return pd.concat(found, ignore_index=True)


def _compared(gains: pd.DataFrame) -> pd.DataFrame:
    """A row per arm of gains by seed."""
    rows = [
        (*key, *_comparison(_known(of_arm)))
        for key, of_arm in gains.groupby(ARM, sort=False, dropna=False)["gain"]
    ]
    columns = [*ARM, "difference", "low", "high", "seeds", "wins", "p", "note"]
    table = pd.DataFrame(rows, columns=columns)
    table.insert(columns.index("note"), "p_holm", holm(table["p"].to_numpy(dtype=np.float64)))
    return table


def labels_to_reach(curve: pd.DataFrame, dice: float) -> pd.DataFrame:
    """Labels at the first round whose mean Dice is at least this, per arm: `items` or nan."""
    means = mean_curve(curve)
    means["items"] = means["x"].where(means["mean"] >= dice)
    return means.groupby(ARM, sort=False, dropna=False, as_index=False)["items"].min()


def holm(p: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Holm's correction for asking several questions; nan is not a question.

    >>> holm(np.array([0.01, 0.04, 0.03, 0.005]))
    array([0.03, 0.06, 0.06, 0.02])
    """
    corrected = np.full(len(p), np.nan)
    asked = np.flatnonzero(~np.isnan(p))
    order = asked[np.argsort(p[asked], kind="stable")]
    steps = p[order] * np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return corrected


def _mean_height(run: pd.DataFrame, over: Over, first: float, last: float) -> float:
    scored = run[run["dice"].notna()].sort_values("round").drop_duplicates(over, keep="last")
    x, y = (scored[name].to_numpy(dtype=np.float64) for name in (over, "dice"))
    if len(x) == 0 or not first <= last:
        return np.nan
    if first == last:
        return float(np.interp(first, x, y))
    knots = np.unique([first, *x[(x > first) & (x < last)], last])
    return float(np.trapezoid(np.interp(knots, x, y), knots) / (last - first))


def _comparison(
    gains: Float[np.ndarray, " seeds"],
) -> tuple[float, float, float, int, int, float, str]:
    mean, low, high = interval(gains)
    n, wins = len(gains), int((gains > 0).sum())
    if n == 0:
        note = "no seed of it and the baseline is over a range that both share"
        return mean, low, high, n, wins, np.nan, note
    if n == 1:
        return mean, low, high, n, wins, np.nan, "one seed cannot tell a gain from luck"
    if np.ptp(gains) == 0:
        return mean, low, high, n, wins, np.nan, "all seeds differ by the same amount"
    note = f"{n} seeds are few; run {SMALL} or more to be sure" if n < SMALL else ""
    return mean, low, high, n, wins, _paired_t(gains), note


def _paired_t(gains: Float[np.ndarray, " seeds"]) -> float:
    from scipy.special import stdtr

    return float(2 * stdtr(len(gains) - 1, -abs(gains.mean() / _standard_error(gains))))


def _standard_error(values: Float[np.ndarray, " n"]) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values)))


def _known(values: Iterable[float]) -> Float[np.ndarray, " n"]:
    every = np.array(list(values), dtype=np.float64)
    return every[~np.isnan(every)]
