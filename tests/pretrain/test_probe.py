"""The probe's figures against slow definitions, and verdicts that follow from them."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.study import made

from fewmasks.config import Config
from fewmasks.interop.labels import label_from_reference
from fewmasks.learn.data import Frames
from fewmasks.learn.model import build
from fewmasks.learn.starts import Origin, write_start
from fewmasks.learn.train import prepare
from fewmasks.pretrain import probe as module
from fewmasks.pretrain.probe import (
    Figures,
    Probe,
    effective_rank,
    linear_probe,
    mate_codes,
    mate_recall,
    probe,
    sample_items,
    settle_statistics,
)
from fewmasks.types import UNKNOWN, Item, Label


def fast(project):
    project.config = Config().with_settings(made.FAST)
    return project


@pytest.fixture
def volumes(tmp_path):
    """Three training volumes of three slices, nothing labelled."""
    return fast(made.volumes(tmp_path))


def untrained_start(project, seed=0, shrink=1.0):
    """A start that learnt nothing; `shrink` spoils its last layers."""
    card = prepare(project.cache, project.pool.items, project.classes, project.config.learn)
    network = build(card, seed)
    with torch.no_grad():
        for parameter in network.down_4.parameters():
            parameter.mul_(shrink)
    path = project.folder / "one.safetensors"
    write_start(path, network, Origin("unet", 1, "encoder", "byol", 0, seed))
    return path


# Recall of mates


def recall_by_definition(points, code, near):
    shares = []
    for row in range(len(points)):
        mates = (code == code[row]).sum() - 1
        if not mates:
            continue
        k = near or mates
        away = ((points - points[row]) ** 2).sum(axis=1)
        others = sorted((r for r in range(len(points)) if r != row), key=lambda r: away[r])[:k]
        shares.append(np.mean([code[r] == code[row] for r in others]))
    return np.mean(shares)


@pytest.mark.parametrize("near", [None, 1, 5])
@pytest.mark.parametrize("n", [4, 7, 300])
@pytest.mark.parametrize("seed", range(3))
def test_recall_equals_leaving_one_out_by_brute_force(n, seed, near):
    rng = np.random.default_rng(seed)
    code = rng.integers(0, max(2, n // 4), n)
    points = (rng.normal(size=(n, 6)) + code[:, None] % 3).astype(np.float32)
    assert mate_recall(points, code, near) == pytest.approx(
        recall_by_definition(points, code, near)
    )


def test_recall_is_one_where_mates_stand_apart_and_an_item_is_not_its_own_mate():
    code = np.repeat(np.arange(4), 6)
    points = 100.0 * np.eye(4, dtype=np.float32)[code]
    assert mate_recall(points, code) == mate_recall(points, code, 5) == 1
    lonely = np.arange(24)
    assert mate_recall(points, lonely) is None
    lonely[2] = 0
    line = np.square(np.arange(24, dtype=np.float32))[:, None]
    assert mate_recall(line, lonely) == 0  # the item between them is nearer to both
    assert mate_recall(line, lonely, 2) == 0.5


def test_patients_count_apart_only_where_they_have_several_volumes():
    items = [Item(f"i{n}", f"v{n // 2}", (f"p{n // 4}", f"v{n // 2}")) for n in range(8)]
    volume, patient = mate_codes(items)
    assert volume.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert patient.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    alone = [replace(item, group=(item.source,)) for item in items]
    assert mate_codes(alone)[1].tolist() == list(range(8))


# Rank


def test_the_rank_of_k_equal_directions_is_k():
    for k in (1, 3, 8):
        axes = np.zeros((2 * k, 10), dtype=np.float32)
        axes[np.arange(k), np.arange(k)] = 1
        axes[k + np.arange(k), np.arange(k)] = -1
        assert effective_rank(axes) == pytest.approx(k)
        assert effective_rank(axes + 50) == pytest.approx(k, rel=1e-3)  # wherever it lies


def test_the_rank_of_one_point_is_one():
    assert effective_rank(np.full((9, 4), 3.3, dtype=np.float32)) == 1
    assert effective_rank(np.zeros((1, 4), dtype=np.float32)) == 1


def test_the_rank_of_noise_is_near_its_width():
    points = np.random.default_rng(0).normal(size=(2000, 16)).astype(np.float32)
    assert 15.5 < effective_rank(points) <= 16


# Classes of pixels


def test_the_linear_probe_is_one_where_classes_are_apart_and_chance_on_noise():
    rng = np.random.default_rng(0)
    classes, group = rng.integers(0, 3, 3000), rng.integers(0, 10, 3000)
    apart = np.eye(3)[classes] + 0.05 * rng.normal(size=(3000, 3))
    noise = rng.normal(size=(3000, 20))
    assert linear_probe(apart, classes, group, 0) == 1
    assert linear_probe(noise, classes, group, 0) == pytest.approx(1 / 3, abs=0.04)


def test_a_rare_class_counts_as_much_as_the_others():
    rng = np.random.default_rng(0)
    classes = (np.arange(2000) % 50 == 0).astype(np.int64)
    noise = rng.normal(size=(2000, 3))
    assert linear_probe(noise, classes, rng.integers(0, 9, 2000), 0) == pytest.approx(0.5, abs=0.1)


def test_a_group_is_never_learnt_from_when_it_is_judged():
    """Features that tell the group, whose pixels are of one class, are of no use elsewhere."""
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(8), 100)
    classes = group % 2
    features = np.eye(8)[group] + 0.01 * rng.normal(size=(800, 8))
    assert linear_probe(features, classes, group, 0) < 0.75


def test_one_class_left_to_learn_from_is_predicted():
    classes, group = np.array([0, 0, 1, 1]), np.array([0, 0, 1, 1])
    features = np.random.default_rng(0).normal(size=(4, 2))
    assert linear_probe(features, classes, group, 0) == 0


# All of it


def test_a_start_that_learnt_nothing_is_no_gain(volumes):
    found = probe(volumes, untrained_start(volumes))
    assert not found.helps
    assert found.items == 9
    assert found.width == 128
    assert found.sentence().startswith("no gain seen; start from scratch, or look again")
    assert "no linear probe, as nothing is labelled" in found.sentence()
    assert found.start.pixels is None


def test_a_collapsed_start_never_helps(volumes):
    found = probe(volumes, untrained_start(volumes, shrink=0.0))
    assert found.start.spread < 0.05
    assert not found.helps


def test_the_untrained_network_has_the_statistics_of_the_pool(volumes):
    """As built it shrinks all items to one point, beside which anything would look good."""
    card = prepare(volumes.cache, volumes.pool.items, volumes.classes, volumes.config.learn)
    network, as_built = build(card), build(card)
    items = sample_items(volumes, 0)
    sampled = module.Sampled(card, volumes.cache, items, [], [], 0)
    settle_statistics(network, sampled)
    for name, parameter in network.named_parameters():
        assert torch.equal(parameter, as_built.get_parameter(name))
    frames = Frames(volumes.cache, items, card.frame, card.config.size, card.intensity)
    batch = frames.batch(range(len(items)))
    one_layer = network.conv_0.conv_0.conv  # in one batch the statistics are that batch's own
    wanted = one_layer(batch).mean(dim=(0, 2, 3))
    assert network.conv_0.conv_0.adn.N.running_mean == pytest.approx(wanted.detach(), abs=1e-4)
    assert not any(part.training for part in network.conv_0.modules())
    found = probe(volumes, untrained_start(volumes))
    assert found.untrained.spread > 10 * found.start.spread


def test_no_item_is_alone_with_the_statistics(volumes, monkeypatch):
    """In frames of 16 pixels the deepest map of an item is one value, which has no spread."""
    volumes.config = volumes.config.with_settings(["learn.size=16"])
    items = sample_items(volumes, 0)
    monkeypatch.setattr(module, "SETTLING_BATCH", len(items) - 1)
    card = prepare(volumes.cache, volumes.pool.items, volumes.classes, volumes.config.learn)
    assert card.frame == (16, 16)
    network = build(card)
    settle_statistics(network, module.Sampled(card, volumes.cache, items, [], [], 0))
    assert (network.down_4.convs.conv_1.adn.N.running_var > 0).any()


def test_what_is_probed_is_left_as_it_was_and_the_same_again(volumes):
    start = untrained_start(volumes)
    before = start.read_bytes()
    state = torch.random.get_rng_state()
    assert probe(volumes, start) == probe(volumes, start)
    assert start.read_bytes() == before
    assert torch.equal(torch.random.get_rng_state(), state)


def test_labels_that_people_gave_are_used_and_references_are_not(volumes, monkeypatch):
    start = untrained_start(volumes)
    ids = [volumes.pool.items[row].id for row in volumes.train]
    label_from_reference(volumes, ids[:6])

    def refuse(item):
        raise AssertionError("a reference mask was read")

    monkeypatch.setattr(type(volumes), "reference", refuse)
    found = probe(volumes, start)
    assert found.labelled == 6
    assert 0 <= found.start.pixels <= 1
    assert found.why_no_pixels == ""
    assert "linear probe of pixels" in found.sentence()


def test_labels_of_one_group_or_class_make_no_probe(volumes):
    start = untrained_start(volumes)
    items = volumes.pool.at(volumes.train)
    label_from_reference(volumes, [items[0].id, items[1].id])
    assert probe(volumes, start).why_no_pixels == "as all labels are of one group"
    silent = np.full(volumes.shape(items[3]), UNKNOWN, np.uint8)
    volumes.add_labels([Label(items[3].id, "scribble", silent, 1.0, "ann")])
    assert probe(volumes, start).why_no_pixels == "as all labels are of one group"
    blank = np.zeros(volumes.shape(items[0]), np.uint8)
    volumes.add_labels([Label(items[n].id, "mask", blank, 1.0, "ann") for n in (0, 1, 3)])
    assert probe(volumes, start).why_no_pixels == "as all labels are of one class"


def test_scribbles_are_labels_too(tmp_path):
    project = fast(made.pictures(tmp_path))
    for item in project.pool.at(project.train)[:5]:
        mask = made.scribble_of(project.reference(item))
        project.add_labels([Label(item.id, "scribble", mask, 1.0, "ann")])
    found = probe(project, untrained_start(project))
    assert found.labelled == 5
    assert found.start.volume is None  # every picture is a volume of its own


@pytest.mark.parametrize("seed", [0, 1])
def test_a_sample_is_of_whole_groups_as_far_as_they_go(seed, volumes, monkeypatch):
    monkeypatch.setattr(module, "MOST_ITEMS", 6)
    monkeypatch.setattr(module, "LARGEST_SHARE", 0.5)
    items = sample_items(volumes, seed)
    assert [i.z for i in items] == [0, 1, 2, 0, 1, 2]
    assert len({i.source for i in items}) == 2
    train = set(volumes.pool.ids(volumes.train))
    assert {i.id for i in items} <= train
    assert items == sample_items(volumes, seed)


def test_one_large_group_is_not_all_of_a_sample(volumes, monkeypatch):
    monkeypatch.setattr(module, "MOST_ITEMS", 5)
    monkeypatch.setattr(module, "LARGEST_SHARE", 0.4)
    given = Counter(item.source for item in sample_items(volumes, 0))
    assert sorted(given.values()) == [1, 2, 2]


FIGURES = Figures(pixels=0.5, volume=0.3, patient=None, effective_rank=20.0, spread=0.6)


@pytest.mark.parametrize(
    ("changes", "helps"),
    [
        ({"pixels": 0.6}, True),
        ({"pixels": 0.52}, False),
        ({"pixels": 0.6, "volume": 0.1}, True),  # labels tell more than neighbours
        ({"pixels": 0.5, "volume": 0.9}, False),
        ({"pixels": None, "volume": 0.4}, True),
        ({"pixels": None, "volume": None, "patient": 0.9}, True),
        ({"pixels": 0.9, "spread": 0.01}, False),
    ],
)
def test_the_most_telling_figure_decides(changes, helps):
    before = replace(FIGURES, patient=0.2) if changes.get("patient") else FIGURES
    found = Probe(replace(FIGURES, **changes), before, 100, 128, 9, "")
    assert found.helps is helps
    words = "helps: " if helps else "no gain here; start from scratch: "
    assert found.sentence().startswith(words)


def test_the_sentence_has_the_figures():
    better = replace(FIGURES, pixels=None, volume=0.41, effective_rank=23.4)
    found = Probe(better, replace(FIGURES, pixels=None), 9, 128, 0, "as nothing is labelled")
    assert found.sentence() == (
        "helps: same-volume recall 0.41 against 0.30 untrained; effective rank 23 of 128 "
        "(20 untrained); spread 0.60 (0.60 untrained); no linear probe, as nothing is labelled"
    )
