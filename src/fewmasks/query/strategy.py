"""What a query strategy is: a plain function with a name and a reference."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from fewmasks.errors import EvidenceError
from fewmasks.types import Rows

__all__ = ["Rows", "Strategy"]

OF_ALL_ROWS = ("embedding", "gcn_embedding", "thumbnail", "thumbnail_32")
"""Evidence that describes an item whether or not it is labelled; a strategy that asks for
`labelled` reads it there too. All else is only read where it was computed: unlabelled."""
CHUNK = 1 << 14
"""Rows checked at a time."""


@dataclass(frozen=True)
class Strategy:
    """A ranking function whose parameter names say what evidence it needs.

    `rank` gets the arguments it names and returns rows of the pool, best first. Always there:
    `unlabelled` and `labelled` (rows), `limit` (how many to pick), `rng` (numpy Generator),
    `progress` (share of the planned labels already spent, 0 to 1), `rounds` (labels so far, in
    rounds of this one's size), `group` and `volume` (an integer per row) and `z` (slice position
    per row). All else is computed because it is named. Where part of a round is asked for,
    `limit` is the part, while `progress` and `rounds` are those of the whole.
    """

    name: str
    rank: Callable[..., Rows]
    reference: str
    advice: str = ""
    """One line: when to use it."""
    bibtex: str = ""

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of the evidence that `rank` asks for."""
        return tuple(inspect.signature(self.rank).parameters)

    def __call__(self, evidence: Mapping[str, object], ids: tuple[str, ...] = ()) -> Rows:
        """Rank with the evidence named by `rank`; refuse what is missing or not finite."""
        given = {}
        for name in self.needs:
            if name not in evidence:
                raise EvidenceError(f"{self.name}: needs {name!r}, which this run does not have")
            given[name] = evidence[name]
            self._refuse_nan(name, evidence, ids)
        picks = self.rank(**given)
        self._refuse_picks(picks, evidence)
        return picks

    def _refuse_nan(self, name: str, evidence: Mapping[str, object], ids: tuple[str, ...]) -> None:
        values = evidence[name]
        if not isinstance(values, np.ndarray) or values.dtype.kind != "f":
            return
        rows = np.asarray(evidence["unlabelled"])
        if name in OF_ALL_ROWS and "labelled" in self.needs:
            rows = np.concatenate([rows, np.asarray(evidence["labelled"])])
        for start in range(0, len(rows), CHUNK):  # the array may be a large file
            seen = rows[start : start + CHUNK]
            bad = ~np.isfinite(values[seen]).reshape(len(seen), -1).all(axis=1)
            if bad.any():
                row = int(seen[bad.argmax()])
                raise EvidenceError(
                    f"{ids[row] if ids else f'row {row}'}: {name} is not finite, so {self.name} "
                    f"cannot rank it; look at that image, or leave it out with "
                    f"`fewmasks label --skip`"
                )

    def _refuse_picks(self, picks: Rows, evidence: Mapping[str, object]) -> None:
        """A plug-in that breaks the contract fails here and not as a spoilt project."""
        unlabelled = np.asarray(evidence["unlabelled"])
        limit = evidence.get("limit", len(unlabelled))
        count = min(int(limit), len(unlabelled))  # type: ignore[call-overload]
        if len(picks) != count or len(np.unique(picks)) != count:
            raise ValueError(f"{self.name}: {len(picks)} picks, not {count} different ones")
        if not np.isin(picks, unlabelled).all():
            raise ValueError(f"{self.name}: picked a row that is not unlabelled")
