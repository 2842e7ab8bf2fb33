"""What a training learns from: guesses lie beside labels, never in them, each with its source."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.learn import made
from tests.learn.made import quick
from tests.project.made import write_volume

from fewmasks.config import LearnConfig
from fewmasks.errors import ConfigError
from fewmasks.io.cache import PixelCache
from fewmasks.learn.data import Frames, Intensity, load_labelled
from fewmasks.learn.weak.material import SOURCES, Material, gather_material, weights
from fewmasks.learn.weak.step import _planes
from fewmasks.types import UNKNOWN, Item, Label

FOUR = ("random_walk", "interpolate", "watershed", "composite")
ALL = quick(**dict.fromkeys(FOUR, 0.5), fixmatch=1.0, recipe="dmpls")


def stack(folder: Path, depth: int = 9, step: float = 80) -> tuple[PixelCache, list[Item]]:
    """A volume that shows a disc which grows from slice to slice."""
    path = folder / "v.nii.gz"
    write_volume(
        path,
        np.stack([120 + step * mask_at(z).astype(float) for z in range(depth)]),
        (1.0, 1.0, 1.0),
    )
    cache = PixelCache(folder / "cache", 1)
    cache.build([path])
    return cache, [Item(f"z{z}", str(path), ("v",), z) for z in range(depth)]


def mask_at(z: int) -> np.ndarray:
    y, x = np.mgrid[:32, :24]
    return (np.hypot(y - 16, x - 12) < 4 + z / 2).astype(np.uint8)


def frames_of(cache: PixelCache, items: list[Item]) -> Frames:
    figures = ((0.0,), (255.0,), (100.0,), (50.0,))
    return Frames(cache, items, (32, 32), 32, Intensity("pool", *figures))


def said(item: Item, kind: str = "mask", mask: np.ndarray | None = None) -> Label:
    return Label(item.id, kind, mask_at(item.z) if mask is None else mask, 1.0, "anna")


def scribble_at(z: int) -> np.ndarray:
    drawn = np.full((32, 24), UNKNOWN, np.uint8)
    drawn[2, 2:20], drawn[15:18, 10:14] = 0, 1
    return drawn


def gathered(folder: Path, labels: list[int], config: LearnConfig, kind: str = "mask") -> Material:
    """These slices labelled, all others not."""
    cache, items = stack(folder)
    rest = [item for item in items if item.z not in labels]
    labelled = load_labelled(
        frames_of(cache, [items[z] for z in labels]),
        [said(items[z], kind, scribble_at(z) if kind == "scribble" else None) for z in labels],
    )
    return gather_material(labelled, frames_of(cache, rest), made.CLASSES, config, seed=0)


def test_without_options_there_is_nothing_but_labels(tmp_path):
    material = gathered(tmp_path, [0, 4, 8], quick())
    assert material.is_plain
    assert material.used == {}


@pytest.mark.parametrize("kind", ["mask", "scribble"])
def test_labels_are_the_same_with_all_options(tmp_path, kind):
    """No guess is written over, or into, what somebody said."""
    plain = gathered(tmp_path / "a", [0, 4, 8], quick(), kind).labelled
    material = gathered(tmp_path / "b", [0, 4, 8], ALL, kind)
    assert torch.equal(material.labelled.masks, plain.masks)
    guesses = material.labelled.guesses
    assert (guesses is None) == (kind == "mask")
    if guesses is not None:
        assert (guesses[:, 0][plain.masks != UNKNOWN] == UNKNOWN).all()
    assert material.guessed is not None
    assert (material.guessed.masks == UNKNOWN).all()


def test_every_guess_has_a_source_and_each_source_its_weight(tmp_path):
    config = quick(random_walk=0.1, interpolate=0.2, watershed=0.3, composite=0.4)
    table = weights(config)
    assert [table[n].item() for n in range(4)] == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert table[UNKNOWN] == 0
    assert SOURCES == FOUR
    material = gathered(tmp_path, [0, 4], config)
    classes, sources = material.guessed.guesses.unbind(1)
    assert torch.equal(classes == UNKNOWN, sources == UNKNOWN)
    assert set(sources.unique().tolist()) == {1, 2, 3, UNKNOWN}
    assert material.used == {"random_walk": 0, "interpolate": 3, "watershed": 4, "composite": 2}


def test_scribbles_are_completed_where_they_were_drawn(tmp_path):
    material = gathered(tmp_path, [0, 4, 8], quick(random_walk=0.5), "scribble")
    assert material.used == {"random_walk": 3, "gated_crf": 3}
    assert material.guessed is None
    classes, sources = material.labelled.guesses.unbind(1)
    known = classes[1, :, 4:28] != UNKNOWN
    truth = torch.from_numpy(mask_at(4))
    assert known.float().mean() > 0.5
    assert (classes[1, :, 4:28][known] == truth[known]).float().mean() > 0.97
    assert (classes[:, :, :4] == UNKNOWN).all(), "beyond the picture nothing is guessed"
    assert set(sources.unique().tolist()) == {0, UNKNOWN}


def test_the_masks_of_items_for_fixmatch_take_one_byte_on_every_device(tmp_path):
    """They say nothing, so a large pool must not fill memory with it."""
    material = gathered(tmp_path, [0, 4], quick(fixmatch=1.0))
    assert torch.equal(
        material.unlabelled.masks, torch.full((7, 32, 32), UNKNOWN, dtype=torch.uint8)
    )
    assert torch.equal(material.unlabelled.batch([6, 2])[1], material.unlabelled.masks[:2])
    elsewhere = material.to(torch.device("meta"))
    for masks in (material.unlabelled.masks, elsewhere.unlabelled.masks):
        assert masks.untyped_storage().nbytes() == 1
    assert elsewhere.unlabelled.masks.shape == (7, 32, 32)
    assert elsewhere.unlabelled.masks.device.type == "meta"
    assert elsewhere.labelled.masks.untyped_storage().nbytes() == 2 * 32 * 32


def interpolated(material: Material) -> dict[str, torch.Tensor]:
    if material.guessed is None:
        return {}
    ids = [item.id for item in material.guessed.frames.items]
    return dict(zip(ids, material.guessed.guesses[:, 0], strict=True))


@pytest.mark.parametrize(
    ("labels", "gap", "expected"),
    [
        ([0, 4], 4, {"z1", "z2", "z3"}),
        ([0, 4], 3, set()),
        ([0, 3, 8], 4, {"z1", "z2"}),
        ([4], 4, set()),
        ([4, 5], 4, set()),
    ],
)
def test_slices_between_labelled_ones_are_guessed_within_the_gap(tmp_path, labels, gap, expected):
    material = gathered(tmp_path, labels, quick(interpolate=0.5, interpolate_gap=gap))
    found = interpolated(material)
    assert set(found) == expected
    assert material.used == {"interpolate": len(expected)}
    for name, guess in found.items():
        truth = torch.from_numpy(mask_at(int(name[1:])))
        assert (guess[:, 4:28] == truth).float().mean() > 0.95
        assert (guess[:, :4] == UNKNOWN).all()


def test_slices_of_another_file_are_not_between(tmp_path):
    cache, items = stack(tmp_path)
    labelled = load_labelled(
        frames_of(cache, [items[0], items[4]]), map(said, [items[0], items[4]])
    )
    rest = frames_of(cache, [replace(items[2], source="other.nii.gz")])
    material = gather_material(labelled, rest, made.CLASSES, quick(interpolate=0.5), seed=0)
    assert material.used == {"interpolate": 0}


@pytest.mark.parametrize("sign", [1, -1])
def test_the_watershed_learns_from_labels_whether_objects_are_bright(tmp_path, sign):
    cache, items = stack(tmp_path, step=80 * sign)
    labelled = load_labelled(frames_of(cache, items[:1]), [said(items[0])])
    rest = frames_of(cache, items[1:])
    material = gather_material(labelled, rest, made.CLASSES, quick(watershed=0.3), seed=0)
    assert material.used == {"watershed": 8}
    for item, guess in zip(items[1:], material.guessed.guesses[:, 0], strict=True):
        assert (guess[:, 4:28] == torch.from_numpy(mask_at(item.z))).float().mean() > 0.97


def test_without_a_labelled_object_the_watershed_guesses_nothing(tmp_path):
    cache, items = stack(tmp_path)
    nothing = said(items[0], mask=np.zeros((32, 24), np.uint8))
    labelled = load_labelled(frames_of(cache, items[:1]), [nothing])
    rest = frames_of(cache, items[1:])
    material = gather_material(labelled, rest, made.CLASSES, quick(watershed=0.3), seed=0)
    assert material.used == {"watershed": 0}
    assert material.is_plain


def test_a_composite_keeps_objects_and_replaces_the_rest(tmp_path):
    material = gathered(tmp_path, [2, 6], quick(composite=0.5))
    assert material.used == {"composite": 2}
    whole, made_ = material.labelled, material.guessed
    for number in range(2):
        is_object = whole.masks[number] == 1
        assert torch.equal(
            made_.preloaded[number, 0][is_object], whole.preloaded[number, 0][is_object]
        )
        inside = whole.masks[number] != UNKNOWN
        assert torch.equal(made_.guesses[number, 0][inside], whole.masks[number][inside])
    scribbled = gathered(tmp_path / "s", [2, 6], quick(composite=0.5), "scribble")
    assert scribbled.used == {"composite": 0, "gated_crf": 2}


def test_composites_that_find_no_room_in_memory_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("fewmasks.learn.data.PRELOAD_BYTES", 0)
    with pytest.raises(ConfigError, match=r"learn\.composite: composites are kept in memory"):
        gathered(tmp_path, [2, 6], quick(composite=0.5, watershed=0.5))


@pytest.mark.parametrize(
    ("option", "classes", "message"),
    [
        ("watershed", ("a", "b"), r"learn\.watershed: no class is called background \(a, b\)"),
        ("composite", ("a", "b"), r"learn\.composite: no class is called background"),
        ("watershed", ("background", "a", "b"), r"one class, the project has 2; set"),
    ],
)
def test_options_that_a_project_cannot_have_are_refused(tmp_path, option, classes, message):
    cache, items = stack(tmp_path)
    labelled = load_labelled(frames_of(cache, items[:1]), [said(items[0])])
    rest = frames_of(cache, items[1:])
    with pytest.raises(ConfigError, match=message):
        gather_material(labelled, rest, classes, quick(**{option: 0.5}), seed=0)


def test_the_same_seed_makes_the_same_guesses(tmp_path):
    one, other = (gathered(tmp_path / name, [0, 4, 8], ALL).guessed for name in "ab")
    assert torch.equal(one.guesses, other.guesses)
    assert torch.equal(one.preloaded, other.preloaded)


def test_a_batch_says_what_people_said_what_is_guessed_by_what_and_where_the_picture_is(tmp_path):
    material = gathered(tmp_path, [0, 4], quick(interpolate=0.2))
    for part in (material.labelled, material.guessed):
        pixels, planes = _planes(torch.device("cpu"), part, [1, 0])
        assert pixels.shape[0] == 2
        mask, guess, source, area = planes.unbind(1)
        assert torch.equal(mask, part.masks[[1, 0]])
        known = UNKNOWN if part is material.labelled else 1
        assert set(source.unique().tolist()) == {known, UNKNOWN}
        assert torch.equal(guess == UNKNOWN, source == UNKNOWN)
        assert (area[:, :, 4:28] == 0).all()
        assert (area[:, :, :4] == UNKNOWN).all()
        assert (area[:, :, 28:] == UNKNOWN).all()
