"""The ordered items of a project: the only place where ids become rows."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from fewmasks.errors import ConfigError
from fewmasks.types import Item, Rows


@dataclass(frozen=True)
class Pool:
    """Ordered items; row `r` of every evidence array belongs to `items[r]`."""

    items: tuple[Item, ...]
    _row_of: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        row_of = {item.id: row for row, item in enumerate(self.items)}
        if len(row_of) != len(self.items):
            seen: set[str] = set()
            twice = next(i.id for i in self.items if i.id in seen or seen.add(i.id))  # type: ignore[func-returns-value]
            raise ConfigError(f"pool: the id {twice!r} stands for two items; give each its own")
        object.__setattr__(self, "_row_of", row_of)

    def __len__(self) -> int:
        return len(self.items)

    def rows(self, ids: Iterable[str]) -> Rows:
        """Rows of these ids, in the order given."""
        try:
            return np.array([self._row_of[i] for i in ids], dtype=np.int64)
        except KeyError as missing:
            raise ConfigError(
                f"pool: no item is called {missing}; `fewmasks info PROJECT --items` lists them"
            ) from None

    def ids(self, rows: Rows) -> list[str]:
        """Ids of these rows, in the order given."""
        return [self.items[row].id for row in rows]

    def at(self, rows: Rows) -> list[Item]:
        """Items of these rows, in the order given."""
        return [self.items[row] for row in rows]

    def group_codes(self, depth: int = 1) -> Rows:
        """An integer per item, equal for items that share the first `depth` group keys."""
        codes: dict[tuple[str, ...], int] = {}
        return np.array(
            [codes.setdefault(item.group[:depth], len(codes)) for item in self.items],
            dtype=np.int64,
        )


def split_by_group(groups: Sequence[str], test_fraction: float, seed: int = 0) -> frozenset[str]:
    """Groups of the test side: whole groups, drawn at random, about this fraction of the items.

    `groups` holds one name per item. A group joins where that brings the share nearer, so one
    that is larger than the whole test side is passed over while there are smaller ones. At least
    one group lands on either side; a pool of one group has no test side, and the empty set says so.
    """
    sizes = Counter(groups)
    names = sorted(sizes)  # the draw depends on the names alone, not on the order of items
    if len(names) < 2 or test_fraction <= 0:
        return frozenset()
    wanted = test_fraction * len(groups)
    chosen: list[str] = []
    taken = 0
    for position in np.random.default_rng(seed).permutation(len(names))[:-1]:
        size = sizes[names[position]]
        if abs(wanted - taken - size) < abs(wanted - taken):
            chosen.append(names[position])
            taken += size
    return frozenset(chosen or [min(names, key=lambda name: sizes[name])])
