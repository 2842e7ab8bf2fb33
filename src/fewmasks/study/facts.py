"""What a simulation was run on, in words that stand beside its figures."""

from collections.abc import Mapping
from typing import Any

from fewmasks.config import Config, beyond_labels, setting_text
from fewmasks.project import Project
from fewmasks.study.plan import Plan


def facts(
    project: Project, plan: Plan, record: Mapping[str, Any], seconds: float
) -> dict[str, object]:
    """Heading and particulars of the report, in reading order; `record` is the run.json."""
    summary = project.summary()
    names = [project.classes[c] for c in project.foreground]
    return {
        "title": f"{project.folder.name}: learning curves",
        "data": f"{project.folder}: {summary['items']} items, {project.channels} channels",
        "scored classes": ", ".join(names),
        "split": {
            side: f"{summary[side]['items']} items of {summary[side]['groups']} groups"
            for side in ("train", "test")
        },
        "score": _convention(project),
        **_of_plan(plan, _starts(project, record)),
        **_of_sessions(plan, record),
        "time of the last session": f"{seconds / 60:.1f} minutes",
        "command": record.get("command", "not recorded"),
    }


def sessions_of(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The first session, and later ones on another machine or with other versions."""
    return [record, *record.get("later", [])]


def _of_sessions(plan: Plan, record: Mapping[str, Any]) -> dict[str, object]:
    """Every machine and version that took part, in their order."""
    sessions = sessions_of(record)
    machines = dict.fromkeys(session["machine"] for session in sessions)
    versions = {
        name: ", then ".join(dict.fromkeys(session["versions"][name] for session in sessions))
        for name in record["versions"]
    }
    later = [session["started"] for session in sessions[1:]]
    return {
        "device": f"{plan.config.learn.device}; {', then '.join(machines)}; "
        f"{plan.threads} threads a process",
        "versions": versions,
        "started": record["started"],
        **({"went on elsewhere, or with other versions": later} if later else {}),
    }


def _of_plan(plan: Plan, starts: Mapping[str, str]) -> dict[str, object]:
    learn = plan.config.learn
    return {
        "strategies": ", ".join(plan.strategies),
        "labels": f"{plan.rounds} rounds of {plan.limit}, the first drawn at random for all",
        "annotation": ", ".join(plan.annotations),
        "seeds": f"0 to {plan.seeds - 1}, paired: one start set and recipe per seed",
        "network": f"{learn.network}, longest side {learn.size} px, from {', '.join(plan.starts)}",
        "starts": starts or "none that was pre-trained",
        "iterations": _iterations(plan),
        "guesses beside labels": ", ".join(f"{k}={v}" for k, v in beyond_labels(learn).items())
        or "none",
        "gated CRF": f"{learn.gated_crf:g}, where labels leave pixels unknown",
        "batch": learn.batch,
        "uncertainty": f"{learn.members} {learn.ensemble}",
        "precision": learn.precision,
        "settings other than the defaults": _changed(plan.config) or "none",
    }


def _changed(config: Config) -> list[str]:
    usual = Config().flat()
    return [
        f"{name}={setting_text(value)}"
        for name, value in config.flat().items()
        if value != usual[name]
    ]


def _convention(project: Project) -> str:
    if any(project.is_volume(item) for item in project.pool.at(project.test)):
        return "Dice per test volume; a class in neither mask is skipped; mean over volumes"
    return "Dice of all test pixels counted together; HD95 is a mean over pictures"


def _starts(project: Project, record: Mapping[str, Any]) -> dict[str, str]:
    """How each start was made: steps, and what is not the default of its method."""
    from fewmasks.pretrain.recipe import recipe

    said = {}
    for name, made in record.get("made_with", {}).items():
        words = [f"{made['method']}, {made['iterations']} steps"]
        if made["settings"] is None:
            words.append("other settings unknown")
        else:
            usual = recipe(made["method"], Config(), project.channels)
            words += [
                f"{key}={setting_text(value)}"
                for key, value in made["settings"].items()
                if key != "pretrain.iterations" and value != usual.get(key)
            ]
        said[name] = ", ".join(words)
    return said


def _iterations(plan: Plan) -> str:
    learn = plan.config.learn
    if learn.iterations is not None:
        return f"{learn.iterations} in every round"
    return (
        f"{learn.iterations_per_label:g} per label, at least {learn.iterations_floor}, "
        f"at most {learn.iterations_ceiling}"
    )
