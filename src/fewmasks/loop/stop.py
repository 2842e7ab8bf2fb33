"""Advice on when to stop: what more labelling is expected to bring, and whether the model settles.

The forecast averages over learning curves `c - a * exp(-b * (x - x0))`, x in minutes, that could
have given the scores so far. Nothing here stops anything.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from fewmasks.config import StopConfig

NOISE = 0.01
"""Of a score, expected beforehand: two trainings on equal data differ by about so much Dice."""
NOISE_COUNTS = 2.0
"""That expectation weighs as much as so many scores."""
WIDE = 0.2
"""How far from the first and last score the curve is looked for, in Dice."""
STEPS = 61
BENDS = np.geomspace(0.05, 20.0, 31)
"""How bent a curve may be: how many times it falls to 1/e of its way over the time so far."""
SETTLED = 0.97
"""Agreement of a model with the one before from which predictions are called settled."""


@dataclass(frozen=True)
class Trained:
    """What a training says of when to stop."""

    minutes: float
    """Labelling time behind it."""
    dice: float | None
    agreement: float | None = None
    """Dice between its predictions and those of the model before, on unlabelled items."""
    uncertainty: float | None = None
    """Mean entropy of its pixels on these, 0 to 1."""


@dataclass(frozen=True)
class Forecast:
    """Dice that the next minutes bring, and between what it lies with 95 % probability."""

    minutes: float
    gain: float
    low: float
    high: float


@dataclass(frozen=True)
class Advice:
    """What there is to know before going on, and in words."""

    forecast: Forecast | None
    agreement: float | None
    uncertainty: float | None
    uncertainty_before: float | None
    is_enough: bool
    """Whether little more is to be expected; never a reason for a program to stop."""
    sentence: str


def advise(trainings: Sequence[Trained], config: StopConfig) -> Advice:
    """The advice after these trainings, in whatever order they are given."""
    ordered = sorted(trainings, key=_key)
    scored = [each for each in ordered if each.dice is not None and math.isfinite(each.dice)]
    minutes = np.array([each.minutes for each in scored], dtype=np.float64)
    dice = np.array([each.dice for each in scored], dtype=np.float64)
    ahead = forecast(minutes, dice, config.minutes)
    last = ordered[-1] if ordered else Trained(0.0, None)
    before = ordered[-2].uncertainty if len(ordered) > 1 else None
    settled = last.agreement is None or last.agreement >= SETTLED
    is_enough = ahead is not None and ahead.high < config.gain and settled
    return Advice(
        ahead, last.agreement, last.uncertainty, before, is_enough,
        _sentence(ahead, last, before, is_enough, config),
    )  # fmt: skip


def forecast(
    minutes: Float[np.ndarray, " n"], dice: Float[np.ndarray, " n"], ahead: float
) -> Forecast | None:
    """The gain of the curve over the next minutes; None without two scores at different times.

    The median over all curves that rise, each weighed by how well it fits, so that two scores give
    a wide interval and many a narrow one. Noise of single trainings is no part of the gain.
    """
    order = np.lexsort((dice, minutes))
    minutes, dice = minutes[order], dice[order]
    if len(minutes) < 2 or minutes[0] == minutes[-1]:
        return None
    gains, weights = _curves(minutes, dice, ahead)
    rank = np.argsort(gains, kind="stable")
    share = np.cumsum(weights[rank])
    places = np.searchsorted(share / share[-1], [0.025, 0.5, 0.975])
    low, gain, high = gains[rank][places].tolist()
    return Forecast(ahead, gain, low, high)


def _curves(
    minutes: Float[np.ndarray, " n"], dice: Float[np.ndarray, " n"], ahead: float
) -> tuple[Float[np.ndarray, " curves"], Float[np.ndarray, " curves"]]:
    """The gain of every curve on a grid, and its weight.

    A curve is given by its height at the first and at the last time, and by how bent it is.
    """
    # Scores that fall all the same have flat curves through their middle.
    first = np.linspace(max(0.0, dice.min() - WIDE), min(1.0, dice[0] + WIDE), STEPS)
    last = np.linspace(max(0.0, dice[-1] - WIDE), min(1.0, dice.max() + WIDE), STEPS)
    start, bend, end = (axis.ravel() for axis in np.meshgrid(first, BENDS, last, indexing="ij"))
    rise, whole = end - start, -np.expm1(-bend)
    kept = (rise >= 0) & (start + rise / whole <= 1)
    start, bend, rise, whole = start[kept], bend[kept], rise[kept], whole[kept]
    time = (minutes - minutes[0]) / (minutes[-1] - minutes[0])
    off = np.zeros(len(start))
    for at, score in zip(time.tolist(), dice.tolist(), strict=True):
        off += (start + rise * -np.expm1(-bend * at) / whole - score) ** 2
    # The noise is not known either: what is left after it is averaged out is Student's density.
    count = len(dice) + NOISE_COUNTS
    fits = -0.5 * count * np.log(off + NOISE_COUNTS * NOISE**2)
    later = ahead / (minutes[-1] - minutes[0])
    gains = rise * np.exp(-bend) * -np.expm1(-bend * later) / whole
    return gains, np.exp(fits - fits.max())


def _key(trained: Trained) -> tuple[float, ...]:
    known = (trained.dice, trained.agreement, trained.uncertainty)
    return (trained.minutes, *(-1.0 if each is None else each for each in known))


def _sentence(
    ahead: Forecast | None, last: Trained, before: float | None, is_enough: bool, config: StopConfig
) -> str:
    parts = []
    if ahead is None:
        parts.append("no forecast yet: it takes two scored trainings at different minutes")
    else:
        parts.append(
            f"the next {ahead.minutes:g} minutes are expected to bring {ahead.gain:+.3f} Dice "
            f"(95 % {ahead.low:+.3f} to {ahead.high:+.3f})"
        )
    if last.agreement is not None:
        parts.append(f"predictions agree with those of the model before by {last.agreement:.3f}")
    if last.uncertainty is not None:
        was = "" if before is None else f", was {before:.3f}"
        parts.append(f"overall uncertainty is {last.uncertainty:.3f}{was}")
    if is_enough:
        parts.append(f"less than {config.gain:g} is to be expected: stopping is worth a thought")
    return "; ".join(parts)
