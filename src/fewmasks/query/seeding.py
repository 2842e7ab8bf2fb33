"""k-means++ seeding: rows drawn in proportion to their squared distance from those before."""

import numpy as np
from jaxtyping import Float

from fewmasks.query.distance import TILE, Points, Squared, euclidean, sketch, squared_lengths
from fewmasks.types import Rows

PROPOSALS = 64
"""Rows drawn at a time from weights that may be out of date."""
REFRESH_BELOW = 0.15
"""Weights are brought up to date when a smaller share of the proposals is accepted."""
MOST_ROWS = 1 << 14
"""Rows compared with picks or draws at a time."""
AXES = 32
"""Size of the sketches that tell which candidates a draw leaves alone."""
ROUNDING = 1e-5
"""Part of the longest squared length by which two squared distances may be off."""


def kmeans_plus_plus(
    points: Points,
    candidates: Rows,
    k: int,
    rng: np.random.Generator,
    centres: Rows | None = None,
    trials: int = 1,
) -> Rows:
    """Draw `k` candidates by the D^2 law, never one twice.

    Without centres the first is uniform. With more than one trial, each pick is the best of so
    many draws (greedy k-means++, as in scikit-learn with 2 + ln k). Candidates that coincide
    with a pick come last, at random. Arthur and Vassilvitskii, SODA 2007.
    """
    squared, at_least = euclidean(points, candidates), None
    if trials > 1 and points.shape[1] >= 4 * AXES and len(candidates):
        at_least = _at_least(sketch(points, candidates, AXES))
    return seed(squared, candidates, k, rng, centres, trials, at_least)


def _at_least(sketches: Float[np.ndarray, "n s"]) -> Squared:
    """Bounds below the squared distances between places, from their sketches."""
    positions = np.arange(len(sketches))
    squared = euclidean(sketches, positions)
    slack = ROUNDING * squared_lengths(sketches).max()
    return lambda some, others: squared(some, others) - slack


def seed(
    squared: Squared,
    candidates: Rows,
    k: int,
    rng: np.random.Generator,
    centres: Rows | None = None,
    trials: int = 1,
    at_least: Squared | None = None,
) -> Rows:
    """`kmeans_plus_plus` for any squared distance between rows.

    `at_least` may give cheap lower bounds, by position in `candidates`.
    """
    k = min(k, len(candidates))
    if k <= 0:
        return candidates[:0]
    picks = np.empty(0, dtype=np.int64)
    if centres is None or len(centres) == 0:
        picks = rng.integers(len(candidates), size=1)
        centres = candidates[picks]
    weight = np.full(len(candidates), np.inf, dtype=squared(candidates[:1], centres[:1]).dtype)
    _lower(weight, squared, candidates, centres)
    weight[picks] = 0
    if trials <= 1:
        picks = _draw_lazily(weight, squared, candidates, picks, k, rng)
    else:
        picks = _draw_greedily(weight, squared, candidates, picks, k, rng, trials, at_least)
    free = np.ones(len(candidates), dtype=bool)
    free[picks] = False
    rest = rng.choice(np.flatnonzero(free), size=k - len(picks), replace=False)
    return candidates[np.concatenate([picks, rest])]


def _lower(weight: np.ndarray, squared: Squared, candidates: Rows, centres: Rows) -> None:
    """Bring weights up to date with new centres, one sweep over the candidates."""
    if len(centres) == 0:
        return
    height = max(256, min(MOST_ROWS, TILE // len(centres)))
    for start in range(0, len(candidates), height):
        some = slice(start, start + height)
        near = squared(candidates[some], centres).min(axis=1)
        np.minimum(weight[some], near, out=weight[some])


def _draw_lazily(
    weight: np.ndarray,
    squared: Squared,
    candidates: Rows,
    picks: Rows,
    k: int,
    rng: np.random.Generator,
) -> Rows:
    """Propose from old weights, which are too large, and accept by true over old weight.

    That is rejection sampling, so the law is exact; stops early when all weights are zero.
    """
    found = picks.tolist()
    known = len(found)  # picks that the weights know of
    total = np.cumsum(weight, dtype=np.float64)
    while len(found) < k and total[-1] > 0:
        drawn = _pick_by_weight(total, PROPOSALS, rng)
        new = candidates[found[known:]]
        true = weight[drawn]
        if len(new):
            true = np.minimum(true, squared(candidates[drawn], new).min(axis=1))
        before = len(found)
        _accept(drawn, true, weight[drawn] * rng.random(PROPOSALS), squared, candidates, found, k)
        if len(found) - before < REFRESH_BELOW * PROPOSALS and len(found) < k:
            _lower(weight, squared, candidates, candidates[found[known:]])
            weight[found] = 0
            known = len(found)
            total = np.cumsum(weight, dtype=np.float64)
    return np.array(found, dtype=np.int64)


def _accept(
    drawn: Rows,
    true: np.ndarray,
    bar: np.ndarray,
    squared: Squared,
    candidates: Rows,
    found: list[int],
    k: int,
) -> None:
    """Go through the proposals in order; each one accepted lowers the weight of those after."""
    true[np.isin(drawn, found)] = 0
    for turn, row in enumerate(drawn.tolist()):
        if true[turn] > bar[turn]:
            found.append(row)
            if len(found) == k:
                return
            after = slice(turn + 1, None)
            near = squared(candidates[drawn[after]], candidates[row : row + 1])[:, 0]
            np.minimum(true[after], near, out=true[after])
            true[after][drawn[after] == row] = 0


def _draw_greedily(
    weight: np.ndarray,
    squared: Squared,
    candidates: Rows,
    picks: Rows,
    k: int,
    rng: np.random.Generator,
    trials: int,
    at_least: Squared | None,
) -> Rows:
    """Of several draws keep the one that leaves the smallest sum of weights.

    Candidates that no draw comes closer to than their weight are not looked at.
    """
    found = picks.tolist()
    everything = np.arange(len(candidates))
    while len(found) < k:
        total = np.cumsum(weight, dtype=np.float64)
        if total[-1] <= 0:
            break
        drawn = _pick_by_weight(total, trials, rng)
        within = everything
        if at_least is not None:
            near = (at_least(everything, drawn) < weight[:, None]).any(axis=1)
            if near.mean() < 0.5:  # reading all rows in order beats collecting most of them
                within = np.flatnonzero(near)
        left = _weights_after(weight, squared, candidates, within, drawn)
        best = int(left.sum(axis=1, dtype=np.float64).argmin())
        found.append(int(drawn[best]))
        weight[within] = left[best]
        weight[found] = 0
    return np.array(found, dtype=np.int64)


def _weights_after(
    weight: np.ndarray, squared: Squared, candidates: Rows, within: Rows, drawn: Rows
) -> np.ndarray:
    """Weights of some candidates with each of the draws added, one line per draw."""
    left = np.empty((len(drawn), len(within)), dtype=weight.dtype)
    for start in range(0, len(within), MOST_ROWS):
        some = slice(start, start + MOST_ROWS)
        near = squared(candidates[within[some]], candidates[drawn])
        np.minimum(weight[within[some], None], near, out=left[:, some].T)
    return left


def _pick_by_weight(total: np.ndarray, size: int, rng: np.random.Generator) -> Rows:
    """Positions with chances as the steps of a running sum; never one of weight zero."""
    drawn = np.searchsorted(total, rng.random(size) * total[-1], side="right")
    last = np.searchsorted(total, total[-1])  # rounding may reach past the last positive weight
    return np.minimum(drawn, last)
