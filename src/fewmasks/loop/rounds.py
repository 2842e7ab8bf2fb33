"""Propose a round, absorb its answers: `propose` changes nothing, `absorb` returns a new state."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fewmasks.errors import ConfigError, ProjectError
from fewmasks.loop.control import CONTROL, draw_control, mixed
from fewmasks.pool import Pool
from fewmasks.query.reason import reasons
from fewmasks.query.select import cap_groups
from fewmasks.query.strategy import Strategy
from fewmasks.types import Label, Pick, Round, Rows

STANDING = frozenset(
    {
        "unlabelled", "labelled", "limit", "rng", "progress", "rounds", "foreground", "group",
        "volume", "z",
    }
)  # fmt: skip
"""Names of the evidence that is always there."""

AUDIT_STREAM, CONTROL_STREAM, READING_STREAM = 1, 2, 3
"""Each has randomness of its own, so that neither disturbs what a strategy draws."""
AUDIT_SHARE = 0.1
"""Random test items asked for in each round, where the test side has no reference masks."""


@dataclass(frozen=True)
class State:
    """What is known at the start of a round."""

    pool: Pool
    train: Rows
    """Items that may be asked for and trained on; never a test item."""
    classes: tuple[str, ...]
    foreground: Rows
    """Class numbers that count as foreground."""
    labelled: tuple[str, ...] = ()
    """Items with a label, in the order of labelling."""
    skipped: frozenset[str] = frozenset()
    next_round: int = 0
    planned: int | None = None
    """Labels planned in all; None when nobody said."""

    @property
    def labelled_rows(self) -> Rows:
        """Rows of the labelled items."""
        return self.pool.rows(self.labelled)

    @property
    def unlabelled(self) -> Rows:
        """Rows that may still be asked for, in pool order."""
        closed = self.pool.rows([*self.labelled, *self.skipped])
        return np.setdiff1d(self.train, closed)

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of all items, by row."""
        return tuple(item.id for item in self.pool.items)

    def progress(self, limit: int) -> float:
        """Share of the planned labels already spent, 0 to 1, when the next `limit` are chosen."""
        planned = self.planned or max(10 * limit, len(self.labelled) + limit)
        spendable = max(planned - limit, 1)
        return min(1.0, len(self.labelled) / spendable)


def round_rng(seed: int, number: int) -> np.random.Generator:
    """The randomness of round `number`: the same for a resumed and an uninterrupted project."""
    return np.random.default_rng([seed, number])


def standing_evidence(state: State, limit: int, seed: int) -> dict[str, object]:
    """Evidence that needs no model and no pixels."""
    pool = state.pool
    volume = {source: n for n, source in enumerate(dict.fromkeys(i.source for i in pool.items))}
    return {
        "unlabelled": state.unlabelled,
        "labelled": state.labelled_rows,
        "limit": min(limit, len(state.unlabelled)),
        "rng": round_rng(seed, state.next_round),
        "progress": state.progress(limit),
        "rounds": len(state.labelled) / limit,
        "foreground": state.foreground,
        "group": pool.group_codes(),
        "volume": np.array([volume[item.source] for item in pool.items], dtype=np.int64),
        "z": np.array([item.z for item in pool.items], dtype=np.int64),
    }


def propose(
    state: State,
    strategy: Strategy,
    evidence: Mapping[str, object],
    limit: int,
    seed: int,
    group_cap: int | None = None,
    control: float = 0.0,
) -> Round:
    """The next round: at most `limit` unlabelled training items, best first, with reasons.

    `evidence` holds what the strategy needs beside `standing_evidence`. With `group_cap`, at most
    so many of its picks share a group: the surplus of a group is passed over and the strategy is
    asked again, so that fewer than `limit` come back when the groups run out. `control` is the
    share of the picks that is random; the strategy chooses from the rest and does not see them.
    """
    if limit < 1:
        raise ConfigError(f"--limit: must be at least 1 ({limit}); ask for one item or more")
    if len(state.unlabelled) == 0:
        raise ProjectError("next: every training item is labelled or skipped; nothing to ask")
    rng = np.random.default_rng([seed, state.next_round, CONTROL_STREAM])
    drawn = state.pool.ids(draw_control(state.unlabelled, limit, control, rng))
    rest, left = replace(state, skipped=state.skipped.union(drawn)), limit - len(drawn)
    # Of the round the strategy chooses a part; how far labelling has come is told of the whole.
    standing = standing_evidence(rest, limit, seed)
    known = {**evidence, **standing, "limit": min(left, len(rest.unlabelled))}
    chosen = _chosen(rest, strategy, known, left, group_cap)
    random = [Pick(item, CONTROL, control=True) for item in drawn]
    return Round(state.next_round, strategy.name, seed, mixed(chosen, random, rng))


