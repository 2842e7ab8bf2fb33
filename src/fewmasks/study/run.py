"""Simulate the whole loop with the reference masks as the annotator: paired, resumable, exact."""

import hashlib
import json
import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Shaped, UInt8

from fewmasks.config import METHODS, STARTS, parse_config
from fewmasks.errors import ConfigError, ProjectError
from fewmasks.executors.local import Report, map_units
from fewmasks.io.atomic import remove_half_written, write_text
from fewmasks.io.lock import held
from fewmasks.io.weights import weights_digest
from fewmasks.project import Project
from fewmasks.query.strategies import load_strategies
from fewmasks.study.facts import facts, sessions_of
from fewmasks.study.plan import SHARED, Annotation, Plan, Unit, read_record, read_records
from fewmasks.study.plane import refuse_missing_tsne
from fewmasks.study.starts import made_with, named_starts, refuse_other_starts

if TYPE_CHECKING:
    import pandas as pd

PICK_COLUMNS = (
    "strategy", "start", "annotation", "seed", "round", "order", "item", "group", "reason",
)  # fmt: skip
RESULTS = ("curve.csv", "picks.csv", "report.html")


def simulate(
    project: Project,
    plan: Plan,
    out: Path,
    workers: int | None = None,
    report: Report = lambda what, done, of: None,
    execute: Callable[..., Iterator[None]] = map_units,
    command: str | None = None,
) -> "pd.DataFrame":
    """Run the plan, or what is left of it, and write curve.csv, picks.csv and report.html.

    Each finished round is a file of its own, so an interrupted run continues where it was and
    ends in the same curve.csv as an uninterrupted one; a finished one is left as it is.
    """
    check(project, plan)
    if not (out / "run.json").exists():
        _check_evidence(plan)
        refuse_other_starts(project, plan)
    out.mkdir(parents=True, exist_ok=True)
    with _alone(out):
        plan = _agree(project, plan, out, report, command)
        began = time.monotonic()
        first = [
            Unit(project.folder, out, plan, SHARED, seed, start, annotation)
            for start, annotation in product(plan.starts, plan.annotations)
            for seed in range(plan.seeds)
        ]
        chains = [replace(unit, strategy=name) for unit in first for name in plan.strategies]
        left = [[unit for unit in stage if not unit.is_finished] for stage in (first, chains)]
        total = len(first) + len(chains)
        todo = sum(map(len, left))
        if todo:
            from fewmasks.study.unit import run_unit

            _remember_session(out / "run.json")
            report("simulate", total - todo, total)
            results = execute(run_unit, left, workers or cores(), plan.threads, report)
            for done, _ in enumerate(results, start=total - todo + 1):
                report("simulate", done, total)
            _sweep(out, [*first, *chains])
        curve, picks = _tables(project, chains)
        if todo or not all((out / name).exists() for name in RESULTS):
            seconds = time.monotonic() - began
            said = facts(project, plan, read_record(out / "run.json"), seconds)
            _write(project, plan, out, (curve, picks), said)
        for unit in first:
            path = unit.file(0, "model.safetensors")
            if path != unit.kept:
                path.unlink(missing_ok=True)
                path.with_suffix(".json").unlink(missing_ok=True)
        return curve


def check(project: Project, plan: Plan) -> None:
    """Refuse at once what would fail in the middle."""
    known = load_strategies()
    for name in plan.strategies:
        if name not in known:
            raise ConfigError(f"--strategy: no strategy {name!r}; `fewmasks strategies` lists them")
        if plan.strategies.count(name) > 1:
            raise ConfigError(f"--strategy: {name} is named twice; name each once")
    if not plan.strategies:
        raise ConfigError("--strategy: none is named; `fewmasks strategies` lists them")
    _check_starts(plan.starts)
    for name, number in (("rounds", plan.rounds), ("limit", plan.limit), ("seeds", plan.seeds)):
        if number < 1:
            raise ConfigError(f"--{name}: must be at least 1 ({number}); ask for more")
    if plan.config.query.map == "tsne":
        refuse_missing_tsne()
    _check_size(plan, len(np.setdiff1d(project.train, project.skipped)))
    for kind in plan.annotations:
        _check_references(project, kind)
    if "watershed" in plan.annotations and (project.background is None or len(project.classes) > 2):
        raise ConfigError(
            f"--annotation: a watershed outlines objects of one class before a class called "
            f"background, and the project has {', '.join(project.classes)}; use mask or scribble"
        )
    if "either" in plan.annotations and plan.config.cost.scribble_worth is None:
        raise ConfigError(
            "--annotation: either needs the setting cost.scribble_worth (none); give one, such as "
            "--set cost.scribble_worth=0.5"
        )


