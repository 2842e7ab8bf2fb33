"""A graph over the items of a pool, and a network on it that tells labelled from unlabelled ones.

Caramalau, Bhattarai and Kim, CVPR 2021, arXiv:2006.10219.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

HIDDEN = 128
NEIGHBOURS = 20
MOST_DENSE = 5000
"""A pool of more items gets a graph of nearest neighbours: n x n numbers are never stored."""
TILE = 1 << 24
"""Cosines computed at a time (64 MB) where neighbours are looked up."""
DROPPED = 0.3
UNLABELLED_WEIGHT = 1.2


def similarity_graph(embedding: Float[Tensor, "n d"]) -> Float[Tensor, "n n"]:
    """Cosines between items, divided by the sum of their column, and 1 on the diagonal.

    Up to 5000 items it is dense; beyond that it is sparse, and an edge joins two items if one is
    among the 20 nearest of the other. A negative cosine counts as none: it would make column sums
    vanish.
    """
    unit = functional.normalize(embedding, dim=1)
    return _dense_graph(unit) if len(unit) <= MOST_DENSE else _neighbour_graph(unit)


def _dense_graph(unit: Float[Tensor, "n d"]) -> Float[Tensor, "n n"]:
    cosine = (unit @ unit.T).clamp_min_(0).fill_diagonal_(0)
    cosine /= _divisor(cosine.sum(dim=0))
    return cosine.fill_diagonal_(1)


def _neighbour_graph(unit: Float[Tensor, "n d"]) -> Float[Tensor, "n n"]:
    n = len(unit)
    one, other, cosine = _edges(unit)
    rows, columns = torch.cat([one, other]), torch.cat([other, one])
    weight = torch.cat([cosine, cosine])
    sums = torch.zeros(n, device=unit.device).index_add_(0, columns, weight)
    itself = torch.arange(n, device=unit.device)
    places = torch.stack([torch.cat([rows, itself]), torch.cat([columns, itself])])
    values = torch.cat([weight / _divisor(sums)[columns], torch.ones(n, device=unit.device)])
    return torch.sparse_coo_tensor(places, values, (n, n), check_invariants=True).coalesce()


def _edges(unit: Float[Tensor, "n d"]) -> tuple[Tensor, Tensor, Tensor]:
    """Both ends and the cosine of every edge, each edge once."""
    n, k = len(unit), min(NEIGHBOURS, len(unit) - 1)
    height = max(1, TILE // n)
    keys, cosines = [], []
    for start in range(0, n, height):
        block = unit[start : start + height] @ unit.T
        block.diagonal(start).fill_(-torch.inf)  # an item is no neighbour of its own
        near = block.topk(k, dim=1)
        mine = torch.arange(start, start + len(block), device=unit.device)[:, None]
        keys.append(torch.minimum(mine, near.indices) * n + torch.maximum(mine, near.indices))
        cosines.append(near.values)
    key, order = torch.cat(keys).flatten().sort(stable=True)
    is_first = torch.ones_like(key, dtype=torch.bool)
    is_first[1:] = key[1:] != key[:-1]
    key, cosine = key[is_first], torch.cat(cosines).flatten()[order][is_first]
    return key // n, key % n, cosine.clamp_min(0)


def _divisor(sums: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """An item that resembles no other keeps its empty column."""
    return torch.where(sums > 0, sums, 1)


class GraphNetwork(nn.Module):
    """Two graph convolutions: to 128 hidden features, and to a logit of being labelled."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.first = nn.Linear(features, HIDDEN)
        self.last = nn.Linear(HIDDEN, 1)

    def hidden(self, gathered: Float[Tensor, "n d"]) -> Float[Tensor, "n h"]:
        """Hidden features; `gathered` is the graph times the features of the items.

        The product never changes, so it is taken once: A (X W) = (A X) W.
        """
        return self.first(gathered).relu()

    def forward(
        self, graph: Float[Tensor, "n n"], gathered: Float[Tensor, "n d"]
    ) -> Float[Tensor, " n"]:
        """A logit per item. In training mode a hidden unit is dropped for all items at once.

        What is dropped then does not depend on the order of the items.
        """
        hidden = self.hidden(gathered)
        kept = functional.dropout(hidden.new_ones(HIDDEN), DROPPED, self.training)
        told = functional.linear(hidden * kept, self.last.weight)
        return (graph @ told + self.last.bias)[:, 0]


def labelled_loss(
    logits: Float[Tensor, " n"], is_labelled: Bool[Tensor, " n"]
) -> Float[Tensor, ""]:
    """-mean log s over labelled items - 1.2 mean log (1 - s) over the others, s = sigmoid."""
    known = functional.softplus(-logits[is_labelled]).mean()
    return known + UNLABELLED_WEIGHT * functional.softplus(logits[~is_labelled]).mean()
