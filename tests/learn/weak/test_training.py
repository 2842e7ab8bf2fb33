"""Trainings with weak options: the plain one is untouched, and scribbles stay what they were."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from tests.learn import made
from tests.learn.made import alone, quick
from tests.study import made as study
from torch import nn

from fewmasks.config import LearnConfig, beyond_labels
from fewmasks.io.cache import PixelCache
from fewmasks.learn import scenes, session
from fewmasks.learn.data import Frames, load_labelled
from fewmasks.learn.model import Model, build, load_model, save_model
from fewmasks.learn.predict import predict
from fewmasks.learn.train import batches, fit, pace, prepare, rarity
from fewmasks.learn.weak import step
from fewmasks.learn.weak.material import Material, gather_material
from fewmasks.nn.augment import augment
from fewmasks.nn.losses import partial_loss
from fewmasks.nn.segmenter import segmenter
from fewmasks.study.run import simulate
from fewmasks.types import UNKNOWN, Item, Label

pytestmark = pytest.mark.slow

Pool = tuple[PixelCache, list[Item], list[Label]]
EACH = {
    "dmpls": {"recipe": "dmpls"},
    "random_walk": {"random_walk": 0.5},
    "gated_crf": {"gated_crf": 0.02},
    "watershed": {"watershed": 0.3},
    "composite": {"composite": 0.5},
    "fixmatch": {"fixmatch": 1.0, "fixmatch_threshold": 0.5},
}
ALL = quick(**{key: value for each in EACH.values() for key, value in each.items()})


@pytest.fixture(scope="module")
def pool(tmp_path_factory) -> Pool:
    return made.pool(tmp_path_factory.mktemp("pool"), n=8)


def trained(pool: Pool, config: LearnConfig, n: int = 4, seed: int = 0) -> Model:
    """On the first `n` labels: masks, and scribbles by turns; the other items are unlabelled."""
    cache, items, labels = pool
    card = prepare(cache, items, made.CLASSES, config)
    return fit(card, cache, items, mixed(labels[:n]), seed, ensemble=False)


def mixed(labels: list[Label]) -> list[Label]:
    scribbles = [
        Label(said.item, "scribble", study.scribble_of(said.mask), 1.0, "anna")
        for said in labels[1::2]
    ]
    both = [*labels]
    both[1::2] = scribbles
    return both


def by_definition(pool: Pool, config: LearnConfig, n: int, seed: int) -> Mapping[str, torch.Tensor]:
    """Training on known pixels alone, with nothing around it."""
    cache, items, labels = pool
    card = prepare(cache, items, made.CLASSES, config)
    frames = Frames(cache, items[:n], card.frame, config.size, card.intensity)
    labelled = load_labelled(frames, mixed(labels[:n]))
    network = build(card, seed).train()
    optimiser = torch.optim.AdamW(
        network.parameters(), config.learning_rate, weight_decay=config.weight_decay, fused=True
    )
    order = batches(labelled.masks, config, torch.Generator().manual_seed(seed))
    word = np.random.SeedSequence([seed, 0]).generate_state(1)
    generator = torch.Generator().manual_seed(int(word[0]))
    for number in range(config.iterations):
        optimiser.param_groups[0]["lr"] = config.learning_rate * pace(number, config.iterations)
        pixels, masks = augment(*labelled.batch(next(order)), config, generator)
        logits = network(pixels.contiguous(memory_format=torch.channels_last))
        optimiser.zero_grad()
        loss = partial_loss(logits, masks.long(), rarity=rarity(number, config.iterations))
        loss.backward()
        optimiser.step()
    return network.state_dict()


def test_without_an_option_it_is_the_plain_loop_bit_for_bit(pool):
    """Unlabelled items beside the labelled ones change nothing, nor do options with no guess."""
    expected = by_definition(pool, alone(), 4, seed=2)
    for config in (alone(), alone(interpolate=0.5, interpolate_gap=2)):
        found = trained(pool, config, seed=2).network.state_dict()
        assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


@pytest.mark.parametrize("option", EACH)
def test_each_option_changes_the_training_and_says_what_it_used(pool, option, tmp_path):
    plain, model = trained(pool, alone()), trained(pool, alone(**EACH[option]))
    again = trained(pool, alone(**EACH[option]))
    states = [each.network.state_dict() for each in (plain, model, again)]
    assert any(not torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert all(torch.equal(states[1][name], states[2][name]) for name in states[0])
    assert plain.card.guessed == {}
    items = {"dmpls": 4, "random_walk": 2, "gated_crf": 2}
    items |= {"composite": 2, "watershed": 4, "fixmatch": 4}
    assert model.card.guessed == {option: items[option]}
    assert model.card.n_labels == 4
    save_model(model, tmp_path / "m.safetensors")
    assert load_model(tmp_path / "m.safetensors").card == model.card


def test_a_model_of_dmpls_is_a_plain_network(pool):
    model = trained(pool, quick(recipe="dmpls"))
    assert type(model.network) is type(segmenter("unet", 1, 2))
    assert not model.network.training


def test_dmpls_trains_a_resnet_from_masks_and_scribbles(pool):
    model = trained(pool, quick(recipe="dmpls", network="resnet18", iterations=2, size=32))
    assert all(torch.isfinite(t).all() for t in model.network.state_dict().values())


def test_all_options_at_once_with_an_ensemble(pool):
    cache, items, labels = pool
    for ensemble in ("bootstrap", "dropout"):
        config = ALL.model_copy(update={"ensemble": ensemble, "iterations": 2})
        card = prepare(cache, items, made.CLASSES, config)
        model = fit(card, cache, items, mixed(labels[:4]), seed=0)
        assert len(model.states) == (3 if ensemble == "bootstrap" else 0)


def test_streamed_pixels_give_the_same_training(pool, monkeypatch):
    config = ALL.model_copy(update={"composite": 0.0, "iterations": 3})
    one = trained(pool, config).network.state_dict()
    monkeypatch.setattr("fewmasks.learn.data.PRELOAD_BYTES", 0)
    other = trained(pool, config).network.state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)


class Undecided(nn.Module):
    """Logits of zero, kept for a look at their gradient."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        self.logits = torch.zeros(len(pixels), 2, *pixels.shape[2:], requires_grad=True)
        return self.logits


