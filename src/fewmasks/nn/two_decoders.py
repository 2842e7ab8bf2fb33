"""One encoder with two decoders that disagree a little, and what they teach each other (DMPLS)."""

from jaxtyping import Float, Int64, UInt8
from torch import Tensor, nn

from fewmasks.nn.losses import partial_cross_entropy, squared_dice
from fewmasks.nn.segmenter import decode, decoder_modules, encode
from fewmasks.types import UNKNOWN

DROPOUT = 0.5
PSEUDO_WEIGHT = 0.5
REFERENCE = (
    "Luo et al., Scribble-Supervised Medical Image Segmentation via Dual-Branch Network and "
    "Dynamically Mixed Pseudo Labels Supervision, MICCAI 2022, arXiv:2203.02106"
)


class TwoDecoders(nn.Module):
    """A network with a second decoder that sees every feature map through dropout.

    In training it returns the logits of both; in evaluation it is the network itself.
    """

    def __init__(self, main: nn.Module, like: nn.Module) -> None:
        """The second decoder is that of `like`, another network of the same kind."""
        super().__init__()
        self.main = main
        self.auxiliary = decoder_modules(like)
        self.dropout = nn.Dropout2d(DROPOUT)

    def forward(self, pixels: Float[Tensor, "b k y x"]) -> Tensor | tuple[Tensor, Tensor]:
        """Logits of the main decoder, and in training those of the auxiliary one."""
        if not self.training:
            return self.main(pixels)
        maps = encode(self.main, pixels)
        spoilt = [self.dropout(each) for each in maps]
        return decode(decoder_modules(self.main), maps), decode(self.auxiliary, spoilt)


def mixed_labels(
    main: Float[Tensor, "b c y x"], auxiliary: Float[Tensor, "b c y x"], share: float
) -> Int64[Tensor, "b y x"]:
    """The classes that both probabilities, mixed by `share`, agree on; no gradient flows through.

    >>> one, other = torch.tensor([0.6, 0.4]), torch.tensor([0.3, 0.7])
    >>> [mixed_labels(one.view(1, 2, 1, 1), other.view(1, 2, 1, 1), s).item() for s in (0.2, 0.9)]
    [1, 0]
    """
    return (share * main.detach() + (1 - share) * auxiliary.detach()).argmax(dim=1)


def mixed_loss(
    logits: tuple[Float[Tensor, "b c y x"], Float[Tensor, "b c y x"]],
    target: Int64[Tensor, "b y x"],
    inside: UInt8[Tensor, "b y x"],
    share: float,
) -> Float[Tensor, ""]:
    """Cross-entropy of known pixels, and Dice of both decoders with their mixed pseudo-labels.

    `inside` is UNKNOWN beyond the picture, where there is nothing to guess.
    """
    main, auxiliary = (each.float() for each in logits)
    known = partial_cross_entropy(main, target) + partial_cross_entropy(auxiliary, target)
    probs = main.softmax(dim=1), auxiliary.softmax(dim=1)
    mixed = mixed_labels(*probs, share).where(inside != UNKNOWN, UNKNOWN)
    guessed = squared_dice(probs[0], mixed) + squared_dice(probs[1], mixed)
    return 0.5 * known + 0.5 * PSEUDO_WEIGHT * guessed
