"""Embeddings by DINOv2 and DINOv3: tiny networks that know nothing, saved as theirs are."""

import json
import shutil
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.learn.made import CLASSES, pool, quick
from tests.makers import write_png
from tests.study import made

from fewmasks.errors import ConfigError, FormatError, GeometryError, MissingExtra, ProjectError
from fewmasks.executors.local import map_here
from fewmasks.io.cache import PixelCache
from fewmasks.learn import embed as embedding
from fewmasks.learn import foundation, session
from fewmasks.learn.embed import embed, embedding_start, encode, look_of, settled_embedding
from fewmasks.learn.foundation import DEVIATION, MEAN, load_checkpoint, pictures, side_of
from fewmasks.learn.train import prepare
from fewmasks.study import run
from fewmasks.types import Item

transformers = pytest.importorskip(
    "transformers", reason="transformers is not here: pip install 'fewmasks[foundation]'"
)
SHAPE = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
ROWS = np.array([0, 2, 3])
KINDS = {
    "dinov2": lambda: transformers.Dinov2Model(
        transformers.Dinov2Config(**SHAPE, mlp_ratio=2, image_size=28, patch_size=14)
    ),
    "dinov2_with_registers": lambda: transformers.Dinov2WithRegistersModel(
        transformers.Dinov2WithRegistersConfig(
            **SHAPE, mlp_ratio=2, image_size=28, patch_size=14, num_register_tokens=3
        )
    ),
    "dinov3_vit": lambda: transformers.DINOv3ViTModel(
        transformers.DINOv3ViTConfig(
            **SHAPE, intermediate_size=32, image_size=32, patch_size=16, num_register_tokens=4
        )
    ),
}


def save(folder, kind="dinov2", seed=0):
    torch.manual_seed(seed)
    transformers.utils.logging.disable_progress_bar()
    KINDS[kind]().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder that no test changes."""
    return save(tmp_path_factory.mktemp("dino") / "small")


@pytest.fixture
def known(tmp_path):
    """A card, a pixel cache and six grey pictures of two shapes."""
    images, items, _ = pool(tmp_path, shapes=((32, 32), (24, 32)))
    return prepare(images, items, CLASSES, quick()), images, items


def pool_of(folder, **pixels):
    """Pictures by name, as they are."""
    items = [Item(name, str(folder / f"{name}.png"), (name,)) for name in pixels]
    for item in items:
        write_png(folder / f"{item.id}.png", pixels[item.id])
    images = PixelCache(folder / "cache")
    images.build([folder / f"{name}.png" for name in pixels])
    return images, items


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_the_first_token_at_unit_length(kind, known, tmp_path):
    card, images, items = known
    folder = save(tmp_path / kind, kind)
    found = embed(card, folder, images, items, ROWS)
    network = load_checkpoint(folder, 1).eval()
    with torch.inference_mode():
        seen = pictures(images, items, card.intensity, side_of(network))
        tokens = torch.cat([network(pixel_values=one[None]).last_hidden_state for one in seen])
    first = tokens[:, 0].numpy()
    slow = first / np.linalg.norm(first, axis=1, keepdims=True)
    assert found.shape == (6, 16)
    assert found[ROWS] == pytest.approx(slow[ROWS], abs=1e-5)
    assert np.isnan(found[[1, 4, 5]]).all()
    assert np.abs(found[ROWS] - found[ROWS[0]]).max() > 1e-4  # it does see the pictures


def test_a_picture_is_in_the_colours_of_imagenet(tmp_path):
    """Black, white and the middle, at a size that is not scaled: the formula by hand."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (28, 28, 3), dtype=np.uint8)
    pixels[:2], pixels[2:4] = 0, 255
    images, items = pool_of(tmp_path, one=pixels)
    card = prepare(images, items, CLASSES, quick())
    (picture,) = pictures(images, items, card.intensity, 28).numpy()
    for channel, (mean, deviation) in enumerate([(0.485, 0.229), (0.456, 0.224), (0.406, 0.225)]):
        slow = (pixels[..., channel] / 255 - mean) / deviation
        assert picture[channel] == pytest.approx(slow, abs=1e-5)


