"""FixMatch by pixel: sure pixels alone, aligned views, nothing beyond the picture."""

import torch
from tests.learn.made import quick

from fewmasks.learn.weak.fixmatch import sure_labels
from fewmasks.nn.augment import weak_and_strong
from fewmasks.nn.losses import weighted_cross_entropy


def test_sure_pixels_count_and_pixels_beyond_the_picture_do_not():
    probs = torch.tensor([[[[0.97, 0.6, 0.02]], [[0.03, 0.4, 0.98]]]])
    inside = torch.tensor([[[0, 0, 255]]], dtype=torch.uint8)
    classes, sure = sure_labels(probs, inside, 0.95)
    assert classes.tolist() == [[[0, 0, 255]]]
    assert sure.tolist() == [[[1, 0, 1]]]
    logits = torch.randn(1, 2, 1, 3, requires_grad=True)
    weighted_cross_entropy(logits, classes, sure).backward()
    assert (logits.grad.abs().amax(dim=1) > 0).tolist() == [[[True, False, False]]]


def test_the_target_has_no_gradient():
    logits = torch.randn(1, 2, 3, 3, requires_grad=True)
    classes, sure = sure_labels(logits.softmax(1), torch.zeros(1, 3, 3, dtype=torch.uint8), 0.5)
    assert not classes.requires_grad
    assert not sure.requires_grad


def test_the_two_views_lie_pixel_on_pixel():
    """Without changes of contrast and noise the strong view is the weak one."""
    pixels = torch.rand(3, 1, 32, 32)
    area = torch.zeros(3, 32, 32, dtype=torch.uint8)
    still = quick(contrast=0.0, noise=0.0)
    weak, strong, moved = weak_and_strong(pixels, area, still, torch.Generator().manual_seed(0))
    torch.testing.assert_close(weak, strong)
    assert not torch.allclose(weak, pixels)
    assert set(moved.unique().tolist()) == {0, 255}
    silent = quick(noise=0.0)
    weak, strong, again = weak_and_strong(pixels, area, silent, torch.Generator().manual_seed(0))
    assert torch.equal(moved, again)
    assert not torch.allclose(weak, strong)
    # A picture keeps its order of intensities through gamma and gain.
    for one, other, kept in zip(weak, strong, again == 0, strict=True):
        both = torch.stack([one[0][kept], other[0][kept]])
        assert torch.corrcoef(both)[0, 1] > 0.85
