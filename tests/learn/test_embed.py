"""Embeddings of a pool: the slow way's numbers, kept until something changes."""

import os
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.learn.made import CLASSES, pool, quick
from torch.nn import functional

from fewmasks.errors import ConfigError, FormatError, GeometryError, ProjectError
from fewmasks.learn import embed as module
from fewmasks.learn.data import Frames
from fewmasks.learn.embed import embed, embedding_start, encode, encoder_of, look_of
from fewmasks.learn.model import build
from fewmasks.learn.starts import Origin, start_path, write_start
from fewmasks.learn.train import prepare
from fewmasks.nn.heads import Encoder

ROWS = np.array([5, 0, 3])
FILES = "cache/embeddings/*.npy"


@pytest.fixture
def known(tmp_path):
    """A card, a pixel cache and six items of two shapes, one of them off the middle by a pixel."""
    images, items, _ = pool(tmp_path, shapes=((32, 32), (21, 32)))
    return prepare(images, items, CLASSES, quick()), images, items


def start_file(tmp_path, card, seed=1, name="one"):
    origin = Origin(card.config.network, card.channels, "encoder", "byol", 0, seed)
    write_start(tmp_path / f"{name}.safetensors", build(card, seed), origin)
    return tmp_path / f"{name}.safetensors"


def one_by_one(card, images, items, seed):
    """The encoder, an item at a time, each cell by what it shows of the picture."""
    parts = Encoder(build(card, seed)).eval().parts
    frames = Frames(images, items, card.frame, card.config.size, card.intensity)
    points = []
    for n in range(len(items)):
        with torch.inference_mode():
            maps = parts(frames.batch([n]))[0].numpy()
        y, x = (side // 16 for side in card.frame)
        share = frames.valid([n])[0].numpy().reshape(y, 16, x, 16).mean(axis=(1, 3))
        points.append((maps * share).sum(axis=(1, 2)) / share.sum())
    return np.stack(points) / np.linalg.norm(points, axis=1, keepdims=True)


def test_rows_have_the_embedding_of_the_encoder_and_others_none(known, tmp_path):
    card, images, items = known
    found = embed(card, start_file(tmp_path, card), images, items, ROWS)
    slow = one_by_one(card, images, items, seed=1)
    assert found.dtype == np.float32
    assert found.shape == slow.shape == (6, 128)
    assert found[ROWS] == pytest.approx(slow[ROWS], rel=1e-4, abs=1e-6)
    assert np.isnan(found[[1, 2, 4]]).all()


@pytest.mark.parametrize("rows", [[], [0], [5], [2, 3], [0, 1, 2, 3, 4, 5]])
def test_any_rows_can_be_asked_for(rows, known, monkeypatch):
    card, images, items = known
    monkeypatch.setattr(module, "GAP", 2)
    found = embed(card, None, images, items, np.array(rows, dtype=np.int64))
    assert np.flatnonzero(np.isfinite(found).all(axis=1)).tolist() == rows
    assert found.shape == (6, 256)


def settled(network, pixels):
    """With the statistics of these pixels: as it is built, all items are one point to it."""
    for norm in (m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)):
        norm.reset_running_stats()
        norm.momentum = None
    with torch.inference_mode():
        network.train()(pixels)
    return network.eval()


def test_padding_is_no_part_of_the_embedding(tmp_path):
    """A small picture in its own frame, in a large one beside large pictures, and as it was."""
    images, items, _ = pool(tmp_path, n=6, shapes=((96, 96), (192, 192)))
    card = prepare(images, items, CLASSES, quick(size=192))
    frames = Frames(images, items, card.frame, card.config.size, card.intensity)
    pixels = frames.batch(range(6))
    network = settled(build(card, seed=2), pixels)
    found = encode(card, encoder_of(card, network), images, items)
    tight = replace(card, frame=(96, 96))
    alone = encode(tight, encoder_of(tight, network), images, items[::2])
    with torch.inference_mode():
        plain = functional.normalize(Encoder(network)(pixels)).numpy()
    before, after = (np.linalg.norm(each[::2] - alone, axis=1) for each in (plain, found))
    assert after.mean() < 0.5 * before.mean()
    assert found[1::2] == pytest.approx(plain[1::2], abs=1e-6)


def test_items_that_fill_the_frame_have_the_plain_mean_to_the_last_bit(tmp_path):
    images, items, _ = pool(tmp_path, n=4)
    card = prepare(images, items, CLASSES, quick())
    network = build(card, seed=1)
    frames = Frames(images, items, card.frame, card.config.size, card.intensity)
    pixels = frames.batch(range(4)).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        plain = functional.normalize(Encoder(network.eval())(pixels)).numpy()
    assert np.array_equal(encode(card, encoder_of(card, network), images, items), plain)


def test_without_a_start_it_is_the_thumbnail(known):
    card, images, items = known
    found = embed(card, None, images, items, np.arange(6))
    frames = Frames(images, items, card.frame, card.config.size, card.intensity)
    small = functional.adaptive_avg_pool2d(frames.batch(range(6)), 16).flatten(1)
    assert found == pytest.approx(small.numpy())


def test_a_few_items_are_encoded_without_a_file(known, tmp_path):
    card, images, items = known
    start = start_file(tmp_path, card)
    table = embed(card, start, images, items, np.arange(6))
    files = len(list(tmp_path.glob(FILES)))
    assert encode(card, look_of(card, start), images, items[2:4]) == pytest.approx(table[2:4])
    assert len(list(tmp_path.glob(FILES))) == files


