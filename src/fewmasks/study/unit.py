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
from fewmasks.learn.budget import KINDS, drawn_in
from fewmasks.learn.cold_start import points_without_model
from fewmasks.learn.model import Model, load_model, save_model
from fewmasks.learn.score import score
from fewmasks.learn.session import ORACLE, collect, needs_model, state_of
from fewmasks.learn.starts import find_start
from fewmasks.learn.train import fit, prepare_project
from fewmasks.learn.weak.watershed import decided, judge, objects
from fewmasks.loop.cost import choose_kinds, stated
from fewmasks.loop.oracle import REFERENCE, Reference, scribbles, truth_labels
from fewmasks.loop.rounds import State, absorb, propose
from fewmasks.project import Project, open_project
from fewmasks.query.strategies import STRATEGIES, load_strategies
from fewmasks.study.plan import SHARED, Unit, read_asked, read_record
from fewmasks.types import UNKNOWN, Kind, Label, Round


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
            if unit.annotation == "either" and unit.strategy != SHARED:
                model = model or _model_before(unit, project, state, report)
            round_ = _propose(unit, project, state, model, report)
            if unit.annotation == "either":
                kinds = _kinds(unit, project, round_, model)
                write_text(unit.file(number, "kinds.json"), json.dumps(kinds))
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
    return propose(state, strategy, evidence, plan.limit, unit.seed, query.group_cap, query.control)


def true_classes(project: Project) -> Bool[np.ndarray, "n c"]:
    """(n, c) bool: which classes the reference mask of each item holds; for oracle baselines."""
    table = np.zeros((len(project.pool), len(project.classes)), dtype=bool)
    for row, item in enumerate(project.pool.items):
        mask = project.reference(item)
        if mask is not None:
            present = np.unique(mask)
            table[row, present[present < len(project.classes)]] = True
    return table


def _kinds(unit: Unit, project: Project, asked: Round, model: Model | None) -> dict[str, Kind]:
    """The kind of label that gains more a minute, of each item, by the settings alone.

    The shared first round has no model to look with, and every item is a typical one there.
    """
    cost = unit.plan.config.cost
    items = project.pool.at(project.pool.rows(pick.item for pick in asked.picks))
    paces = {kind: stated(kind, cost, project.facts["region"] is not None) for kind in KINDS}
    drawn = drawn_in(project, model, items, lambda what, done, of: None)
    assert cost.scribble_worth is not None
    kinds = choose_kinds(paces, drawn, cost.scribble_worth)
    return dict(zip((item.id for item in items), kinds, strict=True))


def _labels(unit: Unit, project: Project, state: State) -> Iterator[Label]:
    if unit.annotation == "watershed":
        yield from _watershed_labels(unit, project, state)
        return
    drawn = scribbles(project.reference_scribble, project.reference, project.background, unit.seed)
    answers: dict[Kind, Reference] = {"mask": project.reference, "scribble": drawn}
    cost, known = unit.plan.config.cost, _known_kinds(unit, state)
    for item in project.pool.at(state.labelled_rows):
        kind = known[item.id]
        yield from truth_labels([item], answers[kind], kind, cost, project.background)


def _watershed_labels(unit: Unit, project: Project, state: State) -> Iterator[Label]:
    """What is left of watershed masks when somebody who knows the truth has looked at them.

    An outline that is skipped leaves all pixels unknown. Each takes the seconds of a look.
    """
    assert project.background is not None
    both = project.background, 1 - project.background
    for item in project.pool.at(state.labelled_rows):
        truth = project.reference(item)
        assert truth is not None, item
        found = objects(project.cache.read(item).mean(axis=2, dtype=np.float64))
        decision = judge(found, truth, both)
        seconds = unit.plan.config.cost.seconds_per_skip
        label = decided(item, found, decision, both, REFERENCE, seconds)
        unknown = np.full_like(truth, UNKNOWN)
        yield label or Label(item.id, "mask", unknown, seconds, REFERENCE)


def _known_kinds(unit: Unit, state: State) -> dict[str, Kind]:
    """The kind of every label so far."""
    assert unit.annotation != "watershed"
    if unit.annotation != "either":
        return dict.fromkeys(state.labelled, unit.annotation)
    known: dict[str, Kind] = {}
    for number in range(state.next_round):
        owner = unit.shared if number == 0 else unit
        known |= read_record(owner.file(number, "kinds.json"))
    return known


def _train(unit: Unit, project: Project, state: State, number: int, report: Report) -> Model:
    """The model of a round; the shared first one is kept for the strategies that go on from it."""
    config = unit.plan.config.learn
    card = prepare_project(project, config)
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
    path = unit.file(number, "model.safetensors")
    if unit.strategy == SHARED or path == unit.kept:
        save_model(model, path)
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
