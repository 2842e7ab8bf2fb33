"""Learning curves as pictures: interactive ones for the report, a plain SVG for a page of text."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from fewmasks.config import MapMethod
from fewmasks.study.statistics import ARM, Arm, Over, mean_curve, rows_of

# Of middling lightness, so that they stand out from white and from near-black.
PALETTE = (
    "#2f80ed",
    "#f2711c",
    "#12a150",
    "#a34fe0",
    "#e5484d",
    "#0e9aa7",
    "#c99700",
    "#e0559a",
    "#a0703c",
    "#7a9a01",
)
BASELINE_COLOUR = "#858b94"
# Lengths in pixels, for Plotly and SVG alike; the first is a solid line.
DASHES = ("", "9,4", "2,4", "9,4,2,4")
MOST_BANDS = 4
"""With more arms the bands hide each other, and the table gives the intervals."""
FEWEST_SEEDS = 3
"""The t interval of two seeds is nine times as wide as they are apart, and tells nothing."""
MAP_COLOURINGS = ("group", "cluster", "class")
MAP_COLUMNS = 3
# Yellow would be lost on white: from blue to orange.
ROUND_COLOURS = ((0.0, "#2f4bc7"), (0.35, "#8a3fc0"), (0.7, "#e0457b"), (1.0, "#ff9a2e"))
NEUTRAL = "rgba(128,128,128,0.28)"
HOVER_ONE = "%{y:.3f} at %{x:.0f}<extra></extra>"
HOVER = "%{y:.3f} at %{x:.0f}, seeds: %{customdata}<extra>%{fullData.name}</extra>"


@dataclass(frozen=True)
class Panel:
    """One pair of axes: a column of the curve over labels or over annotation time."""

    title: str
    column: str = "dice"
    over: Over = "items"


@dataclass(frozen=True)
class Look:
    """How an arm is named and drawn wherever it appears."""

    name: str
    colour: str
    dash: str
    band: bool


@dataclass(frozen=True)
class PoolMap:
    """Points of the map, and what they are."""

    points: pd.DataFrame
    """A row per item: item, x, y, group, cluster, class."""
    embedding: str
    method: MapMethod
    share: float
    """Of the variance that the plane of PCA shows, 0 to 1."""


def looks(curve: pd.DataFrame, baseline: str = "random") -> dict[Arm, Look]:
    """A name, a colour and a dash per arm, in the order of the curve.

    The name says start and annotation only where they differ between arms. Strategies differ by
    colour, the baseline is grey; starts and annotations differ by dash.
    """
    arms = [tuple(arm) for arm in curve[ARM].drop_duplicates().itertuples(index=False)]
    varying = [0, *(c for c in (1, 2) if len({arm[c] for arm in arms}) > 1)]
    chosen = [name for name in dict.fromkeys(arm[0] for arm in arms) if name != baseline]
    settings = list(dict.fromkeys(arm[1:] for arm in arms))
    colours = {name: PALETTE[place % len(PALETTE)] for place, name in enumerate(chosen)}
    return {
        arm: Look(
            name=" · ".join(str(arm[c]) for c in varying),
            colour=colours.get(arm[0], BASELINE_COLOUR),
            dash=DASHES[settings.index(arm[1:]) % len(DASHES)],
            band=len(arms) <= MOST_BANDS,
        )
        for arm in arms
    }


def curves_figure(
    curve: pd.DataFrame, panels: Sequence[Panel], looks_of: Mapping[Arm, Look], columns: int
) -> go.Figure:
    """Thick mean with its interval and a thin line per seed, for each arm on each panel."""
    rows = -(-len(panels) // columns)
    figure = make_subplots(
        rows,
        columns,
        subplot_titles=[escape(panel.title) for panel in panels],
        horizontal_spacing=0.09,
        vertical_spacing=0.3 / rows,
    )
    for place, panel in enumerate(panels):
        at = {"row": place // columns + 1, "col": place % columns + 1}
        for arm, look in looks_of.items():
            of_arm = rows_of(arm, curve)
            figure.add_traces(_traces(of_arm, panel, look, place == 0), **_repeat(at))
        figure.update_xaxes(title_text="labels" if panel.over == "items" else "minutes", **at)
        low, high = _limits(curve[panel.column])
        figure.update_yaxes(range=[low, high], **at)
    _style(figure, height=100 + 300 * rows)
    return figure


def map_figure(
    points: pd.DataFrame,
    picks: pd.DataFrame,
    looks_of: Mapping[Arm, Look],
    class_colours: Mapping[str, str],
) -> go.Figure:
    """The pool on a plane by group, by cluster and by class, and where each arm's picks lie.

    `points` has a row per item: item, x, y, group, cluster and class; `picks` those of one seed.
    """
    panels = [f"each {name} in a colour" for name in MAP_COLOURINGS]
    titles = [*panels, *(look.name for look in looks_of.values())]
    rows = -(-len(titles) // MAP_COLUMNS)
    figure = make_subplots(
        rows,
        MAP_COLUMNS,
        subplot_titles=[escape(title) for title in titles],
        horizontal_spacing=0.03,
        vertical_spacing=0.16 / rows,
    )
    traces = [_map_colouring(points, name, class_colours) for name in MAP_COLOURINGS]
    traces += [_map_picks(points, rows_of(arm, picks)) for arm in looks_of]
    for place, of_panel in enumerate(traces):
        row, column = divmod(place, MAP_COLUMNS)
        figure.add_traces(of_panel, rows=row + 1, cols=column + 1)
    _style(figure, height=60 + 280 * rows)
    figure.update_xaxes(showticklabels=False, showgrid=False)
    figure.update_yaxes(showticklabels=False, showgrid=False)
    figure.update_layout(
        margin={"b": 20},
        coloraxis={
            "colorscale": ROUND_COLOURS,
            "cmin": -0.5,
            "cmax": max(picks["round"].max(), 1) + 0.5 if len(picks) else 1.5,
            "colorbar": {"title": "round", "thickness": 12, "dtick": 1, "tickformat": "d"},
        },
    )
    return figure


def _map_colouring(
    points: pd.DataFrame, name: str, class_colours: Mapping[str, str]
) -> list[go.Scatter]:
    codes, _ = pd.factorize(points[name], sort=True)
    colours = [PALETTE[code % len(PALETTE)] for code in codes]
    if name == "class":
        colours = [class_colours.get(label, BASELINE_COLOUR) for label in points[name]]
    return [_map_dots(points, {"size": 4, "color": colours, "opacity": 0.75})]


def _map_picks(points: pd.DataFrame, of_arm: pd.DataFrame) -> list[go.Scatter]:
    picked = points.merge(of_arm[["item", "round"]], on="item")
    marker = {"size": 8, "color": picked["round"], "coloraxis": "coloraxis"}
    line = {"color": "rgba(255,255,255,0.7)", "width": 0.5}
    ground = go.Scatter(
        x=points["x"].round(3),
        y=points["y"].round(3),
        mode="markers",
        marker={"size": 3, "color": NEUTRAL},
        showlegend=False,
        hoverinfo="skip",
    )
    return [
        ground,
        _map_dots(picked, {**marker, "line": line}),
    ]


def _map_dots(points: pd.DataFrame, marker: dict[str, Any]) -> go.Scatter:
    lines = [points[name].map(escape) for name in ("item", "group", "class")]
    if "round" in points:
        lines.insert(0, "round " + points["round"].astype(str))
    return go.Scatter(
        x=points["x"].round(3),
        y=points["y"].round(3),
        mode="markers",
        marker=marker,
        showlegend=False,
        text=["<br>".join(of_item) for of_item in zip(*lines, strict=True)],
        hovertemplate="%{text}<extra></extra>",
    )


def plot_svg(curve: pd.DataFrame, path: Path, over: Over = "items") -> Path:
    """Write mean Dice with intervals as a small SVG that suits light and dark pages.

    It is over labels, or over minutes of labelling.
    """
    axis = "labels"
    if over == "seconds":
        curve, axis = curve.assign(items=curve["seconds"] / 60), "minutes of labelling"
    means = mean_curve(curve).dropna(subset=["mean"])
    looks_of = looks(curve)
    frame = _Frame(*_limits(curve["items"], pad=0.02), *_limits(curve["dice"]))
    parts = _svg_axes(frame, axis)
    for place, (arm, look) in enumerate(looks_of.items()):
        parts += _svg_arm(rows_of(arm, means), look, frame, place)
    if means.empty:
        parts.append('<text x="300" y="180" text-anchor="middle">no score yet</text>')
    longest = max((len(look.name) for look in looks_of.values()), default=0)
    height = max(380, 40 + 22 * len(looks_of))
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {620 + 8 * longest} {height}" '
        'role="img" font-family="system-ui, sans-serif" font-size="13" fill="#808690">\n'
        f"<title>Dice over {axis}, mean and 95 % interval over seeds</title>\n"
        '<clipPath id="axes"><rect x="60" y="12" width="504" height="320"/></clipPath>\n'
        + "\n".join(parts)
        + "\n</svg>\n",
        encoding="utf-8",
    )
    return path


def _traces(of_arm: pd.DataFrame, panel: Panel, look: Look, in_legend: bool) -> list[Any]:
    # Plotly reads tags in names, so a name from a file is escaped here too.
    shared = {"legendgroup": escape(look.name), "name": escape(look.name)}
    unit = 1 if panel.over == "items" else 60
    means = mean_curve(of_arm, panel.column, panel.over).dropna(subset=["mean"])
    band = _band(means, look)
    quiet: dict[str, Any] = {"showlegend": False, "hoverinfo": "skip", **shared}
    traces = [
        band_trace(band["x"] / unit, band["low"], band["high"], look.colour).update(
            showlegend=False, **shared
        )
    ]
    traces += [
        go.Scatter(
            x=run[panel.over] / unit,
            y=run[panel.column],
            mode="lines",
            line={"color": look.colour, "width": 1},
            opacity=0.4,
            **quiet,
        )
        for _, run in of_arm.groupby("seed")
    ]
    traces.append(
        go.Scatter(
            x=means["x"] / unit,
            y=means["mean"],
            mode="lines+markers",
            showlegend=in_legend,
            line={"color": look.colour, "width": 3, "dash": look.dash or "solid"},
            marker_size=7,
            **shared,
            customdata=means["seeds"],
            hovertemplate=HOVER,
        )
    )
    return traces


def band_trace(
    x: Iterable[float], low: Iterable[float], high: Iterable[float], colour: str
) -> go.Scatter:
    """An interval along a curve."""
    x, low, high = list(x), list(low), list(high)
    return go.Scatter(
        x=[*x, *x[::-1]],
        y=[*high, *low[::-1]],
        mode="lines",
        line_width=0,
        fill="toself",
        fillcolor=colour,
        opacity=0.13,
        showlegend=False,
        hoverinfo="skip",
    )


def _band(means: pd.DataFrame, look: Look) -> pd.DataFrame:
    return means[means["low"].notna() & (means["seeds"] >= FEWEST_SEEDS) & look.band]


def _repeat(at: dict[str, int]) -> dict[str, Any]:
    return {"rows": at["row"], "cols": at["col"]}


def _style(figure: go.Figure, height: int) -> None:
    figure.update_layout(
        height=height,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        margin={"l": 50, "r": 10, "t": 40, "b": 90},
        font={"family": "system-ui, sans-serif"},
        legend={"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0},
        hovermode="closest",
    )
    figure.update_xaxes(gridcolor=NEUTRAL, linecolor=NEUTRAL, zeroline=False, title_standoff=8)
    figure.update_yaxes(gridcolor=NEUTRAL, linecolor=NEUTRAL, zeroline=False, automargin=True)
    figure.update_annotations(font_size=14)


def _limits(values: pd.Series, pad: float = 0.06) -> tuple[float, float]:
    """Limits that hold every seed; intervals may leave them, as two seeds have giant ones."""
    known = values.dropna().to_numpy(dtype=np.float64)
    if len(known) == 0:
        return 0.0, 1.0
    room = pad * float(np.ptp(known)) or 0.1 * max(abs(float(known[0])), 0.1)
    return float(known.min()) - room, float(known.max()) + room


@dataclass(frozen=True)
class _Frame:
    """Curve units to picture units."""

    x_low: float
    x_high: float
    y_low: float
    y_high: float

    def x(self, value: float) -> float:
        return round(60 + 500 * (value - self.x_low) / (self.x_high - self.x_low), 1)

    def y(self, value: float) -> float:
        return round(328 - 312 * (value - self.y_low) / (self.y_high - self.y_low), 1)

    def points(self, x: Iterable[float], y: Iterable[float]) -> str:
        return " ".join(f"{self.x(a)},{self.y(b)}" for a, b in zip(x, y, strict=True))


def _svg_axes(frame: _Frame, axis: str) -> list[str]:
    grid = '<path d="{}" stroke="#808690" stroke-opacity="{}" fill="none"/>'
    parts = []
    for value in _ticks(frame.y_low, frame.y_high):
        y = frame.y(value)
        parts.append(grid.format(f"M60 {y}H560", 0.25))
        parts.append(f'<text x="52" y="{y + 4}" text-anchor="end">{value:g}</text>')
    for value in _ticks(frame.x_low, frame.x_high):
        parts.append(grid.format(f"M{frame.x(value)} 328v5", 0.8))
        parts.append(f'<text x="{frame.x(value)}" y="348" text-anchor="middle">{value:g}</text>')
    parts.append(grid.format("M60 16V328H560", 0.8))
    parts.append(f'<text x="310" y="370" text-anchor="middle">{axis}</text>')
    parts.append(
        '<text x="16" y="172" text-anchor="middle" transform="rotate(-90 16 172)">Dice</text>'
    )
    return parts


def _svg_arm(means: pd.DataFrame, look: Look, frame: _Frame, place: int) -> list[str]:
    band = _band(means, look)
    around = frame.points([*band["x"], *band["x"][::-1]], [*band["high"], *band["low"][::-1]])
    line = frame.points(means["x"], means["mean"])
    dots = [
        f'<circle cx="{frame.x(x)}" cy="{frame.y(y)}" r="3" fill="{look.colour}"/>'
        for x, y in zip(means["x"], means["mean"], strict=True)
    ]
    y = 28 + 22 * place
    return [
        f'<g clip-path="url(#axes)"><polygon points="{around}" fill="{look.colour}" '
        f'fill-opacity="0.14"/><polyline points="{line}" fill="none" stroke="{look.colour}" '
        f'stroke-width="2.5" stroke-dasharray="{look.dash}"/>{"".join(dots)}</g>',
        f'<path d="M574 {y}h22" stroke="{look.colour}" stroke-width="3" '
        f'stroke-dasharray="{look.dash}"/>',
        f'<text x="602" y="{y + 4}">{escape(look.name)}</text>',
    ]


def _ticks(low: float, high: float) -> list[float]:
    """Four to ten round numbers between two limits."""
    rough = (high - low) / 4 * (1 + 1e-9)
    power = 10.0 ** np.floor(np.log10(rough))
    step = max(power * factor for factor in (1, 2, 5) if power * factor <= rough)
    first, last = np.ceil(low / step), np.floor(high / step)
    return [float(round(number * step, 10)) for number in np.arange(first, last + 1)]
