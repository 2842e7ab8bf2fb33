"""One HTML page that says what a study found: self-contained, offline, light and dark."""

from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template

import numpy as np
import pandas as pd
from plotly.io import to_html

from fewmasks.config import STARTS, StopConfig
from fewmasks.loop.stop import forecast
from fewmasks.project.background import background_of
from fewmasks.study.charts import Look, Panel, PoolMap, curves_figure, looks, map_figure, plot_svg
from fewmasks.study.gallery import Pictures, class_colours, gallery
from fewmasks.study.statistics import (
    ARM,
    SETTING,
    SMALL,
    Arm,
    area_under_curve,
    interval,
    labels_to_reach,
    mean_curve,
    paired_difference,
    rows_of,
)

__all__ = ["plot_svg", "write_report"]

FIRST_CHART = "curves"
SIGNIFICANT = 0.05
IN_WORDS = 3
"""Arms that the verdict speaks of; the table has all of them."""


def write_report(
    out: Path,
    curve: pd.DataFrame,
    picks: pd.DataFrame,
    run: Mapping[str, object],
    pictures: Pictures | None = None,
    pool: PoolMap | None = None,
) -> Path:
    """Write `out/report.html` about a curve and its picks, and return its path.

    `run` says what was run on what, in the order in which it should be read; its `title` is the
    heading of the page. `pool` is the plane on which the picks are shown.
    """
    looks_of = looks(curve)
    classes = [name.removeprefix("dice_") for name in curve if name.startswith("dice_")]
    facts = {name: value for name, value in run.items() if name != "title"}
    page = PAGE.substitute(
        title=escape(str(run.get("title", "Learning curves"))),
        verdict=verdict(curve, looks_of),
        curves=main_chart(curve, looks_of),
        classes=_class_charts(curve, classes, looks_of),
        table=arms_table(curve, looks_of),
        more=_half_hours(curve, looks_of),
        picks=gallery(picks, looks_of, classes, pictures),
        pool="" if pool is None else _pool_section(pool, picks, looks_of, classes),
        facts=facts_list(facts),
    )
    out.mkdir(parents=True, exist_ok=True)
    path = out / "report.html"
    path.write_text(page, encoding="utf-8")
    return path


def verdict(
    curve: pd.DataFrame,
    looks_of: Mapping[Arm, Look],
    baseline: str = "random",
    unit: str = "labels",
) -> str:
    """What a curve says, in a sentence for each of the best arms; `unit` is that of its items."""
    if curve["dice"].isna().all():
        return "No score: no round has a Dice, so nothing can be said about any strategy."
    if baseline not in set(curve["strategy"]):
        return (
            f"{_final_words(curve, looks_of, unit)} There is no {baseline} baseline in this run, "
            "so nothing can be said about whether choosing helped."
        )
    differences = paired_difference(curve, baseline).sort_values("difference", ascending=False)
    if differences.empty:
        return _final_words(curve, looks_of, unit)
    named = [_sentence(curve, row, looks_of, baseline, unit) for _, row in differences.iterrows()]
    rest = len(named) - IN_WORDS
    more = f" The table has {rest} more." if rest > 0 else ""
    few = int(differences["seeds"].min())
    warning = f" With {few} paired seeds, treat this as a hint." if 1 < few < SMALL else ""
    return "</p><p>".join(named[:IN_WORDS]) + more + warning


def _final_words(curve: pd.DataFrame, looks_of: Mapping[Arm, Look], unit: str) -> str:
    final = _final(curve)
    words = [
        f"<b>{escape(look.name)}</b> ended at Dice {final[arm][0]:.2f} with {final[arm][1]:.0f} "
        f"{unit}."
        for arm, look in looks_of.items()
        if arm in final
    ]
    return " ".join(words[:IN_WORDS])


