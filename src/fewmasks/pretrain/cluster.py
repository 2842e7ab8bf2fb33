"""Cluster: embeddings that say what an item looks like, and fall into clusters.

The pretext task of Ghosh et al., Clustering Augmented Self-Supervised Learning (SIGSPATIAL 2022,
arXiv:2108.07323), in the form of deep embedded clustering (Xie et al., ICML 2016,
arXiv:1511.06335). Not DeepCluster: that needs a pass over the whole pool before each epoch, and
soft assignments need a batch. See docs/decisions/0009.
"""

import math

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from fewmasks.config import LearnConfig
from fewmasks.errors import ConfigError
from fewmasks.learn.data import Frames
from fewmasks.learn.predict import BATCH
from fewmasks.nn.heads import Encoder, embedding_width
from fewmasks.nn.segmenter import STRIDES
from fewmasks.pretrain.course import Objective
from fewmasks.pretrain.dense import disguised, error_where
from fewmasks.query.clusters import k_means

WARM_UP = 0.3
"""Share of the training that only restores; then k-means finds the first centroids."""
GAMMA = 0.1
"""Weight of the clustering term (Guo et al., ICONIP 2017)."""
REMEMBERED = 32
"""Embeddings kept for each cluster: what k-means sees, and what the size of a cluster means."""
MOST_CLUSTERS = 64


class Cluster(Objective):
    """Restore the item from its deepest map alone, and sharpen which cluster it belongs to.

    The decoder is one layer, that of SimMIM (Xie et al., CVPR 2022): with the skip connections of
    the U-Net the deepest map would have nothing to say. Clusters are of unit embeddings, so that
    the encoder cannot tell them apart by growing. An empty one takes over a part of the largest.
    """

    memory: Tensor
    seen: Tensor
    width: Tensor

    def __init__(
        self, network: nn.Module, channels: int, config: LearnConfig, clusters: int
    ) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(network)
        d, stride = embedding_width(self.encoder, channels, 64), STRIDES[config.network]
        self.decoder = nn.Sequential(nn.Conv2d(d, channels * stride**2, 1), nn.PixelShuffle(stride))
        self.centroids = nn.Parameter(torch.zeros(clusters, d))
        # Buffers, as an interrupted training needs them too.
        self.register_buffer("memory", torch.zeros(REMEMBERED * clusters, d))
        self.register_buffer("seen", torch.zeros((), dtype=torch.long))
        self.register_buffer("width", torch.zeros(()))

    def forward(
        self, pixels: Float[Tensor, "b c y x"], marks: Int64[Tensor, "b m"]
    ) -> tuple[Float[Tensor, ""], Float[Tensor, "b d"]]:
        """Squared error of the restored pixels, the clustering term, and the embeddings."""
        del marks
        shown, wanted, inside = disguised(pixels, self.config)
        maps = self.encoder.parts(shown.contiguous(memory_format=torch.channels_last))
        deepest = maps[-1] if isinstance(maps, list) else maps
        embedding = deepest.mean(dim=(2, 3))
        unit = functional.normalize(embedding.float(), dim=1)
        self._remember(unit.detach())
        loss = error_where(self.decoder(deepest), wanted, inside)
        soft = assignments(unit, self.centroids, self.width.clamp_min(1e-6))
        with torch.no_grad():
            frequency = assignments(self._remembered(), self.centroids, self.width.clamp_min(1e-6))
        term = sharpening(soft, frequency.mean(dim=0))
        # Times 0, and not left out, before k-means: DDP wants a gradient for every parameter.
        return loss + GAMMA * (self.width > 0) * term, embedding

    @torch.no_grad()
    def after_step(self, share: float) -> None:
        """Find centroids at the end of the warm-up; later look after those that lost all items."""
        if self.width == 0:
            if share < WARM_UP:
                return
            self._start()
        else:
            refill(self.centroids, self._remembered())
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.broadcast(self.centroids, 0)  # each process remembers its own items
            torch.distributed.broadcast(self.width, 0)

    def _remember(self, unit: Float[Tensor, "b d"]) -> None:
        unit = unit[: len(self.memory)]
        rows = (self.seen + torch.arange(len(unit), device=unit.device)) % len(self.memory)
        self.memory[rows] = unit
        self.seen += len(unit)

    def _remembered(self) -> Float[Tensor, "r d"]:
        return self.memory[: int(self.seen)]

    def _start(self) -> None:
        points, k = self._remembered().cpu().numpy(), len(self.centroids)
        rng = np.random.default_rng(int(torch.randint(2**31, ())))
        cluster, distance = k_means(points, np.arange(len(points)), k, rng)
        found = np.unique(cluster)
        if len(found) < k:
            raise ConfigError(
                f"pretrain cluster: {len(points)} embeddings gave {len(found)} clusters of {k}; "
                f"set pretrain.clusters={max(2, len(found) // 2)}, or raise pretrain.iterations"
            )
        means = np.stack([points[cluster == number].mean(axis=0) for number in found])
        self.centroids.copy_(torch.from_numpy(means))
        self.width.fill_(max(float(distance.mean()), 1e-6))


