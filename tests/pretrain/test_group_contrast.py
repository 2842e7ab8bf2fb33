"""Group contrast: the losses by hand and by triple loop, and batches of groups by counting."""

import copy
import math
from collections import Counter
from itertools import islice, pairwise

import pytest
import torch
from torch import nn
from torch.nn import functional

from fewmasks.config import PretrainConfig
from fewmasks.errors import ConfigError
from fewmasks.nn.segmenter import segmenter
from fewmasks.pretrain.group_contrast import (
    GroupContrast,
    families,
    group_term,
    grouped,
    nt_xent,
    related,
    relations_in,
    similarities,
)
from fewmasks.types import Item

WEIGHTS = {"volume": 0.35, "patient": 0.05}
CONFIG = PretrainConfig(hidden=16, projection=8)


def volumes(*patients: tuple[int, ...]) -> list[Item]:
    """Items of patients, each given as the numbers of slices of its volumes."""
    return [
        Item(f"p{p}v{v}z{z}", f"p{p}v{v}.nii", (f"p{p}", f"v{v}"), z)
        for p, depths in enumerate(patients)
        for v, depth in enumerate(depths)
        for z in range(depth)
    ]


def two_pairs() -> tuple[torch.Tensor, torch.Tensor]:
    """Four items of two groups, both views equal: one group at e1 and the other at e2."""
    group = torch.tensor([0, 0, 1, 1]).repeat(2)
    return similarities(torch.eye(2)[group], temperature=0.5), group


def made_up(n: int = 14, width: int = 5, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, width, generator=generator)


def exp_cosine(one, other, temperature) -> float:
    cosine = (one @ other / (one.norm() * other.norm())).item()
    return math.exp(cosine / temperature)


