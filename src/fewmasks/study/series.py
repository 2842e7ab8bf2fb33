"""A study run: every arm of every task simulated, resumable, and read together afterwards."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fewmasks.errors import ConfigError, ProjectError
from fewmasks.executors.local import Report, map_units
from fewmasks.io.atomic import write_text
from fewmasks.project import Import, Project, create, open_project
from fewmasks.study.file import ArmSection, Study, TaskSection, import_of, read_study
from fewmasks.study.plan import Plan, read_record
from fewmasks.study.run import check, refuse_other_run, simulate
from fewmasks.study.starts import refuse_other_starts, refuse_two_recipes

if TYPE_CHECKING:
    import pandas as pd

FILE = "study.toml"
PATHS = ("images", "table", "masks", "scribbles")
"""Fields of an import that are paths."""


@dataclass(frozen=True)
class Found:
    """What a study found."""

    table: "pd.DataFrame"
    """A row per task and line; `table.csv`."""
    sentences: tuple[str, ...]
    """Every line against the baseline, the best first."""


def run_study(
    path: Path,
    out: Path,
    workers: int | None = None,
    report: Report = lambda what, done, of: None,
    say: Callable[[str], None] = lambda line: None,
    execute: Callable[..., Iterator[None]] = map_units,
    command: str | None = None,
) -> Found:
    """Run a study, or what is left of it, and write `out`/curve.csv, table.csv and report.html.

    Each arm of a task is a simulation of its own in `out`/runs/TASK/ARM. Tasks and arms may be
    added to the file later; what ran before is kept as it is.
    """
    study = read_study(path)
    projects = {task.name: _project(task, path, out, report) for task in study.task}
    pairs = list(product(study.task, study.arm))
    plans = [_plan(study, task, arm, projects[task.name]) for task, arm in pairs]
    runs = []
    for (task, arm), plan in zip(pairs, plans, strict=True):
        project = projects[task.name]
        check(project, plan)
        # Before the file is copied: a record of what no run is of would make the report lie.
        stored = refuse_other_run(project, plan, folder_of(out, task, arm))
        if stored is None:
            refuse_other_starts(project, plan)
        runs.append((f"task {task.name!r}, arm {arm.name!r}", project, plan, stored is not None))
    refuse_two_recipes(runs)
    write_text(out / FILE, path.read_text(encoding="utf-8"))
    for number, ((task, arm), plan) in enumerate(zip(pairs, plans, strict=True), start=1):
        say(f"{number} of {len(pairs)}: {task.name}, {arm.name}")
        folder = folder_of(out, task, arm)
        simulate(projects[task.name], plan, folder, workers, report, execute, command)
    return report_study(out, say)


def report_study(out: Path, say: Callable[[str], None] = lambda line: None) -> Found:
    """Write curve.csv, table.csv, report.html and TASK.svg about the runs that are there."""
    from fewmasks.study.charts import plot_svg
    from fewmasks.study.comparison import AXES, compare, named, sentences, tasks_of
    from fewmasks.study.study_report import write_study_report

    if not (out / FILE).is_file():
        raise ProjectError(
            f"{out}: no study was run there (no {FILE}); run `fewmasks study run FILE --out {out}`"
        )
    study = read_study(out / FILE)
    curve, missing = _curves(study, out)
    for name in missing:
        say(f"not finished: {name}; run the study again and it goes on")
    curve, baseline = named(curve, study, out / FILE)
    over = AXES[study.over]
    table = compare(curve, baseline, over)
    write_text(
        out / "curve.csv", curve.drop(columns="name").to_csv(index=False, float_format="%.6f")
    )
    write_text(out / "table.csv", table.to_csv(index=False, float_format="%.6f"))
    for task, arms in tasks_of(curve):
        plot_svg(arms, out / f"{task}.svg", over)
    write_study_report(out / "report.html", study, curve, table, baseline, missing)
    return Found(table, sentences(table, baseline))


def folder_of(out: Path, task: TaskSection, arm: ArmSection) -> Path:
    """Where the simulation of an arm lies."""
    return out / "runs" / task.name / arm.name


def _project(task: TaskSection, path: Path, out: Path, report: Report) -> Project:
    if task.project is not None:
        return open_project(path.parent / task.project)
    folder, record = out / "projects" / task.name, out / "tasks" / f"{task.name}.json"
    given = import_of(task, path.parent)
    if folder.exists():
        if record.exists():  # older versions wrote none
            _refuse_other(f"{path}: task {task.name!r}", folder, read_record(record), given, out)
        return open_project(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Before the project, so that none is there without a record, wherever a run is killed.
    write_text(record, json.dumps(_described(given, out)))
    return create(folder, given, progress=report)


def _described(given: Import, out: Path) -> dict[str, Any]:
    """What a project is made of, as JSON: absolute paths, and the folder they are seen from."""
    tree: dict[str, Any] = asdict(given)
    for name in PATHS:
        value = tree[name]
        if value is not None:
            tree[name] = [_absolute(p) for p in value] if name == "images" else _absolute(value)
    return {**tree, "classes": list(given.classes), "out": _absolute(out)}


def _absolute(path: Path) -> str:
    # Not resolve(): a link may be how the user knows the file.
    return os.path.abspath(path)  # noqa: PTH100


def _refuse_other(
    where: str, folder: Path, stored: dict[str, Any], given: Import, out: Path
) -> None:
    """A project stays what it was made of, so a task that now says otherwise is refused."""
    # A field that the record does not know came later, and had its default then.
    before, now = {**_described(Import(), out), **stored}, _described(given, out)
    for name in (field.name for field in fields(Import)):
        if before[name] != now[name] and _from_out(before, name) != _from_out(now, name):
            raise ConfigError(
                f"{where}: {name} is {_said(now[name])}, but {folder} was made with "
                f"{_said(before[name])}; choose another --out, or write the old value again"
            )


def _from_out(described: dict[str, Any], name: str) -> Any:
    """A field with paths as seen from the study's folder: both may have moved together."""
    value = described[name]
    if name not in PATHS or value is None:
        return value
    paths = value if isinstance(value, list) else [value]
    return [os.path.relpath(path, described["out"]) for path in paths]