def _check_starts(starts: Sequence[str]) -> None:
    for name in starts:
        if name not in STARTS and not Path(name).is_file():
            raise ConfigError(
                f"--start: {name} is neither a file nor one of {', '.join(STARTS)}; name one"
            )
    arms = [name if name in STARTS else Path(name).stem for name in starts]
    twice = next((arm for arm in arms if arms.count(arm) > 1), None)
    if twice is not None:
        raise ConfigError(f"--start: {twice} is named twice; give each file a name of its own")


def _check_evidence(plan: Plan) -> None:
    """Apart from `check`, since it costs the import of torch, which a finished run can spare."""
    from fewmasks.learn.session import refuse_unknown_evidence

    known = load_strategies()
    for name in plan.strategies:
        refuse_unknown_evidence(known[name], plan.config, in_simulation=True)


def _check_size(plan: Plan, available: int) -> None:
    if plan.limit > available:
        raise ConfigError(
            f"--limit: {plan.limit} items a round, but the training side has {available}; "
            f"ask for {available} or fewer"
        )
    if plan.rounds * plan.limit > available:
        raise ConfigError(
            f"--rounds: {plan.rounds} rounds of {plan.limit} are {plan.rounds * plan.limit} items, "
            f"but the training side has {available}; ask for --rounds {available // plan.limit} "
            f"or --limit {max(1, available // plan.rounds)} at most"
        )


def _check_references(project: Project, kind: Annotation) -> None:
    if not project.has_reference[project.test].any():
        raise ProjectError(
            f"{project.folder}: no reference masks on the test side, so nothing can be scored; "
            f"create the project with --masks"
        )
    if kind != "scribble" and not project.has_reference[project.train].all():
        row = project.train[~project.has_reference[project.train]][0]
        raise ProjectError(
            f"{project.pool.items[row].id}: no reference mask, so the simulated annotator cannot "
            f"answer for it; create the project with a mask for every training image"
        )
    if kind == "scribble":
        one_of_each_file = {item.source: item for item in project.pool.at(project.train)}
        for item in one_of_each_file.values():
            if project.reference_scribble(item) is None and project.reference(item) is None:
                raise ProjectError(
                    f"{item.id}: neither a reference scribble nor a mask to draw one in, so the "
                    f"simulated annotator cannot answer for it; create the project with --scribbles"
                )


def _sweep(out: Path, units: Sequence[Unit]) -> None:
    """Remove what killed workers left, by the names of our own files: `out` may hold others'."""
    for unit in units:
        remove_half_written(unit.file(0, "asked.json").parent)
    for name in ("run.json", *RESULTS):
        remove_half_written(out, name)


def _alone(out: Path) -> AbstractContextManager[None]:
    return held(
        out / ".lock",
        f"{out}: another simulation is writing there; wait for it or choose another --out",
    )


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def fingerprint(project: Project) -> str:
    """Changes when the items, their split, the skipped ones or the classes of a project change."""
    sides = np.zeros(len(project.pool), dtype=np.uint8)
    sides[project.test] = 1
    sides[project.skipped] += 2
    words = [*project.classes, *(item.id for item in project.pool.items)]
    return hashlib.blake2b("\n".join(words).encode() + sides.tobytes(), digest_size=8).hexdigest()


