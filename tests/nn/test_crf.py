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
    places = list(np.ndindex(height // 2, width // 2))
    for n in range(b):
        for y, x in places:
            for v, u in places:
                near = max(abs(y - v), abs(x - u)) <= RADIUS and (y, x) != (v, u)
                if not (near and inside[n, y, x] and inside[n, v, u]):
                    continue
                if not (unknown[n, y, x] or unknown[n, v, u]):
                    continue
                place = ((y - v) ** 2 + (x - u) ** 2) / PLACE**2
                colour = ((pixels[n, :, y, x] - pixels[n, :, v, u]) ** 2).mean() / COLOUR**2
                same = (probs[n, :, y, x] * probs[n, :, v, u]).sum()
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
