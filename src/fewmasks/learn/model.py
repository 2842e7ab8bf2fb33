"""A trained model: networks and all that is needed to use them on new images."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn

from fewmasks.config import LearnConfig
from fewmasks.errors import FormatError, ProjectError
from fewmasks.io.atomic import atomic, write_text
from fewmasks.learn.data import Intensity
from fewmasks.nn.segmenter import segmenter

FORMAT_VERSION = 1


@dataclass(frozen=True)
class Card:
    """What a model is, apart from its weights; saved as JSON beside them."""

    classes: tuple[str, ...]
    channels: int
    frame: tuple[int, int]
    """Height and width of the network's input."""
    intensity: Intensity
    config: LearnConfig
    precision: str
    """fp32 or bf16, as it was trained and must be run."""
    n_labels: int = 0
    iterations: int = 0
    seed: int = 0
    guessed: dict[str, int] = field(default_factory=dict)
    """Of each weak option that was on: how many items it had something to say about."""


@dataclass(frozen=True)
class Model:
    """A trained model. `network` predicts; the ensemble `states` judge uncertainty."""

    card: Card
    network: nn.Module
    states: tuple[Mapping[str, Tensor], ...]
    """Weights of the ensemble members; empty where dropout makes them, or there is one."""
    device: torch.device

    @property
    def dtype(self) -> torch.dtype:
        """Type of autocast."""
        return torch.bfloat16 if self.card.precision == "bf16" else torch.float32


def build(card: Card, seed: int = 0) -> nn.Module:
    """The untrained network of a card, laid out channels-last; its weights follow from the seed."""
    dropout = 0.1 if card.config.ensemble == "dropout" else 0.0
    with seeded(torch.device("cpu"), seed):
        network = segmenter(card.config.network, card.channels, len(card.classes), dropout)
    return network.to(memory_format=torch.channels_last)


def resolve_device(name: str) -> torch.device:
    """The device of a setting: `auto` takes CUDA when there is one."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise ProjectError(f"learn.device: no CUDA device here ({name}); set learn.device=cpu")
    if name.partition(":")[0] not in ("cpu", "cuda"):
        raise ProjectError(f"learn.device: unknown device ({name}); set auto, cpu or cuda")
    return torch.device(name)


def save_model(model: Model, path: Path) -> None:
    """Write `path` (safetensors) and `path` with .json, each atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {f"network.{k}": t.contiguous() for k, t in model.network.state_dict().items()}
    for member, state in enumerate(model.states):
        tensors |= {f"member{member}.{k}": t.contiguous() for k, t in state.items()}
    card = {
        "format": FORMAT_VERSION,
        **vars(model.card),
        "intensity": asdict(model.card.intensity),
        "config": model.card.config.model_dump(),
    }
    with atomic(path) as file:
        file.write(save(tensors))
    write_text(path.with_suffix(".json"), json.dumps(card, indent=1))


def load_model(path: Path, device: str = "auto") -> Model:
    """Read what `save_model` wrote."""
    if not path.exists() or not path.with_suffix(".json").exists():
        raise ProjectError(f"{path}: no trained model; run `fewmasks train PROJECT`")
    stored = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    if stored.pop("format") > FORMAT_VERSION:
        raise FormatError(f"{path}: made by a newer fewmasks; update fewmasks")
    card = Card(
        classes=tuple(stored.pop("classes")),
        frame=tuple(stored.pop("frame")),
        config=LearnConfig.model_validate(stored.pop("config")),
        intensity=_intensity(stored.pop("intensity")),
        **stored,
    )
    groups: dict[str, dict[str, Tensor]] = {}
    with safe_open(path, "pt") as file:
        for name in file.keys():  # noqa: SIM118
            group, _, tensor = name.partition(".")
            groups.setdefault(group, {})[tensor] = file.get_tensor(name)
    network = build(card)
    network.load_state_dict(groups.pop("network"))
    place = resolve_device(device)
    states = tuple(groups[f"member{m}"] for m in range(len(groups)))
    return Model(card, network.to(place).eval(), states, place)


def state_on(state: Mapping[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    """A member's weights on a device, laid out channels-last as the network's own."""
    return {
        name: tensor.to(
            device,
            memory_format=torch.channels_last if tensor.ndim == 4 else torch.preserve_format,
        )
        for name, tensor in state.items()
    }


@contextmanager
def seeded(device: torch.device, seed: int) -> Iterator[None]:
    """The global random numbers, which weights and dropout draw, follow from a seed inside.

    The caller's own are the same afterwards.
    """
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def _intensity(stored: Mapping[str, Any]) -> Intensity:
    figures = {key: tuple(value) for key, value in stored.items() if key != "kind"}
    return Intensity(stored["kind"], **figures)
