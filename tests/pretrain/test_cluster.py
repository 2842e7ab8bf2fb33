"""Cluster: assignments and targets by definition, and clusters that never stay empty."""

import copy

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score
from tests.learn import made as pools
from torch.nn import functional

from fewmasks.config import LearnConfig, PretrainConfig
from fewmasks.errors import ConfigError
from fewmasks.learn.data import Frames
from fewmasks.learn.train import prepare
from fewmasks.nn.segmenter import segmenter
from fewmasks.pretrain.cluster import (
    MOST_CLUSTERS,
    Cluster,
    assignments,
    clusters_of,
    planned_clusters,
    refill,
    sharpening,
    target,
)

pytestmark = pytest.mark.slow

STILL = LearnConfig(flips="none", rotate_degrees=0, scale=0)
ONE = torch.tensor(1.0)


def made(clusters=2, network="unet", channels=1) -> Cluster:
    torch.manual_seed(0)
    config = STILL.model_copy(update={"network": network})
    return Cluster(segmenter(network, channels, 3), channels, config, clusters)


def nothing(n):
    return torch.empty(n, 0, dtype=torch.long)


def two_kinds(n=16, side=32):
    """Stripes along x and along y by turns, each moved a little."""
    wave = torch.sin(torch.arange(side) * 0.8 + 0.5 * torch.rand(n, 1)) * 1.4
    pixels = wave[:, None, None, :].expand(n, 1, side, side).clone()
    pixels[1::2] = pixels[1::2].transpose(2, 3)
    return pixels


def soft_by_definition(points, centroids, width):
    rows = []
    for point in points.tolist():
        kernel = []
        for centroid in centroids.tolist():
            away = sum((a - b) ** 2 for a, b in zip(point, centroid, strict=True))
            kernel.append(1 / (1 + away / width))
        rows.append([k / sum(kernel) for k in kernel])
    return torch.tensor(rows)


def target_by_definition(soft, frequency):
    rows = [[q**2 / f for q, f in zip(row, frequency, strict=True)] for row in soft]
    return torch.tensor([[w / sum(row) for w in row] for row in rows])


def test_assignments_and_target_are_those_of_the_paper():
    torch.manual_seed(0)
    points, centroids = torch.randn(7, 5), torch.randn(3, 5)
    soft = assignments(points, centroids, torch.tensor(0.5))
    torch.testing.assert_close(soft, soft_by_definition(points, centroids, 0.5))
    frequency = soft.mean(dim=0)
    expected = target_by_definition(soft.tolist(), frequency.tolist())
    torch.testing.assert_close(target(soft, frequency), expected)
    divergence = (expected * (expected / soft).log()).sum(dim=1).mean()
    torch.testing.assert_close(sharpening(soft, frequency), divergence)


def test_assignments_on_a_line():
    soft = assignments(torch.tensor([[0.0]]), torch.tensor([[0.0], [1.0]]), ONE)
    assert soft[0].tolist() == pytest.approx([2 / 3, 1 / 3])


def test_the_target_is_surer_and_does_not_favour_the_large_cluster():
    soft = torch.tensor([[0.7, 0.3]])
    even = torch.tensor([0.5, 0.5])
    assert target(soft, even)[0].tolist() == pytest.approx([0.49 / 0.58, 0.09 / 0.58])
    assert target(soft, torch.tensor([0.9, 0.1]))[0, 0] < 0.49 / 0.58
    assert sharpening(torch.tensor([[0.5, 0.5]]), even).item() == pytest.approx(0, abs=1e-6)


def test_sharpening_pulls_a_point_to_the_centroid_it_is_nearer_to():
    point = torch.tensor([[0.4]], requires_grad=True)
    soft = assignments(point, torch.tensor([[0.0], [1.0]]), ONE)
    sharpening(soft, torch.tensor([0.5, 0.5])).backward()
    assert point.grad.item() > 0


def test_a_point_on_its_centroid_has_a_finite_gradient():
    point = torch.zeros(1, 3, requires_grad=True)
    soft = assignments(point, torch.eye(3)[:2] * torch.tensor([[0.0], [1.0]]), ONE)
    sharpening(soft, torch.tensor([0.5, 0.5])).backward()
    assert point.grad.isfinite().all()


def test_an_empty_cluster_takes_the_outermost_point_of_the_largest():
    points = torch.tensor([[0.0], [0.1], [0.2], [0.9], [5.0], [8.0]])
    centroids = torch.tensor([[0.1], [5.0], [99.0]])
    refill(centroids, points)
    assert centroids[:, 0].tolist() == pytest.approx([0.1, 5.0, 0.9])


def test_the_next_empty_cluster_takes_from_what_is_the_largest_then():
    points = torch.tensor([[0.0], [0.1], [0.5], [10.0], [10.1], [10.3]])
    centroids = torch.tensor([[0.1], [10.1], [99.0], [99.0]])
    refill(centroids, points)
    assert centroids[:, 0].tolist() == pytest.approx([0.1, 10.1, 0.5, 10.3])


def test_several_empty_clusters_take_different_points():
    torch.manual_seed(0)
    points = torch.randn(40, 2)
    centroids = torch.cat([torch.zeros(1, 2), torch.full((6, 2), 50.0)])
    refill(centroids, points)
    assert len(centroids.unique(dim=0)) == 7
    nearest = torch.cdist(points, centroids).argmin(dim=1)
    assert nearest.unique().tolist() == list(range(7))