def _chosen(
    state: State,
    strategy: Strategy,
    known: Mapping[str, object],
    limit: int,
    cap: int | None,
) -> list[Pick]:
    """What the strategy picks, best first."""
    if limit == 0 or len(state.unlabelled) == 0:
        return []
    picks = (
        strategy(known, state.ids)
        if cap is None
        else _within_cap(strategy, known, state.ids, limit, cap)
    )
    why = reasons(picks, known, strategy, state.pool.items, state.classes)
    return [Pick(item, reason) for item, reason in zip(state.pool.ids(picks), why, strict=True)]


def _within_cap(
    strategy: Strategy, known: Mapping[str, object], ids: tuple[str, ...], limit: int, cap: int
) -> Rows:
    """What the strategy picks, at most `cap` of a group; it is asked again for what is lacking.

    It is always asked for no more than is wanted, since a batch need not be ranked best first:
    some strategies spread it over clusters or volumes, or choose it as a whole. Full groups and
    earlier picks are then no longer on offer. Of a ranking by score this is the walk down it that
    passes over full groups.
    """
    group, labelled = np.asarray(known["group"]), np.asarray(known["labelled"])
    on_offer = np.asarray(known["unlabelled"])
    picks = on_offer[:0]
    while len(picks) < limit and len(on_offer):
        # Picks count as labelled, so that later ones stay away from them. All evidence is by row
        # of the pool, so they have theirs; of what their labels will say, `known_pixels` has none.
        asked = {
            **known,
            "unlabelled": on_offer,
            "labelled": np.concatenate([labelled, picks]),
            "limit": min(limit - len(picks), len(on_offer)),
        }
        picks = np.concatenate([picks, strategy(asked, ids)])
        picks = cap_groups(picks, group, cap, limit)
        is_full = np.bincount(group[picks], minlength=len(ids)) >= cap
        on_offer = on_offer[~is_full[group[on_offer]] & ~np.isin(on_offer, picks)]
    return picks


def audits(count: int, share: float = AUDIT_SHARE) -> int:
    """How many test items are asked for beside so many others, where the test side needs it."""
    return max(1, round(share * count))


def add_audit(
    round_: Round, test: Rows, state: State, audited: Collection[str], share: float = AUDIT_SHARE
) -> Round:
    """The round with random test items added, so that the curve has something to be scored on."""
    closed = {*audited, *state.skipped}
    open_rows = np.array([r for r in test if state.pool.items[r].id not in closed], dtype=np.int64)
    wanted = audits(len(round_.picks), share)
    rng = np.random.default_rng([round_.seed, round_.number, AUDIT_STREAM])
    drawn = rng.permutation(open_rows)[:wanted]
    why = "audit: a random test item; it scores the model and is never trained on"
    audit = tuple(Pick(item, why, audit=True) for item in state.pool.ids(drawn))
    return replace(round_, picks=round_.picks + audit)


def ask_twice(round_: Round, share: float) -> Round:
    """The round with a random share of its training items asked of two people.

    Where the share is no whole number of items, chance rounds it.
    """
    places = [place for place, pick in enumerate(round_.picks) if not pick.audit]
    rng = np.random.default_rng([round_.seed, round_.number, READING_STREAM])
    n = int(share * len(places) + rng.random())
    twice = set(rng.permutation(np.array(places, np.int64))[:n].tolist())
    picks = (
        replace(pick, readings=2) if place in twice else pick
        for place, pick in enumerate(round_.picks)
    )
    return replace(round_, picks=tuple(picks))


def absorb(state: State, round_: Round, labels: Sequence[Label]) -> State:
    """The state after these answers; items that were asked but not answered stay open."""
    asked = {pick.item for pick in round_.picks if not pick.audit}
    new = [label.item for label in labels if label.item in asked]
    known = set(state.labelled)
    fresh = tuple(dict.fromkeys(item for item in new if item not in known))
    return replace(state, labelled=state.labelled + fresh, next_round=round_.number + 1)
