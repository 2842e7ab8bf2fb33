"""Group contrast: pull together what belongs together, such as the slices of one volume."""

import math
import random
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from fewmasks.config import PretrainConfig, RelationName
from fewmasks.errors import ConfigError
from fewmasks.nn.heads import Encoder, embedding_width
from fewmasks.pretrain.course import Draw, Objective
from fewmasks.pretrain.views import Views
from fewmasks.types import Item

ANCHOR = 0
"""Role of the item that a group is built around; the mate of relation r has role r + 1."""


@dataclass(frozen=True)
class Relation:
    """Which items belong together, and how much that counts."""

    name: str
    weight: float
    mates: Sequence[tuple[int, ...]]
    """For each position, the positions related to it; its own may be among them."""

    def joins(self, position: int) -> bool:
        """Whether there is another item in this relation to the one at a position."""
        return any(mate != position for mate in self.mates[position])


class GroupContrast(Objective):
    """NT-Xent, and a term for each relation that pulls group mates together.

    Group contrastive learning as in Vepa et al. (NeurIPS 2024, arXiv:2411.15763), over NT-Xent
    (Chen et al., SimCLR, ICML 2020, arXiv:2002.05709, equation 1). The term of a relation holds the
    anchor, its mate in that relation and the mates in tighter ones: a slice of the same volume is
    one of the same patient too. Where mates are spared they are no negatives in NT-Xent
    (docs/decisions/0020). What is used later is the encoder's embedding, not the projection.
    """

    def __init__(
        self,
        network: nn.Module,
        channels: int,
        views: Views,
        config: PretrainConfig,
        weights: Sequence[float],
    ) -> None:
        super().__init__()
        self.views = views
        self.temperature = config.temperature
        self.weights = tuple(weights)
        self.spare_mates = config.spare_mates
        self.encoder = Encoder(network)
        width = embedding_width(self.encoder, channels, 64)
        self.projector = nn.Sequential(
            nn.Linear(width, config.hidden, bias=False),
            nn.ReLU(inplace=True),
            nn.Linear(config.hidden, config.projection, bias=False),
        )

    def forward(
        self, pixels: Float[Tensor, "b c y x"], marks: Int64[Tensor, "b 3"]
    ) -> tuple[Float[Tensor, ""], Float[Tensor, "b d"]]:
        """The weighted sum of all terms, and the embeddings of the first view.

        The marks of an item are its family, its group in the batch and its role there.
        """
        embedding = self.encoder(torch.cat([self.views(pixels), self.views(pixels)]))
        similarity = similarities(self.projector(embedding), self.temperature)
        family, group, role = torch.cat([marks, marks]).unbind(dim=1)
        loss = nt_xent(similarity, group if self.spare_mates else None)
        for number, weight in enumerate(self.weights, start=ANCHOR + 1):
            loss = loss + weight * group_term(similarity, family, group, role <= number)
        return loss, embedding[: len(pixels)]


def similarities(projection: Float[Tensor, "n d"], temperature: float) -> Float[Tensor, "n n"]:
    """Cosines over the temperature, in single precision also where the network runs in bf16."""
    with torch.autocast(projection.device.type, enabled=False):
        unit = functional.normalize(projection.float(), dim=1)
        return unit @ unit.T / temperature


