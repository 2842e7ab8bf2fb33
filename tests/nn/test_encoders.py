"""ResNets that torchvision's and timm's weights fit, and weights that do not fit."""

import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from fewmasks.errors import FormatError, GeometryError
from fewmasks.nn.encoders import load_encoder, read_weights
from fewmasks.nn.segmenter import segmenter

pytestmark = pytest.mark.slow

BLOCKS = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3), "resnet50": (3, 4, 6, 3)}


def norm(name: str) -> Iterator[str]:
    parts = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    yield from (f"{name}.{part}" for part in parts)


def torchvision_names(network: str) -> Iterator[str]:
    """By torchvision's rule, without the classifier."""
    convolutions = 3 if network == "resnet50" else 2
    yield "conv1.weight"
    yield from norm("bn1")
    for layer, blocks in enumerate(BLOCKS[network], start=1):
        for block in range(blocks):
            inside = f"layer{layer}.{block}"
            for number in range(1, convolutions + 1):
                yield f"{inside}.conv{number}.weight"
                yield from norm(f"{inside}.bn{number}")
            if block == 0 and (layer > 1 or network == "resnet50"):
                yield f"{inside}.downsample.0.weight"
                yield from norm(f"{inside}.downsample.1")


def encoder_of(network: str, channels: int = 3) -> torch.nn.Module:
    return segmenter(network, channels, 2).encoder


def weights_for(network: str = "resnet18", channels: int = 3) -> dict[str, torch.Tensor]:
    """Random numbers in the shapes of an encoder, with a classifier."""
    generator = torch.Generator().manual_seed(1)
    state = encoder_of(network, channels).state_dict()
    drawn = {
        name: torch.rand(tensor.shape, generator=generator).to(tensor.dtype)
        for name, tensor in state.items()
    }
    return {**drawn, "fc.weight": torch.ones(10, 4), "fc.bias": torch.ones(10)}


@pytest.mark.parametrize("network", BLOCKS)
def test_parameters_are_called_as_in_torchvision(network):
    assert sorted(encoder_of(network).state_dict()) == sorted(torchvision_names(network))


def test_widths_are_those_of_torchvision():
    state = encoder_of("resnet50").state_dict()
    assert state["conv1.weight"].shape == (64, 3, 7, 7)
    assert state["layer1.0.conv1.weight"].shape == (64, 64, 1, 1)
    assert state["layer4.2.conv3.weight"].shape == (2048, 512, 1, 1)
    assert state["layer2.0.downsample.0.weight"].shape == (512, 256, 1, 1)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_weights_go_through_a_file_and_fit_strictly(tmp_path, suffix):
    given = weights_for()
    path = tmp_path / f"encoder{suffix}"
    save_file(given, path) if suffix == ".safetensors" else torch.save(given, path)
    encoder = encoder_of("resnet18")
    load_encoder(encoder, read_weights(path), str(path))
    state = encoder.state_dict()
    assert all(torch.equal(state[name], given[name]) for name in state)


def test_a_file_without_batch_counters_fits():
    """Older weights have none."""
    given = {n: t for n, t in weights_for().items() if not n.endswith("num_batches_tracked")}
    encoder = encoder_of("resnet18")
    load_encoder(encoder, given, "old.pth")
    assert torch.equal(encoder.state_dict()["bn1.weight"], given["bn1.weight"])


def test_rgb_weights_read_one_channel_as_they_read_grey():
    given = weights_for()
    encoder, grey = encoder_of("resnet18"), encoder_of("resnet18", channels=1)
    load_encoder(encoder, given, "rgb")
    load_encoder(grey, given, "rgb")
    pixels = torch.randn(1, 1, 32, 32)
    torch.testing.assert_close(
        grey.conv1(pixels), encoder.conv1(pixels.expand(1, 3, 32, 32)), atol=1e-4, rtol=1e-4
    )


def test_a_tensor_of_another_shape_is_named():
    given = {**weights_for(), "layer3.1.conv2.weight": torch.zeros(4, 4)}
    with pytest.raises(GeometryError, match=r"here\.pth: layer3\.1\.conv2\.weight is \(4, 4\)"):
        load_encoder(encoder_of("resnet18"), given, "here.pth")


def test_a_missing_and_a_superfluous_tensor_are_named():
    given = weights_for()
    with pytest.raises(GeometryError, match=r"no 'layer1\.0\.spare'"):
        load_encoder(encoder_of("resnet18"), {**given, "layer1.0.spare": torch.ones(1)}, "x")
    del given["layer2.0.bn1.bias"]
    with pytest.raises(GeometryError, match=r"no tensor 'layer2\.0\.bn1\.bias'"):
        load_encoder(encoder_of("resnet18"), given, "x")


def test_a_failed_load_leaves_the_encoder_as_it_was():
    encoder = encoder_of("resnet18")
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    with pytest.raises(GeometryError):
        load_encoder(encoder, {**weights_for(), "spare": torch.ones(1)}, "x")
    assert all(torch.equal(before[name], t) for name, t in encoder.state_dict().items())


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_pickled_code_is_refused_and_not_run(tmp_path):
    path, sprung = tmp_path / "evil.pth", tmp_path / "sprung"
    torch.save({"conv1.weight": Trap(sprung)}, path)
    with pytest.raises(FormatError, match=r"evil\.pth: not a file of tensors alone"):
        read_weights(path)
    path.write_bytes(pickle.dumps({"conv1.weight": Trap(sprung)}, protocol=2))
    with pytest.raises(FormatError, match=r"evil\.pth: not a file of tensors alone"):
        read_weights(path)
    assert not sprung.exists()


def test_a_file_that_is_no_table_of_tensors(tmp_path):
    path = tmp_path / "whole.pth"
    torch.save({"state_dict": weights_for(), "epoch": 3}, path)
    with pytest.raises(FormatError, match="no plain table of tensors"):
        read_weights(path)


@pytest.mark.parametrize("name", ["torn.safetensors", "torn.pth", "empty.pth"])
def test_damaged_files(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"" if name.startswith("empty") else b"PK\x03\x04 not really")
    with pytest.raises(FormatError, match=name):
        read_weights(path)
    with pytest.raises(FormatError, match="no such file"):
        read_weights(tmp_path / "absent.pth")