def _sentence(
    curve: pd.DataFrame,
    row: pd.Series,
    looks_of: Mapping[Arm, Look],
    baseline: str,
    unit: str,
) -> str:
    arm = tuple(row[ARM])
    against = (baseline, *arm[1:])
    final = _final(curve)
    name = f"<b>{escape(looks_of[arm].name)}</b>"
    if arm not in final:
        return f"{name} has no score."
    if against not in final:
        return f"{name} ended at Dice {final[arm][0]:.2f}; its baseline has no score."
    target = final[against][0]
    needed = labels_to_reach(curve, target).set_index(ARM)["items"]
    if needed[arm] == needed[against]:
        text = f"{name} reached Dice {target:.2f} with {needed[arm]:.0f} {unit}, as {baseline} did"
    elif needed[arm] >= 0:
        text = (
            f"{name} reached Dice {target:.2f} with {needed[arm]:.0f} {unit}, where {baseline} "
            f"needed {needed[against]:.0f}"
        )
    else:
        text = (
            f"{name} ended at Dice {final[arm][0]:.2f} with {final[arm][1]:.0f} {unit} and never "
            f"reached {baseline}'s {target:.2f}"
        )
    seeds = _count(int(row["seeds"]), "paired seed")
    around = _between(_signed, row["low"], row["high"])
    evidence = ", ".join(filter(None, (around, seeds)))
    return (
        f"{text}; area under the curve {_signed(row['difference'])} ({evidence}): "
        f"{_judgement(row, baseline)}."
    )


def _is_sure(row: pd.Series) -> bool:
    return bool(row["p_holm"] < SIGNIFICANT and row["low"] * row["high"] > 0)


def _judgement(row: pd.Series, baseline: str) -> str:
    if np.isnan(row["p_holm"]):
        return str(row["note"])
    if _is_sure(row):
        return f"{'better' if row['difference'] > 0 else 'worse'} than {baseline}"
    several = ", as several were compared" if row["p"] < SIGNIFICANT else ""
    return f"not distinguishable from {baseline} yet{several}"


def _final(curve: pd.DataFrame) -> dict[Arm, tuple[float, float]]:
    """Mean Dice and labels of the last scored round of each arm."""
    means = mean_curve(curve).dropna(subset=["mean"])
    last = means.groupby(ARM, sort=False, dropna=False).tail(1)
    return {tuple(row[ARM]): (row["mean"], row["x"]) for _, row in last.iterrows()}


def _has_minutes(curve: pd.DataFrame) -> bool:
    return bool((curve["seconds"] > 0).any())


def main_chart(curve: pd.DataFrame, looks_of: Mapping[Arm, Look], name: str = FIRST_CHART) -> str:
    """The curves over labels and minutes; the first chart of a page brings what draws them all."""
    panels = [Panel("Dice over labels")]
    if _has_minutes(curve):
        panels.append(Panel("Dice over minutes", over="seconds"))
    return _chart(curve, panels, looks_of, name)


def _class_charts(curve: pd.DataFrame, classes: Sequence[str], looks_of: Mapping[Arm, Look]) -> str:
    background = background_of(classes)
    panels = [
        Panel(name, f"dice_{name}")
        for number, name in enumerate(classes)
        if number != background and curve[f"dice_{name}"].notna().any()
    ]
    if curve["hd95"].notna().any():
        panels.append(Panel("HD95 (lower is better)", "hd95"))
    return _chart(curve, panels, looks_of, name="classes") if panels else "<p>No class scored.</p>"


def _chart(
    curve: pd.DataFrame, panels: Sequence[Panel], looks_of: Mapping[Arm, Look], name: str
) -> str:
    columns = 2 if len(panels) in (2, 4) else min(len(panels), 3)
    return to_html(
        curves_figure(curve, panels, looks_of, columns),
        full_html=False,
        include_plotlyjs=name == FIRST_CHART,
        div_id=name,
        config={"displayModeBar": False, "responsive": True},
    )


def _pool_section(
    pool: PoolMap,
    picks: pd.DataFrame,
    looks_of: Mapping[Arm, Look],
    classes: Sequence[str],
) -> str:
    """Where the picks of the first seed lie among the items of the pool."""
    drawn = zip(classes, class_colours(classes), strict=True)
    inks = {name: colour for name, colour in drawn if colour}
    first = picks[picks["seed"] == picks["seed"].min()]
    chart = to_html(
        map_figure(pool.points, first, looks_of, inks),
        full_html=False,
        include_plotlyjs=False,
        div_id="pool",
        config={"displayModeBar": False, "responsive": True},
    )
    key = [
        f'<span><i class=dot style="background:{colour}"></i>{escape(name)}</span>'
        for name, colour in inks.items()
    ]
    by = "thumbnails" if pool.embedding == "thumbnail" else pool.embedding
    if pool.embedding in STARTS:
        by = f"the {pool.embedding} start"
    return POOL.substitute(
        chart=chart,
        n=len(pool.points),
        how=HOW[pool.method].substitute(by=escape(by), share=f"{100 * pool.share:.0f}"),
        key="".join(key),
    )


