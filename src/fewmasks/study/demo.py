"""The main job on data that needs no download: random choice against the default strategy."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fewmasks.config import Config
from fewmasks.executors.local import Report
from fewmasks.project import Import, create, open_project
from fewmasks.study.charts import plot_svg
from fewmasks.study.cohort import write_cohort
from fewmasks.study.plan import Plan
from fewmasks.study.run import simulate
from fewmasks.study.statistics import paired_difference

PATIENTS = 24
ROUNDS, LIMIT, SEEDS = 4, 8, 3
SETTINGS = ["learn.size=64", "learn.iterations=400"]


@dataclass(frozen=True)
class Demo:
    """Where the demo left its results, and what they say."""

    project: Path
    report: Path
    verdict: str


def run_demo(out: Path, say: Callable[[str], None], report: Report) -> Demo:
    """Make a cohort, a project of it, and the comparison; goes on where it was stopped."""
    say(f"{PATIENTS} made-up patients: the MNI152 brain, deformed and re-lit; some have lesions")
    table = write_cohort(out / "cohort", PATIENTS, seed=0, report=report)
    folder = out / "project"
    project = (
        open_project(folder)
        if folder.exists()
        else create(folder, Import(table=table, test_fraction=0.25), say, report)
    )
    strategies = ("random", Config().query.strategy)
    plan = Plan(strategies, ROUNDS, LIMIT, SEEDS, config=project.config.with_settings(SETTINGS))
    say(f"{' against '.join(strategies)}: {ROUNDS} rounds of {LIMIT} slices, {SEEDS} seeds")
    curve = simulate(project, plan, out, report=report)
    plot_svg(curve, out / "curve.svg")
    best = curve[curve["round"] == ROUNDS - 1].groupby("strategy", sort=False)["dice"].mean()
    reached = ", ".join(f"{name} {dice:.3f}" for name, dice in best.items())
    row = paired_difference(curve).iloc[0]
    verdict = (
        f"Dice after {ROUNDS * LIMIT} labelled slices: {reached}; area under the curve "
        f"{row['difference']:+.3f} against random "
        f"(95 % {row['low']:+.3f} to {row['high']:+.3f}, {SEEDS} paired seeds)"
    )
    return Demo(folder, out / "report.html", verdict)
