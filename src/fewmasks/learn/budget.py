"""What a round will cost: as many items as fill a time, and which kind of label of each."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fewmasks.errors import ConfigError
from fewmasks.learn.costs import answering, blank_of, expected_outlines, pace_of, usual_kind
from fewmasks.learn.model import Model
from fewmasks.learn.predict import predict
from fewmasks.loop.cost import (
    Estimate,
    Outline,
    Pace,
    choose_kinds,
    fill,
    outline,
    seconds_of,
    total,
)
from fewmasks.loop.rounds import audits
from fewmasks.project import Project
from fewmasks.types import Item, Kind, Round

Report = Callable[[str, int, int], None]
KINDS: tuple[Kind, ...] = ("mask", "scribble")
MOST_TRIES = 4
"""Of sizes: a strategy chooses a batch of another size anew, so its cost is known afterwards."""


@dataclass(frozen=True)
class Prices:
    """At what pace each kind of label is drawn, and which kind is expected."""

    paces: Mapping[Kind, Pace]
    usual: Kind
    worth: float | None
    """The setting cost.scribble_worth; None takes the usual kind of every item."""

    @property
    def usual_pace(self) -> Pace:
        """The pace of the usual kind."""
        return self.paces[self.usual]

    def kinds(self, drawn: Sequence[Outline | None]) -> list[Kind]:
        """The kind of label that is asked for, of each item."""
        if self.worth is None:
            return [self.usual] * len(drawn)
        return choose_kinds(self.paces, drawn, self.worth)

    def seconds(self, drawn: Sequence[Outline | None]) -> list[float]:
        """What the label of each item is expected to take."""
        known = zip(self.kinds(drawn), drawn, strict=True)
        return [seconds_of(self.paces[kind], _of_kind(kind, one)) for kind, one in known]

    def total(self, drawn: Sequence[Outline | None]) -> Estimate:
        """The same of all of them; the limits of masks and of scribbles add up."""
        known = list(zip(self.kinds(drawn), drawn, strict=True))
        parts = [
            total(self.paces[kind], [_of_kind(kind, one) for is_, one in known if is_ == kind])
            for kind in KINDS
        ]
        sums = [
            sum(values) for values in zip(*(vars(part).values() for part in parts), strict=True)
        ]
        return Estimate(*sums)


def needs_audit(project: Project) -> bool:
    """Whether people must label test items, as nothing else scores the model."""
    return bool(len(project.test)) and not project.has_reference[project.test].any()


def with_kinds(project: Project, model: Model | None, asked: Round, report: Report) -> Round:
    """The round whose reasons say which kind of label to draw of each item."""
    prices = prices_of(project)
    return _said(asked, prices, _drawn(project, model, prices, asked, report))


def round_within(
    project: Project,
    model: Model | None,
    minutes: float,
    ask: Callable[[int], Round],
    say: Callable[[str], None],
    report: Report,
) -> Round:
    """The round of `ask(count)` that is expected to fill the time and not to exceed it.

    What a model sees in an item says how long its mask takes; without one, and for scribbles, every
    item is a typical one. Test items to audit are part of the time.
    """
    prices = prices_of(project)
    beside = seconds_of(prices.usual_pace) if needs_audit(project) else 0.0

    def also(count: int) -> float:
        return beside * audits(count)

    count = max(1, math.floor(60 * minutes / max(prices.seconds([None])[0], 1e-9) + 1e-9))
    for _ in range(MOST_TRIES):
        asked = ask(count)
        drawn = _drawn(project, model, prices, asked, report)
        seconds = prices.seconds(drawn)
        fits = fill(seconds, 60 * minutes, also)
        left = 60 * minutes - sum(seconds) - also(len(seconds))
        more = max(0, math.floor(left / max(float(np.mean(seconds)), 1e-9) + 1e-9))
        if len(seconds) < count or (fits in (0, count) and not more):
            break
        count = fits + more if fits == count else fits
    if not fits:
        kind = prices.kinds(drawn)[0]
        raise ConfigError(
            f"--minutes: {minutes:g} hold no {kind} of {seconds[0]:.3g} seconds; give more, or "
            f"set cost.seconds_per_mask"
        )
    say(_expected(prices, drawn[:fits], also(fits)))
    asked = replace(asked, picks=asked.picks[:fits])
    return asked if prices.worth is None else _said(asked, prices, drawn[:fits])


def prices_of(project: Project) -> Prices:
    """Of anybody who labels in this project; as many items are skipped as were so far."""
    paces = {kind: answering(project, pace_of(project, kind)) for kind in KINDS}
    return Prices(paces, usual_kind(project), project.config.cost.scribble_worth)


def drawn_in(
    project: Project, model: Model | None, items: Sequence[Item], report: Report
) -> list[Outline | None]:
    """What there is to draw in each item, as far as a model can tell."""
    if model is None:
        return [None] * len(items)
    found = predict(
        model, project.cache, items, lambda done, of: report("estimating times", done, of)
    )
    return [outline(mask, blank_of(project, "mask")) for mask in found]


def _drawn(
    project: Project, model: Model | None, prices: Prices, asked: Round, report: Report
) -> list[Outline | None]:
    items = project.pool.at(project.pool.rows(pick.item for pick in asked.picks))
    seen = drawn_in(project, model, items, report)
    return expected_outlines(project, prices.paces["mask"], seen)


def _of_kind(kind: Kind, drawn: Outline | None) -> Outline | None:
    """A model sees what a mask would hold, not where somebody would scribble."""
    return drawn if kind == "mask" else None


def _said(asked: Round, prices: Prices, drawn: Sequence[Outline | None]) -> Round:
    """The round whose reasons say what to draw."""
    known = zip(asked.picks, prices.kinds(drawn), prices.seconds(drawn), strict=True)
    return replace(
        asked,
        picks=tuple(
            replace(pick, reason=f"{pick.reason}; draw a {kind}, about {seconds:.0f} s")
            for pick, kind, seconds in known
        ),
    )


def _expected(prices: Prices, drawn: Sequence[Outline | None], beside: float) -> str:
    found = prices.total(drawn)
    low, of, high = ((each + beside) / 60 for each in (found.low, found.seconds, found.high))
    pace = prices.usual_pace
    by = f"{pace.labels} measured {prices.usual}s" if pace.labels else "the settings in [cost]"
    return f"expected: {of:.1f} minutes (95 % {low:.1f} to {high:.1f}), by {by}"
