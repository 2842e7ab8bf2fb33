"""A variational autoencoder of small frames and a judge of its codes.

Sinha, Ebrahimi and Darrell, ICCV 2019, arXiv:1904.00370.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

WIDTHS = (16, 32, 64)
"""Channels of the stages, each of which halves the frame. The paper's network for colour photos
starts at 64 and is twenty times slower, too slow for two cores in every round."""
STRIDE = 2 ** len(WIDTHS)
CODE = 32
MOST_SIDE = 64
JUDGE = 512


def small_shape(frame: tuple[int, int]) -> tuple[int, int]:
    """Height and width of a frame as the autoencoder sees it: multiples of 8, at most 64."""
    factor = min(1.0, MOST_SIDE / max(frame))
    height, width = (max(1, round(factor * side / STRIDE)) * STRIDE for side in frame)
    return height, width


class Autoencoder(nn.Module):
    """From frames of one size to a normal distribution of codes, and back."""

    def __init__(self, channels: int, shape: tuple[int, int]) -> None:
        super().__init__()
        deep = WIDTHS[-1], shape[0] // STRIDE, shape[1] // STRIDE
        down = [_down(a, b) for a, b in zip((channels, *WIDTHS), WIDTHS, strict=False)]
        self.encoder = nn.Sequential(*down, nn.Flatten(), nn.Linear(math.prod(deep), 2 * CODE))
        up = [_up(a, b) for a, b in zip(WIDTHS[::-1], WIDTHS[-2::-1], strict=False)]
        last = nn.ConvTranspose2d(WIDTHS[0], channels, 4, stride=2, padding=1)
        self.decoder = nn.Sequential(
            nn.Linear(CODE, math.prod(deep)), nn.Unflatten(1, deep), *up, last
        )

    def codes(
        self, pixels: Float[Tensor, "b c y x"]
    ) -> tuple[Float[Tensor, "b z"], Float[Tensor, "b z"]]:
        """Mean and logarithm of the variance of each frame's code."""
        mean, log_variance = self.encoder(pixels).chunk(2, dim=1)
        return mean, log_variance

    def forward(
        self, pixels: Float[Tensor, "b c y x"]
    ) -> tuple[Float[Tensor, "b c y x"], Float[Tensor, "b z"], Float[Tensor, "b z"]]:
        """Frames decoded from drawn codes, and the codes' mean and log variance."""
        mean, log_variance = self.codes(pixels)
        drawn = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
        return self.decoder(drawn), mean, log_variance


def _down(before: int, after: int) -> nn.Module:
    convolution = nn.Conv2d(before, after, 4, stride=2, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(after), nn.ReLU())


def _up(before: int, after: int) -> nn.Module:
    convolution = nn.ConvTranspose2d(before, after, 4, stride=2, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(after), nn.ReLU())


def judge() -> nn.Module:
    """From codes to a logit of being labelled."""
    return nn.Sequential(
        nn.Linear(CODE, JUDGE), nn.ReLU(), nn.Linear(JUDGE, JUDGE), nn.ReLU(), nn.Linear(JUDGE, 1)
    )


def autoencoder_loss(
    decoded: Float[Tensor, "b c y x"],
    pixels: Float[Tensor, "b c y x"],
    mean: Float[Tensor, "b z"],
    log_variance: Float[Tensor, "b z"],
    beta: float,
) -> Float[Tensor, ""]:
    """Squared error plus beta times the divergence from a standard normal code.

    Both are sums over an item and means over the batch. A mean over pixels beside a sum over
    codes would let the divergence win, and every code would be the same.
    """
    error = (decoded - pixels).square().flatten(1).sum(dim=1)
    divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1)
    return (error + beta * divergence).mean()


def judge_loss(
    labelled: Float[Tensor, "b 1"], unlabelled: Float[Tensor, "u 1"]
) -> Float[Tensor, ""]:
    """Cross-entropy of the judge's logits: labelled is 1, unlabelled is 0."""
    return functional.softplus(-labelled).mean() + functional.softplus(unlabelled).mean()


def fooling_loss(
    labelled: Float[Tensor, "b 1"], unlabelled: Float[Tensor, "u 1"]
) -> Float[Tensor, ""]:
    """What the encoder wants of the judge: 1 for all."""
    return functional.softplus(-labelled).mean() + functional.softplus(-unlabelled).mean()
