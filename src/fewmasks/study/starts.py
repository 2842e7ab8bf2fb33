"""The starts that a simulation takes by the name of a method: made as its settings say."""

import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from fewmasks.config import METHODS, SCRATCH, Method, read_config, setting_text
from fewmasks.errors import ConfigError, ProjectError
from fewmasks.project import Project
from fewmasks.study.plan import Plan


def named_starts(plan: Plan) -> tuple[str, ...]:
    """Every start and embedding that has weights."""
    names = dict.fromkeys((*plan.starts, plan.config.query.embedding))
    return tuple(name for name in names if name not in (SCRATCH, "model", "thumbnail"))


def refuse_other_starts(project: Project, plan: Plan) -> None:
    """What a plan asks of a pre-training must be what made the start that is there.

    Only settings under `pretrain` say something about a start; those under `learn` speak of the
    trainings, too, which may well differ in size. Asked for is what is not so in project.toml.
    """
    for method in _methods(plan):
        from fewmasks.learn.starts import read_origin, start_path

        path = start_path(project.folder, method)
        origin = read_origin(path)
        if origin is None or origin.settings is None:  # none yet, or of an older version
            continue
        made, asked = origin.settings, _asked(project, plan, method)
        for name, value in asked.items():
            if made.get(name, value) != value:
                raise ProjectError(
                    f"{path}: made with {name}={setting_text(made[name])}, but this run asks for "
                    f"{setting_text(value)}; run `{_command(project, method, asked)}` again, or "
                    f"give the file by its path as the start, which asks for nothing"
                )


def refuse_two_recipes(runs: Iterable[tuple[str, Project, Plan, bool]]) -> None:
    """A project holds one start of a method, so arms that take it by name must agree on it.

    Each run with its name, and whether it began: what began keeps the weights that it has.
    """
    first: dict[tuple[str, str], tuple[str, dict[str, Any]]] = {}
    for arm, project, plan, has_begun in sorted(runs, key=lambda run: not run[3]):
        for method in _methods(plan):
            wanted = _wanted(project, plan, method)
            key = str(project.folder), method
            other, before = first.setdefault(key, (arm, wanted))
            name = next((name for name in wanted if wanted[name] != before[name]), None)
            if name is not None and not has_begun:
                raise ConfigError(
                    f"{arm}: {name} is {setting_text(wanted[name])}, but "
                    f"{setting_text(before[name])} in {other}, and both start from the one "
                    f"{method} of {project.folder}; pre-train another start and give its file "
                    f"by its path, or write the same value in both"
                )


def made_with(project: Project, plan: Plan) -> dict[str, dict[str, Any]]:
    """Of each start that a pre-training made: the method, its steps and the settings, if known."""
    from fewmasks.learn.embed import embedding_start
    from fewmasks.learn.starts import read_origin

    found = {}
    for name in named_starts(plan):
        path = embedding_start(project.folder, name, plan.config.learn.network)
        origin = None if path is None else read_origin(path)
        if origin is not None:
            settings = None if origin.settings is None else dict(origin.settings)
            about = {"method": origin.method, "iterations": origin.iterations}
            found[name] = {**about, "settings": settings}
    return found


def _methods(plan: Plan) -> list[Method]:
    return [method for method in METHODS if method in named_starts(plan)]


def _wanted(project: Project, plan: Plan, method: Method) -> dict[str, Any]:
    """What a plan's settings under `pretrain` say of a method."""
    from fewmasks.pretrain.recipe import recipe

    wanted = recipe(method, plan.config, project.channels)
    return {name: value for name, value in wanted.items() if name.startswith("pretrain.")}


def _asked(project: Project, plan: Plan, method: Method) -> dict[str, Any]:
    """Of these, what is not so by project.toml: it was asked for by --set or in a study file."""
    from fewmasks.pretrain.recipe import recipe

    usual = recipe(method, read_config(project.folder / "project.toml"), project.channels)
    wanted = _wanted(project, plan, method)
    return {name: value for name, value in wanted.items() if value != usual[name]}


def _command(project: Project, method: Method, asked: Mapping[str, Any]) -> str:
    """The pre-training that makes what is asked for; iterations are None beside epochs."""
    words = ["fewmasks", "pretrain", str(project.folder), "--method", method]
    for name, value in asked.items():
        if value is not None or name != "pretrain.iterations":
            words += ["--set", f"{name}={setting_text(value)}"]
    return shlex.join(words)