def refuse_other_run(project: Project, plan: Plan, out: Path) -> dict[str, Any] | None:
    """The record of the run that `out` holds, if any; refused where it is not of this plan."""
    path = out / "run.json"
    if not path.exists():
        return None
    stored = read_record(path)
    if not {"asked", "config", "threads"} <= stored.keys():
        raise ProjectError(f"{path}: no record of a simulation; choose another --out")
    _refuse_other(out, stored["asked"], _described(project, plan))
    _refuse_other_weights(project, stored)
    return stored


def _agree(project: Project, plan: Plan, out: Path, report: Report, command: str | None) -> Plan:
    """The plan as first run here: precision and threads are settled once and kept on resuming."""
    path = out / "run.json"
    stored = refuse_other_run(project, plan, out)
    if stored is not None:
        config = parse_config(stored["config"], where=str(path))
        query = config.query.model_copy(update={"map": plan.config.query.map})
        config = config.model_copy(update={"query": query})
        return replace(plan, config=config, threads=stored["threads"])
    asked = _described(project, plan)
    plan = _settled(plan, project)
    record = {
        "asked": asked,
        "config": plan.config.model_dump(),
        "threads": plan.threads,
        "weights": _start_weights(project, plan, report),
        "made_with": made_with(project, plan),
        "project": str(project.folder),
        "command": command or "fewmasks.simulate in Python",
        **_session(),
    }
    write_text(path, json.dumps(record, indent=1))
    return plan


def _session() -> dict[str, Any]:
    """When, on what and with which versions this process works."""
    return {
        "started": time.strftime("%Y-%m-%d %H:%M:%S"),
        "machine": f"{platform.system()} {platform.machine()}, {cores()} cores",
        "versions": {name: version(name) for name in ("fewmasks", "torch", "monai", "numpy")},
    }


def _remember_session(path: Path) -> None:
    """Add this session to a record none of whose sessions had this machine and these versions."""
    stored, here = read_record(path), _session()
    alike = [
        all(session[name] == here[name] for name in ("machine", "versions"))
        for session in sessions_of(stored)
    ]
    if not any(alike):
        later = [*stored.get("later", []), here]
        write_text(path, json.dumps(stored | {"later": later}, indent=1))


def _start_weights(project: Project, plan: Plan, report: Report) -> dict[str, str]:
    """A hash of the weights of each start and embedding; what is missing is pre-trained now."""
    found = {}
    for name in named_starts(plan):
        from fewmasks.learn.embed import embedding_start
        from fewmasks.learn.starts import start_path
        from fewmasks.pretrain.session import pretrain

        if name in METHODS and not start_path(project.folder, name).exists():
            pretrain(project, name, config=plan.config, report=report)
        path = embedding_start(project.folder, name, plan.config.learn.network)
        assert path is not None
        found[name] = weights_digest(path)
    return found


def _refuse_other_weights(project: Project, stored: dict[str, Any]) -> None:
    """A run that goes on must go on from the weights it began with."""
    for name, digest in stored.get("weights", {}).items():
        path = project.folder / "starts" / f"{name}.safetensors" if name in METHODS else Path(name)
        if path.exists() and weights_digest(path) != digest:
            raise ProjectError(
                f"{path}: the weights are others than when this simulation began; "
                f"choose another --out"
            )


def _refuse_other(out: Path, stored: dict[str, Any], asked: dict[str, Any]) -> None:
    """Two plans in one folder would mix their rounds; name the first thing that differs."""
    before, now = _flat(stored), _flat(asked)
    for name in [*now, *before]:
        if before.get(name) != now.get(name):
            what = (
                "another state of the project (its items, split, skips or classes have changed)"
                if name == "data"
                else f"another {name} ({before.get(name)}, now {now.get(name)})"
            )
            raise ProjectError(
                f"{out}: holds a run with {what}; choose another --out, or delete that folder"
            )


def _flat(tree: dict[str, Any]) -> dict[str, Any]:
    """Nested settings under dotted names."""
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, dict):
            flat |= {f"{name}.{inner}": of for inner, of in _flat(value).items()}
        else:
            flat[name] = ",".join(value) if isinstance(value, list) else value
    return flat


