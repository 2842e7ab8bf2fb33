"""The rounds of one strategy and seed: what a worker process does in a simulation."""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool

from fewmasks.executors.local import Report
from fewmasks.io.atomic import write_text
from fewmasks.learn.cold_start import points_without_model
from fewmasks.learn.model import Model, load_model, save_model
from fewmasks.learn.score import score
from fewmasks.learn.session import ORACLE, collect, needs_model, state_of
from fewmasks.learn.starts import find_start
from fewmasks.learn.train import fit, prepare
from fewmasks.loop.oracle import Reference, scribbles, truth_labels
from fewmasks.loop.rounds import State, absorb, propose
from fewmasks.project import Project, open_project
from fewmasks.query.strategies import STRATEGIES, load_strategies
from fewmasks.study.plan import SHARED, Unit, read_asked
from fewmasks.types import Label, Round


def run_unit(unit: Unit, report: Report) -> None:
    """All rounds of a unit that are not on disk yet."""
    torch.set_num_threads(unit.plan.threads)
    project = open_project(unit.folder)
    planned = unit.plan.rounds * unit.plan.limit
    # What people labelled in this project is not what the oracle is asked for.
    state = replace(state_of(project, planned), labelled=(), next_round=0)
    if unit.strategy != SHARED:
        state = _answered(state, read_asked(unit.shared, 0))
    model: Model | None = None
    for number in unit.numbers:
        asked, scored = unit.file(number, "asked.json"), unit.file(number, "scored.json")
        if not asked.exists():
            round_ = _propose(unit, project, state, model, report)
            write_text(asked, json.dumps(asdict(round_)))
        state = _answered(state, read_asked(unit, number))
        model = None
        if not scored.exists():
            model = _train(unit, project, state, number, report)
            write_text(scored, json.dumps(_score(unit, project, state, model, number, report)))


def _answered(state: State, asked: Round) -> State:
    """The state after an oracle that answers everything; training reads the masks later."""
    nothing = np.zeros((0, 0), np.uint8)
    return absorb(
        state, asked, [Label(pick.item, "mask", nothing, 0.0, "oracle") for pick in asked.picks]
    )


def _propose(
    unit: Unit, project: Project, state: State, model: Model | None, report: Report
) -> Round:
    """The next round of a unit; `model` is that of the round before, where it is at hand."""
    plan, query = unit.plan, unit.plan.config.query
    if unit.strategy == SHARED:
        return propose(state, STRATEGIES["random"], {}, plan.limit, unit.seed, query.group_cap)
    strategy = load_strategies()[unit.strategy]

    def tell(what: str, done: int, of: int) -> None:
        report(f"{unit.title}: {what}", done, of)

    evidence = points_without_model(project, plan.config, strategy, tell)
    if needs_model(strategy, query.embedding):
        model = model or _model_before(unit, project, state, report)
        labels = partial(_labels, unit, project, state)
        evidence = collect(
            project, state, strategy, model, tell, query.uncertainty, labels, evidence
        )
    if ORACLE in strategy.needs:
        evidence[ORACLE] = true_classes(project)
    return propose(state, strategy, evidence, plan.limit, unit.seed, query.group_cap)


def true_classes(project: Project) -> Bool[np.ndarray, "n c"]:
    """(n, c) bool: which classes the reference mask of each item holds; for oracle baselines."""
    table = np.zeros((len(project.pool), len(project.classes)), dtype=bool)
    for row, item in enumerate(project.pool.items):
        mask = project.reference(item)
        if mask is not None:
            present = np.unique(mask)
            table[row, present[present < len(project.classes)]] = True
    return table


def _labels(unit: Unit, project: Project, state: State) -> Iterator[Label]:
    answer: Reference = project.reference
    if unit.annotation == "scribble":
        answer = scribbles(project.reference_scribble, answer, project.background, unit.seed)
    items = project.pool.at(state.labelled_rows)
    return truth_labels(items, answer, unit.annotation, unit.plan.config.cost)


def _train(unit: Unit, project: Project, state: State, number: int, report: Report) -> Model:
    """The model of a round; the shared first one is kept for the strategies that go on from it."""
    config = unit.plan.config.learn
    card = prepare(project.cache, project.pool.items, project.classes, config)
    model = fit(
        card,
        project.cache,
        project.pool.at(np.concatenate([state.labelled_rows, state.unlabelled])),
        _labels(unit, project, state),
        seed=1000 * unit.seed + number,
        start=find_start(project.folder, unit.start, config.network),
        ensemble=number + 1 < unit.plan.rounds,  # nothing is chosen after the last round
        report=_named(unit, f"round {number}, train", report),
    )
    if unit.strategy == SHARED:
        save_model(model, unit.file(0, "model.safetensors"))
    return model


def _model_before(unit: Unit, project: Project, state: State, report: Report) -> Model:
    """The model that the next round is chosen with: the shared first one, or trained again."""
    number = state.next_round - 1
    shared = unit.shared.file(0, "model.safetensors")
    if number == 0 and shared.exists():
        return load_model(shared, unit.plan.config.learn.device)
    return _train(unit, project, state, number, report)


def _score(
    unit: Unit, project: Project, state: State, model: Model, number: int, report: Report
) -> dict[str, Any]:
    known = project.test[project.has_reference[project.test]]
    result = score(model, project, known, _named(unit, f"round {number}, test", report))
    seconds = sum(label.seconds for label in _labels(unit, project, state))
    return {
        "items": len(state.labelled),
        "seconds": seconds,
        "iterations": model.card.iterations,
        "guessed": model.card.guessed,
        **asdict(result),
    }


def _named(unit: Unit, what: str, report: Report) -> Callable[[int, int], None]:
    """A report that says whose work it is, about twenty times a task."""

    def send(done: int, of: int) -> None:
        if done == of or done % max(1, of // 20) == 0:
            report(f"{unit.title}: {what}", done, of)

    return send
