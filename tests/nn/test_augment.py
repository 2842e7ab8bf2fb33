"""Images and masks move together, and what nobody said stays unknown."""

import math

import pytest
import torch

from fewmasks.config import LearnConfig
from fewmasks.nn.augment import augment, draw_warp, valid_area

STILL = LearnConfig(flips="none", rotate_degrees=0, scale=0, contrast=0, noise=0)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def settings(**changes) -> LearnConfig:
    return STILL.model_copy(update=changes)


def blobs(batch: int = 6, height: int = 40, width: int = 56) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures whose value is 10 times the class of the mask, in large blocks."""
    coarse = torch.randint(0, 3, (batch, 1, height // 8, width // 8), generator=generator(7))
    masks = coarse.repeat_interleave(8, 2).repeat_interleave(8, 3)[:, 0].to(torch.uint8)
    return masks.unsqueeze(1).float() * 10, masks


def test_no_strength_is_the_identity():
    images, masks = blobs()
    masks[0, :5] = 255
    images = images + torch.randn(images.shape, generator=generator())
    moved, labels = augment(images, masks, STILL, generator())
    assert torch.allclose(moved, images, atol=1e-3)
    assert torch.equal(labels, masks)


@pytest.mark.parametrize("flips", ["none", "x", "xy"])
def test_image_and_mask_move_together(flips):
    images, masks = blobs()
    strong = settings(flips=flips, rotate_degrees=40, scale=0.3)
    moved, labels = augment(images, masks, strong, generator())
    # Between blocks the picture is a mixture; inside them it must say what the mask says.
    is_flat = (moved - moved.round()).abs().squeeze(1) < 1e-3
    known = (labels != 255) & is_flat & (moved.squeeze(1).round() % 10 == 0)
    assert known.float().mean() > 0.4
    agreeing = (moved.squeeze(1) / 10).round()[known] == labels[known]
    assert agreeing.float().mean() > 0.999
    assert not torch.equal(labels, masks)


def test_masks_keep_their_values():
    images, masks = blobs()
    masks[1] = 254
    masks[2, 10:20] = 255
    _, labels = augment(images, masks, LearnConfig(rotate_degrees=90), generator())
    assert labels.dtype == torch.uint8
    assert set(labels.unique().tolist()) <= {0, 1, 2, 254, 255}


def test_what_moves_in_from_outside_is_unknown():
    images, masks = blobs()
    small = settings(scale=0.9)
    warp = draw_warp(6, (40, 56), small, generator())
    _, labels = augment(images, masks, small, generator())
    shrinking = warp.affine[:, 0, 0] > 1.1
    assert shrinking.any()
    assert (labels[shrinking, 0, 0] == 255).all()
    assert (labels[warp.affine[:, 0, 0] < 1] != 255).all()


def test_unknown_stays_unknown():
    images, masks = blobs()
    unknown = torch.full_like(masks, 255)
    _, labels = augment(images, unknown, LearnConfig(rotate_degrees=45), generator())
    assert (labels == 255).all()


def test_a_flip_mirrors():
    images, masks = blobs(batch=32)
    moved, labels = augment(images, masks, settings(flips="x"), generator())
    mirrored = (labels == masks.flip(2)).all(dim=(1, 2))
    assert mirrored.any()
    assert (mirrored | (labels == masks).all(dim=(1, 2))).all()
    assert torch.allclose(moved.squeeze(1), labels.float() * 10, atol=1e-3)


def test_no_flip_along_y_unless_asked():
    affine = draw_warp(64, (8, 8), settings(flips="x"), generator()).affine
    assert (affine[:, 1, 1] == 1).all()
    assert set(affine[:, 0, 0].tolist()) == {1.0, -1.0}


@pytest.mark.parametrize(("height", "width"), [(32, 96), (96, 32), (48, 48)])
def test_a_rotation_keeps_angles_and_lengths_in_pixels(height, width):
    warp = draw_warp(16, (height, width), settings(rotate_degrees=30, flips="xy"), generator())
    half = torch.tensor([width / 2, height / 2])
    in_pixels = warp.affine[:, :, :2] * half[:, None] / half
    product = in_pixels @ in_pixels.transpose(1, 2)
    assert torch.allclose(product, torch.eye(2).expand(16, 2, 2), atol=1e-5)
    angle = torch.atan2(in_pixels[:, 1, 0].abs(), in_pixels[:, 0, 0].abs())
    assert angle.max() <= math.radians(30) + 1e-6
    assert angle.max() > math.radians(5)


def test_the_same_generator_gives_the_same_result():
    images, masks = blobs()
    config = LearnConfig()
    once, again, other = (augment(images, masks, config, generator(seed)) for seed in (3, 3, 4))
    assert torch.equal(once[0], again[0])
    assert torch.equal(once[1], again[1])
    assert not torch.equal(once[0], other[0])


def test_the_arguments_stay_as_they_are():
    images, masks = blobs()
    before = images.clone(), masks.clone()
    augment(images, masks, LearnConfig(), generator())
    assert torch.equal(images, before[0])
    assert torch.equal(masks, before[1])


def test_contrast_keeps_the_order_of_intensities():
    images = torch.linspace(-2, 2, 64).reshape(1, 1, 8, 8).repeat(5, 1, 1, 1)
    masks = torch.zeros(5, 8, 8, dtype=torch.uint8)
    moved, _ = augment(images, masks, settings(contrast=0.4), generator())
    assert (moved.flatten(1).diff(dim=1) > 0).all()
    assert not torch.allclose(moved, images, atol=0.05)


def test_the_noise_is_as_strong_as_asked():
    images = torch.zeros(4, 1, 64, 64)
    masks = torch.zeros(4, 64, 64, dtype=torch.uint8)
    moved, _ = augment(images, masks, settings(noise=0.3), generator())
    assert moved.std().item() == pytest.approx(0.3, rel=0.05)


def test_the_valid_area_is_centred():
    area = valid_area((2, 3), (4, 6), torch.device("cpu"))
    assert area.int().tolist() == [
        [0, 0, 0, 0, 0, 0],
        [0, 1, 1, 1, 0, 0],
        [0, 1, 1, 1, 0, 0],
        [0, 0, 0, 0, 0, 0],
    ]
