"""Training: the same for a seed, on known pixels only, and it learns."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tests.learn import made
from tests.learn.made import quick

from fewmasks.config import LearnConfig
from fewmasks.errors import ConfigError, GeometryError, ProjectError
from fewmasks.io.cache import PixelCache
from fewmasks.learn.model import Model, resolve_device
from fewmasks.learn.predict import predict
from fewmasks.learn.train import fit, pace, planned_iterations, prepare, rarity
from fewmasks.metrics import confusion, dice_from_confusion
from fewmasks.nn.segmenter import segmenter
from fewmasks.types import Item, Label

pytestmark = pytest.mark.slow

Pool = tuple[PixelCache, list[Item], list[Label]]


@pytest.fixture(scope="module")
def pool(tmp_path_factory) -> Pool:
    return made.pool(tmp_path_factory.mktemp("pool"))


def trained(pool: Pool, config: LearnConfig = made.QUICK, seed: int = 0, **options) -> Model:
    cache, items, labels = pool
    card = prepare(cache, items, made.CLASSES, config)
    return fit(card, cache, items, labels, seed, **options)


def weights(model: Model) -> list[dict[str, torch.Tensor]]:
    return [dict(model.network.state_dict()), *map(dict, model.states)]


def equal(one: Model, other: Model) -> bool:
    pairs = list(zip(weights(one), weights(other), strict=True))
    return all(torch.equal(a[name], b[name]) for a, b in pairs for name in a)


def test_planned_iterations_follow_the_labels():
    config = LearnConfig(iterations_per_label=6, iterations_floor=400, iterations_ceiling=4000)
    assert [planned_iterations(n, config) for n in (1, 66, 100, 667, 9999)] == [
        400, 400, 600, 4000, 4000,
    ]  # fmt: skip
    assert planned_iterations(9999, quick(iterations=7)) == 7


def test_the_pace_rises_then_falls_to_nothing():
    paces = [pace(step, 100) for step in range(100)]
    assert paces[0] == pytest.approx(0.2)
    assert max(paces) == pytest.approx(1, abs=0.01)
    assert np.argmax(paces) == 4
    assert paces[-1] < 0.001
    assert pace(0, 1) == 1


@pytest.mark.parametrize("ensemble", ["snapshots", "bootstrap", "dropout"])
def test_a_seed_gives_the_same_weights_bit_for_bit(pool, ensemble):
    config = quick(ensemble=ensemble, iterations=3)
    torch.manual_seed(1)
    one = trained(pool, config)
    torch.manual_seed(2)
    assert equal(one, trained(pool, config))
    assert not equal(one, trained(pool, config, seed=1))


def test_the_random_numbers_of_the_caller_are_untouched(pool):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    trained(pool, quick(ensemble="dropout", iterations=1))
    assert torch.equal(torch.rand(3), expected)


def test_snapshots_are_of_one_training(pool):
    model = trained(pool)
    states = weights(model)
    assert len(states) == 4
    assert all(torch.equal(states[0][name], states[-1][name]) for name in states[0])
    assert not torch.equal(states[1]["final_conv.weight"], states[2]["final_conv.weight"])


@pytest.mark.slow
def test_bootstrap_members_differ_and_the_network_saw_everything(pool):
    model = trained(pool, quick(ensemble="bootstrap"))
    heads = [state["final_conv.weight"] for state in weights(model)]
    assert len(heads) == 4
    assert all(not torch.equal(a, b) for n, a in enumerate(heads) for b in heads[:n])
    alone = trained(pool, quick(ensemble="bootstrap"), ensemble=False)
    assert torch.equal(alone.network.state_dict()["final_conv.weight"], heads[0])


@pytest.mark.parametrize(
    ("config", "ensemble"),
    [(quick(), False), (quick(members=1), True), (quick(ensemble="dropout"), True)],
)
def test_no_states_where_none_are_needed(pool, config, ensemble):
    assert trained(pool, config, ensemble=ensemble).states == ()


def test_the_card_says_how_it_was_trained(pool):
    steps: list[tuple[int, int]] = []
    model = trained(pool, seed=3, report=lambda done, of: steps.append((done, of)))
    assert (model.card.n_labels, model.card.iterations, model.card.seed) == (6, 6, 3)
    assert steps == [(step, 6) for step in range(1, 7)]
    assert not model.network.training


def test_rare_classes_weigh_more_at_first_and_no_more_at_the_end():
    powers = [rarity(step, 10) for step in range(11)]
    assert powers == pytest.approx(np.linspace(0.5, 0, 11))


def test_one_iteration_is_enough(pool):
    assert trained(pool, quick(iterations=1)).states == ()


def relabelled(pool: Pool, change: Callable[[np.ndarray], np.ndarray]) -> Pool:
    cache, items, labels = pool
    return cache, items, [
        Label(said.item, "scribble", change(said.mask), 1.0, "test") for said in labels
    ]  # fmt: skip


def test_nothing_labelled_is_said(pool):
    unknown = relabelled(pool, lambda mask: np.full_like(mask, 255))
    with pytest.raises(ProjectError, match="train: no pixel is labelled"):
        trained(unknown)


def test_a_class_that_the_project_lacks_is_named(pool):
    strange = relabelled(pool, lambda mask: mask * 7)
    with pytest.raises(GeometryError, match="p0: its label has a class beyond the 2"):
        trained(strange)


def test_a_label_of_one_class_trains(pool):
    model = trained(relabelled(pool, lambda mask: np.where(mask == 1, mask, 255)))
    assert all(torch.isfinite(t).all() for t in model.network.state_dict().values())


def test_items_that_say_nothing_do_no_harm(pool):
    cache, items, labels = pool
    silent = Label("p0", "scribble", np.full((32, 32), 255, np.uint8), 1.0, "test")
    model = trained((cache, items, [silent, *labels[1:]]), quick(batch=2))
    assert all(torch.isfinite(t).all() for t in model.network.state_dict().values())


def test_a_batch_too_small_for_batch_norm_is_refused(tmp_path):
    tiny = made.pool(tmp_path, n=2, shapes=[(9, 9)])
    with pytest.raises(ConfigError, match=r"learn\.batch: 1 is too small .* set learn\.batch=2"):
        trained(tiny, quick(batch=1))
    with pytest.raises(ConfigError, match=r"set learn\.batch=4"):
        trained(tiny, quick(batch=3, devices=2))
    trained(tiny, quick(batch=2, iterations=1))


@pytest.mark.slow
def test_pretrained_weights_start_a_resnet(tmp_path):
    rgb = made.pool(tmp_path, n=2, channels=3)
    given = segmenter("resnet18", 3, 2).encoder.state_dict()
    path = tmp_path / "encoder.safetensors"
    save_file(given, path)
    still = quick(network="resnet18", iterations=1, learning_rate=1e-12)
    state = trained(rgb, still, start=path).network.state_dict()
    torch.testing.assert_close(state["encoder.conv1.weight"], given["conv1.weight"])
    with pytest.raises(ProjectError, match=r"takes no ResNet weights; set learn\.network=resnet18"):
        trained(rgb, start=path)


def test_devices_that_are_not_here():
    assert resolve_device("cpu") == torch.device("cpu")
    with pytest.raises(ProjectError, match="unknown device"):
        resolve_device("abacus")
    if not torch.cuda.is_available():
        with pytest.raises(ProjectError, match="no CUDA device here"):
            resolve_device("cuda")


LEARNS = quick(iterations=100, batch=6, rotate_degrees=5)


def dice_of(model: Model, pool: Pool) -> float:
    cache, items, labels = pool
    counts = sum(
        confusion(pred, said.mask, 2)
        for pred, said in zip(predict(model, cache, items), labels, strict=True)
    )
    return float(dice_from_confusion(counts)[1])


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_it_learns_discs(pool, tmp_path, precision):
    """Scored on discs that it has not seen."""
    unseen = made.pool(tmp_path, n=16)
    model = trained(pool, LEARNS.model_copy(update={"precision": precision}), ensemble=False)
    assert dice_of(model, unseen) > 0.9


@pytest.mark.slow
def test_it_learns_from_scribbles(pool, tmp_path):
    """One pixel in twenty is known."""

    def thin(mask: np.ndarray) -> np.ndarray:
        known = np.random.default_rng(0).random(mask.shape) < 0.05
        return np.where(known, mask, 255).astype(np.uint8)

    model = trained(relabelled(pool, thin), LEARNS, ensemble=False)
    assert dice_of(model, made.pool(tmp_path, n=16)) > 0.85


@pytest.mark.slow
def test_two_processes_agree_with_one(pool):
    """Close, not equal: batch statistics and losses are those of each process's share."""
    heard: list[tuple[int, int]] = []
    config = LEARNS.model_copy(update={"iterations": 60})
    one = trained(pool, config)
    two = trained(
        pool,
        config.model_copy(update={"devices": 2}),
        report=lambda done, of: heard.append((done, of)),
    )
    cache, items, _ = pool
    pairs = zip(predict(one, cache, items), predict(two, cache, items), strict=True)
    agreement = np.mean([(a == b).mean() for a, b in pairs])
    assert agreement > 0.95
    assert abs(dice_of(one, pool) - dice_of(two, pool)) < 0.1
    assert len(two.states) == 3
    assert heard == [(60, 60)]