def nt_xent(
    similarity: Float[Tensor, "n n"], spared: Int64[Tensor, " n"] | None = None
) -> Float[Tensor, ""]:
    """Cross-entropy of finding an item's other view among all rows but its own.

    Rows are the items in one view and then, in the same order, in the other. Where groups are
    given as `spared`, rows of an item's own group are no negatives of it.
    """
    n = len(similarity)
    row = torch.arange(n, device=similarity.device)
    other = (row + n // 2) % n
    hidden = row[:, None] == row
    if spared is not None:
        hidden = hidden | ((spared[:, None] == spared) & (other[:, None] != row))
    return functional.cross_entropy(similarity.masked_fill(hidden, -torch.inf), other)


def group_term(
    similarity: Float[Tensor, "n n"],
    family: Int64[Tensor, " n"],
    group: Int64[Tensor, " n"],
    active: Bool[Tensor, " n"],
) -> Float[Tensor, ""]:
    """Mean over positive pairs of -log(e^s / (e^s + sum of e^s over the negatives)).

    Positive pairs are two active rows of one group; negatives are all rows of other groups and
    families. It is a mean over pairs, so an item without mates counts by its two views alone. Where
    no row is of another family it is 0.
    """
    mates = group[:, None] == group
    positive = (mates & active[:, None] & active).fill_diagonal_(False)
    kin = mates | (family[:, None] == family)
    against = similarity.masked_fill(kin, -torch.inf).logsumexp(dim=1)
    loss = functional.softplus(against[:, None] - similarity)
    return (loss * positive).sum() / positive.sum().clamp(min=1)


def relations_in(
    items: Sequence[Item], weights: Mapping[RelationName, float]
) -> tuple[Relation, ...]:
    """Relations of positive weight that tell these items apart, from the tightest to the loosest.

    `neighbour` is the next slice of a volume, `volume` the same file, `patient` the same first
    group key and `group2`, `group3`, ... the same two, three, ... A relation of no two items, or of
    all with all, says nothing and is left out; if none remains, that is an error.
    """
    wanted = sorted((name for name, weight in weights.items() if weight > 0), key=_looseness)
    found = [Relation(name, weights[name], related(name, items)) for name in wanted]
    telling = tuple(
        relation
        for relation in found
        if max(map(len, relation.mates)) < len(items)
        and any(map(relation.joins, range(len(items))))
    )
    if wanted and not telling:
        raise ConfigError(
            f"pretrain group: the {len(items)} training items know no relation that joins some of "
            f"them and not all ({', '.join(wanted)}); name groups in the table, choose another "
            f"method, or set pretrain.relations={{}} for contrast without groups"
        )
    return telling


def related(name: str, items: Sequence[Item]) -> list[tuple[int, ...]]:
    """For each item, the positions of those that this relation joins to it."""
    if name == "neighbour":
        return _neighbours(items)
    keys = [_key(name, item) for item in items]
    members: dict[Hashable, list[int]] = {}
    for position, key in enumerate(keys):
        members.setdefault(key, []).append(position)
    shared = {key: tuple(positions) for key, positions in members.items()}
    return [shared[key] for key in keys]


def _depth(name: str) -> int:
    """How many group keys two items share by this relation."""
    return 1 if name == "patient" else int(name.removeprefix("group"))


def _looseness(name: str) -> tuple[int, int]:
    if name in ("neighbour", "volume"):
        return (0, ("neighbour", "volume").index(name))
    return (1, -_depth(name))


def _key(name: str, item: Item) -> Hashable:
    """What related items have in common; an item with too few group keys is alone."""
    if name == "volume":
        return item.source
    return item.group[: _depth(name)] if len(item.group) >= _depth(name) else item


def _neighbours(items: Sequence[Item]) -> list[tuple[int, ...]]:
    """The slices next to each along z, in the same place of the same volume; one or two."""
    stacks: dict[Hashable, dict[int, list[int]]] = {}
    for position, item in enumerate(items):
        slices = stacks.setdefault((item.source, item.box), {})
        slices.setdefault(item.z, []).append(position)
    beside: list[tuple[int, ...]] = [()] * len(items)
    for slices in stacks.values():
        heights = sorted(slices)
        for rank, z in enumerate(heights):
            others = heights[max(0, rank - 1) : rank] + heights[rank + 1 : rank + 2]
            least = min((abs(other - z) for other in others), default=0)
            nearest = [p for other in others if abs(other - z) == least for p in slices[other]]
            for position in slices[z]:
                beside[position] = tuple(nearest)
    return beside


def families(items: Sequence[Item]) -> list[int] | None:
    """A number per item, equal for those that are never negatives of each other.

    A family is a patient; in a pool of one patient a part of the group path, in one of a single
    path a volume. In a pool of one volume there is none, and every group is its own family.
    """
    deepest = max(len(item.group) for item in items)
    for name in ("patient", *(f"group{depth}" for depth in range(2, deepest + 1)), "volume"):
        keys = [_key(name, item) for item in items]
        numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
        if len(numbers) > 1:
            return [numbers[key] for key in keys]
    return None


def grouped(
    items: Sequence[Item], relations: Sequence[Relation], batch: int, seed: int
) -> Iterator[Draw]:
    """Batches of groups, for ever: an anchor and a random mate for each relation it has.

    Each item is anchor once an epoch, and groups are drawn anew in each. A patient gives one group
    to a batch, unless it has more items than the epoch has batches: then no more than it must. No
    item is twice in a batch, and a mate that is not there is left out. Batches of an epoch have
    about equal numbers of groups, two at least, and at most about `batch` items.
    """
    rng = random.Random(seed)
    family = families(items)
    everyone = range(len(items))
    mates = sum(relation.joins(position) for relation in relations for position in everyone)
    # Where all anchors would fit into one batch, none would be left over as a mate.
    batches = math.ceil((len(items) + mates) / min(batch, len(items)))
    batches = min(batches, max(1, len(items) // 2))  # a contrast takes two groups
    while True:
        for anchors in deal(family or everyone, batches, rng):
            positions, group, role = _draw_groups(anchors, relations, rng)
            kin = [family[position] for position in positions] if family else group
            yield Draw(positions, torch.tensor([kin, group, role]).T)


def deal(family: Sequence[int], batches: int, rng: random.Random) -> list[list[int]]:
    """All positions in so many batches, like cards: of each family one to a batch, then a second.

    Numbers of cards differ by one at most, over all and for each family.
    """
    shuffled = rng.sample(range(len(family)), len(family))
    members: dict[int, list[int]] = {}
    for position in shuffled:
        members.setdefault(family[position], []).append(position)
    deck = [position for positions in members.values() for position in positions]
    hands = [deck[first::batches] for first in range(batches)]
    rng.shuffle(hands)
    return hands


def _draw_groups(
    anchors: Sequence[int], relations: Sequence[Relation], rng: random.Random
) -> tuple[list[int], list[int], list[int]]:
    """Positions of a batch, group by group, and the group and role of each."""
    taken = set(anchors)
    members: list[tuple[int, int, int]] = []
    for group, anchor in enumerate(anchors):
        members.append((anchor, group, ANCHOR))
        for role, relation in enumerate(relations, start=ANCHOR + 1):
            mate = _mate(relation.mates[anchor], taken, rng)
            if mate is not None:
                taken.add(mate)
                members.append((mate, group, role))
    positions, groups, roles = (list(column) for column in zip(*members, strict=True))
    return positions, groups, roles


def _mate(candidates: tuple[int, ...], taken: set[int], rng: random.Random) -> int | None:
    """A random candidate that is not taken; None where there is none."""
    # One more than are taken holds at least one that is free, and needs no look at all of them.
    few = rng.sample(candidates, min(len(candidates), len(taken) + 1))
    return next((candidate for candidate in few if candidate not in taken), None)
