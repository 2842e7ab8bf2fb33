"""Two decoders on one encoder: mixed pseudo-labels without a gradient, one decoder in the end."""

import pytest
import torch

from fewmasks.config import Network
from fewmasks.nn.losses import partial_cross_entropy, squared_dice
from fewmasks.nn.segmenter import STRIDES, decode, decoder_modules, encode, segmenter
from fewmasks.nn.two_decoders import TwoDecoders, mixed_labels, mixed_loss

NETWORKS: list[Network] = ["unet", "resnet18"]


def pair(network: Network = "unet") -> TwoDecoders:
    torch.manual_seed(0)
    return TwoDecoders(segmenter(network, 1, 3), like=segmenter(network, 1, 3))


def pixels(network: Network = "unet") -> torch.Tensor:
    return torch.randn(2, 1, 2 * STRIDES[network], 2 * STRIDES[network])


def as_map(*probs: float) -> torch.Tensor:
    return torch.tensor(probs).reshape(1, -1, 1, 1)


@pytest.mark.parametrize(("share", "expected"), [(0.2, 1), (0.5, 1), (0.9, 0)])
def test_mixed_labels_of_a_worked_example(share, expected):
    assert mixed_labels(as_map(0.6, 0.4), as_map(0.3, 0.7), share).item() == expected


@pytest.mark.slow
@pytest.mark.parametrize("network", NETWORKS)
def test_encoding_and_decoding_is_the_network(network):
    whole = segmenter(network, 1, 3).eval()
    given = pixels(network)
    with torch.no_grad():
        apart = decode(decoder_modules(whole), encode(whole, given))
        assert torch.equal(apart, whole(given))


@pytest.mark.slow
@pytest.mark.parametrize("network", NETWORKS)
def test_it_predicts_as_its_main_network_and_without_dropout(network):
    two, given = pair(network), pixels(network)
    main, auxiliary = two(given)
    assert main.shape == auxiliary.shape
    assert not torch.allclose(main, auxiliary)
    two.eval()
    with torch.no_grad():
        assert torch.equal(two(given), two.main(given))
        assert torch.equal(two(given), two(given))


def test_the_auxiliary_decoder_sees_maps_through_dropout():
    two, given = pair(), pixels()
    with torch.no_grad():
        one, other = two(given), two(given)
    assert not torch.allclose(one[1], other[1])
    torch.testing.assert_close(one[0], other[0])


def drawn(seed: int = 0) -> tuple[tuple[torch.Tensor, torch.Tensor], torch.Tensor, torch.Tensor]:
    """Logits of both decoders, few known pixels, and a picture smaller than its frame."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, 2, 3, 6, 5, generator=generator).unbind(0)
    target = torch.randint(0, 3, (2, 6, 5), generator=generator)
    inside = torch.zeros(2, 6, 5, dtype=torch.uint8)
    inside[:, :2] = 255
    known = torch.rand(target.shape, generator=generator) < 0.2
    return tuple(each.requires_grad_() for each in logits), target.where(known, 255), inside


def test_the_loss_is_the_papers():
    (main, auxiliary), target, inside = drawn()
    mixed = (0.3 * main.softmax(1) + 0.7 * auxiliary.softmax(1)).argmax(dim=1)
    mixed[inside == 255] = 255
    terms = [
        0.5 * partial_cross_entropy(each, target) + 0.25 * squared_dice(each.softmax(1), mixed)
        for each in (main, auxiliary)
    ]
    found = mixed_loss((main, auxiliary), target, inside, 0.3)
    assert found.item() == pytest.approx(sum(terms).item(), abs=1e-6)


def test_no_gradient_flows_through_the_pseudo_labels():
    """With one decoder held, the other's gradient is that against fixed labels."""
    (main, auxiliary), target, inside = drawn()
    nothing = torch.full_like(target, 255)
    mixed_loss((main, auxiliary), nothing, inside, 0.3).backward()
    mixed = mixed_labels(main.softmax(1), auxiliary.softmax(1), 0.3).where(inside == 0, 255)
    held = main.detach().clone().requires_grad_()
    (0.25 * squared_dice(held.softmax(1), mixed)).backward()
    torch.testing.assert_close(main.grad, held.grad)
    assert not mixed_labels(main.softmax(1), auxiliary.softmax(1), 0.3).requires_grad


def test_beyond_the_picture_nothing_is_learnt():
    (main, auxiliary), target, inside = drawn()
    mixed_loss((main, auxiliary), target.where(inside == 0, 255), inside, 0.5).backward()
    for each in (main, auxiliary):
        assert (each.grad.abs().amax(dim=1)[inside == 255] == 0).all()


def test_a_full_mask_is_a_scribble_without_unknown_pixels():
    """Both kinds in one batch give the mean over all pixels that are known."""
    (main, _), target, _ = drawn()
    target[0] = torch.randint(0, 3, (6, 5))
    count = (target != 255).flatten(1).sum(dim=1)
    apart = [partial_cross_entropy(main[n : n + 1], target[n : n + 1]) for n in range(2)]
    mean = (count[0] * apart[0] + count[1] * apart[1]) / count.sum()
    assert partial_cross_entropy(main, target).item() == pytest.approx(mean.item(), abs=1e-6)
