"""Dense: what is hidden, what is asked for, and what of the network learns."""

import copy

import pytest
import torch

from fewmasks.config import LearnConfig
from fewmasks.nn.segmenter import body_tensors, encoder_tensors, head_of, segmenter
from fewmasks.pretrain.dense import COARSEST, HIDDEN, Dense, disguised, error_where, squares

pytestmark = pytest.mark.slow

STILL = LearnConfig(flips="none", rotate_degrees=0, scale=0)
NOTHING = torch.empty(4, 0, dtype=torch.long)


def made(network="unet", channels=1, config=STILL) -> Dense:
    torch.manual_seed(0)
    return Dense(segmenter(network, channels, 3), channels, config)


def stripes(n=4, channels=1, side=32):
    """Items of which any part says what the rest is."""
    wave = torch.sin(torch.arange(side) * 0.8)
    return (wave.expand(n, channels, side, side) * 1.4).contiguous()


def error_by_definition(said, wanted, where):
    total, count = 0.0, 0
    for b, y, x in where.nonzero().tolist():
        total += ((said[b, :, y, x] - wanted[b, :, y, x]) ** 2).mean().item()
        count += 1
    return total / count


def test_the_error_is_that_of_the_hidden_pixels_alone():
    said, wanted = torch.randn(2, 2, 3, 5, 6)
    where = torch.rand(2, 5, 6) < 0.4
    assert error_where(said, wanted, where).item() == pytest.approx(
        error_by_definition(said, wanted, where), rel=1e-5
    )


def test_where_nothing_is_hidden_nothing_is_learnt():
    said = torch.randn(1, 1, 4, 4, requires_grad=True)
    loss = error_where(said, torch.randn(1, 1, 4, 4), torch.zeros(1, 4, 4, dtype=torch.bool))
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(said.grad, torch.zeros(1, 1, 4, 4))


@pytest.mark.parametrize("frame", [(16, 16), (64, 48), (50, 130)])
def test_hidden_squares_take_the_share_that_was_drawn(frame):
    torch.manual_seed(0)
    shares = torch.cat([squares(20, frame).float().mean(dim=(1, 2)) for _ in range(20)])
    assert shares.mean().item() == pytest.approx(sum(HIDDEN) / 2, abs=0.03)
    assert shares.std().item() > 0.05


def test_hidden_is_in_squares_and_not_the_same_in_two_items_or_calls():
    torch.manual_seed(0)
    hidden = squares(2, (64, 64))
    assert not torch.equal(hidden[0], hidden[1])
    assert not torch.equal(hidden, squares(2, (64, 64)))
    # Lengths of runs along a row, but for those that the frame cuts, are multiples of one side.
    row = hidden[0].int()
    change = (row[:, 1:] != row[:, :-1]).any(dim=0).nonzero()[:, 0]
    sides = change.diff()
    assert 4 <= sides.min() <= COARSEST * 64
    assert torch.equal(sides % sides.min(), torch.zeros_like(sides))


def test_the_grid_is_laid_anew_at_each_call():
    """Or its lines would always be in the same place, and the network would learn them."""
    torch.manual_seed(0)
    lines = set()
    for _ in range(20):
        hidden = squares(8, (64, 64)).flatten(0, 1)
        change = (hidden[:, 1:] != hidden[:, :-1]).any(dim=0).nonzero()[:, 0] + 1
        lines |= {int(change[0] % change.diff().min())}
    assert len(lines) > 3


def test_padding_stays_empty_and_does_not_count():
    pixels = torch.zeros(3, 2, 32, 32)
    pixels[:, :, 8:24] = torch.randn(3, 2, 16, 32)
    torch.manual_seed(0)
    shown, wanted, inside = disguised(pixels, STILL)
    assert torch.equal(inside, (pixels != 0).any(dim=1))
    assert torch.equal(wanted, pixels) or torch.allclose(wanted, pixels, atol=1e-5)
    assert not shown[:, :, :8].any()
    assert not shown[:, :, 24:].any()
    assert (shown[:, :, 8:24] - pixels[:, :, 8:24]).std() > 0.05


def test_what_turns_in_from_outside_does_not_count():
    turning = LearnConfig(rotate_degrees=30, scale=0.3)
    torch.manual_seed(0)
    _, wanted, inside = disguised(torch.ones(8, 1, 32, 32), turning)
    assert not inside.all()
    assert wanted[:, 0][~inside].max() < 1
    assert wanted[:, 0][inside].min() > 0.24  # three quarters of a corner come from outside


def test_an_item_of_one_value_is_no_error():
    """Its normalised pixels are 0, as padding is."""
    loss, embedding = made()(torch.zeros(4, 1, 32, 32), NOTHING)
    assert loss.item() == 0
    assert embedding.isfinite().all()


@pytest.mark.parametrize(("network", "channels", "width"), [("unet", 2, 128), ("resnet18", 3, 512)])
def test_the_whole_body_learns_and_no_layer_is_left_out(network, channels, width):
    dense = made(network, channels)
    before = copy.deepcopy(dense.network.state_dict())
    loss, embedding = dense(torch.randn(4, channels, 64, 32), NOTHING)
    loss.backward()
    assert embedding.shape == (4, width)
    assert all(p.grad is not None for p in dense.parameters())
    torch.optim.SGD(dense.parameters(), lr=0.1).step()
    after = dense.network.state_dict()
    weights = [n for n in body_tensors(dense.network) if n.endswith("conv.weight")]
    assert len(weights) > 10 or network != "unet"
    assert all(not torch.equal(after[name], before[name]) for name in weights)


def test_the_tensors_of_encoder_and_body_keep_their_names():
    plain = segmenter("unet", 1, 3)
    network = made().network
    assert body_tensors(network) == body_tensors(plain)
    assert encoder_tensors(network) == encoder_tensors(plain)
    assert head_of(network).out_channels == 1


def test_hooks_are_gone_afterwards():
    dense = made()
    dense(torch.randn(4, 1, 32, 32), NOTHING)
    assert not any(module._forward_hooks for module in dense.modules())


def test_equal_random_numbers_give_equal_losses():
    dense, pixels = made(config=LearnConfig()), torch.randn(4, 1, 32, 32)
    losses = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        losses.append(dense(pixels, NOTHING)[0].item())
    assert losses[0] == losses[1] != losses[2]


def test_it_cannot_look_at_what_it_must_say():
    """A network that repeats its input errs by the whole variance of what is hidden."""
    dense, pixels = made(), torch.randn(16, 1, 32, 32)
    dense.network.register_forward_hook(lambda _module, given, _said: given[0])
    loss, _ = dense(pixels, torch.empty(16, 0, dtype=torch.long))
    assert loss.item() == pytest.approx(1, abs=0.1)


@pytest.mark.slow
def test_it_learns_to_continue_stripes():
    dense, pixels = made(), stripes()
    optimiser = torch.optim.AdamW(dense.parameters(), lr=4e-3)
    losses = []
    for _ in range(40):
        optimiser.zero_grad()
        loss, _ = dense(pixels, NOTHING)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert sum(losses[-5:]) < 0.3 * sum(losses[:5])
