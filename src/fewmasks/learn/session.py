"""A person's work on a project: train, and choose the next items."""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from fewmasks.config import SCRATCH, Config
from fewmasks.errors import ConfigError, ProjectError
from fewmasks.learn.arms import compared_rounds, foreseen, taught, told
from fewmasks.learn.budget import needs_audit, round_within, with_kinds
from fewmasks.learn.cold_start import (
    COLD_START,
    points_of,
    points_without_model,
    pretrained,
    without_model,
)
from fewmasks.learn.embed import MODEL, THUMBNAIL
from fewmasks.learn.evidence import OF_POINTS, OFFERED, Known, gather, learn
from fewmasks.learn.model import Card, Model, load_model, save_model
from fewmasks.learn.resample import interval_of
from fewmasks.learn.score import Tested, examine
from fewmasks.learn.settling import noted
from fewmasks.learn.starts import find_start
from fewmasks.learn.train import fit, prepare_project
from fewmasks.loop.rounds import STANDING, State, add_audit, ask_twice, propose
from fewmasks.metrics import Scores
from fewmasks.nn.uncertainty import SCORES
from fewmasks.project import Project
from fewmasks.query.alike import alike
from fewmasks.query.strategies import STRATEGIES, load_strategies
from fewmasks.query.strategy import Strategy
from fewmasks.types import Item, Label, Pick, Round, Rows

Report = Callable[[str, int, int], None]
SEED = 0
ORACLE = "true_classes"
"""Evidence read from the reference masks, which only a simulation may look at."""
GENERAL = "uncertainty"
"""The name under which a strategy gets whichever score the setting query.uncertainty names."""
UNCERTAINTIES = tuple(name for name in SCORES if not name.startswith("class_"))
DEFAULT_LIMIT = 20
MOST_EXTREMES = 6
"""Test items that went worst and best, which a training notes."""


def silent(what: str, done: int, of: int) -> None:
    """A report that nobody hears."""
    del what, done, of


def state_of(project: Project, planned: int | None = None) -> State:
    """Where a project stands, as the pure functions of the loop see it."""
    rounds = project.rounds()
    return State(
        pool=project.pool,
        train=project.train,
        classes=project.classes,
        foreground=project.foreground,
        labelled=tuple(project.pool.ids(project.labelled)),
        skipped=frozenset(project.pool.ids(project.skipped)),
        next_round=rounds[-1].number + 1 if rounds else 0,
        planned=planned,
    )


def train(project: Project, start: str = SCRATCH, report: Report = silent) -> Scores | None:
    """Train on all labels, keep the model, and score it on the test side.

    `start` is scratch, a method that this project was pre-trained with, imagenet, or a file. None
    where the test side has no reference and no audited item.
    """
    weights = find_start(project.folder, start, project.config.learn.network)
    rows = project.labelled
    if not len(rows):
        raise ProjectError(
            f"{project.folder}: no labels yet; run `fewmasks next {project.folder}` and label, "
            f"or `fewmasks label {project.folder} --from-reference`"
        )
    began, minutes = time.monotonic(), project.summary()["minutes"]
    items = project.pool.at(rows)
    unlabelled = project.pool.at(state_of(project).unlabelled)
    card = prepare_project(project, project.config.learn)
    model = fit(
        card,
        project.cache,
        [*items, *unlabelled],
        _stored_labels(project, items),
        seed=SEED,
        start=weights,
        report=lambda done, of: report("training", done, of),
    )
    before = project.trainings()
    path = project.folder / "models" / f"model-{len(before):04d}.safetensors"
    save_model(model, path)
    tested = _test(model, project, report)
    arms = _compare_arms(project, before, card, weights, report)
    scores = None if tested is None else tested.scores
    watched = noted(project, model, start, minutes, scores, partial(report, "comparing models"))
    project.add_training(
        {
            **watched,
            "path": str(path.relative_to(project.folder)),
            "labels": len(rows),
            "rows": rows.tolist(),
            "start": start,
            "iterations": model.card.iterations,
            "precision": card.precision,
            "guessed": model.card.guessed,
            "seconds": round(time.monotonic() - began, 1),
            "scores": None if scores is None else asdict(scores),
            "interval": None if tested is None else interval_of(tested.draws),
            "extremes": None if tested is None else _extremes(tested),
            **arms,
            "config": project.config.model_dump(),
        }
    )
    return scores


def _stored_labels(project: Project, items: list[Item]) -> Iterator[Label]:
    for item in items:
        label = project.label(item.id)
        assert label is not None
        yield label


def _test_rows(project: Project) -> Rows:
    """Test items that somebody said something about: reference masks, else the audit."""
    known = project.test[project.has_reference[project.test]]
    return known if len(known) else project.audited


def _test(model: Model, project: Project, report: Report) -> Tested | None:
    rows = _test_rows(project)
    if not len(rows):
        return None
    return examine(model, project, rows, lambda done, of: report("testing", done, of))