def _described(project: Project, plan: Plan) -> dict[str, Any]:
    """What must be the same for a folder to go on with, as plain JSON."""
    changed = {"config": plan.config.model_dump(), "data": fingerprint(project)}
    described = asdict(plan) | changed
    del described["threads"], described["config"]["query"]["map"]
    if not plan.keep_models:  # so that runs from before there was a choice go on
        del described["keep_models"]
    return json.loads(json.dumps(described))


def default_out(project: Project, plan: Plan) -> Path:
    """A folder of the project's own that only this plan writes to."""
    text = json.dumps(_described(project, plan), sort_keys=True)
    digest = hashlib.blake2b(text.encode(), digest_size=4).hexdigest()
    return project.folder / "simulations" / f"{'-'.join(plan.strategies)[:60]}-{digest}"


def _settled(plan: Plan, project: Project) -> Plan:
    import torch

    from fewmasks.learn.embed import settled_embedding
    from fewmasks.learn.model import resolve_device
    from fewmasks.learn.precision import settled_precision

    learn = plan.config.learn
    if learn.precision == "auto":
        precision = settled_precision(resolve_device(learn.device), project.cache.folder)
        learn = learn.model_copy(update={"precision": precision})
    # Not by the number of workers: threads decide the last digits, and workers must not.
    threads = max(1, torch.get_num_threads() // (plan.seeds * len(plan.strategies)))
    query = plan.config.query
    query = query.model_copy(update={"embedding": settled_embedding(query.embedding)})
    config = plan.config.model_copy(update={"learn": learn, "query": query})
    return replace(plan, config=config, threads=threads)


def _tables(project: Project, chains: Sequence[Unit]) -> "tuple[pd.DataFrame, pd.DataFrame]":
    """The curve and the picks, from the records of all rounds."""
    import pandas as pd

    curve = pd.DataFrame([row for unit in chains for row in _curve_rows(unit, project)])
    picks = pd.DataFrame([row for unit in chains for row in _pick_rows(unit, project)])
    return curve, picks[list(PICK_COLUMNS)]


def _write(
    project: Project,
    plan: Plan,
    out: Path,
    tables: "tuple[pd.DataFrame, pd.DataFrame]",
    said: Mapping[str, object],
) -> None:
    """curve.csv, picks.csv and report.html; `said` is what was run on what."""
    from fewmasks.study.pool_map import pool_map
    from fewmasks.study.report import write_report

    curve, picks = tables
    write_text(out / "curve.csv", curve.to_csv(index=False, float_format="%.6f"))
    write_text(out / "picks.csv", picks.to_csv(index=False))
    pool = pool_map(project, plan, picks)
    write_report(out, curve, picks, said, lambda item: _picture(project, item), pool)


def _head(unit: Unit, number: int) -> dict[str, Any]:
    return {
        "strategy": unit.strategy,
        "start": unit.start,
        "annotation": unit.annotation,
        "seed": unit.seed,
        "round": number,
    }


def _curve_rows(unit: Unit, project: Project) -> Iterator[dict[str, Any]]:
    for number, _, scored in read_records(unit):
        row = {
            **_head(unit, number),
            **{k: scored[k] for k in ("items", "seconds", "dice", "hd95")},
        }
        yield row | {f"dice_{name}": scored["per_class"][name] for name in project.classes}


def _pick_rows(unit: Unit, project: Project) -> Iterator[dict[str, Any]]:
    for number, asked, _ in read_records(unit):
        for order, pick in enumerate(asked.picks):
            item = project.pool.items[int(project.pool.rows([pick.item])[0])]
            group, why = "/".join(item.group), pick.reason
            yield _head(unit, number) | {
                "order": order, "item": pick.item, "group": group, "reason": why,
            }  # fmt: skip


def _picture(
    project: Project, item_id: str
) -> tuple[Shaped[np.ndarray, "y x c"], UInt8[np.ndarray, "y x"] | None]:
    """Pixels and reference mask of an item, for the report."""
    item = project.pool.items[int(project.pool.rows([item_id])[0])]
    return project.cache.read(item), project.reference(item)