def arms_table(
    curve: pd.DataFrame,
    looks_of: Mapping[Arm, Look],
    baseline: str = "random",
    unit: str = "labels",
) -> str:
    """Areas and paired differences of all arms; `unit` is that of the curve's items."""
    areas, final = area_under_curve(curve), _final(curve)
    by_labels = paired_difference(curve, baseline).set_index(ARM)
    by_minutes = paired_difference(curve, baseline, over="seconds").set_index(ARM)
    rows = []
    for arm, look in looks_of.items():
        of_arm = rows_of(arm, areas)["area"]
        mean, low, high = interval(of_arm)
        around = _between(_number, low, high)
        cells = [
            f'<i class=dot style="background:{look.colour}"></i>{escape(look.name)}',
            str(of_arm.notna().sum()),
            f"{final[arm][0]:.3f} at {final[arm][1]:.0f}" if arm in final else "none",
            f"{_number(mean)} <small>{_spread(of_arm, around)}</small>",
        ]
        if arm in by_labels.index:
            cells += _difference_cells(by_labels.loc[arm], by_minutes.loc[arm])
        else:
            cells += ["baseline", "", "", "", ""]
        rows.append("<tr><td>" + "</td><td>".join(cells) + "</td></tr>")
    span = areas.groupby(SETTING, dropna=False)[["first", "last"]].first().dropna()
    spans = {f"{first:.0f} to {last:.0f}" for first, last in span.to_numpy()}
    return TABLE.substitute(
        baseline=escape(baseline),
        rows="\n".join(rows),
        span=" and ".join(sorted(spans)) or "no",
        unit=unit,
    )


def _spread(areas: pd.Series, around: str) -> str:
    """Standard deviation over seeds, and the interval of the mean; nothing of one seed."""
    return ", ".join(filter(None, (around, f"sd {areas.std():.3f}" if len(areas) > 1 else "")))


def _difference_cells(by_labels: pd.Series, by_minutes: pd.Series) -> list[str]:
    around = _between(_signed, by_labels["low"], by_labels["high"])
    p = by_labels["p_holm"]
    return [
        f"{_signed(by_labels['difference'])} <small>{around}</small>",
        _signed(by_minutes["difference"]),
        f"{by_labels['wins']} of {by_labels['seeds']}",
        "&lt; 0.001" if p < 0.001 else _number(p),
        ("better" if by_labels["difference"] > 0 else "worse")
        if _is_sure(by_labels)
        else "cannot tell yet",
    ]


def facts_list(facts: Mapping[str, object]) -> str:
    """What was run on what, as terms and their meaning."""
    rows = []
    for name, value in facts.items():
        lines = (
            [f"{inner}: {_plain(of)}" for inner, of in value.items()]
            if isinstance(value, Mapping)
            else [_plain(value)]
        )
        rows.append(f"<dt>{escape(str(name).replace('_', ' '))}</dt>")
        rows.append("<dd>" + "<br>".join(map(escape, lines)) + "</dd>")
    return "\n".join(rows)


def _plain(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_plain(inner)}" for name, inner in value.items())
    if isinstance(value, list | tuple | set | frozenset):
        return ", ".join(_plain(inner) for inner in value)
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def _number(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.3f}"


def _signed(value: float) -> str:
    return "unknown" if np.isnan(value) else f"{value:+.3f}".replace("-", "\N{MINUS SIGN}")


def _between(write: Callable[[float], str], low: float, high: float) -> str:
    """An interval in words; nothing where there is none."""
    return "" if np.isnan(low) else f"95 % {write(low)} to {write(high)}"


def _half_hours(curve: pd.DataFrame, looks_of: Mapping[Arm, Look]) -> str:
    """What more labelling is expected to bring to each arm; nothing where no time was counted."""
    config, lines = StopConfig(), []
    for arm, look in looks_of.items():
        means = mean_curve(rows_of(arm, curve), over="seconds").dropna(subset=["mean"])
        x, y = (means[name].to_numpy(dtype=np.float64) for name in ("x", "mean"))
        ahead = forecast(x / 60, y, config.minutes)
        if ahead is not None:
            around = _between(_signed, ahead.low, ahead.high)
            lines.append(f"<li><b>{escape(look.name)}</b> {_signed(ahead.gain)} ({around})</li>")
    return MORE.substitute(minutes=f"{config.minutes:g}", lines="".join(lines)) if lines else ""


