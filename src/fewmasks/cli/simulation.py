"""The command that plays the whole loop with known masks."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from fewmasks.cli.progress import progress
from fewmasks.cli.typed import TYPED
from fewmasks.cli.work import Folder, Settings
from fewmasks.errors import ConfigError

if TYPE_CHECKING:
    from fewmasks.study.plan import Annotation


def simulate(
    project: Folder,
    strategy: Annotated[str, typer.Option(help="Names of strategies, joined by commas.")],
    rounds: Annotated[int, typer.Option(help="Rounds, the random start set included.")] = 5,
    limit: Annotated[int, typer.Option(help="Items labelled in each round.")] = 20,
    seeds: Annotated[int, typer.Option(help="Repetitions; strategies are paired by seed.")] = 1,
    start: Annotated[
        str,
        typer.Option(
            help="Where trainings start: scratch, byol, group, cluster, dense, imagenet or a "
            "FILE of weights; several joined by commas. What is missing is pre-trained first."
        ),
    ] = "scratch",
    annotation: Annotated[
        str,
        typer.Option(
            help="What the oracle answers with: mask, scribble, either (what gains more a minute, "
            "by cost.scribble_worth), or watershed (a word to its outlines); several by commas."
        ),
    ] = "mask",
    iterations: Annotated[int | None, typer.Option(help="Training steps in every round.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for curve.csv, picks.csv and report.html.")
    ] = None,
    keep_models: Annotated[
        bool, typer.Option("--keep-models", help="Keep the models of the last round.")
    ] = False,
    workers: Annotated[int | None, typer.Option(help="Processes; default: one per core.")] = None,
    settings: Settings = None,
) -> None:
    """Play the loop with the reference masks as annotator and compare strategies."""
    from fewmasks.project import open_project
    from fewmasks.study.plan import Plan
    from fewmasks.study.run import default_out
    from fewmasks.study.run import simulate as run

    opened = open_project(project)
    changes = [*(settings or []), *([f"learn.iterations={iterations}"] if iterations else [])]
    plan = Plan(
        strategies=names_in(strategy),
        rounds=rounds,
        limit=limit,
        seeds=seeds,
        annotations=kinds_of(annotation),
        starts=names_in(start),
        config=opened.config.with_settings(changes),
        keep_models=keep_models,
    )
    folder = out or default_out(opened, plan)
    with progress() as report:
        curve = run(opened, plan, folder, workers, report, command=TYPED.get())
    differ = [name for name in ("start", "annotation") if curve[name].nunique() > 1]
    table = curve.groupby([*differ, "strategy", "items"], sort=False)["dice"].agg(
        ["mean", "std", "count"]
    )
    typer.echo(table.round(4).to_string())
    typer.echo(f"next: open {folder / 'report.html'}")


def names_in(text: str) -> tuple[str, ...]:
    """Names joined by commas."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def kinds_of(text: str) -> "tuple[Annotation, ...]":
    """Kinds of annotation joined by commas."""
    from fewmasks.study.plan import Annotation

    known: tuple[Annotation, ...] = get_args(Annotation)
    names = names_in(text)
    for name in names:
        if name not in known:
            raise ConfigError(f"--annotation: no kind {name!r}; use one of {', '.join(known)}")
    return tuple(kind for name in names for kind in known if kind == name)


COMMANDS = (simulate,)
