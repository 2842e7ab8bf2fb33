"""A head that learns where a segmenter errs, from its probabilities alone.

Xie, Feng, Chen, Sun, Ma and Song, ACCV 2020, arXiv:2010.08705.
"""

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor, nn
from torch.nn import functional

from fewmasks.types import UNKNOWN

MOST_SIDE = 56
"""Side of the largest map on which every pixel attends to every other, as in the paper."""
SHRINK = 4
"""Smaller frames are attended at a quarter of their side: the cost grows with its fourth power."""
BINS = 10


class PositionAttention(nn.Module):
    """Each pixel takes in the values of all pixels, weighted by how well they match.

    Fu et al., CVPR 2019, arXiv:1809.02983. Queries and keys keep all channels: there they are
    an eighth of hundreds, here channels are classes. Starts as the identity.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query = nn.Conv2d(channels, channels, 1)
        self.key = nn.Conv2d(channels, channels, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.share = nn.Parameter(torch.zeros(1))

    def forward(self, maps: Float[Tensor, "b c y x"]) -> Float[Tensor, "b c y x"]:
        """The maps plus a learnt share of what each pixel takes in."""
        # (b, 1 head, pixels, channels): the form in which torch never stores pixels x pixels.
        query, key, value = (
            layer(maps).flatten(2).mT[:, None] for layer in (self.query, self.key, self.value)
        )
        taken = functional.scaled_dot_product_attention(query, key, value, scale=1.0)
        return maps + self.share * taken[:, 0].mT.reshape(maps.shape)


class DifficultyHead(nn.Module):
    """From class probabilities to the logit of an error at each pixel."""

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.attention = PositionAttention(n_classes)
        self.last = nn.Conv2d(n_classes, 1, 1)

    def forward(self, probs: Float[Tensor, "b c y x"]) -> Float[Tensor, "b y x"]:
        """Logits at the resolution of these probabilities."""
        return self.last(self.attention(probs))[:, 0]


def attention_shape(frame: tuple[int, int]) -> tuple[int, int]:
    """Height and width of the map that attention runs on: a quarter of the frame, at most 56."""
    factor = min(1 / SHRINK, MOST_SIDE / max(frame))
    return max(1, round(factor * frame[0])), max(1, round(factor * frame[1]))


def enlarged(logits: Float[Tensor, "b v u"], frame: tuple[int, int]) -> Float[Tensor, "b y x"]:
    """A map of the head at the resolution of the frame."""
    return functional.interpolate(logits[:, None], frame, mode="bilinear", align_corners=False)[
        :, 0
    ]


def error_mask(
    predicted: UInt8[Tensor, "b y x"], truth: UInt8[Tensor, "b y x"]
) -> UInt8[Tensor, "b y x"]:
    """1 where the prediction errs, 0 where it is right, 255 where nobody knows."""
    wrong = (predicted != truth).to(torch.uint8)
    return torch.where(truth == UNKNOWN, UNKNOWN, wrong)


def difficulty_loss(
    logits: Float[Tensor, "b y x"], errors: UInt8[Tensor, "b y x"]
) -> Float[Tensor, ""]:
    """Binary cross-entropy over pixels of which it is known whether they are wrong."""
    known = errors != UNKNOWN
    target = (errors == 1).float()
    pixels = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return (pixels * known).sum() / known.sum().clamp_min(1)


def histogram_entropy(
    maps: Float[Tensor, "b y x"], valid: Bool[Tensor, "b y x"]
) -> Float[Tensor, " b"]:
    """Entropy of the histogram of each map, 10 bins from 0 to 1, over its valid pixels.

    From 0 (all in one bin) to log 10; NaN without a valid pixel. The plain mean of a map is the
    alternative that the paper names; it asks for items that are difficult throughout, this one for
    items with both easy and difficult parts.
    """
    place = (maps * BINS).long().clamp(0, BINS - 1)
    counts = torch.stack([((place == n) & valid).sum(dim=(1, 2)) for n in range(BINS)], dim=1)
    share = counts / valid.sum(dim=(1, 2))[:, None]
    return -torch.xlogy(share, share).sum(dim=1)
