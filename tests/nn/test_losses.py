"""Losses look at known pixels only."""

from collections import Counter
from functools import partial

import numpy as np
import pytest
import torch

from fewmasks.nn.losses import (
    SMOOTH,
    known_share,
    partial_cross_entropy,
    partial_dice,
    partial_loss,
    squared_dice,
    weighted_cross_entropy,
)

RARE = partial(partial_loss, rarity=0.5)
LOSSES = (partial_cross_entropy, partial_dice, partial_loss, RARE)


def drawn(seed: int = 0, n_classes: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits, and a target with a fifth of its pixels unknown."""
    rng = np.random.default_rng(seed)
    target = rng.integers(0, n_classes, (2, 6, 5))
    target[rng.random(target.shape) < 0.2] = 255
    logits = torch.from_numpy(rng.normal(size=(2, n_classes, 6, 5))).float()
    return logits.requires_grad_(), torch.from_numpy(target)


def dice_by_definition(logits: torch.Tensor, target: torch.Tensor) -> float:
    """Soft Dice of each class that is present, pixel by pixel."""
    scores = logits.detach().double().numpy()
    probs = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    losses = []
    for label in range(probs.shape[1]):
        overlap = predicted = size = 0.0
        for b, y, x in np.ndindex(*target.shape):
            if target[b, y, x] == 255:
                continue
            predicted += probs[b, label, y, x]
            if target[b, y, x] == label:
                overlap += probs[b, label, y, x]
                size += 1
        if size:
            losses.append(1 - (2 * overlap + SMOOTH) / (predicted + size + SMOOTH))
    return float(np.mean(losses))


def test_cross_entropy_of_a_worked_example():
    logits = torch.tensor([[[[2.0, 0.0], [0.0, 0.0]], [[0.0, 1.0], [0.0, 3.0]]]])
    target = torch.tensor([[[0, 255], [255, 1]]])
    assert partial_cross_entropy(logits, target).item() == pytest.approx(0.0877577, abs=1e-7)


@pytest.mark.parametrize("seed", range(3))
def test_dice_equals_the_definition(seed):
    logits, target = drawn(seed)
    target[target == 1] = 255 if seed == 0 else 1  # a class that is absent
    expected = dice_by_definition(logits, target)
    assert partial_dice(logits, target).item() == pytest.approx(expected, abs=1e-6)


def weighted_by_definition(logits: torch.Tensor, target: torch.Tensor, power: float) -> float:
    """Cross-entropy, pixel by pixel, each weighing the more, the rarer its class is."""
    log_probs = logits.detach().double().log_softmax(dim=1).numpy()
    known = [place for place in np.ndindex(*target.shape) if target[place] != 255]
    size = Counter(int(target[place]) for place in known)
    loss = weights = 0.0
    for b, y, x in known:
        label = int(target[b, y, x])
        weight = (len(known) / size[label]) ** power
        loss -= weight * log_probs[b, label, y, x]
        weights += weight
    return loss / weights


@pytest.mark.parametrize("rarity", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_the_loss_is_weighted_cross_entropy_plus_dice(seed, rarity):
    logits, target = drawn(seed)
    target[(target == 1) & (torch.arange(5) > seed)] = 255  # a rare class, or an absent one
    cross_entropy = weighted_by_definition(logits, target, rarity)
    expected = cross_entropy + dice_by_definition(logits, target)
    assert partial_loss(logits, target, rarity=rarity).item() == pytest.approx(expected, abs=1e-6)


def test_classes_of_equal_size_weigh_the_same():
    logits, target = drawn()
    target = torch.arange(target.numel()).reshape(target.shape) % 3
    parts = partial_cross_entropy(logits, target) + partial_dice(logits, target)
    value = partial_loss(logits, target, rarity=0.5)
    assert value.item() == pytest.approx(parts.item(), abs=1e-6)


@pytest.mark.parametrize("loss", LOSSES)
def test_nothing_known_is_zero_with_zero_gradient(loss):
    logits, target = drawn()
    value = loss(logits, torch.full_like(target, 255))
    value.backward()
    assert value.item() == 0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


@pytest.mark.parametrize("loss", LOSSES)
def test_unknown_pixels_have_exactly_zero_gradient(loss):
    logits, target = drawn()
    loss(logits, target).backward()
    strength = logits.grad.abs().amax(dim=1)
    assert (strength[target == 255] == 0).all()
    assert (strength[target != 255] > 0).all()


@pytest.mark.parametrize("loss", LOSSES)
def test_what_is_predicted_where_nobody_knows_does_not_matter(loss):
    logits, target = drawn()
    other = torch.where((target == 255).unsqueeze(1), torch.randn_like(logits) * 50, logits)
    assert loss(other, target).item() == pytest.approx(loss(logits, target).item(), abs=1e-6)


@pytest.mark.parametrize("loss", LOSSES)
def test_confident_logits_stay_finite(loss):
    _, target = drawn()
    sure = torch.zeros(2, 3, 6, 5)
    sure[:, 0] = 1e4
    assert torch.isfinite(loss(sure.requires_grad_(), target))


def test_a_perfect_prediction_costs_nothing():
    _, target = drawn()
    sure = 100.0 * torch.nn.functional.one_hot(target.where(target != 255, 0), 3).movedim(-1, 1)
    assert partial_loss(sure, target).item() == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_of_a_weight_that_all_pixels_share_the_loss_is_so_much(seed):
    """Also where it is below one pixel in all, and where it is 1."""
    logits, target = drawn(seed)
    whole = RARE(logits, target).item()
    for weight in (1.0, 0.5, 1e-3):
        weighted = RARE(logits, target, torch.full(target.shape, weight))
        assert weighted.item() == pytest.approx(weight * whole, rel=1e-3)


@pytest.mark.parametrize("loss", [partial_loss, RARE, weighted_cross_entropy])
def test_a_pixel_without_weight_has_exactly_zero_gradient(loss):
    logits, target = drawn()
    weight = torch.rand(target.shape).where(torch.rand(target.shape) < 0.5, 0.0)
    loss(logits, target, weight).backward()
    strength = logits.grad.abs().amax(dim=1)
    counts = (weight > 0) & (target != 255)
    assert (strength[~counts] == 0).all()
    assert (strength[counts] > 0).all()


def test_a_pixel_without_weight_is_as_good_as_unknown_to_dice():
    """The mean is over fewer pixels, so the two parts differ from it by the share that counts."""
    logits, target = drawn()
    weight = (torch.rand(target.shape) < 0.5).float()
    fewer = target.where(weight > 0, 255)
    share = (fewer != 255).sum() / (target != 255).sum()
    expected = share * RARE(logits, fewer)
    assert RARE(logits, target, weight).item() == pytest.approx(expected.item(), abs=1e-6)


def test_squared_dice_of_a_worked_example():
    """One class at 0.8 and 0.2 where it is and is not; the other is the mirror image."""
    probs = torch.tensor([[[[0.8, 0.2]], [[0.2, 0.8]]]])
    target = torch.tensor([[[0, 1]]])
    assert squared_dice(probs, target).item() == pytest.approx(0.047619, abs=1e-5)


def test_squared_dice_looks_at_known_pixels_alone():
    logits, target = drawn()
    squared_dice(logits.softmax(dim=1), target).backward()
    assert (logits.grad.abs().amax(dim=1)[target == 255] == 0).all()


def test_known_share():
    assert known_share(torch.tensor([[[0, 255], [1, 255]]])) == 0.5
