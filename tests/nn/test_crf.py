"""The gated CRF against its definition, and what it leaves alone."""

import numpy as np
import pytest
import torch

from fewmasks.nn.crf import COLOUR, PLACE, RADIUS, gated_crf


def crf_by_definition(
    probs: np.ndarray, pixels: np.ndarray, target: np.ndarray, inside: np.ndarray
) -> float:
    """Pair by pair, on blocks of two by two pixels."""
    b, _, height, width = probs.shape
    shape = (b, -1, height // 2, 2, width // 2, 2)
    probs, pixels = (each.reshape(shape).mean((3, 5)) for each in (probs, pixels))
    blocks = (b, height // 2, 2, width // 2, 2)
    inside, unknown = (
        each.reshape(blocks).any((2, 4)) for each in (inside, inside & (target == 255))
    )
    total = 0.0
    for n in range(b):
        places = [place for place in np.ndindex(height // 2, width // 2) if inside[n][place]]
        pairs = [
            (one, other)
            for one in places
            for other in places
            if 0 < max(abs(one[0] - other[0]), abs(one[1] - other[1])) <= RADIUS
        ]

        def difference(one, other, n=n):
            return ((pixels[n, :, *one] - pixels[n, :, *other]) ** 2).mean()

        usual = np.mean([difference(*pair) for pair in pairs])
        for one, other in pairs:
            if not (unknown[n][one] or unknown[n][other]):
                continue
            place = ((one[0] - other[0]) ** 2 + (one[1] - other[1]) ** 2) / PLACE**2
            colour = difference(one, other) / (COLOUR**2 * usual)
            same = (probs[n, :, *one] * probs[n, :, *other]).sum()
            total += np.exp(-(place + colour) / 2) * (1 - same)
    return total / max(1, unknown.sum())


@pytest.mark.parametrize("seed", range(3))
def test_the_gated_crf_equals_the_definition(seed):
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet(np.ones(3), (2, 14, 18)).transpose(0, 3, 1, 2)
    pixels = rng.normal(size=(2, 2, 14, 18)) / 2
    target = np.where(rng.random((2, 14, 18)) < 0.7, 255, 1)
    target[1] = 0  # wholly known
    inside = np.ones((2, 14, 18), bool)
    inside[:, :, 15:] = False
    found = gated_crf(
        torch.from_numpy(probs).float(), torch.from_numpy(pixels).float(),
        torch.from_numpy(target), torch.from_numpy(inside),
    )  # fmt: skip
    assert found.item() == pytest.approx(crf_by_definition(probs, pixels, target, inside), rel=1e-4)


def test_the_gated_crf_says_nothing_of_masks_and_of_what_lies_beyond_the_picture():
    probs = torch.rand(1, 2, 12, 12).softmax(1).requires_grad_()
    pixels = torch.zeros(1, 1, 12, 12)
    known, unknown = torch.zeros(1, 12, 12).long(), torch.full((1, 12, 12), 255)
    everywhere = torch.ones(1, 12, 12, dtype=torch.bool)
    assert gated_crf(probs, pixels, known, everywhere).item() == 0
    assert gated_crf(probs, pixels, unknown, ~everywhere).item() == 0
    inside = everywhere.clone()
    inside[:, :, 6:] = False
    gated_crf(probs, pixels, unknown, inside).backward()
    moved = probs.grad.abs().sum(dim=1)[0] > 0
    assert moved[:, :6].all()
    assert not moved[:, 6:].any()


def test_the_gated_crf_is_least_where_classes_change_at_edges():
    """Two halves of unlike colour: one border at the edge costs less than one elsewhere."""
    pixels = torch.zeros(1, 1, 24, 24)
    pixels[..., 12:] = 3.0
    unknown = torch.full((1, 24, 24), 255)
    costs = []
    for border in (12, 16, 8):
        classes = (torch.arange(24) >= border).long().expand(1, 24, 24)
        probs = torch.nn.functional.one_hot(classes, 2).permute(0, 3, 1, 2).float()
        costs.append(gated_crf(probs, pixels, unknown, unknown > 0).item())
    assert costs[0] < 0.01 < costs[1]
    assert costs[1] == pytest.approx(costs[2], rel=1e-4)


def test_the_gated_crf_is_the_same_for_a_faint_picture_as_for_a_strong_one():
    generator = torch.Generator().manual_seed(0)
    probs = torch.rand(1, 3, 16, 20, generator=generator).softmax(1)
    pixels = torch.rand(1, 2, 16, 20, generator=generator)
    unknown = torch.full((1, 16, 20), 255)
    costs = [
        gated_crf(probs, strength * pixels + 3, unknown, unknown > 0).item()
        for strength in (0.05, 1, 20)
    ]
    assert costs == pytest.approx([costs[1]] * 3, rel=1e-3)


def test_the_gated_crf_of_a_picture_of_one_colour_asks_all_neighbours_to_agree():
    stripes = torch.arange(16)[None, None, None] // 2 % 2 == torch.arange(2)[None, :, None, None]
    unknown = torch.full((1, 16, 16), 255)
    for probs, least in ((stripes.expand(1, 2, 16, 16), 10), (torch.eye(2)[:1, :, None, None], 0)):
        alike = probs.float().expand(1, 2, 16, 16)
        cost = gated_crf(alike, torch.ones(1, 1, 16, 16), unknown, unknown > 0)
        assert cost >= least
        assert cost.isfinite()
    assert cost == 0
