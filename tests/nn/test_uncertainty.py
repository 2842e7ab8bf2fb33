"""The fast scores equal those of `fewmasks.query.score`, which look at one item at a time."""

import math

import numpy as np
import pytest
import torch

from fewmasks.nn import uncertainty as module
from fewmasks.nn.uncertainty import SCORES, uncertainty
from fewmasks.query import score as reference


def drawn(members: int, n_classes: int, seed: int = 0) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Logits of five items and their valid pixels."""
    generator = torch.Generator().manual_seed(seed)
    shape = (5, n_classes, 9, 7)
    logits = [3 * torch.randn(shape, generator=generator) for _ in range(members)]
    valid = torch.rand((5, 9, 7), generator=generator) < 0.7
    return logits, valid


def slowly(name: str, logits: list[torch.Tensor], valid: torch.Tensor) -> np.ndarray:
    """The reference, item by item."""
    probs = torch.stack(logits).double().softmax(dim=2).numpy()
    score = getattr(reference, name)
    return np.array([score(probs[:, item], valid[item].numpy()) for item in range(len(valid))])


def of_probs(members: list[list[float]]) -> list[torch.Tensor]:
    """Logits of one item with one pixel, from the probabilities of each member."""
    return [torch.tensor(p).clamp_min(1e-30).log().reshape(1, -1, 1, 1) for p in members]


ONE = torch.ones(1, 1, 1, dtype=torch.bool)


@pytest.mark.parametrize("name", SCORES)
@pytest.mark.parametrize(("members", "n_classes"), [(1, 2), (3, 4), (4, 1)])
def test_equals_the_reference(name, members, n_classes):
    logits, valid = drawn(members, n_classes)
    found = uncertainty(logits, valid, frozenset({name}))
    assert list(found) == [name]
    np.testing.assert_allclose(found[name].numpy(), slowly(name, logits, valid), atol=2e-6)


@pytest.mark.parametrize("pixels", [1, 5, 64, 99, 10_000])
def test_chunks_change_nothing(monkeypatch, pixels):
    logits, valid = drawn(3, 4)
    whole = uncertainty(logits, valid)
    monkeypatch.setattr(module, "CHUNK_PIXELS", pixels)
    for name, values in uncertainty(logits, valid).items():
        torch.testing.assert_close(values, whole[name], atol=1e-6, rtol=1e-5)


def test_what_is_asked_together_equals_what_is_asked_alone():
    logits, valid = drawn(3, 4)
    together = uncertainty(logits, valid)
    assert sorted(together) == sorted(SCORES)
    for name in SCORES:
        alone = uncertainty(logits, valid, frozenset({name}))[name]
        torch.testing.assert_close(alone, together[name], atol=1e-6, rtol=1e-6)


def test_the_logits_stay_as_they_are():
    logits, valid = drawn(3, 4)
    before = [member.clone() for member in logits]
    uncertainty(logits, valid)
    assert all(map(torch.equal, logits, before))


def test_any_memory_layout_and_half_precision():
    logits, valid = drawn(3, 4)
    expected = uncertainty([member.bfloat16().float() for member in logits], valid)
    laid_out = [m.bfloat16().contiguous(memory_format=torch.channels_last) for m in logits]
    for name, values in uncertainty(laid_out, valid).items():
        torch.testing.assert_close(values, expected[name], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("name", SCORES)
def test_ties_are_split_as_in_the_reference(name):
    logits = [torch.zeros(5, 3, 9, 7), drawn(1, 3)[0][0]]
    valid = torch.ones(5, 9, 7, dtype=torch.bool)
    found = uncertainty(logits, valid, frozenset({name}))[name]
    np.testing.assert_allclose(found.numpy(), slowly(name, logits, valid), atol=2e-6)


@pytest.mark.parametrize("name", SCORES)
def test_no_valid_pixel_and_nan_logits_are_nan(name):
    logits, valid = drawn(2, 3)
    valid[1] = False
    logits[0][2] = torch.nan
    found = uncertainty(logits, valid, frozenset({name}))[name].flatten(1 - 1)
    bad = torch.isnan(found.reshape(5, -1)).any(dim=1)
    assert bad.tolist() == [False, True, True, False, False]


def test_variance_of_a_worked_example():
    """Two classes, four members; per class the variance is .16 and 0."""
    logits = [
        torch.tensor([[p, 0.5], [1 - p, 0.5]]).log().reshape(1, 2, 1, 2) for p in (0.9, 0.1) * 2
    ]
    valid = torch.ones(1, 1, 2, dtype=torch.bool)
    # Both classes count, so it is twice the .08 of the foreground alone.
    assert uncertainty(logits, valid)["variance"].item() == pytest.approx(0.16, abs=1e-6)


def test_variance_of_members_that_nearly_agree():
    """E[p^2] - E[p]^2 in float32 would be all rounding here."""
    ahead = torch.tensor([3.0, 0.0, -1.0]).reshape(1, 3, 1, 1)
    logits = [ahead, ahead + torch.tensor([1e-4, 0.0, 0.0]).reshape(1, 3, 1, 1)]
    found = uncertainty(logits, ONE)["variance"].item()
    assert found == pytest.approx(slowly("variance", logits, ONE)[0], rel=0.01)


def test_bald_of_a_worked_example():
    found = uncertainty(of_probs([[0.5, 0.5], [1.0, 0.0]]), ONE)
    assert found["entropy"].item() == pytest.approx(0.562335, abs=1e-6)
    assert found["bald"].item() == pytest.approx(0.215762, abs=1e-6)


def test_members_that_agree_do_not_dissent():
    logits, valid = drawn(1, 4)
    found = uncertainty(logits * 3, valid)
    for name in ("bald", "variance", "variation_ratio"):
        torch.testing.assert_close(found[name], torch.zeros(5), atol=1e-6, rtol=0)


def test_bounds():
    logits, valid = drawn(4, 4)
    found = uncertainty(logits, valid)
    assert (found["bald"] >= 0).all()
    assert (found["bald"] <= found["entropy"] + 1e-6).all()
    assert (found["entropy"] <= math.log(4)).all()
    torch.testing.assert_close(found["class_entropy"].sum(dim=1), found["entropy"])
    torch.testing.assert_close(found["class_share"].sum(dim=1), torch.ones(5))
