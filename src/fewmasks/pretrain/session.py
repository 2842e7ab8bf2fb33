"""Pre-train on a project's training side, which needs no label."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from fewmasks.config import Config, Method, PretrainConfig
from fewmasks.errors import ProjectError
from fewmasks.learn.data import Frames
from fewmasks.learn.model import Card, build, seeded
from fewmasks.learn.starts import Origin, Part, start_path
from fewmasks.learn.train import prepare_project
from fewmasks.pretrain.byol import Byol
from fewmasks.pretrain.cluster import Cluster, planned_clusters
from fewmasks.pretrain.course import Course, Draw, Objective, run
from fewmasks.pretrain.dense import Dense
from fewmasks.pretrain.group_contrast import GroupContrast, grouped, relations_in
from fewmasks.pretrain.recipe import preset_for, recipe, strength_of
from fewmasks.pretrain.views import Views, make_views
from fewmasks.project import Project
from fewmasks.types import Item

Report = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Pretrained:
    """What a pre-training left."""

    path: Path
    method: Method
    iterations: int
    seconds: float
    losses: tuple[float, ...]


@dataclass(frozen=True)
class Material:
    """What every method is made from."""

    network: nn.Module
    card: Card
    items: tuple[Item, ...]
    views: Views
    config: PretrainConfig
    seed: int


def pretrain(
    project: Project,
    method: Method | None = None,
    seed: int = 0,
    out: Path | None = None,
    config: Config | None = None,
    report: Report = lambda what, done, of: None,
) -> Pretrained:
    """Learn from the training items without their labels, and keep the weights as a start.

    Test items are left out: nothing of them may reach a model that is scored on them. A training
    that was interrupted goes on where it was.
    """
    settings = config or project.config
    method = method or settings.pretrain.method
    items = tuple(project.pool.at(project.train))
    if len(items) < 2:
        raise ProjectError(
            f"{project.folder}: {len(items)} training items are too few to learn from without "
            f"labels; add images"
        )
    began = time.monotonic()
    card = prepare_project(project, settings.learn)
    network = build(card, seed)
    views = views_of(method, settings.pretrain, card.channels)
    material = Material(network, card, items, views, settings.pretrain, seed)
    objective, draws = objective_of(method, material)
    iterations = planned_iterations(settings.pretrain, len(items))
    part: Part = "body" if method == "dense" else "encoder"
    made_with = recipe(method, settings, card.channels)
    origin = Origin(card.config.network, card.channels, part, method, iterations, seed, made_with)
    out = out or start_path(project.folder, method)
    course = Course(settings.pretrain, origin, out, card)
    frames = Frames(project.cache, items, card.frame, card.config.size, card.intensity)
    losses = run(
        course, objective, network, frames, draws,
        report=lambda done, of: report(f"pre-training with {method}", done, of),
    )  # fmt: skip
    return Pretrained(course.out, method, iterations, time.monotonic() - began, tuple(losses))


def objective_of(method: Method, material: Material) -> tuple[Objective, Iterator[Draw]]:
    """What a method trains, and the batches that it wants."""
    config, card = material.config, material.card
    one_by_one = shuffled(len(material.items), config.batch, material.seed)
    with seeded(torch.device("cpu"), material.seed):
        if method == "byol":
            return Byol(material.network, card.channels, material.views, config), one_by_one
        if method == "dense":
            return Dense(material.network, card.channels, card.config), one_by_one
        if method == "cluster":
            clusters = planned_clusters(len(material.items), config.clusters)
            return Cluster(material.network, card.channels, card.config, clusters), one_by_one
        relations = relations_in(material.items, config.relations)
        weights = [relation.weight for relation in relations]
        group = GroupContrast(material.network, card.channels, material.views, config, weights)
        return group, grouped(material.items, relations, config.batch, material.seed)


def shuffled(n: int, batch: int, seed: int) -> Iterator[Draw]:
    """Full batches of positions, each item once an epoch, for ever.

    What does not fill a batch at the end of an epoch is left out of it; a pool smaller than a
    batch is a batch of its own.
    """
    generator = torch.Generator().manual_seed(seed)
    batch = min(batch, n)
    while True:
        order = torch.randperm(n, generator=generator).tolist()
        for first in range(0, n - batch + 1, batch):
            yield Draw(order[first : first + batch], torch.empty(batch, 0, dtype=torch.long))


def planned_iterations(config: PretrainConfig, n_items: int) -> int:
    """Steps: so many epochs where they are given, else the number of iterations."""
    if config.epochs is None:
        return config.iterations
    return config.epochs * max(1, math.floor(n_items / (config.batch * config.accumulate)))


def views_of(method: Method, config: PretrainConfig, channels: int) -> Views:
    """What may change between two looks of a method at an item of so many channels."""
    return make_views(preset_for(config, channels), channels, strength_of(method, config))
