"""ResNet encoders whose parameters carry torchvision's and timm's names, and their weights."""

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from monai.networks.nets.flexible_unet import FLEXUNET_BACKBONE
from monai.networks.nets.resnet import ResNetEncoder, get_inplanes, resnet_params
from torch import Tensor, nn

from fewmasks.errors import FormatError, GeometryError


class TorchvisionResNet(ResNetEncoder):  # type: ignore[misc]
    """MONAI's ResNet with the shortcuts that torchvision's weights were trained with.

    MONAI's own encoder uses parameter-free shortcuts for ResNet-18 and -34, so a third of the
    ImageNet tensors would have nowhere to go.
    """

    backbone_names = ["tv_resnet18", "tv_resnet34", "tv_resnet50"]  # noqa: RUF012

    def __init__(
        self, model_name: str, pretrained: bool, spatial_dims: int, in_channels: int
    ) -> None:
        del pretrained  # weights come from a file that the user names: `load_encoder`
        block, layers, *_ = resnet_params[model_name.removeprefix("tv_")]
        super(ResNetEncoder.__base__, self).__init__(
            block=block,
            layers=layers,
            block_inplanes=get_inplanes(),
            spatial_dims=spatial_dims,
            n_input_channels=in_channels,
            conv1_t_stride=2,
            shortcut_type="B",
            feed_forward=False,
            bias_downsample=False,
        )

    @classmethod
    def get_encoder_parameters(cls) -> list[dict[str, object]]:
        """What FlexibleUNet passes to the constructor."""
        shared = {"pretrained": False, "spatial_dims": 2, "in_channels": 3}
        return [{"model_name": name, **shared} for name in cls.backbone_names]

    @classmethod
    def num_channels_per_output(cls) -> list[tuple[int, ...]]:
        """Channels of the five feature maps, per network."""
        return [(64, 64, 128, 256, 512), (64, 64, 128, 256, 512), (64, 256, 512, 1024, 2048)]

    @classmethod
    def num_outputs(cls) -> list[int]:
        """Number of feature maps, per network."""
        return [5] * len(cls.backbone_names)


FLEXUNET_BACKBONE.register_class(TorchvisionResNet)


def read_weights(path: Path) -> dict[str, Tensor]:
    """Tensors of a safetensors file, or of a .pth file read without running any pickled code."""
    if not path.is_file():
        raise FormatError(f"{path}: no such file; name a .safetensors or .pth file of weights")
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(path)
        except SafetensorError as error:
            raise FormatError(f"{path}: not a safetensors file ({error})") from None
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError):
        raise FormatError(
            f"{path}: not a file of tensors alone, or damaged, and pickled code is never run; "
            f"save `model.state_dict()`, best as .safetensors"
        ) from None
    if not isinstance(loaded, Mapping) or not all(isinstance(v, Tensor) for v in loaded.values()):
        raise FormatError(f"{path}: holds no plain table of tensors; save `model.state_dict()`")
    return dict(loaded)


def load_encoder(encoder: nn.Module, weights: Mapping[str, Tensor], where: str) -> None:
    """Copy encoder weights, strictly: every tensor must fit; the first that does not is named.

    A classifier head (`fc.*`) is left out. A first convolution made for RGB is summed over its
    input channels when the encoder reads one channel, which equals feeding it a grey picture.
    """
    wanted = encoder.state_dict()
    given = {name: t for name, t in weights.items() if not name.startswith("fc.")}
    first = "conv1.weight"
    if (
        first in given
        and first in wanted
        and given[first].shape[1] == 3
        and wanted[first].shape[1] == 1
    ):
        given[first] = given[first].sum(dim=1, keepdim=True)
    for name, tensor in wanted.items():
        if name not in given:
            if name.endswith("num_batches_tracked"):
                continue
            raise GeometryError(f"{where}: no tensor {name!r}; it is another network's weights")
        if given[name].shape != tensor.shape:
            raise GeometryError(
                f"{where}: {name} is {tuple(given[name].shape)}, the network needs "
                f"{tuple(tensor.shape)}; choose the network these weights were made with"
            )
    extra = next((name for name in given if name not in wanted), None)
    if extra is not None:
        raise GeometryError(f"{where}: the network has no {extra!r}; choose its own network")
    encoder.load_state_dict({**wanted, **given})
