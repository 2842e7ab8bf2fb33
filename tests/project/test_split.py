"""Whole groups land on one side, as near to the table as that allows, and it is said."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fewmasks.errors import ConfigError
from fewmasks.project.split import Vote, choose_test_groups

votes = st.lists(
    st.builds(
        Vote,
        st.sampled_from("abcdef"),
        st.sampled_from(["train", "test"]),
        st.integers(1, 9),
    ),
    min_size=1,
    max_size=30,
)


def majority(these: list[Vote]) -> set[str]:
    """The definition, group by group."""
    test = set()
    for group in {vote.group for vote in these}:
        for_test = sum(v.items for v in these if v.group == group and v.split == "test")
        for_train = sum(v.items for v in these if v.group == group and v.split == "train")
        if for_test > for_train:
            test.add(group)
    return test


@given(votes)
def test_the_table_decides_where_it_can(these):
    groups = {vote.group for vote in these}
    expected = majority(these)
    said = []
    if expected == groups:
        with pytest.raises(ConfigError, match="every group is in test"):
            choose_test_groups(these, 0.2, said.append)
        return
    test = choose_test_groups(these, 0.2, said.append)
    if expected:
        assert test == expected
    else:
        assert (test == set()) == (len(groups) == 1)
        assert test != groups
    sides = Counter(group for group, _ in {(vote.group, vote.split) for vote in these})
    on_both = sum(count == 2 for count in sides.values())
    assert any(f"puts {on_both} of {len(groups)}" in line for line in said) == bool(on_both)


@given(votes, st.booleans())
def test_files_without_a_split_change_nothing_for_their_group(these, first):
    silent = [Vote(vote.group, None, 100) for vote in these]
    expected = majority(these)
    if expected and expected != {vote.group for vote in these}:
        both = silent + these if first else these + silent
        assert choose_test_groups(both, 0.2, lambda _: None) == expected


def test_a_group_without_a_split_is_train_beside_groups_that_have_one():
    these = [Vote("a", "test", 1), Vote("b", "train", 1), Vote("c", None, 9)]
    said = []
    assert choose_test_groups(these, 0.2, said.append) == {"a"}
    assert said == ["1 of 3 files have no split; they follow their group, else train"]


def test_many_names_are_not_all_said():
    these = [Vote(f"g{n}", side, 1) for n in range(20) for side in ("train", "test", "test")]
    said = []
    choose_test_groups([*these, Vote("last", "train", 1)], 0.2, said.append)
    assert said[0].endswith("g7 to test and 12 more")


def test_no_test_side_can_be_asked_for():
    said = []
    assert choose_test_groups([Vote("a", None, 1), Vote("b", None, 1)], 0.0, said.append) == set()
    assert said == ["no test side was asked for, so no score can be shown"]
