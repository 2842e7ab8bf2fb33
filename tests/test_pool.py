"""Ids become rows and rows become ids; groups stay whole."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fewmasks.errors import ConfigError
from fewmasks.pool import Pool, split_by_group
from fewmasks.types import Item


def pool_of(*groups: tuple[str, ...]) -> Pool:
    return Pool(tuple(Item(f"item{n}", "a.png", group) for n, group in enumerate(groups)))


@given(st.lists(st.integers(0, 9), max_size=20))
def test_rows_and_ids_are_inverse(rows):
    pool = pool_of(*[("a",)] * 10)
    assert pool.rows(pool.ids(np.array(rows, dtype=np.int64))).tolist() == rows


def test_rows_of_nothing_are_integers():
    assert pool_of().rows([]).dtype == np.int64
    assert len(pool_of()) == 0


def test_items_come_in_the_order_asked():
    pool = pool_of(("a",), ("b",), ("c",))
    assert [item.group for item in pool.at(np.array([2, 0]))] == [("c",), ("a",)]


def test_an_unknown_id_is_named():
    with pytest.raises(ConfigError, match="no item is called 'lost'"):
        pool_of(("a",)).rows(["item0", "lost"])


def test_a_repeated_id_is_named():
    item = Item("one", "a.png", ("a",))
    with pytest.raises(ConfigError, match="'one' stands for two items"):
        Pool((item, Item("two", "a.png", ("a",)), item))


def test_group_codes_follow_the_keys():
    pool = pool_of(("p1", "ED"), ("p1", "ES"), ("p2", "ED"), ("p1", "ED"))
    assert pool.group_codes().tolist() == [0, 0, 1, 0]
    assert pool.group_codes(depth=2).tolist() == [0, 1, 2, 0]


groups_of_items = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=60)
fractions = st.floats(0.01, 0.99)


@given(groups_of_items, fractions, st.integers(0, 5))
def test_both_sides_get_a_group(groups, fraction, seed):
    test = split_by_group(groups, fraction, seed)
    names = set(groups)
    assert test <= names
    assert (test == set()) == (len(names) == 1)
    assert test != names


@given(groups_of_items, fractions)
def test_the_draw_depends_on_names_and_sizes_alone(groups, fraction):
    assert split_by_group(groups, fraction, 3) == split_by_group(sorted(groups), fraction, 3)


@given(groups_of_items, fractions, st.integers(0, 5))
def test_the_test_side_is_too_large_by_half_a_group_at_most(groups, fraction, seed):
    test = split_by_group(groups, fraction, seed)
    sizes = {name: groups.count(name) for name in groups}
    if len(test) > 1:
        taken = sum(sizes[name] for name in test)
        assert taken - fraction * len(groups) <= max(sizes[name] for name in test) / 2 + 1e-9


def test_a_group_larger_than_the_test_side_is_passed_over():
    groups = ["huge"] * 90 + [f"small{n}" for n in range(10)]
    for seed in range(20):
        test = split_by_group(groups, 0.05, seed)
        assert "huge" not in test
        assert len(test) == 5


def test_equal_groups_give_the_share_asked_for():
    groups = [f"patient{n // 4}" for n in range(400)]
    assert len(split_by_group(groups, 0.2)) == 20
    assert split_by_group(groups, 0.2, seed=1) != split_by_group(groups, 0.2, seed=2)


def test_no_test_side_when_none_is_asked_for():
    assert split_by_group(["a", "b"], 0.0) == frozenset()
