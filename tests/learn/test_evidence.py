"""Evidence of an item depends on that item and the model, and leaves the model as it was."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.learn import made
from tests.learn.made import quick

from fewmasks.errors import ConfigError
from fewmasks.io.cache import PixelCache
from fewmasks.learn import deal, vaal
from fewmasks.learn.core_gcn import graph_embedding
from fewmasks.learn.data import Frames
from fewmasks.learn.evidence import (
    GRADIENTS,
    LEARNT,
    OFFERED,
    STREAMED,
    THUMBNAILS,
    Known,
    gather,
    learn,
)
from fewmasks.learn.model import Model
from fewmasks.learn.predict import forward, frames_of
from fewmasks.learn.train import fit, prepare
from fewmasks.nn.graph import HIDDEN
from fewmasks.nn.segmenter import UNET_CHANNELS
from fewmasks.nn.uncertainty import SCORES
from fewmasks.query import score as reference
from fewmasks.query.strategies import STRATEGIES
from fewmasks.types import UNKNOWN, Item, Label

pytestmark = pytest.mark.slow

ENSEMBLES = ("snapshots", "bootstrap", "dropout")
SHAPES = [(32, 32), (20, 32), (32, 18)]
N = 11


@pytest.fixture(scope="module")
def pool(tmp_path_factory) -> tuple[PixelCache, list[Item], list]:
    return made.pool(tmp_path_factory.mktemp("pool"), n=N, shapes=SHAPES)


@pytest.fixture(scope="module", params=ENSEMBLES)
def model(request, pool) -> Model:
    cache, items, labels = pool
    card = prepare(cache, items, made.CLASSES, quick(ensemble=request.param))
    return fit(card, cache, items[:4], labels[:4], seed=0)


def everything(model: Model, pool, order=None, seed: int = 0) -> dict[str, np.ndarray]:
    cache, items, _ = pool
    items = items if order is None else [items[n] for n in order]
    return gather(model, cache, items, np.arange(len(items)), sorted(STREAMED), seed)


def test_all_that_is_offered_is_there_and_finite(model, pool):
    found = everything(model, pool)
    assert set(found) == STREAMED == {*SCORES, *GRADIENTS, "embedding", *THUMBNAILS}
    for values in found.values():
        assert len(values) == N
        assert np.isfinite(values).all()
    assert found["embedding"].shape == (N, UNET_CHANNELS[4])
    assert found["thumbnail"].shape == (N, 256)
    assert found["thumbnail_32"].shape == (N, 1024)
    assert found["class_share"].shape == (N, 2)
    assert found["gradient_img"].shape == found["gradient_seg"].shape == (N, 2)
    assert found["badge_error"].shape == (N, 2)
    assert found["badge_feature"].shape == (N, UNET_CHANNELS[5])


def test_items_one_by_one_give_the_same(model, pool):
    cache, items, _ = pool
    together = everything(model, pool)
    for row in range(N):
        alone = gather(model, cache, items, np.array([row]), sorted(STREAMED))
        for name, values in alone.items():
            np.testing.assert_allclose(values[row], together[name][row], atol=1e-5, err_msg=name)


def test_another_order_of_items_gives_that_order_of_evidence(model, pool):
    order = np.random.default_rng(0).permutation(N)
    straight, permuted = everything(model, pool), everything(model, pool, order)
    for name, values in permuted.items():
        np.testing.assert_allclose(values, straight[name][order], atol=1e-5, err_msg=name)


def test_twice_the_same(model, pool):
    once, again = everything(model, pool), everything(model, pool)
    assert all(np.array_equal(once[name], again[name]) for name in once)


def test_names_asked_alone_give_the_same(model, pool):
    cache, items, _ = pool
    together = everything(model, pool)
    for name in ("bald", "class_entropy", "embedding", "thumbnail"):
        alone = gather(model, cache, items, np.arange(N), [name])
        assert list(alone) == [name]
        np.testing.assert_allclose(alone[name], together[name], atol=1e-6)


def test_members_disagree(model, pool):
    found = everything(model, pool)
    assert (found["variance"] > 0).all()
    assert (found["bald"] > 0).all()


def test_the_model_is_left_as_it_was(model, pool):
    """Weights, batch-norm figures, modes, hooks, and the caller's random numbers."""
    before = {name: t.clone() for name, t in model.network.state_dict().items()}
    states = [{name: t.clone() for name, t in state.items()} for state in model.states]
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    everything(model, pool)
    assert torch.equal(torch.rand(2), expected)
    assert all(torch.equal(before[name], t) for name, t in model.network.state_dict().items())
    for kept, state in zip(states, model.states, strict=True):
        assert all(torch.equal(kept[name], state[name]) for name in kept)
    assert not any(module.training for module in model.network.modules())
    assert not any(module._forward_hooks for module in model.network.modules())
    assert not torch.is_inference_mode_enabled()


