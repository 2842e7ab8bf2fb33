"""How a person's project goes, drawn for the labelling page: curve, map, test predictions.

A training writes these files, since whoever trains has the libraries loaded that the page's server
never loads; the server hands them on as they are.
"""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from fewmasks.io.atomic import write_text
from fewmasks.io.palette import colour_table
from fewmasks.learn.cold_start import pretrained
from fewmasks.learn.embed import THUMBNAIL
from fewmasks.learn.predict import predict
from fewmasks.learn.session import newest_model
from fewmasks.project import Project
from fewmasks.study.charts import (
    HOVER_ONE,
    PALETTE,
    Panel,
    band_trace,
    curves_figure,
    looks,
    map_figure,
)
from fewmasks.study.pool_map import NO_CLASS, map_of
from fewmasks.study.statistics import ARM, Over
from fewmasks.study.thumbnail import thumbnail
from fewmasks.types import Item

FOLDER = "figures"
SIDE = 192
"""Of a picture, in pixels."""
THIS, CONTROL = "this project", "control arm"
Report = Callable[[str, int, int], None]


def write_figures(project: Project, report: Report) -> None:
    """Write curve.json, map.json and tests.json into the project's folder of figures."""
    folder = project.folder / FOLDER
    folder.mkdir(exist_ok=True)
    parts = (("curve", curve_figures), ("map", pool_figure), ("tests", pictures_of_tests))
    for done, (name, draw) in enumerate(parts, start=1):
        _write(folder / f"{name}.json", draw(project), len(project.trainings()))
        report("drawing", done, len(parts))


def curve_figures(project: Project) -> dict[str, Any]:
    """The learning curve by score and cost: `dice-items`, `dice-minutes`, `hd95-items` ..."""
    curve = curve_of(project)
    intervals = [record.get("interval") for record, _ in project.history()]
    figures = {}
    costs: dict[str, tuple[Over, int]] = {"items": ("items", 1), "minutes": ("seconds", 60)}
    for column in ("dice", "hd95"):
        for name, (over, unit) in costs.items():
            figure = curves_figure(curve, [Panel("", column, over)], looks(curve), 1)
            if column == "dice":
                _add_intervals(figure, curve[over] / unit, intervals)
            figure.update_traces(selector={"mode": "lines+markers"}, hovertemplate=HOVER_ONE)
            figure.update_layout(showlegend=False, height=340, margin={"t": 10, "b": 50})
            figures[f"{column}-{name}"] = figure
    return figures


def curve_of(project: Project) -> pd.DataFrame:
    """A curve as a study has it, of all trainings as rounds of one run; nan where not scored."""
    rows = []
    for number, (record, seconds) in enumerate(project.history()):
        scores = record["scores"] or {"dice": np.nan, "hd95": np.nan, "per_class": {}}
        arm = dict.fromkeys(ARM, "") | {"strategy": THIS, "seed": 0, "round": number}
        cost = {"items": record["labels"], "seconds": seconds}
        rows.append(arm | cost | {"dice": scores["dice"], "hd95": scores["hd95"]})
    return pd.DataFrame(rows)


def pool_figure(project: Project) -> dict[str, Any]:
    """The pool on a plane, coloured by what labels say, and where each arm's picks lie."""
    asked = picks_of(project)

    def labelled(item: Item) -> np.ndarray | None:
        said = project.label(item.id)
        return None if said is None else said.mask

    name = pretrained(project) or THUMBNAIL
    found = map_of(project, project.config, name, asked["item"].unique().tolist(), labelled)
    inks = {of: ink for of, ink in zip(project.classes, _inks(project), strict=True) if ink}
    figure = map_figure(found.points, asked, looks(asked, baseline=CONTROL), inks)
    figure.update_layout(coloraxis_cmin=0.5)  # the page counts rounds from one
    return {"map": figure, "by": name, "share": found.share, "none": NO_CLASS}


def picks_of(project: Project) -> pd.DataFrame:
    """Labelled training picks of every round, as a study has them; the control arm is one."""
    labelled = set(project.pool.ids(project.labelled))
    rows = [
        dict.fromkeys(ARM, "")
        | {"strategy": CONTROL if pick.control else each.strategy, "seed": 0, "item": pick.item}
        | {"round": each.number + 1}
        for each in project.rounds()
        for pick in each.picks
        if pick.item in labelled
    ]
    return pd.DataFrame(rows, columns=[*ARM, "seed", "round", "item"])


def pictures_of_tests(project: Project) -> dict[str, Any]:
    """The test items on which the newest model did worst and best, as small pictures."""
    extremes = project.trainings()[-1].get("extremes") or {"worst": [], "best": []}
    model, inks = newest_model(project), _inks(project)
    found: dict[str, Any] = {}
    for which, scored in extremes.items():
        items = project.pool.at(project.pool.rows(name for name, _ in scored))
        found[which] = []
        for item, pred, (_, dice) in zip(
            items, predict(model, project.cache, items), scored, strict=True
        ):
            pixels = project.cache.read(item)
            drawn = {"truth": _truth(project, item), "prediction": pred}
            pictures = {name: thumbnail(pixels, mask, inks, SIDE) for name, mask in drawn.items()}
            found[which].append({"item": item.id, "dice": dice, **pictures})
    return found


def _truth(project: Project, item: Item) -> np.ndarray | None:
    reference = project.reference(item)
    if reference is not None:
        return reference
    said = project.label(item.id)
    return None if said is None else said.mask


def _inks(project: Project) -> list[str | None]:
    """The colours of the classes on the page; None for the background."""
    table = colour_table()
    return [
        None if number == project.background else "#{:02x}{:02x}{:02x}".format(*table[number])
        for number in range(len(project.classes))
    ]


def _add_intervals(figure: go.Figure, x: pd.Series, intervals: Iterable[Any]) -> None:
    known = [(at, *around) for at, around in zip(x, intervals, strict=True) if around]
    if not known:
        return
    at, bottoms, tops = zip(*known, strict=True)
    figure.add_trace(band_trace(at, bottoms, tops, PALETTE[0]))
    low, high = figure.layout.yaxis.range
    figure.update_yaxes(range=[min(low, min(bottoms) - 0.02), max(high, max(tops) + 0.02)])


def _write(path: Path, tree: dict[str, Any], trainings: int) -> None:
    """As JSON, with figures as plotly.js reads them."""
    whole = {
        name: json.loads(part.to_json()) if isinstance(part, go.Figure) else part
        for name, part in tree.items()
    }
    for part in whole.values():  # the template is for a light page, and as long as the figure
        if isinstance(part, dict) and "layout" in part:
            part["layout"].pop("template", None)
    write_text(path, json.dumps({**whole, "trainings": trainings}))
