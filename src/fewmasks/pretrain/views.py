"""Random views of items: what may change between two looks at the same thing.

kornia draws the motion, which is one warp a view, and blurs; the changes of colour are one small
matrix an item, for the reason in docs/decisions/0010.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from fewmasks.errors import ConfigError

Pixels = Float[Tensor, "b c y x"]
Views = Callable[[Pixels], Pixels]
"""A view of every item of a batch, drawn anew at each call from torch's global random numbers."""
Preset = Literal["grey", "colour", "histology", "overhead"]

LUMA = (0.299, 0.587, 0.114)
"""Share of red, green and blue in the grey of a colour (ITU-R BT.601)."""
STAINS = ((0.65, 0.70, 0.29), (0.07, 0.99, 0.11), (0.27, 0.57, 0.78))
"""Optical density in red, green and blue of haematoxylin, eosin and DAB (Ruifrok and Johnston,
Quantification of histochemical staining by color deconvolution, 2001)."""
DARKEST = 0.1
"""Transmitted light at an item's darkest pixel; at 0 its optical density would be infinite."""
ERASED = (0.02, 0.2)
"""Share of the frame that an erased rectangle takes."""


@dataclass(frozen=True)
class Recipe:
    """What a preset may do to a view, and how often."""

    recolour: Views
    """On pixels from 0 to 1."""
    area: tuple[float, float]
    """Share of the frame that the crop keeps, to be enlarged to the whole frame."""
    degrees: float
    """Rotation to either side."""
    stretch: float = 1.15
    """How much longer one side of the crop may be than the other, beyond the frame's own shape."""
    quarters: bool = False
    """Turned by a multiple of 90 degrees too."""
    upside_down: bool = False
    """Flipped up and down too; left and right always."""
    joint: bool = False
    """One range for all channels of an item, so that grey stays grey, instead of one for each."""
    blur: float = 0.5
    """Probability."""
    noise: float = 0.0
    """Largest deviation, where the pixels' own is 1."""
    erase: float = 0.0
    """Probability of a rectangle without content."""
    drop: float = 0.0
    """Probability for each band to be missing."""
    mixed_in: float = 1.0
    """Share of the new colours; the rest is what was there."""

    def weaker(self, strength: float) -> "Recipe":
        """The same with so much of every change of place and colour, 0 to 1.

        Flips, quarter turns, blur and noise stay.
        """
        return replace(
            self,
            area=(1 - strength * (1 - self.area[0]), self.area[1]),
            degrees=strength * self.degrees,
            stretch=1 + strength * (self.stretch - 1),
            erase=strength * self.erase,
            drop=strength * self.drop,
            mixed_in=strength * self.mixed_in,
        )


def make_views(preset: Preset, channels: int, strength: float = 1.0) -> Views:
    """The random views of a preset, for normalised pixels (mean 0, deviation 1, padding 0).

    Colour is changed on a scale from 0 to 1, between the least and the greatest value of the whole
    item, and the result is mapped back; a crop and the padding, which lies within, do not move that
    scale. What turns in from outside the frame is its mirror image. Of a `strength` below 1 views
    differ less in place and colour, and by flips, quarter turns, blur and noise as before. No
    gradient flows back, and the arithmetic is in single precision whatever the pixels come in and
    whatever autocast says.
    """
    if preset in ("colour", "histology") and channels != 3:
        raise ConfigError(
            f"pretrain.views: {preset} needs 3 channels (the images have {channels}); "
            f"set pretrain.views to grey or overhead"
        )
    recipe = RECIPES[preset] if strength == 1 else RECIPES[preset].weaker(strength)

    return partial(_view, recipe=recipe)  # no closure: it goes to other processes too


def _view(pixels: Pixels, recipe: Recipe) -> Pixels:
    """One view of every item."""
    with torch.no_grad(), torch.autocast(pixels.device.type, enabled=False):
        whole = pixels.float()  # a trainer of mixed precision hands over bf16
        seen = _recoloured(_moved(whole, recipe), whole, recipe)
        rows = _chosen(len(seen), recipe.blur)
        seen[rows] = _blurred(seen[rows])
        if recipe.noise:
            seen.addcmul_(torch.randn_like(seen), _uniform(seen, 0.0, recipe.noise))
        seen = _hidden(seen, recipe).to(pixels.dtype)
        return seen.contiguous(memory_format=torch.channels_last)


def _uniform(like: Pixels, low: float, high: float, channels: int = 1) -> Float[Tensor, "b k 1 1"]:
    """A number for every item, or for each of its channels; drawn on the CPU for every device."""
    drawn = low + (high - low) * torch.rand(len(like), channels, 1, 1)
    return drawn.to(like.device, like.dtype)


