"""Files of weights that trainings start from."""

import json

import pytest
import torch
from safetensors.torch import save_file

from fewmasks.config import STARTS
from fewmasks.errors import ConfigError, FormatError, GeometryError, ProjectError
from fewmasks.learn import starts
from fewmasks.learn.starts import (
    Origin,
    find_start,
    load_start,
    read_origin,
    start_path,
    write_start,
)
from fewmasks.nn.segmenter import body_tensors, encoder_tensors, segmenter

NETWORKS = pytest.mark.parametrize("name", ["unet", "resnet18"])


def network(name="unet", channels=1, n_classes=3, seed=0):
    torch.manual_seed(seed)
    return segmenter(name, channels, n_classes)


def origin(name="unet", part="encoder"):
    return Origin(name, 1, part, "byol", 100, 7)


@pytest.mark.slow
@NETWORKS
@pytest.mark.parametrize("part", ["encoder", "body"])
def test_a_part_comes_back_in_another_network_and_nothing_else(tmp_path, name, part):
    given, taker = network(name), network(name, n_classes=5, seed=1)
    before = {key: t.clone() for key, t in taker.state_dict().items()}
    path = tmp_path / "sub" / "start.safetensors"
    write_start(path, given, origin(name, part))
    load_start(taker, path)
    wanted = encoder_tensors(given) if part == "encoder" else body_tensors(given)
    for key, tensor in taker.state_dict().items():
        source = given.state_dict()[key] if key in wanted else before[key]
        assert torch.equal(tensor, source), key
    assert read_origin(path) == origin(name, part)


@NETWORKS
def test_the_parts_of_a_network(name):
    made = network(name)
    encoder, body = encoder_tensors(made), body_tensors(made)
    assert encoder < body < set(made.state_dict())
    head = set(made.state_dict()) - body
    assert {key.rpartition(".")[2] for key in head} == {"weight", "bias"}


def test_another_network_is_refused_by_the_first_tensor_that_differs(tmp_path):
    path = tmp_path / "start.safetensors"
    write_start(path, network("unet"), origin())
    with pytest.raises(GeometryError, match=r"\(unet\): the network has no tensor 'conv_0\."):
        load_start(network("resnet18"), path)
    with pytest.raises(GeometryError, match=r"conv_0\.conv_0\.conv\.weight is \(16, 1, 3, 3\)"):
        load_start(network("unet", channels=3), path)


def test_weights_of_another_make_go_into_a_resnet_alone(tmp_path):
    path = tmp_path / "theirs.safetensors"
    save_file({"conv1.weight": torch.zeros(64, 3, 7, 7)}, path)
    assert read_origin(path) is None
    with pytest.raises(ProjectError, match=r"takes no ResNet weights; set learn\.network"):
        load_start(network(), path)


def test_a_file_of_a_newer_version_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "start.safetensors"
    monkeypatch.setattr(starts, "FORMAT_VERSION", 99)
    write_start(path, network(), origin())
    monkeypatch.undo()
    with pytest.raises(FormatError, match="made by a newer fewmasks"):
        load_start(network(), path)


def test_a_file_of_an_older_version_says_nothing_of_settings(tmp_path):
    path = tmp_path / "start.safetensors"
    about = {"format": 1, "network": "unet", "channels": 1, "part": "encoder"}
    about |= {"method": "byol", "iterations": 100, "seed": 7}
    save_file({"x": torch.zeros(1)}, path, {"fewmasks": json.dumps(about)})
    assert read_origin(path) == origin()


def test_a_file_that_is_no_safetensors(tmp_path):
    path = tmp_path / "start.safetensors"
    path.write_bytes(b"nothing")
    with pytest.raises(FormatError, match=r"start\.safetensors: not a safetensors file"):
        load_start(network(), path)


def test_what_a_start_stands_for(tmp_path):
    path = tmp_path / "starts" / "byol.safetensors"
    assert find_start(tmp_path, "scratch", "unet") is None
    with pytest.raises(ProjectError, match=r"run `fewmasks pretrain .* --method byol`"):
        find_start(tmp_path, "byol", "unet")
    write_start(path, network(), origin())
    assert find_start(tmp_path, "byol", "unet") == path
    assert find_start(tmp_path, str(path), "unet") == path
    with pytest.raises(ConfigError, match=rf"--start: moco is neither .* {STARTS[1]}"):
        find_start(tmp_path, "moco", "unet")


def test_imagenet_weights_are_fetched_once_and_only_where_there_are_some(tmp_path, monkeypatch):
    fetched = []
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))

    def download(url, path, digits, progress):
        fetched.append((url, digits))
        torch.save({}, path)

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    first = find_start(tmp_path, "imagenet", "resnet18")
    assert find_start(tmp_path, "imagenet", "resnet18") == first
    assert fetched == [("https://download.pytorch.org/models/resnet18-f37072fd.pth", "f37072fd")]
    with pytest.raises(ConfigError, match="no ImageNet weights for unet"):
        find_start(tmp_path, "imagenet", "unet")


@pytest.fixture
def cut_off(monkeypatch):
    """No start may ask anybody for anything."""

    def download(*given, **more):
        raise AssertionError(f"asked for {given}")

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)


def test_imagenet_weights_in_a_file_are_a_start_and_nothing_is_fetched(tmp_path, cut_off):
    given, taker = network("resnet18", channels=3, seed=1), network("resnet18", channels=3)
    weights = dict(given.encoder.state_dict())
    save_file({**weights, "fc.weight": torch.zeros(9, 512)}, tmp_path / "theirs.safetensors")
    torch.save({**weights, "fc.bias": torch.zeros(9)}, tmp_path / "theirs.pth")
    for name in ("theirs.safetensors", "theirs.pth"):
        path = find_start(tmp_path, str(tmp_path / name), "resnet18")
        load_start(taker, path)
        found = taker.encoder.state_dict()
        assert all(torch.equal(found[key], tensor) for key, tensor in weights.items())


@pytest.mark.parametrize("name", [start for start in STARTS if start != "imagenet"])
def test_no_other_start_asks_for_the_hub(name, tmp_path, cut_off):
    start_path(tmp_path, name).parent.mkdir()
    start_path(tmp_path, name).touch()
    find_start(tmp_path, name, "resnet18")


def test_without_a_network_the_user_hears_how_to_bring_the_file(tmp_path, monkeypatch):
    def download(url, path, digits, progress):
        raise OSError("no route to host")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    with pytest.raises(FormatError, match=r"cannot be fetched \(no route to host\); fetch it else"):
        find_start(tmp_path, "imagenet", "resnet34")


def test_weights_that_came_damaged_are_a_sentence_and_not_kept(tmp_path, monkeypatch):
    """A page of a proxy in place of the file: its hash is not the one in the name."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(starts, "HUB", tmp_path.as_uri() + "/")
    (tmp_path / starts.HUB_FILES["resnet34"]).write_text("sign in first")
    with pytest.raises(FormatError, match=r"cannot be fetched \(invalid hash .*fetch it elsewhere"):
        find_start(tmp_path, "imagenet", "resnet34")
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_the_metadata_is_readable_without_us(tmp_path):
    from safetensors import safe_open

    path = tmp_path / "start.safetensors"
    write_start(path, network(), origin())
    with safe_open(path, "pt") as file:
        about = json.loads(file.metadata()["fewmasks"])
    assert about["method"] == "byol"
    assert about["network"] == "unet"
