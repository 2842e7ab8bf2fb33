"""The segmentation networks: MONAI's U-Nets with the parts named that other modules look at."""

import difflib
from collections.abc import Sequence

from jaxtyping import Float
from monai.networks.nets.basic_unet import BasicUNet, UpCat
from monai.networks.nets.flexible_unet import FlexibleUNet
from torch import Tensor, nn

from fewmasks.config import Network
from fewmasks.errors import ConfigError
from fewmasks.nn import encoders  # noqa: F401  (registers the ResNets with MONAI)

DEEPEST, LAST = "deepest", "last"
"""Maps at the end of the encoder, and those that the last convolution sees."""
UNET_CHANNELS = (16, 16, 32, 64, 128, 16)
STRIDES: dict[Network, int] = {"unet": 16, "resnet18": 32, "resnet34": 32, "resnet50": 32}
"""Height and width of an input are multiples of this; no other size fits the decoder."""

# Batch norm and ReLU: the only pair with fast channels-last bf16 kernels on CPUs.
_ACTIVATION = ("relu", {"inplace": True})


def segmenter(
    network: Network, channels: int, n_classes: int, dropout: float = 0.0
) -> BasicUNet | FlexibleUNet:
    """A 2D network from (b, channels, y, x) to logits (b, n_classes, y, x)."""
    if network == "unet":
        unet = BasicUNet(
            spatial_dims=2,
            in_channels=channels,
            out_channels=n_classes,
            features=UNET_CHANNELS,
            act=_ACTIVATION,
            norm="batch",
            dropout=dropout,
        )
        # Inputs are multiples of the stride, so there is nothing to pad; under bf16 the empty
        # padding would turn the decoder's widest maps back into float32.
        for block in unet.modules():
            if isinstance(block, UpCat):
                block.is_pad = False
        return unet
    return FlexibleUNet(
        in_channels=channels,
        out_channels=n_classes,
        backbone=f"tv_{network}",
        norm="batch",
        dropout=dropout,
        is_pad=False,
    )


def head_of(network: nn.Module) -> nn.Conv2d:
    """The last convolution, from decoder features to logits."""
    name = "final_conv" if isinstance(network, BasicUNet) else "segmentation_head.0"
    head = network.get_submodule(name)
    assert isinstance(head, nn.Conv2d)
    return head


def bottleneck_of(network: nn.Module) -> nn.Module:
    """The module whose output is the deepest feature map of the encoder."""
    name = "down_4" if isinstance(network, BasicUNet) else "encoder.layer4"
    return network.get_submodule(name)


def layer_of(network: nn.Module, name: str) -> nn.Module:
    """The module that puts out these maps: `deepest`, or a module of the network by its name."""
    if name == DEEPEST:
        return bottleneck_of(network)
    known = [each for each, module in network.named_modules() if each and each.count(".") < 2]
    if name not in dict(network.named_modules()) or not name:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.5) or known[:1]
        raise ConfigError(
            f"learn.embedding_layer: the network has no {name!r}; did you mean {near[0]!r}, "
            f"or {DEEPEST}, or {LAST}?"
        )
    return network.get_submodule(name)


def encoder_modules(network: nn.Module) -> list[nn.Module]:
    """The modules from pixels to the deepest feature map, in the order they run."""
    if isinstance(network, BasicUNet):
        return [network.conv_0, network.down_1, network.down_2, network.down_3, network.down_4]
    return [network.get_submodule("encoder")]


def decoder_modules(network: nn.Module) -> nn.ModuleList:
    """The modules from the encoder's feature maps to logits, in the order they run."""
    if isinstance(network, BasicUNet):
        names = ["upcat_4", "upcat_3", "upcat_2", "upcat_1", "final_conv"]
    else:
        names = ["decoder", "segmentation_head"]
    return nn.ModuleList(network.get_submodule(name) for name in names)


def encode(network: nn.Module, pixels: Float[Tensor, "b k y x"]) -> list[Tensor]:
    """The feature maps of the encoder, the finest first."""
    if not isinstance(network, BasicUNet):
        return list(network.get_submodule("encoder")(pixels))
    maps = [pixels]
    for module in encoder_modules(network):
        maps.append(module(maps[-1]))
    return maps[1:]


def decode(decoder: nn.ModuleList, maps: Sequence[Tensor]) -> Float[Tensor, "b c y x"]:
    """Logits from what `encode` returned, by the decoder of a network of the same kind."""
    *steps, head = decoder
    if len(steps) == 1:
        return head(steps[0](list(maps), len(maps) - 1))
    found = maps[-1]
    for step, finer in zip(steps, maps[-2::-1], strict=True):
        found = step(found, finer)
    return head(found)


def encoder_tensors(network: nn.Module) -> frozenset[str]:
    """Names of the parameters and buffers of the encoder."""
    return _tensors_of(network, encoder_modules(network))


def body_tensors(network: nn.Module) -> frozenset[str]:
    """Names of all parameters and buffers but those of the last layer, which knows the classes."""
    return frozenset(network.state_dict()) - _tensors_of(network, [head_of(network)])


def _tensors_of(network: nn.Module, modules: list[nn.Module]) -> frozenset[str]:
    prefixes = tuple(f"{n}." for n, module in network.named_modules() if module in modules)
    return frozenset(name for name in network.state_dict() if name.startswith(prefixes))
