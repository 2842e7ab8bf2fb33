"""Iterative projection and matching: rows whose span comes closest to all rows."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from fewmasks.query.distance import Points, at_rows
from fewmasks.types import Rows

CHUNK = 4096
TOLERANCE = 1e-9
"""Relative accuracy of the leading direction; at 1e-7 other rows come out."""
SPENT = 1e-12
"""Share of the squared norm of all rows below which nothing is left to explain."""
IN_SPAN = 1e-6
"""Share of its own squared norm below which a row adds no direction."""


def project_and_match(
    points: Points,
    candidates: Rows,
    k: int,
    selected: Rows | None = None,
    uncertainty: Float[np.ndarray, " n"] | None = None,
    alpha: float = 1.0,
) -> Rows:
    """Pick `k` candidates, each best aligned with what those before leave unexplained.

    Starts outside the span of the `selected` rows. With `uncertainty` (0 to 1 per row of the
    pool) the alignment counts `alpha` and the uncertainty the rest. When the picks span all
    rows, it starts anew on the rest. The residual is never formed: d x d numbers stand for it.
    Zaeemzadeh et al., CVPR 2019, arXiv:1811.12326.
    """
    rows = np.sort(candidates)
    k = min(k, len(rows))
    bonus = np.zeros(len(rows)) if uncertainty is None else (1 - alpha) * uncertainty[rows]
    search = _Search(points, rows, _energies(points, rows), alpha, bonus, [])
    basis = _orthonormal(points, np.empty(0, dtype=np.int64) if selected is None else selected)
    while len(search.picks) < k:
        before = len(search.picks)
        _match(search, basis, k)
        if len(search.picks) == before and len(basis) == 0:
            break  # only rows of zeros are left
        basis = basis[:0]
    rest = np.setdiff1d(np.arange(len(rows)), search.picks)[: k - len(search.picks)]
    return rows[[*search.picks, *rest]]


@dataclass(frozen=True)
class _Search:
    points: Points
    rows: Rows
    energy: Float[np.ndarray, " r"]
    """Squared norm of each row."""
    alpha: float
    bonus: Float[np.ndarray, " r"]
    """Added to the alignment, which counts `alpha`."""
    picks: list[int]
    """Positions in `rows`, best first."""


def _match(search: _Search, basis: np.ndarray, k: int) -> None:
    """Pick until `k` are found or no free row has a direction of its own."""
    points, rows, energy, picks = search.points, search.rows, search.energy, search.picks
    free = np.ones(len(rows), dtype=bool)
    free[picks] = False
    gram = _gram(points, rows[free])
    spent = SPENT * np.trace(gram)
    for direction in basis:
        gram = _deflated(gram, direction)
    residual, new, guess = energy.copy(), basis, np.ones(len(gram))
    while len(picks) < k and np.trace(gram) > spent:
        guess = _leading(gram, guess)
        along = _along(points, rows, np.concatenate([guess[None], new]))
        residual -= (along[1:] ** 2).sum(axis=0)
        usable = free & (residual > IN_SPAN * energy)
        if not usable.any():
            return
        aligned = np.abs(along[0, usable]) / np.sqrt(energy[usable])
        score = np.full(len(rows), -np.inf)
        score[usable] = np.round(search.alpha * aligned + search.bonus[usable], 9)
        best = int(score.argmax())  # of equals, as rounded, the lowest row
        new = _beyond(points[rows[best]], basis)[None]
        basis = np.concatenate([basis, new])
        gram = _deflated(gram, new[0])
        free[best] = False
        picks.append(best)


def _block(points: Points, rows: Rows) -> Float[np.ndarray, "r d"]:
    """Rows in single precision or better."""
    return at_rows(points, rows).astype(np.result_type(points.dtype, np.float32), copy=False)


def _gram(points: Points, rows: Rows) -> Float[np.ndarray, "d d"]:
    """Sum of the outer products of rows, added up in double precision."""
    gram = np.zeros((points.shape[1],) * 2)
    for start in range(0, len(rows), CHUNK):
        block = _block(points, rows[start : start + CHUNK])
        gram += block.T @ block
    return gram


def _energies(points: Points, rows: Rows) -> Float[np.ndarray, " r"]:
    energies = np.empty(len(rows))
    for start in range(0, len(rows), CHUNK):
        block = _block(points, rows[start : start + CHUNK])
        energies[start : start + CHUNK] = np.einsum("rd,rd->r", block, block, dtype=np.float64)
    return energies


def _along(points: Points, rows: Rows, directions: np.ndarray) -> Float[np.ndarray, "s r"]:
    """Coordinates of rows along directions."""
    along = np.empty((len(directions), len(rows)))
    turned = np.ascontiguousarray(directions.T, dtype=_block(points, rows[:0]).dtype)
    for start in range(0, len(rows), CHUNK):
        along[:, start : start + CHUNK] = (_block(points, rows[start : start + CHUNK]) @ turned).T
    return along


def _leading(gram: Float[np.ndarray, "d d"], guess: np.ndarray) -> Float[np.ndarray, " d"]:
    """Unit eigenvector of the largest eigenvalue."""
    from scipy.sparse.linalg import ArpackNoConvergence, eigsh

    if len(gram) > 16:
        try:
            return eigsh(gram, k=1, which="LA", v0=guess, tol=TOLERANCE)[1][:, 0]
        except ArpackNoConvergence:  # the two largest are as good as equal
            pass
    return np.linalg.eigh(gram)[1][:, -1]


def _deflated(gram: Float[np.ndarray, "d d"], q: np.ndarray) -> Float[np.ndarray, "d d"]:
    """(I - qq') G (I - qq')."""
    image = gram @ q
    image -= 0.5 * (q @ image) * q
    gram = gram - np.outer(q, image)
    gram -= np.outer(image, q)
    return gram


def _beyond(row: np.ndarray, basis: np.ndarray) -> Float[np.ndarray, " d"]:
    """Unit direction of a row outside the span of the basis; projected twice against rounding."""
    direction = row.astype(np.float64)
    for _ in range(2):
        direction = direction - (basis @ direction) @ basis
    return direction / np.linalg.norm(direction)


def _orthonormal(points: Points, rows: Rows) -> Float[np.ndarray, "r d"]:
    """Orthonormal basis of the span of rows."""
    if len(rows) == 0:
        return np.empty((0, points.shape[1]))
    _, size, basis = np.linalg.svd(points[rows].astype(np.float64), full_matrices=False)
    return basis[size > 1e-9 * max(size[0], np.finfo(float).tiny)]
