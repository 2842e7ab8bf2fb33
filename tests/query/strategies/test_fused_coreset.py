"""The fused metric equals its definition, and reads labels of labelled rows alone."""

import numpy as np
import pytest

from fewmasks.query.strategies import fused_coreset as module
from fewmasks.query.strategies.fused_coreset import fused_coreset

NONE = np.array([], dtype=np.int64)


def distance(item, centre, known):
    """d(x, c) with the pixels that are known of c; all of them where none is."""
    (pixels, features), (c_pixels, c_features) = item, centre
    if not any(known):
        known = [True] * len(pixels)
    squares = [
        (x - c) ** 2 for x, c, is_known in zip(pixels, c_pixels, known, strict=True) if is_known
    ]
    weight = 1500 * np.sqrt(len(pixels) / 65536)
    by_pixels = weight * np.sqrt(sum(squares)) / len(squares)
    return by_pixels + np.sqrt(12) * np.sqrt(((features - c_features) ** 2).sum())


def by_definition(unlabelled, labelled, embedding, thumbnail, known, k):
    """Every distance, every time; of equals the lowest row."""
    unseen = np.zeros(thumbnail.shape[1], dtype=bool)
    centres = [((thumbnail[c], embedding[c]), known[c]) for c in labelled]
    rest = sorted(unlabelled.tolist())
    picks = []
    if not centres and k > 0:
        mean = thumbnail[rest].mean(axis=0), embedding[rest].mean(axis=0)
        picks.append(
            min(rest, key=lambda row: distance((thumbnail[row], embedding[row]), mean, unseen))
        )
    while len(picks) < min(k, len(rest)):
        all_centres = centres + [((thumbnail[c], embedding[c]), unseen) for c in picks]
        free = [row for row in rest if row not in picks]
        near = [
            min(distance((thumbnail[row], embedding[row]), *centre) for centre in all_centres)
            for row in free
        ]
        picks.append(free[int(np.argmax(near))])
    return picks


def drawn(n=60, seed=0):
    rng = np.random.default_rng(seed)
    known = rng.random((n, 16)) < 0.3
    known[::7] = False
    return rng.normal(size=(n, 5)).astype(np.float32), rng.normal(size=(n, 16)), known


@pytest.fixture(params=["one block", "many blocks"])
def blocks(request, monkeypatch):
    if request.param == "many blocks":
        monkeypatch.setattr(module, "HEIGHT", 7)
        monkeypatch.setattr(module, "WIDTH", 2)


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("labelled", [np.array([50, 0, 7, 13, 21]), np.array([3]), NONE])
def test_equals_the_definition(seed, labelled):
    embedding, thumbnail, known = drawn(seed=seed)
    rest = np.setdiff1d(np.arange(60), labelled)[::-1]
    picks = fused_coreset(rest, labelled, embedding, thumbnail, known, 12)
    assert picks.tolist() == by_definition(rest, labelled, embedding, thumbnail, known, 12)


def test_only_pixels_that_the_label_knows_count():
    """Row 1 differs from the label where it is silent, row 2 where it speaks."""
    thumbnail = np.array([[0.0, 0, 0, 0], [9, 9, 9, 0], [0, 0, 0, 1]])
    known = np.array([[False, False, False, True], [True] * 4, [True] * 4])
    ask = (np.array([1, 2]), np.array([0]), np.zeros((3, 2)), thumbnail)
    assert fused_coreset(*ask, known, 1).tolist() == [2]
    assert fused_coreset(*ask, np.zeros_like(known), 1).tolist() == [1]


@pytest.mark.parametrize("labelled", [np.array([0, 8]), NONE])
def test_what_labels_of_unlabelled_items_would_say_is_never_read(labelled):
    """The release read the scribbles of its own picks before anybody had drawn them."""
    embedding, thumbnail, known = drawn()
    rest = np.setdiff1d(np.arange(60), labelled)
    picks = [fused_coreset(rest, labelled, embedding, thumbnail, known, 10)]
    for value in (True, False):
        known[rest] = value
        picks.append(fused_coreset(rest, labelled, embedding, thumbnail, known, 10))
    assert all(np.array_equal(picks[0], others) for others in picks)


def test_features_alone_decide_where_pixels_are_alike():
    line = np.array([[0.0], [1.0], [5.0], [6.0], [10.0]])
    known = np.zeros((5, 4), dtype=bool)
    picks = fused_coreset(np.arange(1, 5), np.array([0]), line, np.ones((5, 4)), known, 2)
    assert picks.tolist() == [4, 2]


def test_a_scribble_weighs_as_much_as_the_formula_says_it_does():
    """Half the pixels known, and all of them off by one: the root of two heavier."""
    items = np.zeros((1, 8)), np.zeros((1, 2))
    centres = np.ones((2, 8)), np.zeros((2, 2))
    known = np.array([[True] * 8, [True] * 4 + [False] * 4])
    whole, half = module._apart(items, centres, known)[0]
    assert half / whole == pytest.approx(np.sqrt(2))
    assert whole == pytest.approx(1500 * np.sqrt(8 / 65536) / np.sqrt(8))
