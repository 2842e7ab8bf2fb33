"""Dense: restore what is hidden of an item, which trains the decoder as well as the encoder."""

import math

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from fewmasks.config import LearnConfig
from fewmasks.learn.evidence import kept_output
from fewmasks.nn.augment import augment
from fewmasks.nn.segmenter import bottleneck_of, head_of
from fewmasks.pretrain.course import Objective

HIDDEN = (0.3, 0.6)
"""Share of an item that is hidden, drawn for each."""
FINEST, COARSEST = 1 / 16, 1 / 4
"""Sides of the hidden squares, of the shorter side of the frame: texture up to whole organs."""
LOOK = LearnConfig(flips="none", rotate_degrees=0, scale=0, contrast=0.5, noise=0.1)
"""Twice the changes of contrast and noise that a training makes by default."""


class Dense(Objective):
    """Restore hidden squares, and the look of the item, from what is left of it in disguise.

    The whole segmentation network learns, with a last layer of its own that says pixels in the
    place of classes. In-painting and a non-linear change of intensity are two of the four tasks of
    Models Genesis (Zhou et al., MICCAI 2019, arXiv:1908.06912); many small squares instead of few
    large ones, and a loss on them alone, are those of SimMIM (Xie et al., CVPR 2022,
    arXiv:2111.09886).
    """

    def __init__(self, network: nn.Module, channels: int, config: LearnConfig) -> None:
        super().__init__()
        self.network = network
        last = head_of(network)
        head = nn.Conv2d(last.in_channels, channels, 1)
        _replace(network, last, head)
        self.config = config

    def forward(
        self, pixels: Float[Tensor, "b c y x"], marks: Int64[Tensor, "b m"]
    ) -> tuple[Float[Tensor, ""], Float[Tensor, "b d"]]:
        """Mean squared error of the hidden pixels, and what the encoder says of each item."""
        del marks
        shown, wanted, inside = disguised(pixels, self.config)
        hidden = squares(len(pixels), (pixels.shape[2], pixels.shape[3])).to(pixels.device)
        shown = shown.masked_fill(hidden[:, None], 0.0)
        with kept_output(bottleneck_of(self.network)) as encoded:
            said = self.network(shown.contiguous(memory_format=torch.channels_last))
        return error_where(said, wanted, hidden & inside), encoded[0].float().mean(dim=(2, 3))


def disguised(
    pixels: Float[Tensor, "b c y x"], config: LearnConfig
) -> tuple[Float[Tensor, "b c y x"], Float[Tensor, "b c y x"], Bool[Tensor, "b y x"]]:
    """Items moved as in training and changed in look, only moved, and where they are not padding.

    Drawn from torch's global random numbers.
    """
    # Padding is 0 in all channels, which a pixel of a picture hardly ever is.
    inside = (pixels != 0).any(dim=1).to(torch.uint8)
    motion = config.model_copy(update={"contrast": 0.0, "noise": 0.0})
    moved, inside = augment(pixels, inside, motion, torch.default_generator)
    shown, _ = augment(moved, inside, LOOK, torch.default_generator)
    within = inside == 1
    return shown.masked_fill(~within[:, None], 0.0), moved, within


def _replace(network: nn.Module, old: nn.Module, new: nn.Module) -> None:
    """Put a module where another one is."""
    name = next(name for name, module in network.named_modules() if module is old)
    parent, _, own = name.rpartition(".")
    setattr(network.get_submodule(parent), own, new)


def squares(n: int, frame: tuple[int, int]) -> Bool[Tensor, "n y x"]:
    """Where items are hidden: random cells of a grid, which is laid anew at each call."""
    shorter = min(frame)
    finest, coarsest = max(1, round(FINEST * shorter)), max(2, round(COARSEST * shorter))
    side = int(torch.randint(finest, coarsest + 1, ()))
    top, left = torch.randint(side, (2,)).tolist()
    cells = [math.ceil(length / side) + 1 for length in frame]
    share = HIDDEN[0] + (HIDDEN[1] - HIDDEN[0]) * torch.rand(n, 1, 1)
    grid = torch.rand(n, *cells) < share
    fine = grid.repeat_interleave(side, dim=1).repeat_interleave(side, dim=2)
    return fine[:, top : top + frame[0], left : left + frame[1]]


def error_where(
    said: Float[Tensor, "b c y x"], wanted: Float[Tensor, "b c y x"], where: Bool[Tensor, "b y x"]
) -> Float[Tensor, ""]:
    """Mean squared error over these pixels; 0, with gradients of 0, where there is none."""
    away = functional.mse_loss(said.float(), wanted, reduction="none").mean(dim=1)
    return (away * where).sum() / where.sum().clamp(min=1)
