"""DINOv2 and DINOv3 as embedders: a checkpoint of Hugging Face's format, and pictures for it."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from fewmasks.errors import ConfigError, FormatError, GeometryError, MissingExtra
from fewmasks.io.cache import PixelCache
from fewmasks.learn.data import Intensity
from fewmasks.types import Item

HUB = "hub:"
"""Stands before the name of a checkpoint that is to be fetched."""
CONFIG, WEIGHTS = "config.json", "model.safetensors"
KINDS = ("dinov2", "dinov2_with_registers", "dinov3_vit")
"""The `model_type` of networks whose first token stands for the whole picture."""
SIDE = 224
"""Pixels of a picture's side, up to a whole number of patches."""
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's red, green and blue on a scale from 0 to 1: what these networks learnt with."""


def fetch_checkpoint(name: str) -> Path:
    """The folder of a checkpoint of the Hugging Face hub, fetched where it is not here yet."""
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise MissingExtra.of("huggingface_hub", "foundation") from None
    try:
        return Path(snapshot_download(name, allow_patterns=[CONFIG, WEIGHTS]))
    except (OSError, ValueError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        raise FormatError(
            f"{HUB}{name}: cannot be fetched ({reason}); fetch it elsewhere and name its folder"
        ) from None


def load_checkpoint(folder: Path, channels: int) -> nn.Module:
    """The network of a local folder, strictly: a tensor that does not fit is named.

    Nothing is fetched, no pickle is read and no code of the folder is run.
    """
    _refuse_other_kind(folder)
    if channels not in (1, 3):
        raise ConfigError(
            f"query.embedding: {folder} sees grey or colour (the images have {channels} channels); "
            f"choose another embedding"
        )
    try:
        from transformers import AutoModel
        from transformers.utils import logging
    except ImportError:
        raise MissingExtra.of("transformers", "foundation") from None
    from safetensors import SafetensorError

    logging.disable_progress_bar()
    logging.set_verbosity_error()  # what does not fit is refused below, in one sentence
    try:
        network, found = AutoModel.from_pretrained(
            folder, dtype=torch.float32, local_files_only=True, use_safetensors=True,
            trust_remote_code=False, ignore_mismatched_sizes=True, output_loading_info=True,
        )  # fmt: skip
    except SafetensorError as error:
        raise FormatError(f"{folder / WEIGHTS}: not a safetensors file ({error})") from None
    _refuse_misfit(folder, [*found["missing_keys"], *(key[0] for key in found["mismatched_keys"])])
    return network


def _refuse_other_kind(folder: Path) -> None:
    try:
        kind = json.loads((folder / CONFIG).read_text(encoding="utf-8")).get("model_type")
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise FormatError(f"{folder / CONFIG}: not JSON ({error}); fetch it again") from None
    if kind not in KINDS:
        raise FormatError(
            f"{folder / CONFIG}: a network of the kind {kind}; name a folder with one of "
            f"{', '.join(KINDS)}"
        )
    if not (folder / WEIGHTS).is_file():
        raise FormatError(f"{folder}: no {WEIGHTS} beside {CONFIG}; put it there")


def _refuse_misfit(folder: Path, tensors: Sequence[str]) -> None:
    if tensors:
        raise GeometryError(
            f"{folder / WEIGHTS}: {min(tensors)} is missing, or not of the shape that {CONFIG} "
            f"says; put the two files of one checkpoint there"
        )


def first_token(network: nn.Module, pixels: Float[Tensor, "b 3 y x"]) -> Float[Tensor, "b d"]:
    """The CLS token, of each picture.

    It is the one that the loss on whole pictures trains, and that DINOv2's KoLeo term spreads out,
    so that its distances tell pictures apart; patches learn to be foretold from their neighbours,
    and their mean is mostly background.
    """
    return network(pixel_values=pixels).last_hidden_state[:, 0].float()


def side_of(network: nn.Module) -> int:
    """Pixels of the side of a square picture for this network."""
    patch: int = network.config.patch_size  # type: ignore[union-attr, assignment]
    return patch * max(1, round(SIDE / patch))


def pictures(
    images: PixelCache, items: Sequence[Item], intensity: Intensity, side: int
) -> Float[Tensor, "b 3 side side"]:
    """Items as these networks know pictures: a square without margins, in ImageNet's colours.

    Squeezed rather than cut or padded: nothing is left out, and nothing is added that the network
    would describe. From black to white is the range of the item's source (scans) or of the pool
    (pictures), the same for all channels; grey is three equal channels.
    """
    mean, deviation = (torch.tensor(figure)[:, None, None] for figure in (MEAN, DEVIATION))
    made = torch.empty(len(items), 3, side, side)
    for picture, item in zip(made, items, strict=True):
        figures = images.statistics(item.source) if intensity.kind == "source" else intensity
        low, high = min(figures.low), max(figures.high)
        pixels = np.moveaxis(images.read(item), -1, 0).astype(np.float32, order="C")
        unit = torch.from_numpy((pixels - low) / ((high - low) or 1)).clamp_(0, 1)
        square = functional.interpolate(
            unit[None], (side, side), mode="bilinear", align_corners=False, antialias=True
        )[0]
        picture.copy_((square - mean) / deviation)  # one channel becomes three
    return made
