"""The command that plays the whole loop with known masks."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from fewmasks.cli.progress import progress
from fewmasks.cli.work import Folder, Settings


def simulate(
    project: Folder,
    strategy: Annotated[str, typer.Option(help="Names of strategies, joined by commas.")],
    rounds: Annotated[int, typer.Option(help="Rounds, the random start set included.")] = 5,
    limit: Annotated[int, typer.Option(help="Items labelled in each round.")] = 20,
    seeds: Annotated[int, typer.Option(help="Repetitions; strategies are paired by seed.")] = 1,
    start: Annotated[Literal["scratch"], typer.Option(help="Where trainings start.")] = "scratch",
    annotation: Annotated[
        Literal["mask", "scribble"], typer.Option(help="What the oracle answers with.")
    ] = "mask",
    iterations: Annotated[int | None, typer.Option(help="Training steps in every round.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for curve.csv, picks.csv and report.html.")
    ] = None,
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
        strategies=tuple(name.strip() for name in strategy.split(",")),
        rounds=rounds,
        limit=limit,
        seeds=seeds,
        annotation=annotation,
        start=start,
        config=opened.config.with_settings(changes),
    )
    folder = out or default_out(opened, plan)
    with progress() as report:
        curve = run(opened, plan, folder, workers, report)
    table = curve.groupby(["strategy", "items"], sort=False)["dice"].agg(["mean", "std", "count"])
    typer.echo(table.round(4).to_string())
    typer.echo(f"next: open {folder / 'report.html'}")


COMMANDS = (simulate,)
