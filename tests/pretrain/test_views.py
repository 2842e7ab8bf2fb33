"""Views: what a draw fixes, what it changes, what it must leave alone."""

import math
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from fewmasks.errors import ConfigError
from fewmasks.pretrain import views
from fewmasks.pretrain.views import LUMA, RECIPES, STAINS, make_views

pytestmark = pytest.mark.slow

PRESETS = tuple(RECIPES)
STILL = replace(RECIPES["grey"], area=(1.0, 1.0), degrees=0.0, stretch=1.0)


def scenes(n: int = 6, channels: int = 3, frame: tuple[int, int] = (48, 80)) -> torch.Tensor:
    """Smooth, normalised items that have nothing in common."""
    coarse = torch.randn(n, channels, 7, 9, generator=torch.Generator().manual_seed(0))
    fine = functional.interpolate(coarse, frame, mode="bicubic")
    return (fine - fine.mean((2, 3), keepdim=True)) / fine.std((2, 3), keepdim=True)


def seen(preset: str, pixels: torch.Tensor, seed: int = 0, strength: float = 1.0) -> torch.Tensor:
    torch.manual_seed(seed)
    return make_views(preset, pixels.shape[1], strength)(pixels)


@pytest.fixture
def unmoved(monkeypatch: pytest.MonkeyPatch):
    """Only colours change, each preset's own."""
    for name, recipe in RECIPES.items():
        still = replace(
            recipe, area=(1.0, 1.0), stretch=1.0, degrees=0.0, quarters=False, blur=0.0,
            noise=0.0, erase=0.0, drop=0.0,
        )  # fmt: skip
        monkeypatch.setitem(RECIPES, name, still)
    monkeypatch.setattr(views, "_moved", lambda pixels, recipe: pixels.clone())


@pytest.mark.parametrize("preset", PRESETS)
def test_the_seed_fixes_a_view_and_the_next_view_differs(preset: str):
    pixels = scenes()
    torch.manual_seed(3)
    view = make_views(preset, 3)
    first, second = view(pixels), view(pixels)
    assert torch.equal(first, seen(preset, pixels, seed=3))
    assert not torch.allclose(first, second, atol=0.1)


@pytest.mark.parametrize("preset", PRESETS)
def test_other_views_drawn_before_do_not_matter(preset: str):
    """Nothing is kept from call to call: not a draw, nor the shape of an earlier batch."""
    fresh = seen(preset, scenes(), seed=5)
    seen(preset, scenes(2, 3, (32, 32)), seed=1)
    assert torch.equal(seen(preset, scenes(), seed=5), fresh)


@pytest.mark.parametrize("preset", PRESETS)
def test_each_item_of_a_batch_gets_a_draw_of_its_own(preset: str):
    same = scenes(1).expand(8, -1, -1, -1)
    view = seen(preset, same).flatten(1)
    assert (torch.cdist(view, view) + 1e9 * torch.eye(8)).min() > 1


@pytest.mark.parametrize("preset", PRESETS)
def test_items_do_not_leak_into_each_other(preset: str):
    """Whatever stands in another row, an item's view stays the same."""
    pixels, others = scenes(), scenes()
    others[:3] = 40 * torch.randn(others[:3].shape)
    assert torch.allclose(seen(preset, pixels)[3:], seen(preset, others)[3:], atol=1e-5)


@pytest.mark.parametrize("frame", [(48, 80), (80, 48), (16, 16), (64, 16)])
@pytest.mark.parametrize("preset", PRESETS)
def test_shape_kind_and_input_are_kept(preset: str, frame: tuple[int, int]):
    pixels = scenes(frame=frame).contiguous(memory_format=torch.channels_last)
    before = pixels.clone()
    view = seen(preset, pixels)
    assert (view.shape, view.dtype, view.device) == (pixels.shape, torch.float32, pixels.device)
    assert view.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(pixels, before)
    assert view.isfinite().all()


