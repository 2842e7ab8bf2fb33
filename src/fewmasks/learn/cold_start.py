"""What is known of a pool before any model is trained: the embedding of a start."""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float32

from fewmasks.config import METHODS, Config
from fewmasks.learn.embed import MODEL, THUMBNAIL, embed, embedding_start
from fewmasks.learn.starts import read_origin, start_path
from fewmasks.learn.train import prepare_project
from fewmasks.project import Project
from fewmasks.query.strategy import Strategy
from fewmasks.types import Rows

Report = Callable[[str, int, int], None]
COLD_START = "typiclust-by-group"
"""The strategy of a first round that has an embedding and no label."""


def without_model(embedding: str) -> frozenset[str]:
    """Names of the evidence that needs no trained model, under this setting query.embedding."""
    return frozenset({THUMBNAIL} if embedding == MODEL else {THUMBNAIL, "embedding"})


def points_without_model(
    project: Project, config: Config, strategy: Strategy, report: Report
) -> dict[str, Any]:
    """What a strategy asks for that needs no trained model, for the training side."""
    setting = config.query.embedding
    named = {"embedding": setting, THUMBNAIL: THUMBNAIL}
    return {
        name: points_of(project, config, named[name], project.train, report)
        for name in strategy.needs
        if name in without_model(setting)
    }


def points_of(
    project: Project, config: Config, name: str, rows: Rows, report: Report
) -> Float32[np.ndarray, "n d"]:
    """The embedding of this name for these rows of the pool; the other rows are NaN."""
    start = embedding_start(project.folder, name, config.learn.network)
    card = prepare_project(project, config.learn)
    return embed(
        card, start, project.cache, project.pool.items, rows,
        lambda done, of: report("looking at the pool", done, of),
    )  # fmt: skip


def pretrained(project: Project) -> str | None:
    """Name of the start that describes the pool: that of the settings, else one made here.

    Of several made here it is that of the method in the settings, else the first of METHODS. None
    where nothing is pre-trained for the network in the settings.
    """
    config = project.config
    if config.query.embedding not in (MODEL, THUMBNAIL):
        return config.query.embedding
    for method in (config.pretrain.method, *METHODS):
        origin = read_origin(start_path(project.folder, method))
        if origin is not None and origin.network == config.learn.network:
            return method
    return None
