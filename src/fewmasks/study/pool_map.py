"""The pool on a plane: what lies near looks alike, by an embedding that is at hand."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from fewmasks.config import SCRATCH, Config
from fewmasks.learn.embed import MODEL, THUMBNAIL, embedding_start, encode, look_of
from fewmasks.learn.train import prepare_project
from fewmasks.project import Project
from fewmasks.query.select import k_means
from fewmasks.study.charts import PoolMap
from fewmasks.study.plan import Plan
from fewmasks.study.plane import FEWEST, principal_plane, tsne_plane
from fewmasks.types import Item, Rows

MOST_POINTS = 1000
"""Training items drawn for the map; the picks of the first seed come on top."""
CLUSTERS = 8
SEED = 0
NO_CLASS = "none"


def pool_map(
    project: Project,
    plan: Plan,
    picks: pd.DataFrame,
    report: Callable[[int, int], None] | None = None,
) -> PoolMap:
    """Some of the training items and what the first seed picked, by the plane of query.map.

    The embedding is that of query.embedding, else of the first start that is not scratch, else
    thumbnails. Few items are on the plane of PCA whatever the setting says.
    """
    starts = [name for name in plan.starts if name != SCRATCH]
    setting = plan.config.query.embedding
    name = setting if setting != MODEL else (starts or [THUMBNAIL])[0]
    first = picks.loc[picks["seed"] == picks["seed"].min(), "item"].unique().tolist()
    return map_of(project, plan.config, name, first, project.reference, report)


def map_of(
    project: Project,
    config: Config,
    name: str,
    picked: Sequence[str],
    mask_of: Callable[[Item], np.ndarray | None],
    report: Callable[[int, int], None] | None = None,
) -> PoolMap:
    """Some of the training items, and all picked ones, by PCA of the embedding of this name.

    `mask_of` says which class each item shows: its largest one, background left out.
    """
    rows = _rows(project, picked)
    items = project.pool.at(rows)
    card = prepare_project(project, config.learn)
    look = look_of(card, embedding_start(project.folder, name, config.learn.network))
    points = encode(card, look, project.cache, items, report)
    plane, share = principal_plane(points)
    method = config.query.map if len(points) >= FEWEST else "pca"
    if method == "tsne":
        plane = tsne_plane(points, SEED)
    everyone = np.arange(len(items))
    cluster, _ = k_means(points, everyone, CLUSTERS, np.random.default_rng(SEED))
    table = pd.DataFrame(
        {
            "item": [item.id for item in items],
            "x": plane[:, 0],
            "y": plane[:, 1],
            "group": ["/".join(item.group[:1]) for item in items],
            "cluster": cluster,
            "class": [_largest_class(project, mask_of(item)) for item in items],
        }
    )
    return PoolMap(table, name, method, share)


def _rows(project: Project, picked: Sequence[str]) -> Rows:
    drawn = np.random.default_rng(SEED).permutation(project.train)[:MOST_POINTS]
    return np.union1d(drawn, project.pool.rows(picked))


def _largest_class(project: Project, mask: np.ndarray | None) -> str:
    """The class that covers most of a mask, background left out."""
    names = project.classes
    size = np.zeros(len(names)) if mask is None else np.bincount(mask.ravel(), minlength=256)
    shown = [c for c in project.foreground.tolist() if size[c]]
    return names[max(shown, key=lambda c: size[c])] if shown else NO_CLASS
