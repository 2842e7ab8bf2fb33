"""Where a training starts: from scratch, or from weights that learnt without labels."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn

from fewmasks.config import IMAGENET, METHODS, SCRATCH, STARTS, Network
from fewmasks.errors import ConfigError, FormatError, GeometryError, ProjectError
from fewmasks.io.atomic import atomic
from fewmasks.nn.encoders import load_encoder, read_weights
from fewmasks.nn.segmenter import body_tensors, encoder_tensors

FORMAT_VERSION = 2
HUB = "https://download.pytorch.org/models/"
HUB_FILES = {
    "resnet18": "resnet18-f37072fd.pth",
    "resnet34": "resnet34-b627a593.pth",
    "resnet50": "resnet50-11ad3fa6.pth",
}
"""ImageNet weights; each name ends in the first digits of the file's SHA-256."""

Part = Literal["encoder", "body"]
"""What of a segmentation network a file holds: its encoder, or all but the last convolution."""


@dataclass(frozen=True)
class Origin:
    """Where start weights come from; kept in the metadata of their file."""

    network: Network
    channels: int
    part: Part
    method: str
    iterations: int
    seed: int
    settings: Mapping[str, Any] | None = None
    """Those that the weights depend on, by their dotted names; older files do not say."""


def start_path(folder: Path, method: str) -> Path:
    """The file that `fewmasks pretrain` writes in a project folder for a method."""
    return folder / "starts" / f"{method}.safetensors"


def find_start(folder: Path, name: str, network: Network) -> Path | None:
    """The file of weights that a start stands for; None for scratch.

    A method's name stands for what this project pre-trained with it, `imagenet` for weights that
    are fetched once, and anything else is the path of a file.
    """
    if name == SCRATCH:
        return None
    if name == IMAGENET:
        return _fetch_imagenet(network)
    if name not in METHODS:
        path = Path(name)
        if not path.is_file():
            raise ConfigError(
                f"--start: {name} is neither a file nor one of {', '.join(STARTS)}; name one"
            )
        return path
    path = start_path(folder, name)
    if not path.exists():
        raise ProjectError(
            f"{folder}: nothing is pre-trained with {name}; "
            f"run `fewmasks pretrain {folder} --method {name}`"
        )
    return path


def _fetch_imagenet(network: Network) -> Path:
    if network not in HUB_FILES:
        raise ConfigError(
            f"--start: there are no ImageNet weights for {network}; set learn.network=resnet18"
        )
    path = Path(torch.hub.get_dir()) / "checkpoints" / HUB_FILES[network]
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        digits = path.stem.rpartition("-")[2]
        try:
            torch.hub.download_url_to_file(HUB + path.name, str(path), digits, progress=False)
        except (OSError, RuntimeError) as error:  # the latter where what came has another hash
            raise FormatError(
                f"{HUB + path.name}: cannot be fetched ({error}); "
                f"fetch it elsewhere and name the file: --start FILE"
            ) from None
    return path


def write_start(path: Path, network: nn.Module, origin: Origin) -> None:
    """Write the encoder or the body of a network, with its origin, atomically."""
    names = encoder_tensors(network) if origin.part == "encoder" else body_tensors(network)
    state = network.state_dict()
    tensors = {name: state[name].detach().cpu().contiguous() for name in sorted(names)}
    about = {"format": FORMAT_VERSION, **asdict(origin)}
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as file:
        file.write(save(tensors, {"fewmasks": json.dumps(about)}))


def read_origin(path: Path) -> Origin | None:
    """The origin of a file that `write_start` wrote; None for weights of another make."""
    if path.suffix != ".safetensors" or not path.is_file():
        return None
    about = _metadata(path).get("fewmasks")
    if about is None:
        return None
    stored = json.loads(about)
    if stored.pop("format") > FORMAT_VERSION:
        raise FormatError(f"{path}: made by a newer fewmasks; update fewmasks")
    return Origin(**stored)


def _metadata(path: Path) -> Mapping[str, Any]:
    from safetensors import SafetensorError

    try:
        with safe_open(path, "pt") as file:
            return file.metadata() or {}
    except SafetensorError as error:
        raise FormatError(f"{path}: not a safetensors file ({error})") from None


def load_start(network: nn.Module, path: Path) -> None:
    """Copy weights into a network, strictly: the first tensor that does not fit is named.

    A file of ours holds the tensors of the encoder, or of all but the last convolution; weights of
    another make are those of a torchvision or timm ResNet and go into the encoder.
    """
    origin, weights = read_origin(path), read_weights(path)
    if origin is None:
        encoder = getattr(network, "encoder", None)
        if encoder is None:
            raise ProjectError(
                f"{path}: the plain U-Net takes no ResNet weights; set learn.network=resnet18"
            )
        load_encoder(encoder, weights, str(path))
        return
    wanted = encoder_tensors(network) if origin.part == "encoder" else body_tensors(network)
    _refuse_misfit(network.state_dict(), wanted, weights, f"{path} ({origin.network})")
    network.load_state_dict(weights, strict=False)


def _refuse_misfit(
    state: Mapping[str, Tensor], wanted: frozenset[str], given: Mapping[str, Tensor], where: str
) -> None:
    for name in sorted(wanted | given.keys()):
        if name not in given or name not in wanted:
            whose = "the file has no" if name in wanted else "the network has no"
            raise GeometryError(
                f"{where}: {whose} tensor {name!r}; "
                f"choose the network that it was pre-trained with, or pre-train again"
            )
        if given[name].shape != state[name].shape:
            raise GeometryError(
                f"{where}: {name} is {tuple(given[name].shape)}, the network needs "
                f"{tuple(state[name].shape)}; choose the network that it was pre-trained with, "
                f"or pre-train again"
            )
