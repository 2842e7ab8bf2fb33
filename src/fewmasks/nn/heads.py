"""What self-supervision adds to a network: a pooled encoder and small perceptrons."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fewmasks.nn.segmenter import encoder_modules


class Encoder(nn.Module):
    """The encoder of a segmentation network, from pixels to one embedding an item.

    It shares the network's parameters: what trains the one trains the other.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.parts = nn.Sequential(*encoder_modules(network))

    def forward(self, pixels: Float[Tensor, "b c y x"]) -> Float[Tensor, "b d"]:
        maps = self.parts(pixels)
        return (maps[-1] if isinstance(maps, list) else maps).mean(dim=(2, 3))


def embedding_width(encoder: Encoder, channels: int, side: int) -> int:
    """How many numbers an embedding has."""
    was_training = encoder.training
    with torch.inference_mode():
        width = encoder.eval()(torch.zeros(1, channels, side, side)).shape[1]
    encoder.train(was_training)
    return int(width)


def perceptron(width_in: int, hidden: int, width_out: int) -> nn.Sequential:
    """Linear, batch norm, ReLU, linear: projector and predictor of BYOL (Grill et al. 2020)."""
    return nn.Sequential(
        nn.Linear(width_in, hidden),
        nn.BatchNorm1d(hidden),
        nn.ReLU(inplace=True),
        nn.Linear(hidden, width_out),
    )


def spread(embedding: Float[Tensor, "b d"]) -> float:
    """Deviation per dimension of unit embeddings, times sqrt(d): 1 is healthy, 0 is collapsed."""
    unit = nn.functional.normalize(embedding.detach().float(), dim=1)
    return float(unit.std(dim=0, correction=0).mean() * unit.shape[1] ** 0.5)
