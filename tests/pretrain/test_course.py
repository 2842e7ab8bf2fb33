"""The loop of pre-training: seeds, interruption, several processes, collapse."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import pytest
import torch
from safetensors.torch import load_file
from tests.learn import made

from fewmasks.config import PretrainConfig
from fewmasks.errors import ConfigError
from fewmasks.learn.data import Frames
from fewmasks.learn.model import build
from fewmasks.learn.starts import Origin
from fewmasks.learn.train import prepare
from fewmasks.nn.heads import spread
from fewmasks.pretrain import course as loop
from fewmasks.pretrain.byol import Byol
from fewmasks.pretrain.course import Course, Draw, run
from fewmasks.pretrain.lars import Lars
from fewmasks.pretrain.session import shuffled
from fewmasks.pretrain.views import make_views

pytestmark = pytest.mark.slow

ITERATIONS = 6
CONFIG = PretrainConfig(batch=4, hidden=16, projection=8, learning_rate=3e-3)


class Interrupted(Exception):
    pass


def noisy(pixels):
    return pixels + 0.1 * torch.randn_like(pixels)


def planned(folder, out="start", config=CONFIG, devices=1, seed=0, views=noisy):
    """What `run` takes, of a BYOL training of six steps."""
    cache, items, _ = made.pool(folder, n=10)
    card = prepare(cache, items, made.CLASSES, made.quick(devices=devices))
    network = build(card, seed)
    torch.manual_seed(seed)
    byol = Byol(network, card.channels, views, config)
    frames = Frames(cache, items, card.frame, card.config.size, card.intensity)
    origin = Origin("unet", 1, "encoder", "byol", ITERATIONS, seed)
    course = Course(config, origin, folder / f"{out}.safetensors", card)
    return course, byol, network, frames, shuffled(len(items), config.batch, seed)


def trained(folder, stop_at=None, **wanted):
    """The tensors and losses of a training, or an interruption at a step."""
    plan = planned(folder, **wanted)

    def report(done, of):
        if done == stop_at:
            raise Interrupted

    losses = run(*plan, report)
    return load_file(plan[0].out), losses


def same(one, other):
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name


def test_a_seed_gives_the_same_weights_and_another_seed_others(tmp_path):
    first, losses = trained(tmp_path / "a")
    again, _ = trained(tmp_path / "b")
    other, _ = trained(tmp_path / "c", seed=1)
    same(first, again)
    assert len(losses) == ITERATIONS
    assert any(not torch.equal(first[name], other[name]) for name in first)


@pytest.mark.slow
@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("optimiser", ["adamw", "lars"])
def test_an_interrupted_training_ends_in_the_same_weights(
    tmp_path, monkeypatch, optimiser, accumulate
):
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    config = CONFIG.model_copy(update={"optimiser": optimiser, "accumulate": accumulate})
    whole, losses = trained(tmp_path, out="whole", config=config)
    for stop in (2, 5):
        with pytest.raises(Interrupted):
            trained(tmp_path, stop_at=stop, config=config)
        assert not (tmp_path / "start.safetensors").exists()
    resumed, losses_again = trained(tmp_path, config=config)
    same(whole, resumed)
    assert losses_again == losses
    assert not list(tmp_path.glob("*.unfinished"))


def test_what_was_left_by_other_settings_is_not_gone_on_with(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    with pytest.raises(Interrupted):
        trained(tmp_path, stop_at=3)
    other = CONFIG.model_copy(update={"learning_rate": 1e-4})
    resumed, _ = trained(tmp_path, config=other)
    fresh, _ = trained(tmp_path / "fresh", config=other)
    same(resumed, fresh)


def test_a_damaged_checkpoint_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    with pytest.raises(Interrupted):
        trained(tmp_path, stop_at=3)
    (tmp_path / "start.unfinished").write_bytes(b"no tensors")
    with pytest.raises(ConfigError, match=r"start\.unfinished: damaged; delete it"):
        trained(tmp_path)


@pytest.mark.slow
def test_two_processes_train_one_network(tmp_path):
    """Statistics and negatives are those of a share, so the weights are close and not equal."""
    views = make_views("grey", 1)
    alone, _ = trained(tmp_path / "a", views=views)
    together, _ = trained(tmp_path / "b", devices=2, views=views)
    start = build_start(tmp_path / "c")
    for name in ("conv_0.conv_0.conv.weight", "down_4.convs.conv_1.conv.weight"):
        moved = (alone[name] - start[name]).norm()
        assert (together[name] - start[name]).norm() == pytest.approx(moved, rel=0.5)


@pytest.mark.slow
def test_two_processes_go_on_where_a_training_was_interrupted(tmp_path):
    """Of a checkpoint after the last step nothing is left to do but to write its weights."""
    course, byol, network, *_ = planned(tmp_path, devices=2)
    torch.nn.init.constant_(network.conv_0.conv_0.conv.weight, 7.0)
    loop._keep(course, byol, loop.make_optimiser(byol, CONFIG), [1.0] * ITERATIONS)
    found, _ = trained(tmp_path, devices=2)
    assert (found["conv_0.conv_0.conv.weight"] == 7).all()
    assert not course.checkpoint.exists()


def build_start(folder):
    cache, items, _ = made.pool(folder, n=10)
    return build(prepare(cache, items, made.CLASSES, made.quick()), 0).state_dict()


class Collapsed(loop.Objective):
    """An objective whose embeddings are all the same."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(3))

    def forward(self, pixels, marks):
        return self.weight.sum(), self.weight.expand(len(pixels), 3)