def _said(value: Any) -> str:
    """A value as in the file; what is not in the file is nothing."""
    if value is None or value == []:
        return "not given"
    return ", ".join(value) if isinstance(value, list) else str(value)


def _plan(study: Study, task: TaskSection, arm: ArmSection, project: Project) -> Plan:
    settings = [*study.settings, *task.settings, *arm.settings]
    where = f"settings of task {task.name!r}, arm {arm.name!r}"
    return Plan(
        strategies=tuple(arm.strategies or study.strategies),
        rounds=arm.rounds or task.rounds or study.rounds,
        limit=arm.limit or task.limit or study.limit,
        seeds=study.seeds,
        annotations=tuple(arm.annotations or study.annotations),
        starts=tuple(arm.starts or study.starts),
        config=project.config.with_settings(settings, where),
        keep_models=study.keep_models,
    )


def _curves(study: Study, out: Path) -> "tuple[pd.DataFrame, list[str]]":
    """The curves of all runs in one frame, and the names of those that are not finished."""
    import pandas as pd

    found, missing = [], []
    for task, arm in product(study.task, study.arm):
        path = folder_of(out, task, arm) / "curve.csv"
        if not path.is_file():
            missing.append(f"{task.name}, {arm.name}")
            continue
        curve = pd.read_csv(path, dtype={"start": str}, keep_default_na=True)
        curve.insert(0, "task", task.name)
        curve.insert(1, "arm", arm.name)
        found.append(curve)
    if not found:
        raise ProjectError(
            f"{out}: no run is finished yet, so there is nothing to compare; run the study again "
            f"and it goes on"
        )
    return pd.concat(found, ignore_index=True), missing