def assignments(
    points: Float[Tensor, "b d"], centroids: Float[Tensor, "k d"], width: Float[Tensor, ""]
) -> Float[Tensor, "b k"]:
    """How much each point belongs to each cluster, by Student's t (Xie et al., equation 1).

    Squared distances are in units of `width`: the t distribution has a scale of 1, and that of unit
    vectors in a hundred dimensions is another.
    """
    with torch.autocast(points.device.type, enabled=False):
        kernel = 1 / (1 + _distances(points.float(), centroids.float()) / width)
        return kernel / kernel.sum(dim=1, keepdim=True)


def target(soft: Float[Tensor, "b k"], frequency: Float[Tensor, " k"]) -> Float[Tensor, "b k"]:
    """Assignments squared, over how frequent each cluster is, and normalised (equation 3).

    Squaring trusts what is sure already; the division keeps large clusters from taking all.
    """
    weight = soft.detach() ** 2 / frequency
    return weight / weight.sum(dim=1, keepdim=True)


def sharpening(soft: Float[Tensor, "b k"], frequency: Float[Tensor, " k"]) -> Float[Tensor, ""]:
    """Divergence of the assignments from their target, KL(P || Q), mean of items (equation 2)."""
    wanted = target(soft, frequency)
    return (wanted * (wanted.log() - soft.log())).sum(dim=1).mean()


def refill(centroids: Float[Tensor, "k d"], points: Float[Tensor, "r d"]) -> None:
    """Put each centroid that is nearest to no point on the outermost point of the largest cluster.

    In place; DeepCluster takes a point of another cluster too (Caron et al., ECCV 2018).
    """
    distances = _distances(points, centroids)
    distance, cluster = distances.min(dim=1)
    size = torch.bincount(cluster, minlength=len(centroids))
    for empty in (size == 0).nonzero()[:, 0]:
        outermost = distance.masked_fill(cluster != size.argmax(), -1.0).argmax()
        centroids[empty] = points[outermost]
        size[cluster[outermost]] -= 1
        cluster[outermost] = empty
        size[empty] = 1


def _distances(points: Float[Tensor, "b d"], centroids: Float[Tensor, "k d"]) -> Tensor:
    """Squared distances, by a product and not by pairs of vectors."""
    lengths = (points**2).sum(dim=1)[:, None] + (centroids**2).sum(dim=1)
    return (lengths - 2 * points @ centroids.T).clamp_min(0)


@torch.inference_mode()
def clusters_of(objective: Cluster, frames: Frames) -> Int64[Tensor, " n"]:
    """The cluster of every item, by the nearest centroid; the objective is put in evaluation."""
    objective.eval()
    device = objective.centroids.device
    found = []
    for first in range(0, len(frames.items), BATCH[device.type]):
        last = min(first + BATCH[device.type], len(frames.items))
        pixels = frames.batch(range(first, last)).to(device)
        unit = functional.normalize(objective.encoder(pixels).float(), dim=1)
        found.append(_distances(unit, objective.centroids).argmin(dim=1).cpu())
    return torch.cat(found)


def planned_clusters(n_items: int, wanted: int | None = None) -> int:
    """Clusters of a pool: as wanted, else sqrt(n / 2) (Mardia et al. 1979), from 2 to 64."""
    if wanted is not None and wanted > n_items:
        raise ConfigError(
            f"pretrain.clusters: {wanted} clusters of {n_items} training items; "
            f"set at most {max(2, n_items // 2)}"
        )
    return wanted or min(MOST_CLUSTERS, max(2, round(math.sqrt(n_items / 2))))
