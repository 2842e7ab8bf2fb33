"""Overlap and distance scores against their definitions, one pixel at a time."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fewmasks.errors import ConfigError, GeometryError
from fewmasks.metrics import (
    agreement,
    confusion,
    dice,
    dice_from_confusion,
    hausdorff95,
    iou,
    score_pictures,
    score_volumes,
)
from fewmasks.types import UNKNOWN

N = 3


@st.composite
def mask_pairs(draw):
    """A prediction and a reference of one small 2D or 3D shape, with unknown pixels."""
    shape = draw(hnp.array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=6))
    pred = draw(hnp.arrays(np.uint8, shape, elements=st.integers(0, N - 1)))
    truth = draw(hnp.arrays(np.uint8, shape, elements=st.sampled_from([0, 1, 2, UNKNOWN])))
    return pred, truth


def pixels_of(mask, label, truth):
    """Coordinates of a class among the known pixels, as a set."""
    return {p for p in np.ndindex(mask.shape) if mask[p] == label and truth[p] != UNKNOWN}


def neighbours(pixel):
    for axis in range(len(pixel)):
        for step in (-1, 1):
            yield tuple(p + step * (a == axis) for a, p in enumerate(pixel))


def border_by_definition(pixels, truth):
    """Pixels with a face neighbour that is known to be outside, or beyond the image."""
    unknown = {p for p in np.ndindex(truth.shape) if truth[p] == UNKNOWN}
    return [p for p in pixels if any(q not in pixels | unknown for q in neighbours(p))]


def hausdorff95_by_definition(pred, truth, label, spacing):
    ends = [border_by_definition(pixels_of(m, label, truth), truth) for m in (pred, truth)]
    if not all(ends):
        return np.nan
    one, other = (np.array(end) * spacing for end in ends)
    gaps = np.linalg.norm(one[:, None] - other[None], axis=-1)
    return max(np.percentile(gaps.min(axis=1), 95), np.percentile(gaps.min(axis=0), 95))


@given(mask_pairs())
def test_overlap_equals_the_set_definition(pair):
    pred, truth = pair
    for label in range(N):
        a, b = pixels_of(pred, label, truth), pixels_of(truth, label, truth)
        expected_dice = 2 * len(a & b) / (len(a) + len(b)) if a | b else np.nan
        expected_iou = len(a & b) / len(a | b) if a | b else np.nan
        np.testing.assert_allclose(dice(pred, truth, N)[label], expected_dice)
        np.testing.assert_allclose(iou(pred, truth, N)[label], expected_iou)


@settings(deadline=None)
@given(mask_pairs(), st.sampled_from([0.5, 1.0, 3.0]))
def test_distance_equals_the_definition(pair, first_step):
    pred, truth = pair
    spacing = (first_step, 1.0, 2.0)[: pred.ndim]
    expected = [hausdorff95_by_definition(pred, truth, label, spacing) for label in range(N)]
    np.testing.assert_allclose(hausdorff95(pred, truth, N, spacing), expected)


@given(mask_pairs())
def test_unknown_pixels_never_count(pair):
    pred, truth = pair
    other = np.where(truth == UNKNOWN, (pred + 1) % N, pred)
    np.testing.assert_array_equal(confusion(pred, truth, N), confusion(other, truth, N))
    np.testing.assert_array_equal(hausdorff95(pred, truth, N), hausdorff95(other, truth, N))
    assert confusion(pred, truth, N).sum() == (truth != UNKNOWN).sum()


@pytest.mark.slow
@given(mask_pairs())
def test_a_perfect_prediction_scores_one_and_zero(pair):
    pred, truth = pair
    perfect = np.where(truth == UNKNOWN, pred, truth)
    assert set(dice(perfect, truth, N, absent="one")) == {1.0}
    distances = hausdorff95(perfect, truth, N)
    assert set(distances[~np.isnan(distances)]) <= {0.0}


def test_confusion_rows_are_the_reference():
    counts = confusion(np.array([1, 1, 0]), np.array([0, 1, 255]), 2)
    assert counts.tolist() == [[0, 1], [0, 1]]


def test_confusion_is_the_same_in_chunks(monkeypatch):
    rng = np.random.default_rng(0)
    pred, truth = rng.integers(0, N, (2, 7, 11), dtype=np.uint8)
    whole = confusion(pred, truth, N)
    monkeypatch.setattr("fewmasks.metrics.CHUNK", 10)
    assert confusion(pred, truth, N).tolist() == whole.tolist()


@pytest.mark.parametrize(("absent", "value"), [("skip", np.nan), ("one", 1.0), ("zero", 0.0)])
def test_a_class_in_neither_mask_follows_the_convention(absent, value):
    empty = np.zeros((2, 2), dtype=np.uint8)
    np.testing.assert_array_equal(dice(empty, empty, 2, absent), [1.0, value])
    np.testing.assert_array_equal(iou(empty, empty, 2, absent), [1.0, value])


@pytest.mark.parametrize("absent", ["skip", "one", "zero"])
def test_a_class_in_one_mask_only_scores_zero_by_every_convention(absent):
    empty, one_pixel = np.array([[0, 0]]), np.array([[0, 1]])
    assert dice(empty, one_pixel, 2, absent)[1] == 0
    assert dice(one_pixel, empty, 2, absent)[1] == 0


def test_a_class_that_is_not_there_is_refused_not_counted_elsewhere():
    with pytest.raises(ValueError, match="prediction has class 3"):
        confusion(np.array([3]), np.array([0]), N)
    with pytest.raises(ValueError, match="reference has class 4"):
        confusion(np.array([0]), np.array([4]), N)


def test_distance_is_measured_in_units_of_spacing():
    pred, truth = np.zeros((2, 1, 9), dtype=np.uint8)
    pred[0, 1], truth[0, 4] = 1, 1
    assert hausdorff95(pred, truth, 2)[1] == 3
    assert hausdorff95(pred, truth, 2, spacing=(1.0, 0.5))[1] == 1.5


def test_a_mask_on_one_side_only_is_the_diagonal_if_asked():
    empty = np.zeros((3, 4), dtype=np.uint8)
    full = np.ones_like(empty)
    assert np.isnan(hausdorff95(empty, full, 3)).all()
    worst = hausdorff95(empty, full, 3, absent="diagonal")
    np.testing.assert_array_equal(worst, [5, 5, np.nan])


def test_the_edge_of_what_is_known_is_not_a_border():
    """The reference stops being known at column 4; the prediction goes on and is not blamed."""
    truth = np.full((9, 9), UNKNOWN, dtype=np.uint8)
    truth[:, :4] = 0
    truth[3:6, 2:4] = 1
    pred = np.zeros_like(truth)
    pred[3:6, 2:] = 1
    assert hausdorff95(pred, truth, 2)[1] == 0
    assert dice(pred, truth, 2)[1] == 1


def volume(*slices):
    return np.array(slices, dtype=np.uint8).reshape(len(slices), 1, -1)


CLASSES, FOREGROUND = ("background", "liver", "lesion"), ("liver", "lesion")


def test_volumes_weigh_the_same_and_pictures_by_their_pixels():
    small = ("a", volume([1, 0]), volume([1, 0]), None)
    large = ("b", volume([1] * 9 + [0]), volume([0] * 9 + [1]), None)
    by_volume = score_volumes([small, large], CLASSES[:2], ["liver"])
    by_pixel = score_pictures([small, large], CLASSES[:2], ["liver"])
    assert by_volume.dice == 0.5
    assert by_pixel.dice == pytest.approx(2 * 1 / (10 + 2))


def test_a_volume_with_neither_mask_of_a_class_is_left_out_of_its_mean():
    both = ("a", volume([1, 2]), volume([1, 2]), None)
    liver_only = ("b", volume([1, 0]), volume([1, 0]), None)
    missed = ("c", volume([1, 0]), volume([1, 2]), None)
    scores = score_volumes([both, liver_only, missed], CLASSES, FOREGROUND)
    assert scores.per_class == {"background": 0.5 * (1 + 0), "liver": 1.0, "lesion": 0.5}
    assert scores.dice == 0.75


def test_a_class_unknown_to_the_whole_reference_is_nan_and_left_out():
    """A lesion is predicted, but no test volume is known to have one: the mean is the liver's."""
    scores = score_volumes(
        [("a", volume([1, 0, 2, 2]), volume([1, 0, 0, 255]), None)], CLASSES, FOREGROUND
    )
    assert np.isnan(scores.per_class["lesion"])
    assert scores.dice == 1.0


