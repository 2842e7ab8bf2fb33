"""The judge tells what is like the labelled items from what is not."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.learn import made
from tests.learn.made import quick
from tests.makers import write_png

from fewmasks.errors import EvidenceError
from fewmasks.io.cache import PixelCache
from fewmasks.learn import vaal
from fewmasks.learn.data import Frames
from fewmasks.learn.model import Model, build
from fewmasks.learn.predict import frames_of
from fewmasks.learn.train import prepare
from fewmasks.query.strategies.vaal import vaal as choose
from fewmasks.types import Item

DISC, STRIPES = 0, 1


def picture(kind: int, shape: tuple[int, int], seed: int) -> np.ndarray:
    """A disc as everywhere in these tests, or stripes of the same brightness."""
    if kind == DISC:
        return made.disc(*shape, seed)[0]
    rng = np.random.default_rng(seed)
    y = np.arange(shape[0])[:, None] + rng.integers(4)
    return (70 + 90 * (y // 4 % 2) + rng.normal(0, 12, shape)).clip(0, 255).astype(np.uint8)


def pool(
    folder: Path, kinds: Sequence[int], shape=(32, 32)
) -> tuple[Model, PixelCache, list[Item]]:
    items = []
    for number, kind in enumerate(kinds):
        path = write_png(folder / f"p{number}.png", picture(kind, shape, seed=number))
        items.append(Item(f"p{number}", str(path), (f"g{number}",)))
    cache = PixelCache(folder / "cache", 1)
    cache.build([Path(item.source) for item in items])
    card = prepare(cache, items, made.CLASSES, quick())
    return Model(card, build(card).eval(), (), torch.device("cpu")), cache, items


def ask(made_pool, labelled: Sequence[int], unlabelled: Sequence[int], seed: int = 0, **options):
    model, cache, items = made_pool
    sides: list[Frames] = [
        frames_of(model, cache, [items[row] for row in rows]) for rows in (labelled, unlabelled)
    ]
    return vaal.novelty(model, *sides, seed, **options)


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """Twelve labelled discs, then twelve discs and twelve stripes that nobody labelled."""
    return pool(tmp_path_factory.mktemp("planted"), [DISC] * 24 + [STRIPES] * 12)


@pytest.fixture
def hasty(monkeypatch):
    monkeypatch.setattr(vaal, "STEPS", 4)


@pytest.mark.slow
def test_what_is_unlike_the_labelled_items_is_new(planted):
    found = ask(planted, range(12), range(12, 36))
    alike, stripes = found[:12], found[12:]
    assert (stripes[:, None] > alike).mean() > 0.9  # the area under the ROC curve
    novelty = np.full(36, np.nan)
    novelty[12:] = found
    assert (choose(np.arange(12, 36), novelty, 8) >= 24).mean() > 0.8


@pytest.mark.slow
def test_with_the_sides_swapped_discs_are_new(planted):
    found = ask(planted, range(24, 30), range(12, 36))
    assert found[:12].mean() > found[12:].mean() + 0.2


@pytest.mark.slow
@pytest.mark.usefixtures("hasty")
def test_a_belief_is_a_share_and_follows_from_the_seed(planted):
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    once = ask(planted, range(12), range(12, 36))
    assert torch.equal(torch.rand(2), expected)
    assert once.shape == (24,)
    assert once.dtype == np.float64
    assert ((once > 0) & (once < 1)).all()
    assert np.array_equal(once, ask(planted, range(12), range(12, 36)))
    assert not np.array_equal(once, ask(planted, range(12), range(12, 36), seed=1))


@pytest.mark.usefixtures("hasty")
def test_the_model_lends_its_frame_and_nothing_else(planted):
    before = {name: t.clone() for name, t in planted[0].network.state_dict().items()}
    ask(planted, range(12), range(12, 14))
    assert all(torch.equal(before[k], t) for k, t in planted[0].network.state_dict().items())


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("shape", [(16, 16), (20, 32), (9, 32)])
def test_frames_of_any_shape_and_one_item_a_side(tmp_path, shape):
    found = ask(pool(tmp_path, [DISC, STRIPES], shape), [0], [1])
    assert np.isfinite(found).all()


@pytest.mark.usefixtures("hasty")
def test_a_large_side_is_drawn_from_and_scored_whole(planted, monkeypatch):
    monkeypatch.setattr(vaal, "MOST_FRAMES", 5)
    assert ask(planted, range(12), range(12, 36)).shape == (24,)


@pytest.mark.usefixtures("hasty")
def test_without_labels_it_says_what_to_do(planted):
    with pytest.raises(EvidenceError, match=r"novelty: no item is labelled, .* random or strided"):
        ask(planted, [], range(4))
    assert ask(planted, range(4), []).shape == (0,)


@pytest.mark.usefixtures("hasty")
def test_the_report_ends_with_the_last_step(planted):
    heard = []
    ask(planted, range(4), range(4, 6), report=lambda done, of: heard.append((done, of)))
    assert heard == [(step, 4) for step in range(1, 5)]
