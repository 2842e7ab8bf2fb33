"""BYOL: predict what a slow copy of the network says of another view of the same item."""

import copy
import math

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from fewmasks.config import PretrainConfig
from fewmasks.nn.heads import Encoder, embedding_width, perceptron
from fewmasks.pretrain.course import Objective
from fewmasks.pretrain.views import Views


class Byol(Objective):
    """Online encoder, projector and predictor, and a target that follows the first two.

    Grill et al., Bootstrap Your Own Latent, NeurIPS 2020, arXiv:2006.07733, section 3. No
    negatives: the loss is a regression, not a contrast.
    """

    def __init__(
        self, network: nn.Module, channels: int, views: Views, config: PretrainConfig
    ) -> None:
        super().__init__()
        self.views = views
        self.momentum = config.momentum
        encoder = Encoder(network)
        width = embedding_width(encoder, channels, 64)
        projector = perceptron(width, config.hidden, config.projection)
        self.online = nn.Sequential(encoder, projector)
        self.predictor = perceptron(config.projection, config.hidden, config.projection)
        self.target = copy.deepcopy(self.online).requires_grad_(False)

    def forward(
        self, pixels: Float[Tensor, "b c y x"], marks: Int64[Tensor, "b m"]
    ) -> tuple[Float[Tensor, ""], Float[Tensor, "b d"]]:
        """The symmetrised loss of two views, 0 to 8, and the embeddings of the first."""
        del marks
        one, other = self.views(pixels), self.views(pixels)
        embedding = self.online[0](one)
        said = self.predictor(self.online[1](embedding))
        said_of_other = self.predictor(self.online(other))
        with torch.no_grad():
            wanted, wanted_of_other = self.target(other), self.target(one)
        loss = regression(said, wanted) + regression(said_of_other, wanted_of_other)
        return loss, embedding

    def after_step(self, share: float) -> None:
        """The target takes a small step towards the online network."""
        follow(self.target, self.online, momentum_at(share, self.momentum))


def regression(prediction: Float[Tensor, "b d"], target: Float[Tensor, "b d"]) -> Float[Tensor, ""]:
    """Squared distance of unit vectors, 2 - 2 cos, mean over the batch (equation 2)."""
    return 2 - 2 * functional.cosine_similarity(prediction.float(), target.float()).mean()


def momentum_at(share: float, base: float) -> float:
    """Momentum of the target when this share of the training is done: `base` rising to 1."""
    return 1 - (1 - base) * (math.cos(math.pi * share) + 1) / 2


@torch.no_grad()
def follow(target: nn.Module, online: nn.Module, momentum: float) -> None:
    """Move the target's parameters towards the online ones; its batch statistics are copied.

    The paper is silent about the statistics. They are means over many batches already, and a
    second mean would lag behind the weights they belong to.
    """
    for slow, fast in zip(target.parameters(), online.parameters(), strict=True):
        slow.lerp_(fast, 1 - momentum)
    for kept, newest in zip(target.buffers(), online.buffers(), strict=True):
        kept.copy_(newest)