def test_scores_are_those_of_the_members(model, pool):
    """Against the reference, from the probabilities of each member and the valid pixels."""
    cache, items, _ = pool
    if model.card.config.ensemble == "dropout":
        pytest.skip("its members exist only while they run")
    found = everything(model, pool)
    frames = frames_of(model, cache, items)
    pixels, valid = frames.batch(range(N)), frames.valid(range(N)).numpy()
    kept = {name: t.clone() for name, t in model.network.state_dict().items()}
    probs = []
    for state in model.states:
        model.network.load_state_dict(state)
        probs.append(forward(model, model.network, pixels).softmax(dim=1).double().numpy())
    model.network.load_state_dict(kept)
    for name in SCORES:
        score = getattr(reference, name)
        expected = [score(np.stack([p[n] for p in probs]), valid[n]) for n in range(N)]
        np.testing.assert_allclose(found[name], expected, atol=1e-5, err_msg=name)


def test_only_the_rows_asked_for(model, pool):
    cache, items, _ = pool
    found = gather(model, cache, items, np.array([7, 2]), ["entropy", "embedding"])
    for values in found.values():
        assert len(values) == N
        known = np.isfinite(values).reshape(N, -1).all(axis=1)
        assert np.flatnonzero(known).tolist() == [2, 7]


def test_what_a_model_cannot_give_is_left_out(model, pool):
    cache, items, _ = pool
    assert gather(model, cache, items, np.arange(N), ["group", "gradient"]) == {}
    empty = gather(model, cache, items, np.array([], dtype=np.int64), ["entropy"])
    assert np.isnan(empty["entropy"]).all()


def test_the_report_ends_with_all_rows(model, pool):
    cache, items, _ = pool
    heard: list[tuple[int, int]] = []
    gather(
        model, cache, items, np.arange(N), ["entropy"],
        report=lambda done, of: heard.append((done, of)),
    )  # fmt: skip
    assert heard[-1] == (N, N)
    assert sorted(heard) == heard


def picture_means(maps: torch.Tensor, frames: Frames) -> np.ndarray:
    """Item by item, each cell by the share of the picture in the pixels that it stands for."""
    means = []
    for n, each in enumerate(maps.double().numpy()):
        valid = frames.valid([n])[0].numpy()
        step = len(valid) // each.shape[1]
        share = valid.reshape(each.shape[1], step, each.shape[2], step).mean(axis=(1, 3))
        means.append((each * share).sum(axis=(1, 2)) / share.sum())
    return np.stack(means)


def test_the_embedding_is_of_the_network(model, pool):
    """The members change the scores, never the embedding."""
    cache, items, _ = pool
    frames = frames_of(model, cache, items)
    seen = []
    handle = model.network.down_4.register_forward_hook(lambda m, x, y: seen.append(y))
    forward(model, model.network, frames.batch(range(N)))
    handle.remove()
    expected = picture_means(seen[0], frames)
    np.testing.assert_allclose(everything(model, pool)["embedding"], expected, atol=1e-5)


def test_another_seed_draws_other_dropouts(pool):
    cache, items, labels = pool
    card = prepare(cache, items, made.CLASSES, quick(ensemble="dropout"))
    model = fit(card, cache, items[:4], labels[:4], seed=0)
    one, other = everything(model, pool), everything(model, pool, seed=1)
    assert (one["bald"] != other["bald"]).all()
    assert np.array_equal(one["embedding"], other["embedding"])


# What is learnt from the labelled items

LABELLED, UNLABELLED = np.array([9, 2, 4]), np.array([0, 1, 5, 7])
"""Rows 3, 6, 8 and 10 belong to neither side."""


