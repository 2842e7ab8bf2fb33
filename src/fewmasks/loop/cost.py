"""What a label costs: seconds = base + a share for its borders + a share for its parts.

The settings say what to expect of anybody. Measured labels move that, the more of them the
further: few change little, many decide.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product

import numpy as np
from jaxtyping import Float, UInt8

from fewmasks.config import CostConfig
from fewmasks.types import UNKNOWN, Kind

PRIOR_LABELS = 3.0
"""What was expected beforehand weighs as much as so many labels of a typical item."""
HELD = 0.5
"""How much, in labels, base, borders and parts are each held at what was expected of it."""
SPREAD = 0.5
"""Of the time of one label around what is expected, as a share of it, before any is measured."""
FAR = 3.0
"""A label this many spreads off counts as if it lay there: somebody was called away."""
FEWEST_TO_JUDGE = 6
"""With fewer labels none can be told to be far off."""
ROUNDS_OF_JUDGING = 10
NORMAL_95 = 1.96


@dataclass(frozen=True)
class Outline:
    """How much there is to draw in an item."""

    border: float
    """Pairs of neighbouring pixels that differ: about the length of all borders in pixels."""
    parts: float
    """Connected parts of what is painted."""


NOTHING = Outline(0.0, 0.0)


@dataclass(frozen=True)
class Pace:
    """Seconds of a label, `base + per_border * border + per_part * parts`; none is negative."""

    base: float
    per_border: float = 0.0
    per_part: float = 0.0
    spread: float = 0.0
    """Standard deviation of the seconds of one label around that."""
    typical: Outline = NOTHING
    """Mean outline of what was labelled; stands for items of which nothing is known."""
    largest: Outline | None = None
    """Of what was labelled: what an item beyond it costs was not seen, and it counts as this."""
    doubt: Float[np.ndarray, "3 3"] = field(default_factory=lambda: np.zeros((3, 3)))
    """Covariance of base, per_border and per_part."""
    labels: int = 0
    """How many were measured."""
    apart: float = 0.0
    """Standard deviation of the expected seconds of those: how far off a guessed outline may be."""


@dataclass(frozen=True)
class Estimate:
    """Seconds of labelling, and between what they lie with 95 % probability."""

    seconds: float
    low: float
    high: float


def outline(mask: UInt8[np.ndarray, "y x"], blank: Collection[int] = ()) -> Outline:
    """How much was drawn in a label; unknown pixels and classes that are `blank` are no part.

    >>> outline(np.array([[0, 0, 0], [0, 1, 0]], np.uint8), blank=[0])
    Outline(border=3.0, parts=1.0)
    """
    from scipy.ndimage import label

    border = np.count_nonzero(mask[1:] != mask[:-1]) + np.count_nonzero(mask[:, 1:] != mask[:, :-1])
    painted = np.setdiff1d(np.unique(mask), [*blank, UNKNOWN])
    parts = sum(label(mask == number)[1] for number in painted)
    return Outline(float(border), float(parts))


def mean_outline(drawn: Sequence[Outline]) -> Outline:
    """Borders and parts of the average of some labels."""
    border, parts = np.mean([(each.border, each.parts) for each in drawn], axis=0).tolist()
    return Outline(border, parts)


def as_labelled(seen: Outline, on_average: Outline, pace: Pace) -> Outline:
    """What a model sees in an item, scaled so that what it sees on average is a typical label.

    Models, the first ones above all, see too little or too much; which items have more to draw
    than others they tell sooner than how much it is.
    """
    typical = pace.typical
    if not pace.labels:
        return seen
    border = seen.border * typical.border / on_average.border if on_average.border else None
    parts = seen.parts * typical.parts / on_average.parts if on_average.parts else None
    return Outline(
        typical.border if border is None else border, typical.parts if parts is None else parts
    )


def seconds_for(kind: Kind, cost: CostConfig, is_region: bool = False) -> float:
    """Seconds that any label of this kind takes in simulation (see CostConfig)."""
    seconds = cost.seconds_per_mask
    if is_region and cost.seconds_per_region is not None:
        seconds = cost.seconds_per_region
    return seconds / cost.scribble_speedup if kind == "scribble" else seconds


def stated(kind: Kind, cost: CostConfig, is_region: bool = False) -> Pace:
    """The pace that the settings state; a scribble's lines are as many times faster as the rest."""
    base = seconds_for(kind, cost, is_region)
    speed = cost.scribble_speedup if kind == "scribble" else 1.0
    return replace(
        constant(base),
        per_border=cost.seconds_per_border / speed,
        per_part=cost.seconds_per_part / speed,
    )


def constant(seconds: float) -> Pace:
    """The pace of which no more is known than what a label takes."""
    spread = SPREAD * seconds
    return Pace(seconds, spread=spread, doubt=np.diag([spread**2 / PRIOR_LABELS, 0.0, 0.0]))