@pytest.mark.slow
def test_a_resnet_is_an_encoder_too(known, tmp_path):
    _, images, items = known
    card = prepare(images, items, CLASSES, quick(network="resnet18"))
    assert embed(card, start_file(tmp_path, card), images, items, ROWS).shape == (6, 512)


def test_the_network_is_left_in_evaluation_with_its_statistics(known):
    card, images, items = known
    network = build(card)
    before = {name: t.clone() for name, t in network.state_dict().items()}
    encode(card, encoder_of(card, network), images, items)
    assert all(torch.equal(t, before[name]) for name, t in network.state_dict().items())


# The file


def count_looks(monkeypatch):
    looked = []
    inner = module._stream
    monkeypatch.setattr(module, "_stream", lambda *given: looked.append(1) or inner(*given))
    return looked


def test_it_is_computed_once_and_mapped_read_only(known, tmp_path, monkeypatch):
    card, images, items = known
    start, looked = start_file(tmp_path, card), count_looks(monkeypatch)
    first = embed(card, start, images, items, ROWS)
    again = embed(card, start, images, items, np.sort(ROWS))
    assert len(looked) == 1
    assert np.array_equal(first, again, equal_nan=True)
    assert isinstance(again, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        again[0] = 0


def test_other_weights_under_the_same_name_are_noticed(known, tmp_path):
    card, images, items = known
    before = np.array(embed(card, start_file(tmp_path, card, seed=1), images, items, ROWS))
    after = embed(card, start_file(tmp_path, card, seed=2), images, items, ROWS)
    assert not np.allclose(before[ROWS], after[ROWS])
    assert after[ROWS] == pytest.approx(one_by_one(card, images, items, 2)[ROWS], rel=1e-4)


@pytest.mark.parametrize("what", ["frame", "intensity", "size", "items", "rows", "pixels"])
def test_whatever_changes_the_numbers_makes_them_anew(what, known, tmp_path, monkeypatch):
    card, images, items = known
    looked, rows = count_looks(monkeypatch), ROWS
    embed(card, None, images, items, rows)
    if what == "frame":
        card = replace(card, frame=(48, 48))
    elif what == "intensity":
        dark = replace(card.intensity, mean=tuple(m + 1 for m in card.intensity.mean))
        card = replace(card, intensity=dark)
    elif what == "size":
        card = replace(card, config=quick(size=16))
    elif what == "items":
        items = [*items[:3], replace(items[3], box=(0, 0, 8, 8)), *items[4:]]
    elif what == "rows":
        rows = np.array([0, 3])
    else:
        statistics = images.statistics(items[0].source)
        changed = replace(statistics, mean=(statistics.mean[0] + 1,))
        monkeypatch.setattr(images, "statistics", lambda source: changed)
    embed(card, None, images, items, rows)
    assert len(looked) == 2


@pytest.mark.parametrize("after", [0, 1])
def test_a_write_that_is_stopped_leaves_nothing(after, known, tmp_path, monkeypatch):
    card, images, items = known
    inner = module._stream

    def dying(*given):
        yield from list(inner(*given))[:after]
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "_stream", dying)
        with pytest.raises(KeyboardInterrupt):
            embed(card, None, images, items, ROWS)
    assert list((tmp_path / "cache" / "embeddings").iterdir()) == []
    assert np.isfinite(embed(card, None, images, items, ROWS)[ROWS]).all()


def test_what_a_killed_run_left_is_swept(known, tmp_path):
    card, images, items = known
    folder = tmp_path / "cache" / "embeddings"
    folder.mkdir()
    old, new = folder / ".x.npy.1-1.tmp", folder / ".y.npy.1-1.tmp"
    for left in (old, new):
        left.write_bytes(b"half")
    long_ago = time.time() - 2 * 3600
    os.utime(old, (long_ago, long_ago))
    embed(card, None, images, items, ROWS)
    assert (old.exists(), new.exists()) == (False, True)


def test_the_folder_does_not_grow_for_ever(known, tmp_path, monkeypatch):
    card, images, items = known
    monkeypatch.setattr(module, "MOST_KEPT", 2)
    for row in range(4):
        embed(card, None, images, items, np.array([row]))
    assert len(list(tmp_path.glob(FILES))) == 2


def test_a_damaged_file_is_named(known, tmp_path):
    card, images, items = known
    embed(card, None, images, items, ROWS)
    (path,) = tmp_path.glob(FILES)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(FormatError, match=r"\.npy: damaged .*; delete it"):
        embed(card, None, images, items, ROWS)


# Names


def test_a_name_stands_for_a_file(tmp_path):
    file = tmp_path / "mine.safetensors"
    file.touch()
    made = start_path(tmp_path, "group")
    made.parent.mkdir()
    made.touch()
    assert embedding_start(tmp_path, "thumbnail", "unet") is None
    assert embedding_start(tmp_path, "group", "unet") == made
    assert embedding_start(tmp_path, str(file), "unet") == file


@pytest.mark.parametrize("name", ["scratch", "model", "byool", "nowhere.safetensors", "", "."])
def test_what_is_no_embedding_is_refused(name, tmp_path):
    with pytest.raises(ConfigError, match=r"query.embedding: .* is neither a file nor one of"):
        embedding_start(tmp_path, name, "unet")


def test_a_method_that_did_not_run_is_refused(tmp_path):
    with pytest.raises(ProjectError, match="nothing is pre-trained with byol; run"):
        embedding_start(tmp_path, "byol", "unet")


def test_a_start_of_another_network_is_refused(known, tmp_path):
    card, images, items = known
    other = replace(card, config=quick(network="resnet18"))
    with pytest.raises(GeometryError, match=r"one\.safetensors"):
        embed(card, start_file(tmp_path, other), images, items, ROWS)
