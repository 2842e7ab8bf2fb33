"""Closed-form gradients of the last layer against autograd and the worked numbers."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional

from fewmasks.nn import gradients
from fewmasks.nn.gradients import badge_factors, image_gradient, pixel_gradient

PROBS = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3]])
FEATURES = torch.tensor([[1.0, 2.0], [3.0, 0.0]])


def two_pixels():
    """One image of two pixels, three classes, two features."""
    logits = PROBS.log().T.reshape(1, 3, 1, 2)
    features = FEATURES.T.reshape(1, 2, 1, 2)
    return features, logits, torch.ones(1, 1, 2, dtype=torch.bool)


def random_net(kernel, bias, seed=0):
    torch.manual_seed(seed)
    head = nn.Conv2d(4, 3, kernel, padding=kernel // 2, bias=bias)
    features = torch.randn(2, 4, 5, 6)
    valid = torch.rand(2, 5, 6) > 0.2
    return head, features, head(features).detach(), valid


def dice_loss(logits, target, known):
    probs = logits.softmax(0) * known
    truth = functional.one_hot(target, len(logits)).movedim(-1, 0) * known
    overlap, size = (probs * truth).sum((1, 2)), (probs + truth).sum((1, 2))
    return (1 - (2 * overlap + 1e-5) / (size + 1e-5)).mean()


def test_per_pixel_numbers():
    found = pixel_gradient(*two_pixels(), reduce="sum")
    torch.testing.assert_close(found, torch.tensor([[0.70, 2.34, 0.0]]))


def test_per_image_numbers():
    found = image_gradient(*two_pixels())
    torch.testing.assert_close(found, torch.tensor([[0.3, 0.5385, 0.5099]]), atol=1e-4, rtol=0)


@pytest.mark.parametrize("loss", ["ce", "ce+dice"])
@pytest.mark.parametrize("kernel", [1, 3])
def test_image_gradient_is_that_of_autograd(kernel, loss):
    head, features, logits, valid = random_net(kernel, bias=True)
    found = image_gradient(features, logits, valid, kernel, loss)
    for item in range(2):
        out = head(features[item : item + 1])[0]
        target = out.argmax(0).detach()
        per_pixel = functional.cross_entropy(out[None], target[None], reduction="none")[0]
        value = (per_pixel * valid[item]).sum() / valid[item].sum()
        if loss == "ce+dice":
            value = value + dice_loss(out, target, valid[item])
        (gradient,) = torch.autograd.grad(value, head.weight)
        torch.testing.assert_close(
            found[item], gradient.flatten(1).norm(dim=1), rtol=1e-4, atol=1e-6
        )


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("kernel", [1, 3])
def test_pixel_gradient_is_that_of_autograd(kernel, bias):
    head, features, logits, valid = random_net(kernel, bias)
    found = pixel_gradient(features, logits, valid, kernel, bias, reduce="sum")
    wanted = torch.zeros(2, 3)
    for item in range(2):
        out = head(features[item : item + 1])[0]
        for y, x in valid[item].nonzero().tolist():
            label = out[:, y, x].argmax()
            value = functional.cross_entropy(out[None, :, y, x], label[None])
            gradients = torch.autograd.grad(value, list(head.parameters()), retain_graph=True)
            wanted[item, label] += sum(g.square().sum() for g in gradients)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-6)


def test_confident_pixels_and_empty_features_have_no_gradient():
    features, logits, valid = two_pixels()
    assert (pixel_gradient(features, logits * 1e4, valid) == 0).all()
    assert (pixel_gradient(features * 0, logits, valid) == 0).all()
    assert (image_gradient(features * 0, logits, valid) == 0).all()


def test_mean_does_not_favour_large_items_and_power_one_takes_norms():
    features, logits, valid = two_pixels()
    wide = [t.repeat(1, 1, 1, 3) for t in (features, logits)]
    assert torch.allclose(
        pixel_gradient(features, logits, valid), pixel_gradient(*wide, valid.repeat(1, 1, 3))
    )
    norms = pixel_gradient(features, logits, valid, reduce="sum", power=1)
    torch.testing.assert_close(norms, torch.tensor([[0.70**0.5, 2.34**0.5, 0.0]]))


def test_badge_factors_multiply_to_the_gradient_of_one_pixel():
    features, logits, valid = (t[..., :1] for t in two_pixels())
    error, feature = badge_factors(features, logits, valid)
    outer = (error[0][:, None] * feature[0][None]).norm(dim=1)
    torch.testing.assert_close(outer[None], image_gradient(features, logits, valid))


def test_items_do_not_touch_each_other():
    _, features, logits, valid = random_net(3, True)
    flipped = [t.flip(0) for t in (features, logits, valid)]
    for function in (image_gradient, pixel_gradient):
        torch.testing.assert_close(function(*flipped), function(features, logits, valid).flip(0))


@pytest.mark.parametrize("pixels", [1, 12, 40, 10**6])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("kernel", [1, 3])
def test_parts_and_layouts_leave_the_gradients_alone(monkeypatch, pixels, layout, kernel):
    """However many rows or items a part has: those of one item in one part."""
    _, features, logits, valid = random_net(kernel, True)
    monkeypatch.setitem(gradients.PIXELS, "cpu", 10**6)
    functions = [
        partial(image_gradient, kernel=kernel),
        partial(image_gradient, kernel=kernel, loss="ce+dice"),
        partial(pixel_gradient, kernel=kernel),
        lambda *given: torch.cat(badge_factors(*given), dim=1),
    ]
    whole = [
        torch.cat([f(*(t[i : i + 1] for t in (features, logits, valid))) for i in range(2)])
        for f in functions
    ]
    monkeypatch.setitem(gradients.PIXELS, "cpu", pixels)
    laid = [t.contiguous(memory_format=layout) for t in (features, logits)]
    for f, expected in zip(functions, whole, strict=True):
        torch.testing.assert_close(f(*laid, valid), expected)


def test_of_equal_classes_the_first_is_the_prediction():
    logits = torch.tensor([0.0, 2.0, 2.0, 2.0]).reshape(1, 4, 1, 1)
    valid = torch.ones(1, 1, 1, dtype=torch.bool)
    found = pixel_gradient(torch.ones(1, 2, 1, 1), logits, valid, reduce="sum")[0]
    assert (found > 0).tolist() == [False, True, False, False]
    probs = logits.flatten().softmax(0)
    expected = 2 * ((probs - torch.tensor([0.0, 1, 0, 0])) ** 2).sum()
    torch.testing.assert_close(found[1], expected)


def test_an_item_without_a_valid_pixel_has_no_gradient():
    features, logits, valid = two_pixels()
    for loss in ("ce", "ce+dice"):
        assert (image_gradient(features, logits, ~valid, loss=loss) == 0).all()
    assert (pixel_gradient(features, logits, ~valid) == 0).all()
    assert all((factor == 0).all() for factor in badge_factors(features, logits, ~valid))