def _extremes(tested: Tested) -> dict[str, list[tuple[str, float]]]:
    """The test items that went worst and best, and their Dice."""
    known = [(item, round(dice, 4)) for item, dice in tested.items.items() if not math.isnan(dice)]
    ranked = sorted(known, key=lambda each: (each[1], each[0]))
    shown = min(MOST_EXTREMES, len(ranked) // 2)
    return {"worst": ranked[:shown], "best": ranked[::-1][:shown]}


def _compare_arms(
    project: Project,
    before: Sequence[dict[str, Any]],
    card: Card,
    start: Path | None,
    report: Report,
) -> dict[str, Any]:
    """What a training records of the control arm: nothing where there is none."""
    if not compared_rounds(project) or not before or "rows" not in before[-1]:
        return {}
    new = foreseen(project, newest_model(project), before[-1]["rows"])
    every = [each for record in before for each in record.get("foreseen", [])] + new
    test = _test_rows(project)
    pairs = taught(project, card, start, test, report) if len(test) else None
    return {"foreseen": new, "arms": {"foreseen": told(every), "taught": pairs}}


def newest_model(project: Project) -> Model:
    """The model trained last."""
    trained = project.trainings()
    if not trained:
        raise ProjectError(
            f"{project.folder}: no trained model; run `fewmasks train {project.folder}`"
        )
    return load_model(project.folder / trained[-1]["path"], project.config.learn.device)


def collect(
    project: Project,
    state: State,
    strategy: Strategy,
    model: Model,
    report: Report = silent,
    uncertainty: str = "entropy",
    labels: Callable[[], Iterable[Label]] | None = None,
    given: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The evidence that a strategy names and a model can give; what is `given` is kept as it is.

    `uncertainty` is the score that goes by that general name. `labels` gives those of the labelled
    items, in their order; without it they are the ones stored in the project.
    """
    named = {uncertainty if name == "uncertainty" else name for name in strategy.needs}
    given = given or {}
    names = sorted((named & OFFERED) - given.keys())
    # Points are compared with those of labelled items; scores are only for the unlabelled.
    rows = state.train if OF_POINTS & {*names} else state.unlabelled
    found: dict[str, Any] = dict(
        gather(
            model, project.cache, project.pool.items, rows, names,
            report=lambda done, of: report("looking at the pool", done, of),
        )
    )  # fmt: skip
    stored = partial(_stored_labels, project, project.pool.at(state.labelled_rows))
    known = Known(state.labelled_rows, state.unlabelled, labels or stored)
    found |= learn(model, project.cache, project.pool.items, known, names, report)
    if "uncertainty" in strategy.needs:
        found["uncertainty"] = found[uncertainty]
    return {**found, **given}


def needs_model(strategy: Strategy, embedding: str = MODEL) -> bool:
    """Whether some of its evidence comes from a trained model, with this query.embedding."""
    return bool(set(strategy.needs) & ({*OFFERED, GENERAL} - without_model(embedding)))


def refuse_unknown_evidence(
    strategy: Strategy, config: Config, in_simulation: bool = False
) -> None:
    """Refuse a strategy that asks for what nothing here computes, before anything is computed."""
    known = {*STANDING, *OFFERED, GENERAL, ORACLE}
    unknown = [name for name in strategy.needs if name not in known]
    if unknown:
        raise ConfigError(
            f"--strategy: {strategy.name} needs {' and '.join(unknown)}, which this version does "
            f"not compute; choose another one"
        )
    if ORACLE in strategy.needs and not in_simulation:
        raise ConfigError(
            f"--strategy: {strategy.name} reads the reference masks, which only `simulate` may; "
            f"use predicted-foreground-random"
        )
    if GENERAL in strategy.needs and config.query.uncertainty not in UNCERTAINTIES:
        raise ConfigError(
            f"query.uncertainty: there is no score {config.query.uncertainty!r}; "
            f"known: {', '.join(UNCERTAINTIES)}"
        )


def next_round(
    project: Project,
    strategy: str | None = None,
    limit: int | None = None,
    minutes: float | None = None,
    say: Callable[[str], None] = lambda line: None,
    report: Report = silent,
) -> Round:
    """Choose the next items to label and store them as the open round.

    With `minutes` it holds as many as are expected to fit into the time, by what labels took so
    far and how much the newest model sees in an item. Without `limit` and `minutes` it is a round
    of 20.
    """
    _refuse_size(limit, minutes)
    state = _state_for_next(project)
    chosen, evidence = _strategy_and_evidence(project, state, strategy, say, report)
    query = project.config.query

    def ask(count: int) -> Round:
        return propose(state, chosen, evidence, count, SEED, query.group_cap, query.control)

    return _keep(project, state, _sized(project, (limit, minutes), ask, say, report))


def next_like(
    project: Project,
    item: str,
    limit: int | None = None,
    minutes: float | None = None,
    say: Callable[[str], None] = lambda line: None,
    report: Report = silent,
) -> Round:
    """Ask for the items that look most like a training item, of different volumes first.

    Alike is what lies near in the embedding of a start, or as a thumbnail where there is none.
    """
    _refuse_size(limit, minutes)
    state = _state_for_next(project)
    row = int(project.pool.rows([item])[0])
    if row not in state.train:
        raise ConfigError(
            f"--like: {item} is a test item, by which nothing may be chosen; name a training item"
        )
    name = pretrained(project) or THUMBNAIL
    say(f"alike is judged by {_in_words(name)}")
    points = points_of(project, project.config, name, state.train, report)
    codes, reason = project.volume_codes(), f"looks like {item}"

    def ask(count: int) -> Round:
        found = project.pool.ids(alike(points, row, state.unlabelled, codes, count))
        if not found:
            raise ProjectError(f"{project.folder}: {item} is the last one left; nothing to ask")
        picks = tuple(Pick(other, reason) for other in found)
        return Round(state.next_round, "like", SEED, picks)

    return _keep(project, state, _sized(project, (limit, minutes), ask, say, report))


def _in_words(embedding: str) -> str:
    return "thumbnails" if embedding == THUMBNAIL else f"what {embedding} has learnt"


def _state_for_next(project: Project) -> State:
    """Where the project stands, if another round may be asked for."""
    still_open = project.open_picks()
    if still_open:
        raise ProjectError(
            f"{project.folder}: {len(still_open)} items of the last round are still open (first: "
            f"{still_open[0].item}); label or skip them first"
        )
    state = state_of(project)
    if not len(state.unlabelled):
        raise ProjectError(
            f"{project.folder}: every training item is labelled or skipped; nothing to ask"
        )
    return state


def _keep(project: Project, state: State, asked: Round) -> Round:
    """Store a round as the open one, with test items to audit where nothing else scores."""
    asked = replace(asked, config=project.config.model_dump())
    if needs_audit(project):
        asked = add_audit(asked, project.test, state, project.pool.ids(project.audited))
    asked = ask_twice(asked, project.config.query.double_reading)
    project.add_round(asked)
    return asked


def _refuse_size(limit: int | None, minutes: float | None) -> None:
    """Refuse a size that no round can have, before anything is computed."""
    if limit is not None and minutes is not None:
        raise ConfigError("next: both --limit and --minutes are given; give one")
    if minutes is not None and not (math.isfinite(minutes) and minutes > 0):
        raise ConfigError(f"--minutes: {minutes:g} is no time to fill; give a number above 0")
    if limit is not None and limit < 1:
        raise ConfigError(f"--limit: must be at least 1 ({limit}); ask for one item or more")


def _sized(
    project: Project,
    limit_or_minutes: tuple[int | None, float | None],
    ask: Callable[[int], Round],
    say: Callable[[str], None],
    report: Report,
) -> Round:
    """The round of the one of the two sizes that is given."""
    limit, minutes = limit_or_minutes
    limit = _usual_limit(project) if limit is None else limit
    if minutes is None and project.config.cost.scribble_worth is None:
        return ask(limit)
    model = newest_model(project) if project.trainings() else None
    if minutes is None:
        return with_kinds(project, model, ask(limit), report)
    return round_within(project, model, minutes, ask, say, report)


def _usual_limit(project: Project) -> int:
    """As many items as the last round asked of the training side."""
    asked = [pick for each in project.rounds()[-1:] for pick in each.picks if not pick.audit]
    return len(asked) or DEFAULT_LIMIT


def _strategy_and_evidence(
    project: Project,
    state: State,
    name: str | None,
    say: Callable[[str], None],
    report: Report,
) -> tuple[Strategy, Mapping[str, Any]]:
    """The strategy asked for with its evidence; without labels, another one if it must be."""
    table = load_strategies()
    name = name or project.config.query.strategy
    if name not in table:
        raise ConfigError(f"--strategy: no strategy {name!r}; `fewmasks strategies` lists them")
    chosen = table[name]
    refuse_unknown_evidence(chosen, project.config)
    points = points_without_model(project, project.config, chosen, report)
    query = project.config.query
    if not needs_model(chosen, query.embedding):
        return chosen, points
    if not project.trainings():
        if len(state.labelled):
            raise ProjectError(
                f"{project.folder}: {name} needs a trained model; "
                f"run `fewmasks train {project.folder}`"
            )
        return _first_round(project, name, say, report)
    model = newest_model(project)
    if model.card.n_labels < len(state.labelled):
        say(
            f"the model knows {model.card.n_labels} of {len(state.labelled)} labels; "
            f"`fewmasks train` first for better picks"
        )
    return chosen, collect(project, state, chosen, model, report, query.uncertainty, given=points)


def _first_round(
    project: Project, name: str, say: Callable[[str], None], report: Report
) -> tuple[Strategy, Mapping[str, Any]]:
    """Typical items by a start that is there, from as many groups as there can be; else random."""
    why = f"no labels yet, and {name} needs a trained model"
    start = pretrained(project)
    if start is None:
        say(
            f"{why}: this first round is random; after `fewmasks pretrain {project.folder}` it "
            f"would be of typical items"
        )
        return STRATEGIES["random"], {}
    say(
        f"{why}: this first round is of typical items by {_in_words(start)}, "
        f"spread evenly over groups"
    )
    found = points_of(project, project.config, start, project.train, report)
    return STRATEGIES[COLD_START], {"embedding": found}