@pytest.mark.parametrize("score", [score_volumes, score_pictures])
def test_nothing_known_is_nan_without_a_warning(score):
    blank = ("a", volume([1, 2]), volume([255, 255]), None)
    for predictions in ([], [blank]):
        scores = score(predictions, CLASSES, FOREGROUND)
        assert np.isnan([scores.dice, scores.hd95, *scores.per_class.values()]).all()


def test_distance_is_a_mean_over_cases_then_classes():
    near = ("a", volume([1, 0, 0, 0]), volume([0, 1, 0, 0]), (1.0, 1.0, 2.0))
    far = ("b", volume([1, 0, 0, 2]), volume([0, 0, 1, 2]), (1.0, 1.0, 2.0))
    assert score_volumes([near, far], CLASSES, FOREGROUND).hd95 == ((2 + 4) / 2 + 0) / 2


def test_cases_are_read_one_at_a_time():
    alive = 0

    def one_at_a_time():
        nonlocal alive
        for name in "abc":
            alive += 1
            assert alive == 1
            yield name, volume([0, 1]), volume([0, 1]), None
            alive -= 1

    assert score_volumes(one_at_a_time(), CLASSES[:2], ["liver"]).dice == 1


def test_mistakes_name_the_case_and_the_class():
    with pytest.raises(GeometryError, match="scan7"):
        score_volumes([("scan7", volume([0]), volume([0, 1]), None)], CLASSES, FOREGROUND)
    with pytest.raises(ConfigError, match="spleen"):
        score_volumes([], CLASSES, ["spleen"])


