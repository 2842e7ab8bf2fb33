"""The items that strategies asked for, as small pictures in a page."""

from collections.abc import Callable, Mapping, Sequence
from html import escape

import numpy as np
import pandas as pd

from fewmasks.project.background import background_of
from fewmasks.study.charts import Look
from fewmasks.study.statistics import ARM, Arm, rows_of
from fewmasks.study.thumbnail import thumbnail

Pictures = Callable[[str], tuple[np.ndarray, np.ndarray | None]]
"""Item id to its image, (y, x) or (y, x, channel), and its reference mask."""

MOST_PICTURES = 48
# Bright, because they are drawn on scans; unlike the colours of the strategies.
CLASS_COLOURS = ("#ffb000", "#00c8d7", "#ff4fa3", "#63d34a", "#b48cff", "#ff6b4a", "#d6d600")


def gallery(
    picks: pd.DataFrame,
    looks_of: Mapping[Arm, Look],
    classes: Sequence[str],
    pictures: Pictures | None,
) -> str:
    """Picks of each arm's first seed by round; the first of every round have pictures."""
    colours = class_colours(classes)
    shown = picks[picks["seed"] == picks.groupby(ARM)["seed"].transform("min")]
    shown = shown.sort_values(["round", "order"], kind="stable").reset_index(drop=True)
    shown["picture"] = ""
    if pictures is not None:
        # No round of any arm gets its second picture before every other has its first.
        turn = shown.groupby([*ARM, "round"]).cumcount().sort_values(kind="stable")
        for place in turn.index[:MOST_PICTURES]:
            image, mask = pictures(str(shown.at[place, "item"]))
            shown.at[place, "picture"] = thumbnail(image, mask, colours)
    sections = [_section(rows_of(arm, shown), look) for arm, look in looks_of.items()]
    key = _class_key(classes, colours) if (shown["picture"] != "").any() else ""
    return key + "\n".join(sections) or "<p>No picks were recorded.</p>"


def class_colours(classes: Sequence[str]) -> list[str | None]:
    """A colour per class, the same wherever it is drawn; None for the background."""
    background = background_of(classes)
    drawn = [c for c in range(len(classes)) if c != background]
    return [
        CLASS_COLOURS[drawn.index(c) % len(CLASS_COLOURS)] if c in drawn else None
        for c in range(len(classes))
    ]


def _class_key(classes: Sequence[str], colours: Sequence[str | None]) -> str:
    names = [
        f'<span><i class=dot style="background:{colour}"></i>{escape(name)}</span>'
        for name, colour in zip(classes, colours, strict=True)
        if colour
    ]
    return f"<p class=key>Reference masks, hidden from the strategies: {''.join(names)}</p>"


def _section(of_arm: pd.DataFrame, look: Look) -> str:
    if of_arm.empty:
        return ""
    rounds = [
        f"<h4>Round {number}</h4>{_cards(of_round)}" for number, of_round in of_arm.groupby("round")
    ]
    return (
        f'<details open><summary><i class=dot style="background:{look.colour}"></i>'
        f"{escape(look.name)}, seed {of_arm['seed'].iloc[0]}</summary>{''.join(rounds)}</details>"
    )


def _cards(of_round: pd.DataFrame) -> str:
    cards = [_card(pick) for _, pick in of_round.iterrows()]
    n = int((of_round["picture"] != "").sum())
    visible = f"<div class=cards>{''.join(cards[:n])}</div>" if n else ""
    if n == len(cards):
        return visible
    name = f"{len(cards) - n} {'more' if n else 'items'}"
    return (
        f"{visible}<details class=more><summary>{name}</summary>"
        f"<div class=cards>{''.join(cards[n:])}</div></details>"
    )


def _card(pick: pd.Series) -> str:
    item, group, reason = (escape(str(pick[name])) for name in ("item", "group", "reason"))
    picture = f'<img src="{pick["picture"]}" alt="{item}">' if pick["picture"] else ""
    return (
        f'<figure title="{item} · {group} · {reason}">{picture}<figcaption><b>{item}</b>'
        f"<span>{group}</span><span>{reason}</span></figcaption></figure>"
    )
