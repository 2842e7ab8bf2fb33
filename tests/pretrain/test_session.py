"""Pre-training of a project, from its settings to the file of weights."""

import pytest
import torch
from safetensors.torch import load_file
from tests.study import made

from fewmasks.config import METHODS, Config, PretrainConfig
from fewmasks.errors import ConfigError, ProjectError
from fewmasks.interop.labels import label_from_reference
from fewmasks.learn import data
from fewmasks.learn.session import train
from fewmasks.learn.starts import read_origin, start_path
from fewmasks.nn.segmenter import body_tensors, encoder_tensors, segmenter
from fewmasks.pretrain import course
from fewmasks.pretrain.recipe import SETTINGS_OF, preset_for, recipe
from fewmasks.pretrain.session import planned_iterations, pretrain, views_of
from fewmasks.pretrain.views import make_views
from fewmasks.project import Import, create

SETTINGS = [*made.FAST, "pretrain.iterations=3", "pretrain.batch=4", "pretrain.hidden=16"]


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_every_method_leaves_a_start_that_a_training_takes(method, tmp_path):
    project = made.volumes(tmp_path)
    project.config = Config().with_settings(SETTINGS)
    heard = []
    found = pretrain(project, method, report=lambda what, done, of: heard.append((what, done, of)))
    assert found.path == start_path(project.folder, method)
    assert len(found.losses) == found.iterations == 3
    assert heard[-1] == (f"pre-training with {method}", 3, 3)
    origin = read_origin(found.path)
    assert origin is not None
    assert (origin.method, origin.part) == (method, "body" if method == "dense" else "encoder")
    items = project.pool.at(project.train[:2])
    label_from_reference(project, [item.id for item in items])
    assert train(project, start=method) is not None
    assert project.trainings()[-1]["start"] == method


class Interrupted(Exception):
    """Raised by the report, as Ctrl-C would be."""


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_every_method_goes_on_where_it_was_stopped(method, tmp_path, monkeypatch):
    """Clusters are found at the third of six steps: once before the stop and once after it."""
    monkeypatch.setattr(course, "CHECKPOINT_SECONDS", 0.0)
    project = made.volumes(tmp_path)
    project.config = Config().with_settings(
        [*SETTINGS, "pretrain.iterations=6", "pretrain.clusters=2"]
    )
    whole = pretrain(project, method, out=tmp_path / "whole.safetensors")
    for stop_at in (1, 4):
        out = tmp_path / f"stopped-{stop_at}.safetensors"

        def report(what, done, of, stop_at=stop_at):
            if done == stop_at:
                raise Interrupted

        with pytest.raises(Interrupted):
            pretrain(project, method, out=out, report=report)
        assert not out.exists()
        again = pretrain(project, method, out=out)
        expected, found = load_file(whole.path), load_file(out)
        network = segmenter("unet", 1, 2)
        parts = body_tensors(network) if method == "dense" else encoder_tensors(network)
        assert expected.keys() == found.keys() == parts
        assert all(torch.equal(expected[name], found[name]) for name in parts)
        assert again.losses == whole.losses


@pytest.mark.slow
def test_test_items_are_never_looked_at(tmp_path, monkeypatch):
    project = made.pictures(tmp_path)
    project.config = Config().with_settings(SETTINGS)
    seen, read = set(), data.read_normalised

    def watched(images, item, intensity):
        seen.add(item.id)
        return read(images, item, intensity)

    monkeypatch.setattr(data, "read_normalised", watched)
    pretrain(project, "byol")
    test = set(project.pool.ids(project.test))
    assert seen
    assert not seen & test


def test_one_item_teaches_nothing(tmp_path):
    study = made.write_pictures(tmp_path / "study", n=2, groups=2).parent
    project = create(tmp_path / "p", Import(images=(study / "images",), test_fraction=0.5))
    with pytest.raises(ProjectError, match="1 training items are too few to learn from"):
        pretrain(project, "byol")


def test_views_that_do_not_fit_the_images_are_refused(tmp_path):
    project = made.pictures(tmp_path)
    project.config = Config().with_settings([*SETTINGS, "pretrain.views=histology"])
    with pytest.raises(ConfigError, match=r"pretrain\.views: histology needs 3 channels"):
        pretrain(project, "byol")


def test_epochs_are_counted_in_items():
    config = PretrainConfig(epochs=3, batch=8)
    assert planned_iterations(config, 80) == 30
    assert planned_iterations(config.model_copy(update={"accumulate": 2}), 80) == 15
    assert planned_iterations(config, 5) == 3
    assert planned_iterations(PretrainConfig(iterations=7), 80) == 7


@pytest.mark.slow
def test_a_start_says_with_which_settings_it_was_made(tmp_path):
    project = made.pictures(tmp_path)
    project.config = Config().with_settings([*SETTINGS, "pretrain.method=group"])
    origin = read_origin(pretrain(project, "byol").path)
    assert origin is not None
    assert origin.settings == recipe("byol", project.config, 1)
    assert origin.settings["learn.size"] == 32
    assert origin.settings["pretrain.strength"] == 1.0


def test_every_setting_of_pretraining_matters_to_a_method_or_chooses_it():
    known = Config().flat()
    named = {name for names in SETTINGS_OF.values() for name in names}
    assert named <= known.keys()
    of_pretraining = {name for name in known if name.startswith("pretrain.")}
    assert of_pretraining - named == {"pretrain.method"}


def test_epochs_take_the_place_of_iterations():
    config = Config().with_settings(["pretrain.epochs=3"])
    assert recipe("dense", config, 1)["pretrain.iterations"] is None


@pytest.mark.parametrize(("channels", "preset"), [(1, "grey"), (3, "colour"), (4, "grey")])
def test_views_follow_the_channels(channels, preset):
    assert preset_for(PretrainConfig(), channels) == preset
    assert preset_for(PretrainConfig(views="overhead"), channels) == "overhead"


@pytest.mark.parametrize(("method", "strength"), [("group", 0.25), ("byol", 1.0)])
def test_group_contrast_has_weaker_views_unless_told_otherwise(method, strength):
    pixels = torch.randn(4, 1, 32, 32)

    def view(views):
        torch.manual_seed(0)
        return views(pixels)

    assert torch.equal(
        view(views_of(method, PretrainConfig(), 1)), view(make_views("grey", 1, strength))
    )
    told = views_of(method, PretrainConfig(strength=0.5), 1)
    assert torch.equal(view(told), view(make_views("grey", 1, 0.5)))