def _chosen(n: int, probability: float) -> Bool[Tensor, " n"]:
    return torch.rand(n) < probability


# Motion


def _moved(pixels: Pixels, recipe: Recipe) -> Pixels:
    """Crop, turn and flip in one warp: the product of the matrices that kornia draws."""
    from kornia.geometry.conversions import normalize_homography

    frame = (pixels.shape[2], pixels.shape[3])
    whole = torch.eye(3, device=pixels.device).expand(len(pixels), 3, 3)
    for motion in _motions(recipe, frame):
        drawn = motion.forward_parameters(pixels.shape)
        whole = motion.generate_transformation_matrix(pixels, drawn, motion.flags) @ whole
    grid = _grid(torch.linalg.inv(normalize_homography(whole, frame, frame)), frame)
    return functional.grid_sample(
        pixels.contiguous(), grid, padding_mode="reflection", align_corners=True
    )


def _grid(there: Float[Tensor, "b 3 3"], frame: tuple[int, int]) -> Float[Tensor, "b y x 2"]:
    """Where each pixel of a view comes from, both as -1 to 1 over the frame.

    The same as `affine_grid` with aligned corners, which takes as long as the warp itself.
    """
    y, x = (torch.linspace(-1, 1, side, device=there.device) for side in frame)
    rows = there[:, :2, 1, None] * y + there[:, :2, 2, None]
    columns = there[:, :2, 0, None] * x
    return (rows[:, :, :, None] + columns[:, :, None]).permute(0, 2, 3, 1)


@cache
def _motions(recipe: Recipe, frame: tuple[int, int]) -> tuple[Any, ...]:
    """What draws the motion of every item: kornia's augmentations, used for their matrices."""
    # Importing kornia takes a second, which only a pre-training should wait for.
    from kornia import augmentation

    motions = [augmentation.RandomHorizontalFlip()]
    if recipe.upside_down:
        motions.append(augmentation.RandomVerticalFlip())
    if recipe.quarters:
        motions.append(augmentation.RandomRotation90(times=(0, 3), p=1.0))
    if recipe.degrees:
        motions.append(augmentation.RandomAffine(recipe.degrees, p=1.0))
    shape = frame[1] / frame[0]  # kornia's ratio is of pixels, whatever the frame's shape
    ratio = (shape / recipe.stretch, shape * recipe.stretch)
    motions.append(augmentation.RandomResizedCrop(frame, scale=recipe.area, ratio=ratio))
    return tuple(motions)


# Colour


def _recoloured(moved: Pixels, pixels: Pixels, recipe: Recipe) -> Pixels:
    """Colours changed on the scale from 0 to 1 of each item, and mapped back."""
    dims = (1, 2, 3) if recipe.joint else (2, 3)
    low = pixels.amin(dims, keepdim=True)
    span = (pixels.amax(dims, keepdim=True) - low).clamp_min(1e-6)
    unit = moved.sub_(low).mul_(1 / span).clamp_(0, 1)
    colours = recipe.recolour(unit)
    if recipe.mixed_in < 1:
        colours = torch.lerp(unit, colours, recipe.mixed_in)
    return colours.mul_(span).add_(low)


def _grey(unit: Pixels) -> Pixels:
    """Gamma, contrast and brightness of scans; the same for all channels of an item."""
    curved = unit.pow(torch.exp(_uniform(unit, -0.4, 0.4)))
    return _stretched(curved, _uniform(unit, 0.7, 1.3), _uniform(unit, -0.1, 0.1))


def _overhead(unit: Pixels) -> Pixels:
    """Contrast and brightness of each band by itself: light, haze and season."""
    bands = unit.shape[1]
    gain, offset = _uniform(unit, 0.7, 1.3, bands), _uniform(unit, -0.1, 0.1, bands)
    return _stretched(unit, gain, offset)


def _stretched(
    unit: Pixels, gain: Float[Tensor, "b k 1 1"], offset: Float[Tensor, "b k 1 1"]
) -> Pixels:
    """Contrast about the mean of each channel, then brightness."""
    mean = unit.mean(dim=(2, 3), keepdim=True)
    return unit.mul(gain).add_(mean * (1 - gain) + offset)


