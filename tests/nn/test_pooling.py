"""The mean of maps over a picture, against its definition, cell by cell."""

import math

import numpy as np
import pytest
import torch

from fewmasks.nn.augment import valid_area
from fewmasks.nn.pooling import picture_mean

FRAME = (32, 48)
SHAPES = [(32, 48), (17, 30), (5, 48), (1, 1), (32, 9)]
"""The first one fills the frame."""


def areas(shapes=SHAPES) -> torch.Tensor:
    return torch.stack([valid_area(shape, FRAME, torch.device("cpu")) for shape in shapes])


def drawn(side: tuple[int, int], n: int = len(SHAPES)) -> torch.Tensor:
    return torch.randn((n, 3, *side), generator=torch.Generator().manual_seed(0))


def slowly(maps: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Of one item: each cell by the share of the picture in the pixels under it."""
    (d, rows, columns), (height, width) = maps.shape, valid.shape
    total, weight = np.zeros(d), 0.0
    for y in range(rows):
        top, bottom = y * height // rows, math.ceil((y + 1) * height / rows)
        for x in range(columns):
            left, right = x * width // columns, math.ceil((x + 1) * width / columns)
            share = valid[top:bottom, left:right].mean()
            total += share * maps[:, y, x]
            weight += share
    return total / weight


@pytest.mark.parametrize("side", [(32, 48), (16, 24), (4, 6), (2, 3), (5, 7), (1, 1)])
def test_it_equals_its_definition(side):
    maps, valid = drawn(side), areas()
    expected = [slowly(*each) for each in zip(maps.double().numpy(), valid.numpy(), strict=True)]
    np.testing.assert_allclose(picture_mean(maps, valid).numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_an_item_that_fills_the_frame_has_the_plain_mean_to_the_last_bit(layout):
    maps = drawn((4, 6)).to(memory_format=layout)
    plain = maps.mean(dim=(2, 3))
    assert torch.equal(picture_mean(maps, areas([FRAME] * len(SHAPES))), plain)
    mixed = picture_mean(maps, areas())
    assert torch.equal(mixed[0], plain[0])
    assert not torch.isclose(mixed[1:], plain[1:], atol=1e-3).all(dim=1).any()


def test_what_lies_beyond_the_picture_counts_nothing():
    maps, valid = drawn(FRAME), areas()
    beyond = torch.where(valid[:, None], maps, 1e6)
    torch.testing.assert_close(picture_mean(beyond, valid), picture_mean(maps, valid))


def test_maps_of_half_precision_are_averaged_in_single():
    maps = drawn((16, 24)).to(torch.bfloat16)
    assert torch.equal(picture_mean(maps, areas()), picture_mean(maps.float(), areas()))
