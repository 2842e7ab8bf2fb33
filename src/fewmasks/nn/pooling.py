"""From maps of features to one point an item."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional


def picture_mean(
    maps: Float[Tensor, "b d y x"], valid: Bool[Tensor, "b fy fx"]
) -> Float[Tensor, "b d"]:
    """The mean of each map over the picture; cells weigh as much as they show of it.

    Without that, the share of padding, which is the size of a picture, would rule the distances in
    a pool of mixed sizes. An item without padding has the plain mean, whatever lies beside it.
    """
    # The mean in single precision: rounded to bf16 it would lose what tells items apart.
    maps = maps.float()
    plain = maps.mean(dim=(2, 3))
    is_full = valid.flatten(1).all(dim=1)
    if is_full.all():
        return plain
    share = functional.adaptive_avg_pool2d(valid[:, None].float(), (maps.shape[2], maps.shape[3]))
    # No matrix product: mixed precision, where it is on, would round it.
    weighted = (maps * share).sum(dim=(2, 3)) / share.sum(dim=(2, 3))
    return torch.where(is_full[:, None], plain, weighted)