def fit(outlines: Sequence[Outline], seconds: Float[np.ndarray, " n"], prior: Pace) -> Pace:
    """The pace of measured labels, as if three typical ones more had taken what `prior` says.

    Least squares over paces that are nowhere negative, exact; a label far off the others counts
    as if it lay three spreads off. Without labels it is the prior itself.
    """
    if not len(outlines):
        return prior
    drawn = np.array([(1.0, each.border, each.parts) for each in outlines])
    # In seconds of a typical label, so that pulling towards the prior has no unit.
    unit = np.maximum(drawn.mean(axis=0), 1e-9)
    scaled, expected = drawn / unit, unit * _coefficients(prior)
    weights = np.ones(len(seconds))
    for _ in range(ROUNDS_OF_JUDGING if len(seconds) >= FEWEST_TO_JUDGE else 1):
        found = _nowhere_negative(scaled, seconds, weights, expected)
        off = np.abs(seconds - scaled @ found)
        spread = math.sqrt(
            (weights @ off**2 + PRIOR_LABELS * prior.spread**2) / (len(seconds) + PRIOR_LABELS)
        )
        if len(seconds) >= FEWEST_TO_JUDGE:
            weights = _weights(off)
    doubt = spread**2 * np.linalg.inv(scaled.T @ (weights[:, None] * scaled) + _pull())
    base, per_border, per_part = (found / unit).tolist()
    _, border, parts = drawn.mean(axis=0).tolist()
    _, most_border, most_parts = drawn.max(axis=0).tolist()
    return Pace(
        base, per_border, per_part, spread, Outline(border, parts),
        Outline(most_border, most_parts), doubt / np.outer(unit, unit), len(outlines),
        float((scaled @ found).std()),
    )  # fmt: skip


def choose_kinds(
    paces: Mapping[Kind, Pace], drawn: Sequence[Outline | None], worth: float
) -> list[Kind]:
    """Of each item the kind of label that gains more a minute, if a scribble gains as much as
    `worth` of its mask does."""
    scribble = seconds_of(paces["scribble"])
    return [
        "scribble" if worth * seconds_of(paces["mask"], each) > scribble else "mask"
        for each in drawn
    ]


def with_skips(pace: Pace, share: float, seconds: float) -> Pace:
    """The pace at which items are answered, when this share of them is passed over instead."""
    kept = 1.0 - share
    mixed = share * kept * (seconds_of(pace) - seconds) ** 2
    return replace(
        pace,
        base=kept * pace.base + share * seconds,
        per_border=kept * pace.per_border,
        per_part=kept * pace.per_part,
        spread=math.sqrt(kept * pace.spread**2 + mixed),
        apart=kept * pace.apart,
    )


def seconds_of(pace: Pace, drawn: Outline | None = None) -> float:
    """Expected seconds of a label; of an item of which nothing is known, those of a typical one."""
    return float(_terms(pace, drawn) @ _coefficients(pace))


def total(pace: Pace, drawn: Sequence[Outline | None], is_guess: bool = True) -> Estimate:
    """Expected seconds of several labels: the sum of each, with an interval for that sum.

    Outlines are guesses before the labels are there: then each may be as far off as labels differ.
    """
    terms = sum((_terms(pace, one) for one in drawn), np.zeros(3))
    seconds = float(terms @ _coefficients(pace))
    # What is unknown of the pace is wrong for all labels alike, so it does not cancel out.
    each = pace.spread**2 + (pace.apart**2 if is_guess else 0.0)
    off = NORMAL_95 * math.sqrt(len(drawn) * each + terms @ pace.doubt @ terms)
    return Estimate(seconds, max(0.0, seconds - off), seconds + off)


def fill(
    seconds: Sequence[float], budget: float, beside: Callable[[int], float] = lambda count: 0.0
) -> int:
    """How many of these, from the first on, fit into so many seconds.

    Taking `count` of them costs `beside(count)` more, which does not fall.

    >>> fill([10.0, 20.0, 5.0], 34.0)
    2
    """
    more = np.array([beside(count + 1) for count in range(len(seconds))])
    spent = np.cumsum(np.asarray(seconds, dtype=np.float64)) + more
    return int(np.searchsorted(spent, budget * (1 + 1e-9), side="right"))


def _coefficients(pace: Pace) -> Float[np.ndarray, " 3"]:
    return np.array([pace.base, pace.per_border, pace.per_part])


def _terms(pace: Pace, drawn: Outline | None) -> Float[np.ndarray, " 3"]:
    known = pace.typical if drawn is None else drawn
    if pace.largest is None:
        return np.array([1.0, known.border, known.parts])
    border, parts = pace.largest.border, pace.largest.parts
    return np.array([1.0, min(known.border, border), min(known.parts, parts)])


def _pull() -> Float[np.ndarray, "3 3"]:
    """How strongly a typical label, and each of its three terms, is held at what was expected."""
    return PRIOR_LABELS * np.ones((3, 3)) + HELD * np.eye(3)


def _nowhere_negative(
    drawn: Float[np.ndarray, "n 3"],
    seconds: Float[np.ndarray, " n"],
    weights: Float[np.ndarray, " n"],
    expected: Float[np.ndarray, " 3"],
) -> Float[np.ndarray, " 3"]:
    """Weighted least squares with a pull to what is expected, over vectors without a negative.

    Tries every choice of which are zero, so that the best one is found and none approached.
    """
    normal = drawn.T @ (weights[:, None] * drawn) + _pull()
    target = drawn.T @ (weights * seconds) + _pull() @ expected
    best, least = np.zeros(3), math.inf
    for free in product((True, False), repeat=3):
        kept = np.flatnonzero(free)
        tried = np.zeros(3)
        tried[kept] = np.linalg.solve(normal[np.ix_(kept, kept)], target[kept])
        loss = float(tried @ normal @ tried - 2 * target @ tried)
        if (tried >= 0).all() and loss < least:
            best, least = tried, loss
    return best


def _weights(off: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Huber's: 1 near the others, less for what is far off."""
    reach = max(FAR * 1.4826 * float(np.median(off)), 1e-9)
    return np.minimum(1.0, reach / np.maximum(off, 1e-12))