@pytest.mark.parametrize("preset", PRESETS)
def test_weaker_views_are_nearer_to_the_item(preset: str, monkeypatch: pytest.MonkeyPatch):
    """Down to the item itself, but for flips, quarter turns, blur and noise, which stay."""
    for name, recipe in RECIPES.items():
        still = replace(recipe, quarters=False, upside_down=False, blur=0.0, noise=0.0)
        monkeypatch.setitem(RECIPES, name, still)
    pixels = scenes(frame=(48, 48))
    pixels = pixels + pixels.flip(3)  # the same in a mirror
    looks = [seen(preset, pixels, strength=strength) for strength in (1.0, 0.5, 0.25, 1e-4)]
    far = [float((view - pixels).abs().mean()) for view in looks]
    assert far == sorted(far, reverse=True)
    assert far[0] > 0.3
    assert far[-1] < 0.01


@pytest.mark.parametrize("n", [0, 1])
@pytest.mark.parametrize("preset", PRESETS)
def test_batches_of_none_and_one(preset: str, n: int):
    assert seen(preset, scenes()[:n]).shape == (n, 3, 48, 80)


@pytest.mark.parametrize("channels", [1, 2, 4, 13])
@pytest.mark.parametrize("preset", ["grey", "overhead"])
def test_any_number_of_channels(preset: str, channels: int):
    view = seen(preset, scenes(40, channels))
    assert view.shape[1] == channels
    assert (view.std((1, 2, 3)) > 0.05).all()  # no item is without all its bands


@pytest.mark.parametrize("channels", [1, 2, 4])
@pytest.mark.parametrize("preset", ["colour", "histology"])
def test_colours_need_three_channels(preset: str, channels: int):
    with pytest.raises(
        ConfigError, match=rf"pretrain\.views: {preset} .*{channels}\); set pretrain"
    ):
        make_views(preset, channels)


@pytest.mark.parametrize("level", [0.0, 3.5, -2.0])
@pytest.mark.parametrize("preset", PRESETS)
def test_a_constant_item_stays_near_its_level(preset: str, level: float):
    view = seen(preset, torch.full((20, 3, 32, 48), level))
    gone = view.abs() < 0.5  # erased, or a band that dropped out
    assert view.isfinite().all()
    assert ((view - level).abs()[~gone] < 0.6).all()


@pytest.mark.parametrize("preset", PRESETS)
def test_normalised_items_stay_roughly_normalised(preset: str):
    view = seen(preset, scenes(200, frame=(32, 32)))
    assert abs(float(view.mean())) < 0.25
    assert 0.5 < float(view.std()) < 1.3
    assert float(view.abs().max()) < 8


@pytest.mark.parametrize("preset", PRESETS)
def test_autocast_changes_nothing(preset: str):
    plain = seen(preset, scenes())
    with torch.autocast("cpu", torch.bfloat16):
        mixed = seen(preset, scenes())
    assert torch.equal(plain, mixed)


@pytest.mark.parametrize("preset", PRESETS)
def test_pixels_in_bf16_give_the_same_view_in_bf16(preset: str):
    """What a trainer of mixed precision hands over; the arithmetic stays in single precision."""
    pixels = scenes().bfloat16()
    view = seen(preset, pixels)
    assert view.dtype == torch.bfloat16
    assert torch.equal(view, seen(preset, pixels.float()).bfloat16())


@pytest.mark.parametrize("preset", PRESETS)
def test_no_gradient_is_recorded(preset: str):
    pixels = scenes().requires_grad_()
    assert not seen(preset, pixels).requires_grad


# Motion


def test_the_grid_is_that_of_torch():
    there = torch.randn(5, 3, 3)
    wanted = functional.affine_grid(there[:, :2], [5, 1, 7, 9], align_corners=True)
    assert torch.allclose(views._grid(there, (7, 9)), wanted, atol=1e-5)


def test_a_full_crop_without_turns_is_the_item_or_its_mirror_image():
    pixels = scenes(20)
    moved = views._moved(pixels, STILL)
    kept = (moved - pixels).abs().amax((1, 2, 3)) < 1e-3
    mirrored = (moved - pixels.flip(3)).abs().amax((1, 2, 3)) < 1e-3
    assert (kept ^ mirrored).all()
    assert 2 < kept.sum() < 18


def test_quarter_turns_and_flips_give_the_eight_symmetries_of_a_square():
    pixels = scenes(1, frame=(32, 32)).expand(120, -1, -1, -1)
    moved = views._moved(pixels, replace(STILL, quarters=True, upside_down=True))
    turned = [torch.rot90(side, k, (2, 3)) for side in (pixels, pixels.flip(3)) for k in range(4)]
    distance = torch.stack([(moved - one).abs().amax((1, 2, 3)) for one in turned])
    assert (distance.amin(0) < 1e-3).all()
    assert set(distance.argmin(0).tolist()) == set(range(8))


