"""The pool on a plane: what lies near looks alike, by an embedding that is at hand."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from fewmasks.config import SCRATCH, Config
from fewmasks.learn.embed import MODEL, THUMBNAIL, embedding_start, encode, look_of
from fewmasks.learn.train import prepare
from fewmasks.project import Project
from fewmasks.query.select import k_means
from fewmasks.study.charts import PoolMap
from fewmasks.study.gallery import BACKGROUND
from fewmasks.study.plan import Plan
from fewmasks.types import Item, Rows

MOST_POINTS = 1000
"""Training items drawn for the map; the picks of the first seed come on top."""
CLUSTERS = 8
NO_CLASS = "none"


def pool_map(
    project: Project,
    plan: Plan,
    picks: pd.DataFrame,
    report: Callable[[int, int], None] | None = None,
) -> PoolMap:
    """Some of the training items and what the first seed picked, by PCA of an embedding.

    It is that of query.embedding, else of the first start that is not scratch, else thumbnails.
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
    card = prepare(project.cache, project.pool.items, project.classes, config.learn)
    look = look_of(card, embedding_start(project.folder, name, config.learn.network))
    points = encode(card, look, project.cache, items, report)
    plane, share = principal_plane(points)
    everyone = np.arange(len(items))
    cluster, _ = k_means(points, everyone, CLUSTERS, np.random.default_rng(0))
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
    return PoolMap(table, name, share)


def _rows(project: Project, picked: Sequence[str]) -> Rows:
    drawn = np.random.default_rng(0).permutation(project.train)[:MOST_POINTS]
    return np.union1d(drawn, project.pool.rows(picked))


def _largest_class(project: Project, mask: np.ndarray | None) -> str:
    """The class that covers most of a mask, background left out."""
    names = project.classes
    size = np.zeros(len(names)) if mask is None else np.bincount(mask.ravel(), minlength=256)
    shown = [c for c, name in enumerate(names) if name != BACKGROUND and size[c]]
    return names[max(shown, key=lambda c: size[c])] if shown else NO_CLASS


def principal_plane(
    points: Float[np.ndarray, "n d"],
) -> tuple[Float[np.ndarray, "n 2"], float]:
    """Coordinates along the two widest directions, and their share of the variance.

    Each direction points to where its largest coefficient is positive, so that equal points give
    an equal map.
    """
    centred = points.astype(np.float64) - points.mean(axis=0, dtype=np.float64)
    _, sizes, directions = np.linalg.svd(centred, full_matrices=False)
    if len(directions) < 2:  # one item, or embeddings of one number
        return np.pad(centred[:, :1], ((0, 0), (0, 1))), 1.0
    two = directions[:2]
    largest = np.abs(two).argmax(axis=1)
    two = two * np.sign(two[np.arange(2), largest])[:, None]
    total = float((sizes**2).sum())
    return centred @ two.T, float((sizes[:2] ** 2).sum()) / total if total else 1.0
