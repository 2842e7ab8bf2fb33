"""Random views of items: what may change between two looks at the same thing."""

from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

Views = Callable[[Float[Tensor, "b c y x"]], Float[Tensor, "b c y x"]]
"""A view of every item of a batch, drawn anew at each call from torch's global random numbers."""
Preset = Literal["grey", "colour", "histology", "overhead"]


def make_views(preset: Preset, channels: int) -> Views:
    """The random views of a preset."""
    del preset, channels

    def view(pixels: Float[Tensor, "b c y x"]) -> Float[Tensor, "b c y x"]:
        return pixels + 0.1 * torch.randn_like(pixels)

    return view
