"""The lines of a study side by side: areas, paired differences, over each task and over all."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fewmasks.errors import ProjectError
from fewmasks.study.file import NAMED, Study, baseline_of
from fewmasks.study.statistics import (
    Over,
    area_under_curve,
    mean_curve,
    paired_difference,
    paired_over_tasks,
)

ALL = "all tasks"
BASELINE = "baseline"
SIGNIFICANT = 0.05
AXES: dict[str, Over] = {"items": "items", "minutes": "seconds"}
"""Columns of a curve by the word of a study file."""
COLUMNS = (
    "task", "name", "seeds", "last", "area", "sd", "difference", "low", "high", "wins", "p",
    "p_holm", "difference_minutes", "note",
)  # fmt: skip


def named(curve: pd.DataFrame, study: Study, path: Path) -> tuple[pd.DataFrame, str]:
    """The curve with a column `name`, which says what differs between its lines; and the baseline.

    A line is an arm, a strategy, a start and an annotation.
    """
    wanted = list(baseline_of(study, path))
    columns = list(NAMED)
    varying = [name for name in columns if curve[name].nunique() > 1] or ["strategy"]
    names = curve[varying].astype(str).agg(" · ".join, axis=1)
    is_baseline = (curve[columns].astype(str) == wanted).all(axis=1)
    if not is_baseline.any():
        raise ProjectError(
            f"{path}: the baseline ({', '.join(wanted)}) has not been run yet; run the study again "
            f"and it goes on"
        )
    return curve.assign(name=names), str(names[is_baseline].iloc[0])


def as_arms(curve: pd.DataFrame) -> pd.DataFrame:
    """One task's curve as a comparison of arms that are called by the name of their line.

    All share one start and annotation then, so that any two lines may be compared.
    """
    kept = curve.dropna(axis="columns", how="all")
    lacking = {name: np.nan for name in ("dice", "hd95") if name not in kept}
    return kept.assign(strategy=curve["name"], start="", annotation="", **lacking)


def tasks_of(curve: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Name and arms of every task, in the order of the curve."""
    return [(str(name), as_arms(part)) for name, part in curve.groupby("task", sort=False)]


def compare(curve: pd.DataFrame, baseline: str, over: Over = "items") -> pd.DataFrame:
    """A row per task and line: area, spread over seeds, paired difference to the baseline.

    Areas are those `over` labels or seconds; `difference_minutes` is over seconds in any case.

    p is a paired t test over seeds, `p_holm` the same corrected for the lines of the task. With
    more than one task the rows `all tasks` hold the mean over them.
    """
    tasks = tasks_of(curve)
    parts = [_of_task(name, arms, baseline, over) for name, arms in tasks]
    if len(tasks) > 1:
        parts.append(_of_all([arms for _, arms in tasks], baseline, over))
    return pd.concat(parts, ignore_index=True)


def sentences(table: pd.DataFrame, baseline: str) -> tuple[str, ...]:
    """Every line against the baseline in words, the best first: over all tasks, or the only one."""
    of_all = table[table["task"] == ALL]
    rows = of_all if len(of_all) else table
    rows = rows[rows["note"] != BASELINE].sort_values("difference", ascending=False)
    if rows.empty:
        return (f"{baseline} alone: there is nothing to compare it with",)
    return tuple(_sentence(row, baseline) for row in rows.itertuples(index=False))


def is_sure(row: Any) -> bool:
    """Whether a row of the table is called better or worse."""
    return bool(row.p_holm < SIGNIFICANT and row.low * row.high > 0)


def _sentence(row: Any, baseline: str) -> str:
    if pd.isna(row.difference):
        return f"{row.name}: not compared, as {row.note}"
    around = "" if pd.isna(row.low) else f" (95 % {row.low:+.3f} to {row.high:+.3f})"
    reading = "cannot tell yet"
    if is_sure(row):
        reading = "better" if row.difference > 0 else "worse"
    note = f"; {row.note}" if row.note else ""
    return f"{row.name}: {row.difference:+.3f}{around} against {baseline}, {reading}{note}"


def _of_task(task: str, arms: pd.DataFrame, baseline: str, over: Over) -> pd.DataFrame:
    areas = area_under_curve(arms, over)
    last = mean_curve(arms).dropna(subset=["mean"]).groupby("strategy", sort=False)["mean"].last()
    found = _areas(areas).merge(last.rename("last").reset_index(), on="strategy", how="left")
    gains = paired_difference(arms, baseline, over)
    by_minutes = paired_difference(arms, baseline, over="seconds")
    return _row(task, found, gains, by_minutes)


def _of_all(tasks: Sequence[pd.DataFrame], baseline: str, over: Over) -> pd.DataFrame:
    areas = pd.concat([area_under_curve(arms, over) for arms in tasks])
    means = areas.groupby(["strategy", "seed"], sort=False)["area"].mean().reset_index()
    gains = paired_over_tasks(tasks, baseline, over)
    by_minutes = paired_over_tasks(tasks, baseline, over="seconds")
    return _row(ALL, _areas(means).assign(last=np.nan), gains, by_minutes)


def _areas(areas: pd.DataFrame) -> pd.DataFrame:
    found = areas.groupby("strategy", sort=False)["area"]
    return found.agg(seeds="count", area="mean", sd="std").reset_index()


def _row(
    task: str, areas: pd.DataFrame, gains: pd.DataFrame, by_minutes: pd.DataFrame
) -> pd.DataFrame:
    differences = gains.drop(columns=["start", "annotation", "seeds"])
    minutes = by_minutes[["strategy", "difference"]]
    found = areas.merge(differences, on="strategy", how="left").merge(
        minutes, on="strategy", how="left", suffixes=("", "_minutes")
    )
    found["note"] = found["note"].fillna(BASELINE)
    return found.rename(columns={"strategy": "name"}).assign(task=task)[list(COLUMNS)]