def nt_xent_by_definition(z, temperature, group=None):
    """Equation 1 of SimCLR, one pair at a time; mates of the groups given are no negatives."""
    n = len(z)
    total = 0.0
    for i in range(n):
        j = (i + n // 2) % n
        below = 0.0
        for k in range(n):
            if k == i or (group is not None and group[k] == group[i] and k != j):
                continue
            below += exp_cosine(z[i], z[k], temperature)
        total -= math.log(exp_cosine(z[i], z[j], temperature) / below)
    return total / n


def group_term_by_definition(z, temperature, family, group, active):
    """Every positive pair by itself: exp(s) over itself and the rows of other families."""
    losses = []
    for i in range(len(z)):
        for j in range(len(z)):
            if i == j or group[i] != group[j] or not (active[i] and active[j]):
                continue
            above = exp_cosine(z[i], z[j], temperature)
            others = [k for k in range(len(z)) if group[k] != group[i] and family[k] != family[i]]
            below = above + sum(exp_cosine(z[i], z[k], temperature) for k in others)
            losses.append(-math.log(above / below))
    return sum(losses) / len(losses), len(losses)


def all_pairs_positive(similarity, group):
    """A known mistake, as a foil: the mask of positives starts from ones."""
    least = torch.finfo(similarity.dtype).min
    same = group[:, None] == group
    loss = functional.softplus(
        similarity.masked_fill(same, least).logsumexp(dim=1)[:, None] - similarity
    )
    return loss[~torch.eye(len(loss), dtype=torch.bool)].mean()


class TestLosses:
    def test_two_groups_of_two_by_hand(self):
        similarity, group = two_pairs()
        everyone = torch.ones(8, dtype=torch.bool)
        assert nt_xent(similarity) == pytest.approx(math.log(3 + 4 * math.exp(-2)), abs=1e-6)
        assert nt_xent(similarity) == pytest.approx(1.264505, abs=1e-6)
        found = group_term(similarity, group, group, everyone)
        assert found == pytest.approx(math.log(1 + 4 * math.exp(-2)), abs=1e-6)
        assert found == pytest.approx(0.432653, abs=1e-6)
        assert all_pairs_positive(similarity, group) == pytest.approx(1.105101, abs=2e-6)

    def test_without_group_mates_as_negatives_both_losses_agree_there(self):
        similarity, group = two_pairs()
        assert nt_xent(similarity, group) == pytest.approx(0.432653, abs=1e-6)

    @pytest.mark.parametrize(("roles", "pairs"), [(1, 24), (2, 60)])
    def test_positive_pairs_of_two_groups_of_three(self, roles, pairs):
        group = torch.tensor([0, 0, 0, 1, 1, 1]).repeat(2)
        role = torch.tensor([0, 1, 2, 0, 1, 2]).repeat(2)
        z = made_up(12)
        active = role <= roles
        _, counted = group_term_by_definition(z, 0.5, group, group, active)
        assert counted == pairs
        similarity = torch.zeros(12, 12, requires_grad=True)
        group_term(similarity, group, group, active).backward()
        pulled = (similarity.grad < 0).sum()  # only a positive pair gains by being more alike
        assert pulled == pairs

    @pytest.mark.parametrize("temperature", [0.1, 0.5, 2.0])
    def test_nt_xent_is_its_definition(self, temperature):
        z = made_up()
        found = nt_xent(similarities(z, temperature))
        assert found == pytest.approx(nt_xent_by_definition(z, temperature), rel=1e-5)

    def test_spared_mates_are_no_negatives(self):
        z, group = made_up(), torch.tensor([0, 0, 1, 1, 1, 2, 3]).repeat(2)
        found = nt_xent(similarities(z, 0.5), group)
        assert found == pytest.approx(nt_xent_by_definition(z, 0.5, group), rel=1e-5)
        assert found < nt_xent(similarities(z, 0.5))

    @pytest.mark.parametrize("roles", [0, 1, 2])
    def test_the_group_term_is_its_definition_where_groups_are_ragged(self, roles):
        """Two groups of one family, one of which lacks a mate; two alone; a mate of elsewhere."""
        z = made_up()
        family = torch.tensor([0, 0, 0, 0, 3, 1, 2]).repeat(2)
        group = torch.tensor([0, 0, 0, 1, 1, 2, 3]).repeat(2)
        role = torch.tensor([0, 1, 2, 0, 2, 0, 0]).repeat(2)
        found = group_term(similarities(z, 0.5), family, group, role <= roles)
        wanted, _ = group_term_by_definition(z, 0.5, family, group, role <= roles)
        assert found == pytest.approx(wanted, rel=1e-5)

    @pytest.mark.parametrize("n", [1, 2, 8])
    def test_embeddings_that_are_all_equal(self, n):
        similarity = similarities(torch.ones(2 * n, 4), temperature=0.5)
        assert nt_xent(similarity) == pytest.approx(math.log(2 * n - 1), abs=1e-6)

    def test_the_order_of_items_does_not_matter(self):
        z, group = made_up(), torch.tensor([0, 0, 1, 1, 1, 2, 3]).repeat(2)
        active = torch.tensor([1, 1, 1, 1, 0, 1, 1], dtype=torch.bool).repeat(2)
        order = torch.randperm(7, generator=torch.Generator().manual_seed(1))
        rows = torch.cat([order, order + 7])
        for loss in (
            lambda s, g, a: nt_xent(s),
            lambda s, g, a: nt_xent(s, g),
            lambda s, g, a: group_term(s, g, g, a),
        ):
            here = loss(similarities(z, 0.5), group, active)
            there = loss(similarities(z[rows], 0.5), group[rows], active[rows])
            assert here == pytest.approx(there.item(), rel=1e-5)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
    def test_a_temperature_near_zero_overflows_nothing(self, dtype):
        z = made_up().to(dtype).requires_grad_()
        group = torch.tensor([0, 0, 1, 1, 1, 2, 3]).repeat(2)
        similarity = similarities(z, temperature=1e-6)
        assert similarity.dtype == torch.float32
        everyone = torch.ones(14, dtype=torch.bool)
        loss = nt_xent(similarity, group) + group_term(similarity, group, group, everyone)
        loss.backward()
        assert loss.isfinite()
        assert z.grad.isfinite().all()

    def test_similarities_are_in_single_precision_under_autocast(self):
        z = made_up()
        with torch.autocast("cpu", torch.bfloat16):
            found = similarities(z, 0.5)
        assert torch.equal(found, similarities(z, 0.5))

    @pytest.mark.parametrize("active", [True, False])
    def test_without_negatives_or_pairs_the_group_term_is_zero_and_so_is_its_gradient(self, active):
        z = made_up(6).requires_grad_()
        group = torch.tensor([0, 1, 1]).repeat(2)
        family = torch.zeros_like(group) if active else group
        loss = group_term(similarities(z, 0.5), family, group, torch.full((6,), active))
        loss.backward()
        assert loss == 0
        assert torch.equal(z.grad, torch.zeros_like(z))

    def test_an_embedding_of_zeros_is_no_fault(self):
        assert nt_xent(similarities(torch.zeros(4, 3), 0.5)) == pytest.approx(math.log(3))


class TestRelations:
    def test_from_the_tightest_to_the_loosest(self):
        """Whatever the order of the table; weights of zero say that a relation is not wanted."""
        items = volumes((2, 2), (2, 2))
        weights = {"patient": 0.05, "group2": 0.1, "volume": 0.35, "neighbour": 0.2}
        found = relations_in(items, weights)
        assert [relation.name for relation in found] == ["neighbour", "volume", "group2", "patient"]
        assert [relation.weight for relation in found] == [0.2, 0.35, 0.1, 0.05]
        assert [r.name for r in relations_in(items, {**weights, "volume": 0})] == [
            "neighbour", "group2", "patient",
        ]  # fmt: skip

    def test_who_is_related_to_whom(self):
        items = volumes((2, 1), (1,))
        assert related("volume", items) == [(0, 1), (0, 1), (2,), (3,)]
        assert related("patient", items) == [(0, 1, 2), (0, 1, 2), (0, 1, 2), (3,)]

    def test_an_item_with_too_few_group_keys_is_alone(self):
        items = [Item("a", "a", ("p",)), Item("b", "b", ("p",)), Item("c", "c", ("p", "ED"))]
        assert related("group2", items) == [(0,), (1,), (2,)]
        assert related("patient", items) == [(0, 1, 2)] * 3

    def test_neighbours_lie_next_along_z_in_the_same_place_of_the_same_volume(self):
        """Slice 2 is missing, items are in disorder, and there are two regions."""

        def at(z, source="a", box=None):
            return Item(f"{source}{z}{box}", source, ("p",), z, box)

        here, there = (0, 0, 9, 9), (0, 9, 9, 18)
        items = [at(4), at(0), at(3), at(1), at(7, "b"), at(3, "c", here), at(4, "c", there)]
        assert related("neighbour", items) == [(2,), (3,), (0,), (1,), (), (), ()]
        five = volumes((5,))
        assert related("neighbour", five) == [(1,), (0, 2), (1, 3), (2, 4), (3,)]

    def test_a_relation_of_none_or_of_all_says_nothing(self):
        pictures = [Item(f"{n}", f"{n}.png", (f"p{n // 2}",)) for n in range(6)]
        assert [r.name for r in relations_in(pictures, WEIGHTS)] == ["patient"]
        one_patient = volumes((3, 3))
        assert [r.name for r in relations_in(one_patient, WEIGHTS)] == ["volume"]

    @pytest.mark.parametrize("items", [volumes((1,), (1,), (1,)), volumes((5,))])
    def test_a_pool_without_any_relation_is_told_what_to_do(self, items):
        words = rf"the {len(items)} training items know no relation .* \(volume, patient\); name"
        with pytest.raises(ConfigError, match=words):
            relations_in(items, WEIGHTS)
        assert relations_in(items, {}) == ()

    def test_families_are_patients_and_where_there_is_one_its_parts(self):
        assert families(volumes((2, 1), (1,))) == [0, 0, 0, 1]
        assert families(volumes((2, 1))) == [0, 0, 1]
        two_files = [Item(f"{n}", f"v{n // 2}", ("p",), n % 2) for n in range(4)]
        assert families(two_files) == [0, 0, 1, 1]
        assert families(volumes((4,))) is None


def epoch(items, weights, batch, seed=0, skip=0):
    """The draws of one epoch, which ends when every item was an anchor."""
    draws = grouped(items, relations_in(items, weights), batch, seed)
    found, anchors = [], 0
    for draw in draws:
        anchors += int((draw.marks[:, 2] == 0).sum())
        if anchors > skip * len(items):
            found.append(draw)
        if anchors >= (skip + 1) * len(items):
            return found
    raise AssertionError


def told(draw) -> list[tuple[int, int, int]]:
    """Position, group and role of each row."""
    return [(p, g, r) for p, (_, g, r) in zip(draw.positions, draw.marks.tolist(), strict=True)]


def anchors_of(draw) -> list[int]:
    return [position for position, _, role in told(draw) if not role]


def check(items, draw, names):
    """Distinct items, mates that stand in their relation, and none left out that there was."""
    assert len(set(draw.positions)) == len(draw.positions) == len(draw.marks)
    partners = {name: related(name, items) for name in names}
    given = {(group, role): position for position, group, role in told(draw)}
    for group, anchor in enumerate(anchors_of(draw)):
        for role, name in enumerate(names, start=1):
            if (group, role) in given:
                assert given[group, role] in partners[name][anchor]
            else:
                assert set(partners[name][anchor]) <= set(draw.positions)


POOLS = {
    "patients of two volumes": volumes(*[(6, 5)] * 12),
    "volumes of one or two slices": volumes(*[(1, 2), (2,), (1, 1), (1,)] * 3),
    "one patient has most": volumes((30, 30), *[(1, 2)] * 4),
    "three patients": volumes((9, 9), (8, 9), (9, 7)),
    "one patient": volumes((4, 5, 6)),
    "two items": volumes((1,), (1,)),
}


class TestGroupedBatches:
    @pytest.mark.parametrize("batch", [2, 9, 24, 500])
    @pytest.mark.parametrize("pool", POOLS)
    def test_each_item_is_anchor_once_an_epoch(self, pool, batch):
        items = POOLS[pool]
        weights = {} if pool == "two items" else {**WEIGHTS, "neighbour": 0.1}
        names = [relation.name for relation in relations_in(items, weights)]
        draws = epoch(items, weights, batch, skip=1)
        assert sorted(p for draw in draws for p in anchors_of(draw)) == list(range(len(items)))
        for draw in draws:
            check(items, draw, names)
            assert len(anchors_of(draw)) >= 2
            assert len(draw.positions) < max(batch + len(names) + 1, 3 * (len(names) + 1) + 1)

    def test_one_group_of_a_patient_and_full_batches(self):
        items = POOLS["patients of two volumes"]
        for draw in epoch(items, WEIGHTS, batch=24):
            patients = [items[p].group[0] for p in anchors_of(draw)]
            assert len(set(patients)) == len(patients)
            assert 21 <= len(draw.positions) <= 24
            assert [role for _, _, role in draw.marks.tolist()] == [0, 1, 2] * len(patients)
            family, group, _ = draw.marks.T.tolist()
            assert len(set(zip(family, group, strict=True))) == len(set(family)) == len(patients)

    def test_batches_that_follow_each_other_are_of_different_patients(self):
        """Two random eights of twelve patients share 5.3."""
        items = POOLS["patients of two volumes"]
        draws = epoch(items, WEIGHTS, batch=24)
        seen = [{items[p].group[0] for p in draw.positions} for draw in draws]
        shared = [len(one & two) for one, two in pairwise(seen)]
        assert sum(shared) / len(shared) < 6.2

    def test_a_pool_smaller_than_a_batch_has_mates_all_the_same(self):
        for draw in epoch(POOLS["three patients"], WEIGHTS, batch=500):
            assert set(draw.marks[:, 2].tolist()) == {0, 1, 2}

    def test_a_patient_gives_no_more_groups_than_it_must(self):
        """It has 60 of 72 items, so that in each batch there are groups of others beside it."""
        items = POOLS["one patient has most"]
        draws = epoch(items, WEIGHTS, batch=24)
        for patient in {item.group[0] for item in items}:
            given = [sum(items[p].group[0] == patient for p in anchors_of(d)) for d in draws]
            assert max(given) - min(given) <= 1
        assert all(len(set(draw.marks[:, 0].tolist())) > 1 for draw in draws)

    def test_small_volumes_leave_roles_out_and_cross_no_border(self):
        items = POOLS["volumes of one or two slices"]
        alone = {p for p, mates in enumerate(related("volume", items)) if len(mates) == 1}
        for draw in islice(grouped(items, relations_in(items, WEIGHTS), 9, 0), 50):
            anchors = anchors_of(draw)
            of_volume = {group for _, group, role in draw.marks.tolist() if role == 1}
            assert of_volume == {g for g, anchor in enumerate(anchors) if anchor not in alone}

    def test_groups_are_drawn_anew_in_each_epoch(self):
        items = POOLS["patients of two volumes"]

        def pairs(draws):
            return {
                (anchors_of(draw)[group], position)
                for draw in draws
                for position, group, role in told(draw)
                if role
            }

        first, second = (pairs(epoch(items, WEIGHTS, 24, skip=skip)) for skip in (0, 1))
        assert len(first & second) < len(first) / 2

    def test_mates_are_drawn_evenly(self):
        """In a volume of five slices each of the four others is a quarter of the mates."""
        items = volumes(*[(5,)] * 4)
        mates = Counter()
        for draw in islice(grouped(items, relations_in(items, {"volume": 0.35}), 8, 0), 2000):
            anchors = anchors_of(draw)
            mates.update((anchors[group], position) for position, group, role in told(draw) if role)
        assert len(mates) == 20 * 4
        assert all(65 < count < 135 for count in mates.values())  # 100, deviation 9

    def test_a_seed_gives_the_same_batches_and_another_others(self):
        items = POOLS["three patients"]

        def first(seed):
            draws = islice(grouped(items, relations_in(items, WEIGHTS), 12, seed), 9)
            return [(draw.positions, draw.marks.tolist()) for draw in draws]

        assert first(0) == first(0) != first(1)

    def test_without_relations_batches_are_of_anchors_alone(self):
        draws = epoch(volumes(*[(1,)] * 10), {}, batch=4)
        assert sorted(len(draw.positions) for draw in draws) == [3, 3, 4]
        assert all((draw.marks[:, 2] == 0).all() for draw in draws)

    def test_groups_of_one_volume_are_their_own_families(self):
        items = volumes((9,))
        draw = epoch(items, {"neighbour": 0.2}, batch=6)[0]
        assert torch.equal(draw.marks[:, 0], draw.marks[:, 1])


def noisy(pixels):
    return pixels + 0.1 * torch.randn_like(pixels)


def made(weights=(0.35, 0.05), **options) -> GroupContrast:
    torch.manual_seed(0)
    config = CONFIG.model_copy(update=options)
    return GroupContrast(segmenter("unet", 1, 2), 1, noisy, config, weights)


MARKS = torch.tensor([[0, 0, 0], [0, 0, 1], [0, 0, 2], [1, 1, 0], [1, 1, 2]])


class TestObjective:
    def test_the_loss_is_the_weighted_sum_of_its_terms(self):
        """The volume's term holds anchors and volume mates; the patient's holds all."""
        objective = made()
        pixels = torch.randn(5, 1, 32, 32)
        torch.manual_seed(1)
        loss, embedding = objective(pixels, MARKS)
        torch.manual_seed(1)
        views = torch.cat([noisy(pixels), noisy(pixels)])
        similarity = similarities(objective.projector(objective.encoder(views)), 0.5)
        family, group, role = torch.cat([MARKS, MARKS]).T
        wanted = (
            nt_xent(similarity, group)
            + 0.35 * group_term(similarity, family, group, role < 2)
            + 0.05 * group_term(similarity, family, group, role < 3)
        )
        assert loss.item() == pytest.approx(wanted.item(), rel=1e-5)
        assert torch.equal(embedding, objective.encoder(views)[:5])
        assert embedding.shape == (5, 128)

    def test_without_weights_it_is_nt_xent(self):
        objective = made(weights=(), spare_mates=False)
        pixels = torch.randn(5, 1, 32, 32)
        torch.manual_seed(1)
        loss, _ = objective(pixels, MARKS)
        torch.manual_seed(1)
        views = torch.cat([noisy(pixels), noisy(pixels)])
        projection = objective.projector(objective.encoder(views)).detach()
        assert loss.item() == pytest.approx(nt_xent_by_definition(projection, 0.5), rel=1e-4)

    def test_spared_mates_make_the_loss_smaller(self):
        losses = []
        for spare in (False, True):
            objective = made(spare_mates=spare)
            torch.manual_seed(1)
            losses.append(objective(torch.ones(5, 1, 32, 32), MARKS)[0].item())
        assert losses[1] < losses[0]

    def test_the_projection_head_has_no_bias(self):
        kinds = [type(part) for part in made().projector]
        assert kinds == [nn.Linear, nn.ReLU, nn.Linear]
        assert all(part.bias is None for part in made().projector if isinstance(part, nn.Linear))

    def test_it_trains_the_encoder_of_the_network_it_was_given(self):
        torch.manual_seed(0)
        network = segmenter("unet", 1, 2)
        before = copy.deepcopy(network.state_dict())
        objective = GroupContrast(network, 1, noisy, CONFIG, (0.35, 0.05))
        objective(torch.randn(5, 1, 32, 32), MARKS)[0].backward()
        torch.optim.SGD(objective.parameters(), lr=0.1).step()
        after = network.state_dict()
        first = "conv_0.conv_0.conv.weight"
        assert not torch.equal(after[first], before[first])
        assert torch.equal(after["final_conv.weight"], before["final_conv.weight"])