def test_grey_is_three_equal_channels_and_scans_use_their_own_range(tmp_path):
    ramp = np.linspace(0, 255, 28 * 28).reshape(28, 28).astype(np.uint8)
    images, items = pool_of(tmp_path, whole=ramp, dark=ramp // 4 + 10)
    scans = prepare(images, items, CLASSES, quick(normalise="source"))
    whole, dark = pictures(images, items, scans.intensity, 28).numpy()
    assert np.abs(whole - dark).max() < 0.1
    unit = whole * np.array(DEVIATION)[:, None, None] + np.array(MEAN)[:, None, None]
    assert unit[1] == pytest.approx(unit[0], abs=1e-5)
    assert unit[2] == pytest.approx(unit[0], abs=1e-5)
    together = prepare(images, items, CLASSES, quick(normalise="pool"))
    whole, dark = pictures(images, items, together.intensity, 28).numpy()
    assert dark.max() < whole.max() - 2


def test_any_shape_is_squeezed_to_a_square_with_all_of_it_inside(tmp_path):
    wide = np.zeros((20, 90), np.uint8)
    wide[:, -5:] = 255
    images, items = pool_of(tmp_path, wide=wide, flat=np.full((30, 30), 9, np.uint8))
    card = prepare(images, items, CLASSES, quick())
    squeezed, flat = pictures(images, items, card.intensity, 56)
    assert squeezed.shape == (3, 56, 56)
    assert squeezed[0, :, -2:].min() > 1 > -1 > squeezed[0, :, :40].max()
    assert flat.isfinite().all()


def test_sides_are_whole_patches_near_224(tmp_path, saved):
    assert side_of(load_checkpoint(saved, 3)) == 16 * 14
    assert side_of(load_checkpoint(save(tmp_path, "dinov3_vit"), 3)) == 14 * 16


# The file


def test_it_is_kept_until_the_weights_change(known, tmp_path, monkeypatch):
    card, images, items = known
    folder = save(tmp_path / "dino", seed=1)
    first = np.array(embed(card, folder, images, items, ROWS))
    with monkeypatch.context() as patch:
        patch.setattr(embedding, "load_checkpoint", None)
        assert np.array_equal(embed(card, folder, images, items, ROWS), first, equal_nan=True)
    save(folder, seed=2)
    assert not np.allclose(embed(card, folder, images, items, ROWS)[ROWS], first[ROWS])


# What does not fit


def change(folder, edit):
    tensors = load_file(folder / "model.safetensors")
    edit(tensors)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


@pytest.mark.parametrize(
    ("edit", "name"),
    [
        (lambda tensors: tensors.pop("layernorm.weight"), "layernorm.weight"),
        (lambda tensors: tensors.update({"layernorm.bias": torch.zeros(3)}), "layernorm.bias"),
    ],
)
def test_a_tensor_that_does_not_fit_is_named_and_never_drawn_at_random(edit, name, tmp_path):
    change(save(tmp_path), edit)
    with pytest.raises(GeometryError, match=rf"safetensors: {name} is missing, or not of the"):
        load_checkpoint(tmp_path, 1)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda f: (f / "model.safetensors").unlink(),
            r"no model\.safetensors beside config\.json",
        ),
        (lambda f: (f / "model.safetensors").write_bytes(b"x" * 99), "not a safetensors file"),
        (lambda f: (f / "config.json").write_text("{"), r"config\.json: not JSON"),
        (lambda f: (f / "config.json").write_text('{"model_type": "bert"}'), "of the kind bert"),
        (lambda f: (f / "config.json").write_text("{}"), "of the kind None; name a folder"),
    ],
)
def test_a_folder_that_is_no_checkpoint_is_a_sentence(spoil, message, tmp_path):
    spoil(save(tmp_path))
    with pytest.raises(FormatError, match=message):
        load_checkpoint(tmp_path, 1)