def test_importing_metrics_is_light():
    code = "import fewmasks.metrics, sys; print(*sys.modules)"
    modules = subprocess.check_output([sys.executable, "-c", code], text=True).split()
    assert not {"scipy", "torch", "monai", "pandas"} & set(modules)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("shape", [(40, 40), (12, 30, 30)])
def test_distance_agrees_with_monai(shape):
    """Same border (erosion by face neighbours), same percentile of each direction, then max."""
    torch = pytest.importorskip("torch")
    monai = pytest.importorskip("monai.metrics")
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(3)
    spacing = (2.5, 1.0, 0.7)[: len(shape)]
    for _ in range(5):
        pred, truth = (
            np.digitize(gaussian_filter(rng.normal(size=shape), 3), [-0.02, 0.03]) for _ in range(2)
        )
        one_hot = [torch.tensor(np.stack([m == c for c in range(N)]))[None] for m in (pred, truth)]
        theirs = monai.compute_hausdorff_distance(
            *one_hot, include_background=True, percentile=95, spacing=spacing
        )
        np.testing.assert_allclose(
            hausdorff95(pred, truth, N, spacing), theirs[0].numpy(), rtol=1e-5
        )


@pytest.mark.parametrize("seed", range(10))
def test_agreement_is_the_same_whoever_comes_first(seed):
    """And equals Dice over the pixels that both know, one by one."""
    rng = np.random.default_rng(seed)
    one, other = (rng.choice([0, 1, 2, 255], (9, 7)).astype(np.uint8) for _ in range(2))
    found = dice_from_confusion(agreement(one, other, 3))
    np.testing.assert_array_equal(found, dice_from_confusion(agreement(other, one, 3)))
    both = [(a, b) for a, b in zip(one.flat, other.flat, strict=True) if 255 not in (a, b)]
    for label in range(3):
        hits = sum(a == b == label for a, b in both)
        size = sum(int(a == label) + int(b == label) for a, b in both)
        assert found[label] == pytest.approx(2 * hits / size)
    np.testing.assert_array_equal(dice_from_confusion(agreement(one, one, 3)), np.ones(3))


def test_two_who_know_no_pixel_in_common_agree_on_nothing():
    nobody = np.full((2, 2), 255, np.uint8)
    assert agreement(nobody, np.zeros((2, 2), np.uint8), 2).sum() == 0