def _colour(unit: Pixels) -> Pixels:
    """Colour jitter (0.4, 0.4, 0.2, 0.1), grey and solarisation (Grill et al. 2020, appendix B).

    Brightness, contrast, saturation and hue are linear in the colour, hue as a rotation in YIQ; so
    all of them are one matrix and offset an item, and colours are clipped once.
    """
    n = len(unit)
    eye = torch.eye(3, device=unit.device)
    grey = torch.tensor(LUMA, device=unit.device).expand(3, 3)
    brightness, contrast = _uniform(unit, 0.6, 1.4)[:, 0], _uniform(unit, 0.6, 1.4)[:, 0]
    saturation = _uniform(unit, 0.8, 1.2)[:, 0]
    hue = _hue_turns(_uniform(unit, -0.1, 0.1).flatten())
    matrix = hue @ (saturation * eye + (1 - saturation) * grey) * (brightness * contrast)
    mean = unit.mean(dim=(2, 3)).unsqueeze(2)
    offset = (1 - contrast) * brightness * (grey @ mean)  # grey: saturation and hue keep it
    plain = ~_chosen(n, 0.8)
    matrix[plain], offset[plain] = eye, 0.0
    drained = _chosen(n, 0.2)
    matrix[drained], offset[drained] = grey @ matrix[drained], grey @ offset[drained]
    jittered = _mixed(unit, matrix, offset).clamp_(0, 1)
    negative = _chosen(n, 0.2)
    jittered[negative] = torch.minimum(jittered[negative], 1 - jittered[negative])
    return jittered


def _hue_turns(turns: Float[Tensor, " b"]) -> Float[Tensor, "b 3 3"]:
    """Matrices that turn the hue by a share of the circle and keep luma: rotations in YIQ."""
    chroma = ((0.596, -0.274, -0.322), (0.211, -0.523, 0.312))
    to_yiq = torch.tensor((LUMA, *chroma), device=turns.device)
    cos, sin = torch.cos(2 * math.pi * turns), torch.sin(2 * math.pi * turns)
    zero, one = torch.zeros_like(turns), torch.ones_like(turns)
    rows = torch.stack([one, zero, zero, zero, cos, -sin, zero, sin, cos], dim=1)
    return torch.linalg.inv(to_yiq) @ rows.reshape(-1, 3, 3) @ to_yiq


def _histology(unit: Pixels) -> Pixels:
    """More or less of each stain: jitter in haematoxylin-eosin-DAB space (Tellez et al. 2018).

    Stains mix linearly in optical density, so scaling them is one matrix an item. The brightest
    value of each channel stands for the light without tissue.
    """
    stains = torch.tensor(STAINS, device=unit.device)
    stains = (stains / stains.norm(dim=1, keepdim=True)).T  # columns: red, green, blue of a stain
    amount = torch.diag_embed(_uniform(unit, 0.75, 1.25, 3).flatten(1))
    more = _uniform(unit, -0.05, 0.05, 3).flatten(2)
    density = -torch.log(DARKEST + (1 - DARKEST) * unit)
    density = _mixed(density, stains @ amount @ torch.linalg.inv(stains), stains @ more)
    return (torch.exp(-density) - DARKEST).div_(1 - DARKEST).clamp_(0, 1)


def _mixed(
    pixels: Pixels, matrix: Float[Tensor, "b k c"], offset: Float[Tensor, "b k 1"]
) -> Pixels:
    """The same linear map for all pixels of an item."""
    return torch.baddbmm(offset, matrix, pixels.flatten(2)).view_as(pixels)


# Detail


def _blurred(pixels: Pixels) -> Pixels:
    """Gaussian blur; the largest deviation is 1 pixel in small frames, 2 from 224 pixels on."""
    from kornia.filters import gaussian_blur2d

    if not len(pixels):
        return pixels
    largest = min(2.0, max(1.0, min(pixels.shape[2:]) / 112))
    side = 2 * math.ceil(2 * largest) + 1
    sigma = _uniform(pixels, 0.1, largest).flatten(1).expand(-1, 2)
    # Two passes along the axes are the faster way for large kernels only.
    return gaussian_blur2d(pixels, (side, side), sigma, separable=side > 7)


def _hidden(pixels: Pixels, recipe: Recipe) -> Pixels:
    """A rectangle without content, or whole bands; 0 is the mean and what padding holds."""
    from kornia.augmentation import RandomErasing

    if recipe.erase:
        pixels = RandomErasing(ERASED, p=recipe.erase)(pixels)
    if recipe.drop:
        kept = torch.rand(pixels.shape[:2]) >= recipe.drop
        kept |= ~kept.any(dim=1, keepdim=True)  # one band at least
        pixels = pixels * kept[:, :, None, None].to(pixels.device)
    return pixels


RECIPES: dict[Preset, Recipe] = {
    "grey": Recipe(_grey, area=(0.5, 1.0), degrees=15.0, noise=0.1, erase=0.2),
    "colour": Recipe(_colour, area=(0.08, 1.0), degrees=0.0, stretch=4 / 3, joint=True),
    "histology": Recipe(_histology, (0.3, 1.0), 180.0, upside_down=True, noise=0.1),
    "overhead": Recipe(
        _overhead, (0.3, 1.0), 0.0, quarters=True, upside_down=True, noise=0.1, drop=0.1
    ),
}
