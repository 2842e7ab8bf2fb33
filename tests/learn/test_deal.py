"""The head learns where a segmenter errs, from labels of labelled items alone."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.learn.made import quick
from tests.makers import write_png
from torch import nn

from fewmasks.errors import EvidenceError
from fewmasks.io.cache import PixelCache
from fewmasks.learn import deal
from fewmasks.learn.model import Model
from fewmasks.learn.predict import frames_of
from fewmasks.learn.train import prepare
from fewmasks.types import UNKNOWN, Item, Label

LEVELS = np.array([60, 120, 200], dtype=np.uint8)
HALF, NONE, ALL = 0, 1, 2


def bands(kind: int, number: int) -> np.ndarray:
    """Classes by rows: 0 and 1 by turns; class 2 in half of the rows, in none, or in all."""
    rows = np.roll(np.repeat([0, 1], 16), number)
    if kind == HALF:
        rows = np.where(np.roll(np.arange(32), number) < 16, 2, rows)
    return np.tile(np.full(32, 2) if kind == ALL else rows, (32, 1)).T.astype(np.uint8)


class ByLevel(nn.Module):
    """A segmenter that reads the class off the brightness, with full confidence."""

    def __init__(self, levels: torch.Tensor) -> None:
        super().__init__()
        self.levels = nn.Parameter(levels)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return -20 * (pixels - self.levels[:, None, None]).square()


@pytest.fixture(scope="module")
def pool(tmp_path_factory) -> tuple[Model, PixelCache, list[Item], list[np.ndarray]]:
    """Nine pictures, three of each kind by turns, and a model that knows their levels."""
    folder = tmp_path_factory.mktemp("bands")
    items, classes = [], []
    for number in range(9):
        classes.append(bands(number % 3, number))
        path = write_png(folder / f"p{number}.png", LEVELS[classes[-1]])
        items.append(Item(f"p{number}", str(path), (f"g{number}",)))
    cache = PixelCache(folder / "cache", 1)
    cache.build([Path(item.source) for item in items])
    card = prepare(cache, items, ("a", "b", "c"), quick())
    model = Model(card, nn.Identity(), (), torch.device("cpu"))
    levels = frames_of(model, cache, items).batch(range(9)).unique()
    assert len(levels) == 3
    return replace(model, network=ByLevel(levels).eval()), cache, items, classes


def labels_of(pool, rows, truth) -> list[Label]:
    _, _, items, classes = pool
    return [Label(items[r].id, "mask", truth(classes[r]), 1.0, "ann") for r in rows]


def ask(pool, labelled, unlabelled, truth, seed=0, **options) -> np.ndarray:
    """Difficulty where the labels of the labelled rows are `truth` of what the model sees."""
    model, cache, items, _ = pool
    known, rest = (
        frames_of(model, cache, [items[r] for r in rows]) for rows in (labelled, unlabelled)
    )
    return deal.difficulty(model, known, labels_of(pool, labelled, truth), rest, seed, **options)


def wrong_in_class_two(mask: np.ndarray) -> np.ndarray:
    return np.where(mask == 2, 1, mask).astype(np.uint8)


def test_it_learns_which_prediction_is_wrong(pool):
    """What is called class 2 is class 1: an item half of it is mixed, the others are not."""
    half, none, everything = ask(pool, range(6), [6, 7, 8], wrong_in_class_two)
    assert half > none + 0.3
    assert half > everything + 0.3
    assert half == pytest.approx(np.log(2), abs=0.4)


def test_errors_elsewhere_are_another_lesson(pool):
    """Now class 1 is wrong: the items without class 2 are the mixed ones."""
    half, none, everything = ask(
        pool, range(6), [6, 7, 8], lambda mask: np.where(mask == 1, 0, mask).astype(np.uint8)
    )
    assert none > everything + 0.3
    del half


@pytest.mark.slow
def test_unknown_pixels_are_no_lesson(pool):
    """The errors stand where nobody labelled, so no item is mixed."""
    hidden = ask(
        pool, range(6), [6, 7, 8], lambda mask: np.where(mask == 2, UNKNOWN, mask).astype(np.uint8)
    )
    honest = ask(pool, range(6), [6, 7, 8], lambda mask: mask)
    assert (hidden < 0.35).all()
    assert (honest < 0.35).all()


@pytest.fixture
def hasty(monkeypatch):
    monkeypatch.setattr(deal, "STEPS", 3)


@pytest.mark.usefixtures("hasty")
def test_the_seed_decides_and_the_model_is_left_as_it_was(pool):
    model = pool[0]
    before = model.network.levels.clone()
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    once = ask(pool, range(6), [6, 7, 8], wrong_in_class_two)
    assert torch.equal(torch.rand(2), expected)
    assert torch.equal(model.network.levels, before)
    assert model.network.levels.grad is None
    assert not model.network.training
    assert np.array_equal(once, ask(pool, range(6), [6, 7, 8], wrong_in_class_two))


@pytest.mark.usefixtures("hasty")
def test_items_one_by_one_give_the_same(pool):
    together = ask(pool, range(6), [6, 7, 8], wrong_in_class_two)
    alone = [ask(pool, range(6), [row], wrong_in_class_two)[0] for row in (6, 7, 8)]
    np.testing.assert_allclose(together, alone, atol=1e-6)
    assert ((together >= 0) & (together <= np.log(10) + 1e-6)).all()


@pytest.mark.usefixtures("hasty")
def test_of_many_labelled_items_some_are_looked_at(pool, monkeypatch):
    monkeypatch.setattr(deal, "MOST_ITEMS", 2)
    assert ask(pool, range(6), [6], wrong_in_class_two).shape == (1,)


@pytest.mark.usefixtures("hasty")
def test_without_a_labelled_pixel_it_says_what_to_do(pool):
    for labelled in ([], [0, 1]):
        with pytest.raises(EvidenceError, match=r"difficulty: no pixel is labelled, .* strided"):
            ask(pool, labelled, [6], lambda mask: np.full_like(mask, UNKNOWN))
    assert ask(pool, [0], [], lambda mask: mask).shape == (0,)


@pytest.mark.usefixtures("hasty")
def test_the_report_ends_with_the_last_step(pool):
    heard = []
    ask(pool, [0], [6], lambda m: m, report=lambda done, of: heard.append((done, of)))
    assert heard == [(1, 3), (2, 3), (3, 3)]