@pytest.fixture(scope="module")
def plain(pool) -> Model:
    """A model whose seed the small networks take over; a few steps suffice."""
    cache, items, labels = pool
    card = prepare(cache, items, made.CLASSES, quick(members=1))
    return fit(card, cache, items[:4], labels[:4], seed=5)


@pytest.fixture
def hasty(monkeypatch):
    monkeypatch.setattr(deal, "STEPS", 3)
    monkeypatch.setattr(vaal, "STEPS", 3)


def known_of(pool, labels=None) -> Known:
    stored = [pool[2][row] for row in LABELLED]
    return Known(LABELLED, UNLABELLED, lambda: iter(stored if labels is None else labels))


def learnt(model: Model, pool, names=LEARNT, known=None, report=lambda *said: None):
    return learn(model, pool[0], pool[1], known or known_of(pool), sorted(names), report)


@pytest.mark.usefixtures("hasty")
def test_learnt_evidence_lies_at_the_rows_it_is_about(plain, pool):
    found = learnt(plain, pool, OFFERED)
    assert set(found) == LEARNT == OFFERED - STREAMED
    assert found["gcn_embedding"].shape == (N, HIDDEN)
    assert found["known_pixels"].shape == (N, 1024)
    for name, rows in {
        "gcn_embedding": np.sort([*LABELLED, *UNLABELLED]),
        "novelty": UNLABELLED,
        "difficulty": UNLABELLED,
    }.items():
        there = np.isfinite(found[name]).reshape(N, -1).all(axis=1)
        assert np.flatnonzero(there).tolist() == rows.tolist(), name
    assert np.flatnonzero(found["known_pixels"].any(axis=1)).tolist() == sorted(LABELLED.tolist())


@pytest.mark.usefixtures("hasty")
def test_learnt_evidence_twice_and_with_the_sides_in_another_order(plain, pool):
    """The order of labelling is not the order of the rows; features follow the rows."""
    once, again = learnt(plain, pool), learnt(plain, pool)
    turned = Known(
        LABELLED[::-1], UNLABELLED[::-1], lambda: [pool[2][row] for row in LABELLED[::-1]]
    )
    other = learnt(plain, pool, {"gcn_embedding", "known_pixels"}, turned)
    for name, values in once.items():
        np.testing.assert_array_equal(values, again[name], err_msg=name)
    for name, values in other.items():
        np.testing.assert_array_equal(values, once[name], err_msg=name)


@pytest.mark.usefixtures("hasty")
def test_features_of_the_graph_are_those_of_the_embedding_of_each_row(plain, pool):
    rows = np.sort([*LABELLED, *UNLABELLED])
    points = gather(plain, pool[0], pool[1], rows, ["embedding"])["embedding"][rows]
    side = np.isin(rows, LABELLED)
    expected = graph_embedding(points, side, plain.card.seed, plain.device)
    found = learnt(plain, pool, {"gcn_embedding"})["gcn_embedding"][rows]
    np.testing.assert_array_equal(found, expected)


@pytest.mark.usefixtures("hasty")
def test_labels_are_read_only_where_evidence_needs_them(plain, pool):
    def refuse():
        raise AssertionError("nobody needs labels here")

    learnt(plain, pool, {"gcn_embedding", "novelty"}, Known(LABELLED, UNLABELLED, refuse))
    assert learnt(plain, pool, {"entropy"}, Known(LABELLED, UNLABELLED, refuse)) == {}
    nothing_open = Known(LABELLED, UNLABELLED[:0], refuse)
    assert learnt(plain, pool, LEARNT, nothing_open) == {}


def test_cells_are_known_where_a_label_says_anything(plain, pool):
    """The first labelled row (9) is 32 pixels square and fills its frame: a cell is a pixel."""
    mask = np.full((32, 32), UNKNOWN, np.uint8)
    mask[3, 4], mask[31, 0] = 0, 1
    labels = [Label(pool[1][9].id, "scribble", mask, 1.0, "ann")]
    labels += [pool[2][row] for row in LABELLED[1:]]
    found = learnt(plain, pool, {"known_pixels"}, known_of(pool, labels))["known_pixels"]
    assert np.flatnonzero(found[9]).tolist() == [3 * 32 + 4, 31 * 32]
    height, width = SHAPES[2 % 3]
    assert found[2].sum() == height * width  # all of the picture, none of its padding


