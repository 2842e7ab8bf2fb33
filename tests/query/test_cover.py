from itertools import combinations

import numpy as np
import pytest

from fewmasks.query import cover as module
from fewmasks.query.cover import cosine, cosine_bits, cosine_levels, cover, cover_bits, cover_hard

FOUR = np.array([[1, 0.9, 0.1, 0.1], [0.9, 1, 0.1, 0.1], [0.1, 0.1, 1, 0.8], [0.1, 0.1, 0.8, 1]])


def value(similarity, picks):
    return np.maximum(similarity[picks].max(axis=0), 0).sum()


def by_definition(similarity, k):
    """Try every row, keep the best, repeat."""
    picks = []
    for _ in range(min(k, len(similarity))):
        rest = [row for row in range(len(similarity)) if row not in picks]
        picks.append(max(rest, key=lambda row: value(similarity, [*picks, row])))
    return picks


def hard_by_definition(similarity, threshold, k):
    """Sets in plain Python; covering starts anew when no row adds a column."""
    sets = [set(np.flatnonzero(row >= threshold).tolist()) for row in similarity]
    picks, covered = [], set()
    while len(picks) < min(k, len(sets)):
        rest = [row for row in range(len(sets)) if row not in picks]
        best = max(rest, key=lambda row: len(sets[row] - covered))
        if not sets[best] - covered and covered:
            covered = set()
            continue
        covered |= sets[best]
        picks.append(best)
    return picks


def random_similarity(seed, shape=(30, 100), steps=None):
    rng = np.random.default_rng(seed)
    similarity = rng.random(shape) ** 3 - 0.1
    return similarity if steps is None else np.round(similarity * steps) / steps


def test_two_pairs_of_look_alikes():
    assert value(FOUR, [0]) == pytest.approx(2.1)
    assert value(FOUR, [2]) == pytest.approx(2.0)
    assert cover(FOUR, 2).tolist() == [0, 2]


@pytest.mark.parametrize("seed", range(8))
def test_lazy_equals_the_definition(seed):
    similarity = random_similarity(seed)
    assert cover(similarity, 30).tolist() == by_definition(similarity, 30)


@pytest.mark.parametrize("seed", range(8))
def test_ties_go_to_the_lowest_position(seed):
    whole = np.round(random_similarity(seed) * 4).astype(np.int64)
    assert cover(whole, 30).tolist() == by_definition(whole, 30)


def test_bytes_give_the_same_picks_as_the_numbers_they_stand_for():
    points = np.random.default_rng(0).normal(size=(200, 6))
    levels = cosine_levels(points, np.arange(40), np.arange(200))
    assert levels.dtype == np.uint8
    assert levels / 255 == pytest.approx(
        np.maximum(cosine(points, np.arange(40), np.arange(200)), 0), abs=0.003
    )
    assert cover(levels, 20).tolist() == by_definition(levels.astype(np.int64), 20)


def test_negative_similarity_counts_as_none():
    assert cover(np.array([[-5.0, 1.0], [0.5, 0.6]]), 1).tolist() == [1]


def test_close_to_the_optimum():
    for seed in range(10):
        similarity = np.random.default_rng(seed).random((8, 20))
        best = max(value(similarity, list(three)) for three in combinations(range(8), 3))
        assert value(similarity, cover(similarity, 3)) >= (1 - np.exp(-1)) * best


@pytest.mark.parametrize("k", [0, 1, 7, 30, 99])
@pytest.mark.parametrize("threshold", [-1.0, 0.05, 0.3, 0.6, 2.0])
def test_hard_cover_equals_the_definition(k, threshold):
    similarity = random_similarity(3)
    assert cover_hard(similarity, threshold, k).tolist() == hard_by_definition(
        similarity, threshold, k
    )


def test_rows_that_cover_only_themselves_come_in_their_order():
    assert cover_hard(np.eye(6), 0.9, 4).tolist() == [0, 1, 2, 3]


def test_of_copies_one_is_picked_while_others_are_uncovered():
    copies = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 0, 0], [1, 1, 1, 0, 0], [0, 0, 0, 1, 0.0]])
    assert cover_hard(copies, 0.9, 2).tolist() == [0, 3]


def test_bits_cut_into_tiles_cover_the_same(monkeypatch):
    points = np.random.default_rng(0).normal(size=(700, 5))
    rows, columns = np.arange(30), np.arange(700)
    whole = cosine(points, rows, columns)
    monkeypatch.setattr(module, "TILE", 512 * 128)
    bits = cosine_bits(points, rows, columns, 0.6)
    assert np.bitwise_count(bits).sum(axis=1).tolist() == (whole >= 0.6).sum(axis=1).tolist()
    assert cover_bits(bits, 12).tolist() == hard_by_definition(whole, 0.6, 12)


def test_an_item_of_zeros_is_like_nothing():
    points = np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]])
    similarity = cosine(points, np.array([0, 1]), np.arange(3))
    assert similarity == pytest.approx(np.array([[0, 0, 0], [0, 1, 1]]))