def gradient_with(
    pool: Pool, config: LearnConfig, guesses: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Of one step on labelled items: where logits have a gradient, where something is known."""
    cache, items, labels = pool
    card = prepare(cache, items, made.CLASSES, config)
    frames = Frames(cache, items[:4], card.frame, config.size, card.intensity)
    labelled = load_labelled(frames, mixed(labels[:4]))
    material = gather_material(
        labelled, Frames(cache, [], card.frame, 32, card.intensity), made.CLASSES, config, 0
    )
    if not guesses:
        material = Material(labelled)
    network, fabric = Undecided(), Fabric(accelerator="cpu", devices=1)
    learning = step.Learning(fabric, network, network, config, torch.Generator().manual_seed(0))
    step.weak_loss(learning, material, [0, 1, 2, 3], [], [], 0.5).backward()
    known = labelled.masks != UNKNOWN
    if guesses:
        known = known | (material.labelled.guesses[:, 0] != UNKNOWN)
    return network.logits.grad.abs().amax(dim=1) > 0, known


def test_pixels_that_nobody_labelled_or_guessed_have_exactly_zero_gradient(pool):
    still = quick(random_walk=0.5, rotate_degrees=0.0, scale=0.0, flips="none")
    moved, said = gradient_with(pool, still, guesses=False)
    assert torch.equal(moved, said)
    moved, guessed = gradient_with(pool, still, guesses=True)
    assert torch.equal(moved, guessed)
    assert said.sum() < guessed.sum()


def digests(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.png")
    }


@pytest.mark.parametrize("options", [{}, ALL.model_dump(exclude_defaults=True)])
def test_a_project_of_scribbles_alone_never_gets_a_pixel_that_nobody_drew(tmp_path, options):
    """It trains, scores and predicts; the labels on disk are the strokes, and unknown the rest."""
    project = study.pictures(tmp_path)
    fast = [*study.FAST, "learn.device=cpu", "learn.members=1"]
    learn = LearnConfig.model_validate(options)
    chosen = [f"learn.{name}={value}" for name, value in beyond_labels(learn).items()]
    project.__dict__["config"] = project.config.with_settings([*fast, *chosen])
    items = project.pool.at(project.train[:6])
    drawn = {item.id: project.reference_scribble(item) for item in items}
    project.add_labels([Label(name, "scribble", mask, 2.0, "anna") for name, mask in drawn.items()])
    before, records = digests(project.folder / "masks"), project.labels()
    scores = session.train(project)
    assert np.isfinite(scores.dice)
    assert digests(project.folder / "masks") == before
    assert project.labels() == records
    assert {record.kind for record in records} == {"scribble"}
    for name, mask in drawn.items():
        stored = project.label(name)
        assert np.array_equal(stored.mask, mask)
        assert stored.by == "anna"
    images = tmp_path / "study" / "images"
    scenes.predict_files(project, [images], tmp_path / "out")
    assert len(list((tmp_path / "out").glob("*.png"))) == 12


def test_a_simulation_switches_options_on_and_records_what_they_used(tmp_path):
    project = study.volumes(tmp_path)
    settings = [*study.FAST, "learn.recipe=dmpls", "learn.interpolate=0.5", "learn.fixmatch=1"]
    config = project.config.with_settings(settings)
    plan = study.plan_of("random", rounds=1, limit=3, config=config, annotations=("scribble",))
    curve = simulate(project, plan, tmp_path / "out", workers=1)
    assert curve["dice"].notna().all()
    scored = [json.loads(path.read_text()) for path in tmp_path.rglob("*scored.json")]
    assert [each["guessed"]["dmpls"] for each in scored] == [each["items"] for each in scored]
    assert all(each["guessed"]["fixmatch"] == 9 - each["items"] for each in scored)
    report = (tmp_path / "out" / "report.html").read_text()
    assert "recipe=dmpls" in report
    assert "interpolate=0.5" in report


@pytest.mark.slow
def test_two_processes_agree_with_one_with_all_options_on(pool):
    """Close, not equal: each process guesses and mixes for its own share."""
    cache, items, _ = pool
    config = ALL.model_copy(update={"iterations": 120, "batch": 6})
    one = trained(pool, config)
    two = trained(pool, config.model_copy(update={"devices": 2}))
    assert two.card.guessed == one.card.guessed
    pairs = zip(predict(one, cache, items), predict(two, cache, items), strict=True)
    assert np.mean([(a == b).mean() for a, b in pairs]) > 0.9