def test_clusters_that_have_points_stay_where_they_are():
    centroids = torch.tensor([[0.0], [1.0]])
    refill(centroids, torch.tensor([[0.1], [0.9]]))
    assert centroids[:, 0].tolist() == [0.0, 1.0]


def test_centroids_wait_for_the_end_of_the_warm_up():
    objective = made().train()
    objective(two_kinds(), nothing(16))
    objective.after_step(0.1)
    assert objective.width == 0
    assert not objective.centroids.any()
    objective.after_step(0.3)
    assert objective.width > 0
    means = objective.memory[:16]
    assert objective.centroids.norm(dim=1).max() <= means.norm(dim=1).max() + 1e-5
    kept = objective.centroids.clone()
    objective.after_step(0.4)
    assert torch.equal(objective.centroids, kept)


def test_a_centroid_that_lost_all_items_comes_back_after_the_step():
    objective = made().train()
    objective(two_kinds(), nothing(16))
    objective.after_step(0.5)
    with torch.no_grad():
        objective.centroids[1] = 99.0
    objective.after_step(0.6)
    assert (objective.memory == objective.centroids[1]).all(dim=1).any()


def test_every_parameter_has_a_gradient_at_every_step():
    """Or DistributedDataParallel refuses to go on."""
    objective = made(network="resnet18", channels=3)
    for share in (0.1, 0.5, 0.6):
        objective.zero_grad(set_to_none=True)
        loss, embedding = objective(torch.randn(6, 3, 32, 64), nothing(6))
        loss.backward()
        objective.after_step(share)
        assert embedding.shape == (6, 512)
        assert all(p.grad is not None and p.grad.isfinite().all() for p in objective.parameters())
        assert objective.centroids.grad.any() == (share > 0.5)  # k-means comes after 0.5


def test_the_memory_holds_the_newest_embeddings():
    objective = made(clusters=2)
    unit = functional.normalize(torch.randn(100, 128), dim=1)
    for first in range(0, 100, 10):
        objective._remember(unit[first : first + 10])
    kept = {tuple(row) for row in objective._remembered().tolist()}
    assert kept == {tuple(row) for row in unit[-64:].tolist()}
    objective._remember(unit)  # more at once than it holds
    assert {tuple(row) for row in objective._remembered().tolist()} == {
        tuple(row) for row in unit[:64].tolist()
    }


def test_too_few_embeddings_for_the_clusters_is_an_error():
    objective = made(clusters=9)
    objective(two_kinds(4), nothing(4))
    with pytest.raises(ConfigError, match=r"4 embeddings gave 4 clusters of 9; set pretrain\."):
        objective.after_step(0.5)


def test_all_that_an_interruption_must_keep_is_in_the_state():
    objective, other = made(), made()
    objective.train()
    objective(two_kinds(), nothing(16))
    objective.after_step(0.5)
    other.load_state_dict(copy.deepcopy(objective.state_dict()))
    pixels, losses = two_kinds(), []
    for each in (objective, other):
        torch.manual_seed(3)
        losses.append(each.train()(pixels, nothing(16))[0].item())
    assert losses[0] == losses[1]


@pytest.mark.parametrize(("n", "expected"), [(2, 2), (41, 5), (584, 17), (10**6, MOST_CLUSTERS)])
def test_the_number_of_clusters_follows_the_pool(n, expected):
    assert planned_clusters(n) == expected
    assert planned_clusters(n, wanted=2) == 2


def test_more_clusters_than_items_is_an_error():
    with pytest.raises(ConfigError, match=r"pretrain\.clusters: 9 clusters of 8 training items"):
        planned_clusters(8, wanted=9)


@pytest.mark.parametrize(("n", "most"), [(8, 4), (3, 2)])
def test_the_advice_on_clusters_is_one_that_the_setting_takes(n, most):
    with pytest.raises(ConfigError, match=f"set at most {most}$"):
        planned_clusters(n, wanted=9)
    assert PretrainConfig(clusters=most).clusters == most


def test_every_item_gets_the_cluster_that_it_would_have_alone(tmp_path):
    cache, items, _ = pools.pool(tmp_path, n=11)
    card = prepare(cache, items, pools.CLASSES, pools.quick())
    frames = Frames(cache, items, card.frame, card.config.size, card.intensity)
    objective = made(clusters=3)
    objective.train()(frames.batch(range(11)), nothing(11))
    objective.after_step(0.5)
    found = clusters_of(objective, frames)
    alone = [
        clusters_of(objective, Frames(cache, [item], card.frame, card.config.size, card.intensity))
        for item in items
    ]
    assert found.tolist() == torch.cat(alone).tolist()
    assert not objective.training
    assert set(found.tolist()) <= {0, 1, 2}


@pytest.mark.slow
def test_two_kinds_of_items_become_two_clusters():
    torch.manual_seed(0)
    pixels, objective = two_kinds(32), made().train()
    optimiser = torch.optim.AdamW(objective.parameters(), lr=2e-3)
    for step in range(60):
        optimiser.zero_grad()
        objective(pixels[torch.randperm(32)[:16]], nothing(16))[0].backward()
        optimiser.step()
        objective.after_step((step + 1) / 60)
    with torch.inference_mode():
        unit = functional.normalize(objective.eval().encoder(pixels), dim=1)
        cluster = torch.cdist(unit, objective.centroids).argmin(dim=1).numpy()
    assert adjusted_rand_score(np.arange(32) % 2, cluster) > 0.9