@pytest.mark.slow
@pytest.mark.parametrize("devices", [1, 2])
def test_a_collapse_is_an_error_with_advice(tmp_path, devices):
    cache, items, _ = made.pool(tmp_path)
    card = prepare(cache, items, made.CLASSES, made.quick(devices=devices))
    frames = Frames(cache, items, card.frame, card.config.size, card.intensity)
    origin = Origin("unet", 1, "encoder", "byol", 60, 0)
    course = Course(CONFIG, origin, tmp_path / "x.safetensors", card)
    words = r"pretrain byol: at step 20 all items have the same embedding \(spread 0\.000 of 1\)"
    with pytest.raises(ConfigError, match=words):
        run(course, Collapsed(), build(card), frames, shuffled(6, 4, 0))
    assert not course.out.exists()


def test_spread_is_one_for_random_directions_and_zero_for_one():
    directions = torch.randn(2000, 64, generator=torch.Generator().manual_seed(0))
    assert spread(directions) == pytest.approx(1, abs=0.05)
    assert spread(torch.ones(10, 4)) == 0


def test_every_item_comes_once_an_epoch():
    draws: Iterator[Draw] = shuffled(12, 4, seed=3)
    for _ in range(3):
        epoch = [position for draw in islice(draws, 3) for position in draw.positions]
        assert sorted(epoch) == list(range(12))


def test_a_pool_smaller_than_a_batch_is_a_batch():
    assert sorted(next(shuffled(3, 16, seed=0)).positions) == [0, 1, 2]


def test_lars_takes_steps_in_proportion_to_the_weights():
    """By hand: |w| = 5, |g| = 10, so the rate is 0.1 * 0.001 * 5 / 10; biases take 0.1."""
    weight = torch.nn.Parameter(torch.tensor([[3.0, 4.0]]))
    bias = torch.nn.Parameter(torch.tensor([1.0]))
    optimiser = Lars([{"params": [weight]}, {"params": [bias], "adapt": False}], lr=0.1)
    weight.grad, bias.grad = torch.tensor([[6.0, 8.0]]), torch.tensor([2.0])
    optimiser.step()
    torch.testing.assert_close(weight.data, torch.tensor([[3 - 6 * 5e-5, 4 - 8 * 5e-5]]))
    torch.testing.assert_close(bias.data, torch.tensor([0.8]))
    optimiser.step()  # momentum: 0.9 of the last step, and a new one
    torch.testing.assert_close(bias.data, torch.tensor([0.8 - 0.1 * (0.9 * 2 + 2)]))


def test_biases_and_norms_do_not_decay(tmp_path):
    cache, items, _ = made.pool(tmp_path)
    network = build(prepare(cache, items, made.CLASSES, made.quick()))
    byol = Byol(network, 1, noisy, CONFIG)
    decayed, free = loop.make_optimiser(byol, CONFIG).param_groups
    assert decayed["weight_decay"] == CONFIG.weight_decay
    assert free["weight_decay"] == 0
    assert all(p.ndim > 1 for p in decayed["params"])
    assert sum(p.numel() for g in (decayed, free) for p in g["params"]) == sum(
        p.numel() for p in byol.parameters() if p.requires_grad
    )


def test_other_settings_are_other_courses(tmp_path):
    cache, items, _ = made.pool(tmp_path)
    card = prepare(cache, items, made.CLASSES, made.quick())
    one = Course(CONFIG, Origin("unet", 1, "encoder", "byol", 6, 0), tmp_path / "x", card)
    turned = replace(card, config=made.quick(rotate_degrees=90))
    for changed in (replace(card, precision="bf16"), turned):
        assert loop._description(one) != loop._description(replace(one, card=changed))