MORE = Template("""<h2>What more labelling would bring</h2>
<section><p>Expected gain in Dice of the next $minutes minutes:</p><ul>$lines</ul>
<p class=note>By curves c &minus; a exp(&minus;b x) that fit the mean over seeds; with few rounds
the interval is wide. Whether it is worth it is for people to say.</p></section>""")

TABLE = Template("""<div class=wide><table>
<thead><tr><th>strategy</th><th>seeds</th><th>last Dice, at $unit</th>
<th>area under the curve</th><th>area above $baseline</th><th>and over time</th>
<th>seeds won</th><th>p (Holm)</th><th>reading</th></tr></thead>
<tbody>
$rows
</tbody></table></div>
<p class=note>Area: mean Dice from $span $unit, the range that all runs share. Differences are
paired by seed; p is a paired t test, corrected for the number of strategies by Holm's method.
A strategy is called better or worse only if p is below 0.05 and the interval leaves out 0.</p>""")

HOW = {
    "pca": Template("""on the two widest directions (PCA) of the embedding by $by, which
show $share % of its variance: near means alike."""),
    "tsne": Template("""placed by t-SNE of the embedding by $by: neighbours are alike, while
distances between far groups mean little."""),
}

POOL = Template("""<h2>Where the picks lie in the pool</h2>
<section>$chart
<p class=key>Classes: $key</p>
<p class=note>$n training items $how Class: the one that covers most of the reference
mask, hidden from the strategies; grey where there is none. Picks are those of the first seed, the
start set that all strategies share included. Point at a dot to see its name.</p>
</section>""")

HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:;
  style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>$title · fewmasks</title>
<style>
:root { --ink: #1c2330; --soft: #5b6472; --page: #f6f7f9; --panel: #fff; --line: #dfe3e8; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ee; --soft: #9aa3b0; --page: #14171c; --panel: #1d2128; --line: #333a45; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 32px 20px 64px; }
h1 { font-size: 30px; line-height: 1.2; margin: 0 0 16px; }
h2 { font-size: 20px; margin: 36px 0 12px; }
h4 { margin: 12px 0 6px; color: var(--soft); font-weight: 500; font-size: 14px; }
section { background: var(--panel); border: 1px solid var(--line); border-radius: 10px;
  padding: 16px 20px; }
.verdict { font-size: 18px; border-left: 5px solid #2f80ed; }
.verdict p { margin: 0 0 8px; } .verdict p:last-child { margin: 0; }
.note, .key, small { color: var(--soft); font-size: 14px; }
.key span { margin-left: 14px; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 14px;
  font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 8px 10px; border-bottom: 1px solid var(--line);
  vertical-align: top; }
th { color: var(--soft); font-weight: 500; } td small { display: block; white-space: nowrap; }
td:first-child { font-weight: 600; min-width: 130px; }
td:nth-child(3), td:nth-child(7) { white-space: nowrap; }
.dot { display: inline-block; width: 10px; height: 10px; border-radius: 50%; margin-right: 7px; }
details { padding: 8px 0; border-bottom: 1px solid var(--line); }
details:last-child, .more { border: 0; }
.more summary { color: var(--soft); font-weight: 400; font-size: 13px; }
summary { cursor: pointer; font-weight: 600; }
.cards { display: flex; flex-wrap: wrap; gap: 10px; }
figure { margin: 0; width: 112px; font-size: 12px; line-height: 1.35; }
figure img { display: block; width: 96px; border-radius: 6px; margin-bottom: 4px; }
figcaption > * { display: block; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
figcaption b { white-space: normal; overflow-wrap: anywhere; }
figcaption span { color: var(--soft); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 6px 24px; margin: 0; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
.js-plotly-plot text { fill: var(--ink) !important; }
.js-plotly-plot .hoverlayer path { fill: var(--panel) !important; }
</style>
</head>
"""

PAGE = Template(
    HEAD
    + """<body>
<main>
<h1>$title</h1>
<section class=verdict><p>$verdict</p></section>
<h2>Learning curves</h2>
<section>$curves
<p class=note>Dice is the mean over foreground classes on test groups that were never trained on
or asked for. A thick line is the mean over seeds, a thin line one seed, a band the 95 % interval
of the mean over three or more seeds, drawn for up to four lines. Click a name to hide it.</p>
</section>
<h2>Strategies compared</h2>
<section>$table</section>
$more
<h2>Each class</h2>
<section>$classes</section>
<h2>What each strategy asked for</h2>
<section>$picks</section>
$pool
<h2>What was run on what</h2>
<section><dl>$facts</dl></section>
</main>
</body>
</html>
"""
)
