"""Which groups score the model: decided once, whole groups only, and said aloud."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fewmasks.errors import ConfigError
from fewmasks.pool import split_by_group
from fewmasks.types import Split

NAMED = 8
"""At most so many groups are named in a sentence."""


@dataclass(frozen=True)
class Vote:
    """What one file says about its group."""

    group: str
    split: Split | None
    items: int


def choose_test_groups(
    votes: Sequence[Vote], test_fraction: float, say: Callable[[str], None]
) -> frozenset[str]:
    """Groups of the test side: as the table says where it keeps groups whole, else drawn.

    A group that the table puts on both sides goes to the side with most of its items, and to
    train when they are equal. Files without a split follow their group, and are train alone.
    """
    groups = list(dict.fromkeys(vote.group for vote in votes))
    counts = _counts(votes, say)
    told = frozenset(name for name, count in counts.items() if count["test"] > count["train"])
    both = [name for name, count in counts.items() if len(count) == 2]
    if told and len(told) == len(groups):
        raise ConfigError(
            "the split: every group is in test, which leaves nothing to learn from; "
            "correct the column split, or leave it out"
        )
    mixed = f"the table puts {len(both)} of {len(groups)} groups in both train and test"
    if told:
        sides = [f"{name} to {'test' if name in told else 'train'}" for name in both]
        if both:
            say(f"{mixed}; whole groups were kept together: {_some(sides)}")
        return told
    if both:
        say(f"{mixed} and leaves no test group; --group-by id would keep its split file by file")
    elif counts:
        say("the table has no test group, so its split is not used")
    drawn = split_by_group([vote.group for vote in votes for _ in range(vote.items)], test_fraction)
    say(_about_draw(drawn, groups, test_fraction))
    return drawn


def _counts(votes: Sequence[Vote], say: Callable[[str], None]) -> dict[str, Counter[Split]]:
    """Items per side of each group that has any."""
    counts: dict[str, Counter[Split]] = {}
    silent = 0
    for vote in votes:
        if vote.split is None:
            silent += 1
        else:
            counts.setdefault(vote.group, Counter())[vote.split] += vote.items
    if counts and silent:
        say(f"{silent} of {len(votes)} files have no split; they follow their group, else train")
    return counts


def _about_draw(drawn: frozenset[str], groups: Sequence[str], test_fraction: float) -> str:
    if drawn:
        names = [name for name in groups if name in drawn]
        return f"{len(drawn)} of {len(groups)} groups were drawn as the test side: {_some(names)}"
    if test_fraction <= 0:
        return "no test side was asked for, so no score can be shown"
    return (
        f"all items are of one group ({groups[0]!r}), so there is no test side and no score "
        f"can be shown; name groups in the table, or use --group-by id"
    )


def _some(names: Sequence[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")
