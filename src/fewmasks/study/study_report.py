"""One HTML page about a whole study: every task, and all of them together."""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any

import pandas as pd

from fewmasks.io.atomic import write_text
from fewmasks.study.charts import looks
from fewmasks.study.comparison import BASELINE, is_sure, sentences, tasks_of
from fewmasks.study.file import Study
from fewmasks.study.report import (
    FIRST_CHART,
    HEAD,
    arms_table,
    facts_list,
    main_chart,
    verdict,
)


def write_study_report(
    path: Path,
    study: Study,
    curve: pd.DataFrame,
    table: pd.DataFrame,
    baseline: str,
    missing: Sequence[str] = (),
) -> Path:
    """Write the page; it needs nothing but itself."""
    sections = []
    for number, (task, arms) in enumerate(tasks_of(curve)):
        looks_of = looks(arms, baseline)
        chart = FIRST_CHART if number == 0 else f"curves-{number}"
        unit, compared = "labels", arms
        if study.over == "minutes":
            unit, compared = "minutes", arms.assign(items=arms["seconds"] / 60)
        sections.append(
            TASK.substitute(
                name=escape(task),
                verdict=verdict(compared, looks_of, baseline, unit),
                curves=main_chart(arms, looks_of, chart),
                table=arms_table(compared, looks_of, baseline, unit),
            )
        )
    page = PAGE.substitute(
        title=escape(study.title),
        verdict=_overall(table, baseline, missing),
        together=_together(table, baseline, study.over),
        tasks="\n".join(sections),
        facts=facts_list(_facts(study, baseline)),
    )
    write_text(path, page)
    return path


def _overall(table: pd.DataFrame, baseline: str, missing: Sequence[str]) -> str:
    lines = [f"{escape(line)}." for line in sentences(table, baseline)]
    if missing:
        lines.append(f"Not finished: {escape('; '.join(missing))}.")
    return "</p><p>".join(lines)


def _together(table: pd.DataFrame, baseline: str, over: str) -> str:
    """Differences of every line in every task, a line a row."""
    compared = table[table["note"] != BASELINE]
    if compared.empty:
        return ""
    tasks = list(dict.fromkeys(table["task"]))
    rows = []
    for name, of_line in compared.groupby("name", sort=False):
        cells = {row.task: _cell(row) for row in of_line.itertuples(index=False)}
        line = "".join(f"<td>{cells.get(task, '')}</td>" for task in tasks)
        rows.append(f"<tr><td>{escape(str(name))}</td>{line}</tr>")
    heads = "".join(f"<th>{escape(task)}</th>" for task in tasks)
    axis = "labels" if over == "items" else over
    lines = "\n".join(rows)
    return TOGETHER.substitute(heads=heads, rows=lines, baseline=escape(baseline), axis=axis)


def _cell(row: Any) -> str:
    if pd.isna(row.difference):
        return f"<small>{escape(str(row.note))}</small>"
    low = "" if pd.isna(row.low) else f"95 % {row.low:+.3f} to {row.high:+.3f}"
    p = "" if pd.isna(row.p_holm) else f"p {row.p_holm:.3f}"
    mark = "<b>" if is_sure(row) else ""
    small = ", ".join(filter(None, (low, p)))
    return f"{mark}{row.difference:+.3f}{'</b>' if mark else ''} <small>{small}</small>"


def _facts(study: Study, baseline: str) -> dict[str, object]:
    return {
        "tasks": {task.name: _source(task) for task in study.task},
        "arms": {arm.name: _arm(arm) for arm in study.arm},
        "strategies": study.strategies,
        "starts": study.starts,
        "annotations": study.annotations,
        "labels": f"{study.rounds} rounds of {study.limit}, the first drawn at random for all",
        "seeds": f"0 to {study.seeds - 1}, paired: one start set and recipe per seed",
        "settings": study.settings or "no others than the projects' own",
        "baseline": baseline,
    }


def _arm(arm: Any) -> str:
    return "; ".join(filter(None, (_size(arm), ", ".join(arm.settings)))) or "no settings"


def _source(task: Any) -> str:
    given = task.project or task.table or ", ".join(map(str, task.images))
    return "; ".join(filter(None, (str(given), _size(task), ", ".join(task.settings))))


def _size(section: Any) -> str:
    """Rounds and limit, where a section has its own."""
    return ", ".join(
        f"{value} {name}" for name in ("rounds", "limit") if (value := getattr(section, name))
    )


TOGETHER = Template("""<h2>Area above $baseline</h2>
<section><div class=wide><table><thead><tr><th>line</th>$heads</tr></thead><tbody>
$rows
</tbody></table></div>
<p class=note>Mean Dice along the curve over $axis, against the baseline of the same seed: the mean
over seeds, its 95 % interval, and p of a paired t test corrected for the lines of a task by Holm's
method. Bold: p below 0.05 and an interval without 0. Over all tasks, a seed counts with its mean
over the tasks; these are the tasks of interest, not a sample of others.</p></section>""")

TASK = Template("""<h2>$name</h2>
<section class=verdict><p>$verdict</p></section>
<section>$curves</section>
<section>$table</section>""")

PAGE = Template(
    HEAD
    + """<body>
<main>
<h1>$title</h1>
<section class=verdict><p>$verdict</p></section>
$together
$tasks
<h2>What was run on what</h2>
<section><dl>$facts</dl>
<p class=note>Each arm of a task has a report of its own beside this page, in runs/, with its picks
and all settings that are not the defaults.</p></section>
</main>
</body>
</html>
"""
)
