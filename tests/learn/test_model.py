"""A model goes to disk and comes back the same."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.learn import made
from tests.learn.made import quick

from fewmasks.errors import FormatError, ProjectError
from fewmasks.learn.evidence import gather
from fewmasks.learn.model import build, load_model, save_model, seeded
from fewmasks.learn.predict import probabilities
from fewmasks.learn.train import fit, prepare

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "config",
    [
        quick(),
        quick(ensemble="dropout", precision="bf16"),
        quick(ensemble="bootstrap", network="resnet18", iterations=2),
    ],
)
def test_a_model_comes_back_and_predicts_the_same(tmp_path, config):
    cache, items, labels = made.pool(tmp_path, n=4, shapes=[(32, 32), (20, 30)])
    card = prepare(cache, items, made.CLASSES, config)
    model = fit(card, cache, items, labels, seed=1)
    path = tmp_path / "models" / "model-0000.safetensors"
    save_model(model, path)
    again = load_model(path, "cpu")
    assert again.card == model.card
    assert len(again.states) == len(model.states)
    pairs = zip(probabilities(model, cache, items), probabilities(again, cache, items), strict=True)
    assert all(np.array_equal(ours, theirs) for ours, theirs in pairs)
    names = ["bald", "embedding"]
    before, after = (gather(m, cache, items, np.arange(4), names) for m in (model, again))
    assert all(np.array_equal(before[name], after[name]) for name in names)
    assert sorted(p.name for p in path.parent.iterdir()) == [
        "model-0000.json",
        "model-0000.safetensors",
    ]


def test_a_scan_model_keeps_that_intensities_are_per_source(tmp_path):
    cache, items, labels = made.pool(tmp_path, n=2)
    card = prepare(cache, items, made.CLASSES, quick(normalise="source", iterations=1))
    save_model(fit(card, cache, items, labels, seed=0), tmp_path / "m.safetensors")
    assert load_model(tmp_path / "m.safetensors", "cpu").card.intensity.kind == "source"


def test_a_newer_format_is_refused(tmp_path):
    cache, items, labels = made.pool(tmp_path, n=2)
    card = prepare(cache, items, made.CLASSES, quick(iterations=1))
    path = tmp_path / "m.safetensors"
    save_model(fit(card, cache, items, labels, seed=0), path)
    stored = json.loads(path.with_suffix(".json").read_text())
    path.with_suffix(".json").write_text(json.dumps({**stored, "format": 99}))
    with pytest.raises(FormatError, match="made by a newer fewmasks"):
        load_model(path)
    with pytest.raises(ProjectError, match="no trained model; run `fewmasks train"):
        load_model(tmp_path / "absent.safetensors")


def test_an_untrained_network_follows_from_its_seed(tmp_path):
    cache, items, _ = made.pool(tmp_path, n=1)
    card = prepare(cache, items, made.CLASSES, made.QUICK)
    torch.manual_seed(0)
    expected = torch.rand(2)
    torch.manual_seed(0)
    one, same, other = (build(card, seed).state_dict() for seed in (4, 4, 5))
    assert torch.equal(torch.rand(2), expected)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["final_conv.weight"], other["final_conv.weight"])


def test_dropout_belongs_to_the_dropout_ensemble(tmp_path):
    cache, items, _ = made.pool(tmp_path, n=1)
    card = prepare(cache, items, made.CLASSES, made.QUICK)
    for ensemble, expected in (("snapshots", {0.0}), ("dropout", {0.1})):
        network = build(replace(card, config=quick(ensemble=ensemble)))
        assert {m.p for m in network.modules() if isinstance(m, torch.nn.Dropout)} == expected


def test_a_seeded_block_repeats_itself():
    drawn = []
    for _ in range(2):
        with seeded(torch.device("cpu"), 9):
            drawn.append(torch.rand(3))
    assert torch.equal(*drawn)