def test_a_crop_keeps_the_frames_own_shape():
    """A ramp along each axis shows how much of it is seen; shares differ by `stretch` at most."""
    ramps = torch.stack(
        torch.meshgrid(torch.linspace(0, 1, 96), torch.linspace(0, 1, 32), indexing="ij")
    )
    pixels = ramps.expand(200, 2, 96, 32)
    moved = views._moved(pixels, replace(STILL, area=(0.3, 0.8), stretch=1.2))
    height, width = (moved.amax((2, 3)) - moved.amin((2, 3))).unbind(1)
    assert ((height * width > 0.25) & (height * width < 0.85)).all()
    # A narrow frame rounds the crop to whole pixels.
    assert ((height / width).log().abs() < math.log(1.2) + 0.12).all()


def test_what_turns_in_from_outside_is_the_mirror_image_and_not_padding():
    moved = views._moved(5 + torch.rand(30, 3, 48, 80), replace(STILL, degrees=180.0))
    assert float(moved.min()) >= 5 - 1e-4


# Colour


def test_colour_jitter_is_its_steps_one_after_the_other(monkeypatch: pytest.MonkeyPatch):
    """Brightness, contrast, saturation and hue, plainly, without the clip of the very end."""
    drawn = iter([torch.full((2, 1, 1, 1), f) for f in (0.9, 0.7, 1.2, 0.06)])
    chosen = iter([[True, True], [False, True], [False, False]])
    monkeypatch.setattr(views, "_uniform", lambda *_: next(drawn))
    monkeypatch.setattr(views, "_chosen", lambda *_: torch.tensor(next(chosen)))
    unit = 0.35 + 0.2 * torch.rand(2, 3, 8, 8)
    luma = torch.tensor(LUMA)[None, :, None, None]

    def grey(pixels: torch.Tensor) -> torch.Tensor:
        return (pixels * luma).sum(1, keepdim=True)

    plain = 0.9 * unit
    plain = 0.7 * plain + 0.3 * grey(plain).mean((2, 3), keepdim=True)
    plain = 1.2 * plain - 0.2 * grey(plain)
    plain = torch.einsum("kc,bcyx->bkyx", views._hue_turns(torch.tensor([0.06]))[0], plain)
    plain[1] = grey(plain)[1]
    assert torch.allclose(views._colour(unit.clone()), plain, atol=1e-5)


def test_hue_turns_keep_luma_and_come_round():
    turns = views._hue_turns(torch.tensor([0.0, 0.3, 1.0, 0.5]))
    luma = torch.tensor(LUMA)
    assert torch.allclose(turns[[0, 2]], torch.eye(3).expand(2, 3, 3), atol=1e-5)
    assert torch.allclose(luma @ turns, luma.expand(4, 3), atol=1e-5)
    # Half a turn leads red to its complement, on the other side of grey.
    assert torch.allclose(turns[3] @ turns[3], torch.eye(3), atol=1e-4)


def test_hue_turns_as_far_as_the_hue_of_kornia():
    """Angles in YIQ and in HSV differ a little; on average over the colours they agree."""
    from kornia.color import hsv_to_rgb, rgb_to_hsv

    hues = torch.linspace(0, 2 * math.pi, 25)[None, None, None, :-1]
    colours = hsv_to_rgb(torch.cat([hues, 0.3 + 0 * hues, 0.7 + 0 * hues], 1))
    turned = torch.einsum("kc,bcyx->bkyx", views._hue_turns(torch.tensor([0.05]))[0], colours)
    moved = (rgb_to_hsv(turned.clamp(0, 1)) - rgb_to_hsv(colours))[:, 0]
    moved = torch.remainder(moved + math.pi, 2 * math.pi) - math.pi
    assert float(moved.mean().abs()) == pytest.approx(0.05 * 2 * math.pi, rel=0.1)


@pytest.mark.usefixtures("unmoved")
def test_grey_pictures_stay_grey_under_colour_jitter():
    """One range for all channels: equal channels are equal in every view."""
    grey = scenes(30, 1).expand(-1, 3, -1, -1).contiguous()
    view = seen("colour", grey)
    assert torch.allclose(view[:, 0], view[:, 1], atol=1e-4)
    assert torch.allclose(view[:, 0], view[:, 2], atol=1e-4)