def test_code_in_the_folder_is_not_run(tmp_path):
    save(tmp_path)
    settings = json.loads((tmp_path / "config.json").read_text())
    settings["auto_map"] = {"AutoModel": "theirs.Theirs", "AutoConfig": "theirs.Config"}
    (tmp_path / "config.json").write_text(json.dumps(settings))
    (tmp_path / "theirs.py").write_text("raise SystemExit('run')")
    assert type(load_checkpoint(tmp_path, 1)).__name__ == "Dinov2Model"


def test_four_channels_are_refused(saved):
    with pytest.raises(ConfigError, match=r"sees grey or colour \(the images have 4 channels\)"):
        load_checkpoint(saved, 4)


@pytest.mark.parametrize("missing", ["transformers", "huggingface_hub"])
def test_without_the_package_the_extra_is_named(missing, saved, monkeypatch):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(MissingExtra, match=rf"^{missing}: .*pip install 'fewmasks\[foundation\]'"):
        foundation.fetch_checkpoint("a/b") if "hub" in missing else load_checkpoint(saved, 1)


# Names


@pytest.fixture
def hub(saved, monkeypatch):
    """A hub that holds the saved folder, and what it was asked for."""
    asked = []

    def download(name, allow_patterns):
        asked.append((name, tuple(allow_patterns)))
        return str(saved)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    return asked


def test_the_hub_is_asked_only_by_name(hub, saved, known, tmp_path):
    card, images, items = known
    assert embedding_start(tmp_path, str(saved), "unet") == saved
    encode(card, look_of(card, saved), images, items[:1])
    assert hub == []
    assert embedding_start(tmp_path, "hub:facebook/dinov2-small", "unet") == saved
    assert hub == [("facebook/dinov2-small", ("config.json", "model.safetensors"))]
    with pytest.raises(ConfigError, match="facebook/dinov2-small is neither a file"):
        embedding_start(tmp_path, "facebook/dinov2-small", "unet")


@pytest.mark.parametrize("error", [OSError("no route.\nMore"), ValueError("no route.\nMore")])
def test_a_hub_that_does_not_answer_is_a_sentence(error, monkeypatch):
    def download(name, allow_patterns):
        raise error

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    with pytest.raises(
        FormatError, match=r"^hub:a/b: cannot be fetched \(no route\); fetch it els"
    ):
        settled_embedding("hub:a/b")


def test_it_can_open_a_project(saved, tmp_path):
    project = made.pictures(tmp_path)
    project.config = project.config.with_settings([*made.FAST, f"query.embedding={saved}"])
    assert len(session.next_round(project, "coreset", 3).picks) == 3


@pytest.mark.slow
def test_a_study_goes_on_with_the_weights_it_began_with(hub, saved, tmp_path):
    project = made.pictures(tmp_path)
    config = project.config.with_settings([*made.FAST, "query.embedding=hub:a/b"])
    plan = made.plan_of("coreset", rounds=2, config=config)
    curve = run.simulate(project, plan, tmp_path / "out", execute=map_here)
    stored = json.loads((tmp_path / "out" / "run.json").read_text())
    assert stored["config"]["query"]["embedding"] == str(saved)
    assert list(stored["weights"]) == [str(saved)]
    assert len(hub) == 1
    assert run.simulate(project, plan, tmp_path / "out").equals(curve)
    assert len(hub) == 1
    change(shutil.copytree(saved, tmp_path / "other"), lambda tensors: tensors.clear())
    stored["weights"] = {str(tmp_path / "other"): stored["weights"][str(saved)]}
    (tmp_path / "out" / "run.json").write_text(json.dumps(stored))
    with pytest.raises(ProjectError, match="other: the weights are others than when"):
        run.simulate(project, plan, tmp_path / "out")