def looking_at(model: Model, layer: str) -> Model:
    config = model.card.config.model_copy(update={"embedding_layer": layer})
    return replace(model, card=replace(model.card, config=config))


@pytest.mark.parametrize(
    ("layer", "width"),
    [("deepest", UNET_CHANNELS[4]), ("down_2", 32), ("upcat_1", 16), ("last", 16)],
)
def test_the_embedding_is_the_mean_of_the_layer_that_is_asked_for(layer, width, plain, pool):
    cache, items, _ = pool
    frames = frames_of(plain, cache, items[:3])
    seen: list[torch.Tensor] = []
    module = plain.network.get_submodule({"deepest": "down_4", "last": "upcat_1"}.get(layer, layer))
    handle = module.register_forward_hook(lambda _m, _given, output: seen.append(output))
    forward(plain, plain.network, frames.batch(range(3)))
    handle.remove()
    found = gather(looking_at(plain, layer), cache, items, np.arange(3), ["embedding"])["embedding"]
    assert found.shape == (N, width)
    np.testing.assert_allclose(found[:3], picture_means(seen[0].detach(), frames), atol=1e-5)


@pytest.mark.parametrize("layer", ["upcat_1", "last"])
def test_a_larger_frame_around_a_picture_changes_little(layer, plain, pool):
    """Less than a fifth of what it would change if the padding had a share in the mean."""
    cache, items, _ = pool
    full = [items[row] for row in range(0, N, 3)]  # 32 pixels square, as the frame is

    def mean_in(side: int) -> np.ndarray:
        card = replace(plain.card, frame=(side, side))
        model = looking_at(replace(plain, card=card), layer)
        return gather(model, cache, full, np.arange(len(full)), ["embedding"])["embedding"]

    alone, padded = mean_in(32), mean_in(96)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "fewmasks.learn.evidence.picture_mean", lambda maps, _valid: maps.mean(dim=(2, 3))
        )
        before = mean_in(96)
    moved, would_move = (np.linalg.norm(each - alone, axis=1) for each in (padded, before))
    assert (moved < 0.2 * would_move).all()


def test_a_layer_that_is_not_there_is_named(plain, pool):
    with pytest.raises(ConfigError, match=r"no 'down_9'; did you mean 'down_\d'"):
        gather(looking_at(plain, "down_9"), pool[0], pool[1], np.arange(2), ["embedding"])


@pytest.mark.usefixtures("hasty")
def test_of_colour_pictures_every_channel_of_a_cell_is_known_alike(tmp_path):
    colour = made.pool(tmp_path, n=N, shapes=SHAPES, channels=3)
    cache, items, labels = colour
    card = prepare(cache, items, made.CLASSES, quick(members=1))
    model = fit(card, cache, items[:4], labels[:4], seed=5)
    found = learnt(model, colour, LEARNT)
    known = found["known_pixels"].reshape(N, 3, -1)
    assert known[LABELLED].any()
    assert (known == known[:, :1]).all()
    evidence = {
        **everything(model, colour), **found, "unlabelled": UNLABELLED, "labelled": LABELLED,
        "limit": 2, "progress": 0.5, "rounds": 1.5, "rng": np.random.default_rng(0),
        "uncertainty": np.ones(N),
    }  # fmt: skip
    asked = [name for name, each in STRATEGIES.items() if set(each.needs) <= set(evidence)]
    assert len(asked) > 20
    for name in asked:
        STRATEGIES[name](evidence)  # it refuses picks that it must not make


@pytest.mark.usefixtures("hasty")
def test_learning_leaves_the_model_and_the_callers_chance_alone(plain, pool):
    before = {name: t.clone() for name, t in plain.network.state_dict().items()}
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    learnt(plain, pool)
    assert torch.equal(torch.rand(2), expected)
    assert all(torch.equal(before[name], t) for name, t in plain.network.state_dict().items())
    assert not any(module.training for module in plain.network.modules())
    assert not any(p.grad is not None for p in plain.network.parameters())


@pytest.mark.usefixtures("hasty")
def test_learning_is_reported(plain, pool):
    heard: list[str] = []
    learnt(plain, pool, report=lambda what, done, of: heard.append(what))
    assert list(dict.fromkeys(heard)) == [
        "looking at the pool", "telling labelled items apart", "learning errors",
    ]  # fmt: skip