@pytest.mark.usefixtures("unmoved")
def test_colour_views_are_drained_and_solarised_as_often_as_said():
    pixels = scenes(400, frame=(16, 16))
    view = seen("colour", pixels)
    drained = (view.amax(1) - view.amin(1)).amax((1, 2)) < 1e-3
    low, high = pixels.amin((1, 2, 3)), pixels.amax((1, 2, 3))
    negative = view.amax((1, 2, 3)) <= (low + high) / 2 + 1e-3
    assert 0.12 < drained.float().mean() < 0.28
    assert 0.12 < negative.float().mean() < 0.45  # dark views look solarised as well


@pytest.mark.usefixtures("unmoved")
def test_a_crop_does_not_change_the_scale_of_colours():
    """The scale is that of the whole item: a part is changed as it is within the whole."""
    pixels = scenes(4)
    whole = views._recoloured(pixels.clone(), pixels, replace(STILL, recolour=lambda u: u**2))
    moved = pixels[..., :40].repeat_interleave(2, dim=3)
    part = views._recoloured(moved, pixels, replace(STILL, recolour=lambda u: u**2))
    assert torch.allclose(part[..., ::2], whole[..., :40], atol=1e-6)


def test_stains_come_apart_and_together_again():
    """With no more and no less of any stain a picture stays what it is."""
    unit = torch.rand(3, 3, 8, 8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            views, "_uniform",
            lambda like, low, high, k=1: torch.full((len(like), k, 1, 1), (low + high) / 2),
        )  # fmt: skip
        assert torch.allclose(views._histology(unit.clone()), unit, atol=1e-4)


def test_more_of_one_stain_darkens_along_its_own_colour():
    """Density of pure haematoxylin, a quarter more: the published direction, 1.25 times as far."""
    direction = torch.tensor(STAINS[0]) / torch.tensor(STAINS[0]).norm()
    light = torch.exp(-0.8 * direction)
    unit = ((light - views.DARKEST) / (1 - views.DARKEST))[None, :, None, None].expand(1, 3, 2, 2)
    amounts = iter([torch.tensor([1.25, 1.0, 1.0]), torch.zeros(3)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(views, "_uniform", lambda *_: next(amounts)[None, :, None, None])
        stained = views._histology(unit)
    wanted = (torch.exp(-1.0 * direction) - views.DARKEST) / (1 - views.DARKEST)
    assert torch.allclose(stained[0, :, 0, 0], wanted, atol=1e-5)


@pytest.mark.usefixtures("unmoved")
@pytest.mark.parametrize(("preset", "together"), [("grey", True), ("overhead", False)])
def test_bands_change_by_themselves_only_where_they_should(preset: str, together: bool):
    """Equal bands in, equal bands out, but for pictures from above."""
    view = seen(preset, scenes(10, 1).expand(-1, 4, -1, -1).contiguous())
    assert torch.allclose(view[:, :1], view[:, 1:], atol=1e-5) == together


# Detail


def test_blur_leaves_less_detail_and_the_same_mean():
    noise = torch.randn(20, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    blurred = views._blurred(noise)
    assert (blurred.std((1, 2, 3)) <= noise.std((1, 2, 3)) + 1e-4).all()
    assert float(blurred.std()) < 0.8
    assert torch.allclose(blurred.mean((1, 2, 3)), noise.mean((1, 2, 3)), atol=0.02)


def test_erased_rectangles_and_dropped_bands_hold_the_mean_of_all():
    pixels = 5 + torch.rand(300, 2, 24, 24)
    erased = views._hidden(pixels, replace(STILL, erase=0.3, drop=0.0)) == 0
    share = erased.float().mean((1, 2, 3))
    assert 0.2 < (share > 0).float().mean() < 0.4
    assert float(share.max()) < 0.25
    assert (erased[:, 0] == erased[:, 1]).all()
    dropped = views._hidden(pixels, replace(STILL, erase=0.0, drop=0.9)).amax((2, 3)) == 0
    assert (dropped.sum(1) < 2).all()  # one band at least is left
    assert dropped.any()


@pytest.mark.slow
def test_importing_the_module_does_not_import_kornia():
    """It takes a second, and most commands never draw a view."""
    program = "import sys, fewmasks.pretrain.views; sys.exit('kornia' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
