"""Commands that run and report whole studies from a file."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from fewmasks.cli.progress import progress
from fewmasks.cli.typed import TYPED

if TYPE_CHECKING:
    from fewmasks.study.series import Found

study = typer.Typer(
    name="study",
    help="Run a study from a file, over several data sets and arms; report it.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@study.command("run")
def run_(
    file: Annotated[Path, typer.Argument(metavar="FILE.toml", help="The study file.")],
    out: Annotated[Path, typer.Option(help="Folder for the runs, the table and the report.")],
    executor: Annotated[
        Literal["local"], typer.Option(help="Where the work is done: processes on this machine.")
    ] = "local",
    workers: Annotated[int | None, typer.Option(help="Processes; default: one per core.")] = None,
) -> None:
    """Simulate every arm of every task; goes on where it was stopped."""
    from fewmasks.study.series import run_study

    del executor  # there is one so far
    with progress() as report:
        found = run_study(file, out, workers, report, typer.echo, command=TYPED.get())
    _tell(out, found)


@study.command("report")
def report_(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The --out of a study.")],
) -> None:
    """Write curve.csv, table.csv and report.html again, from the runs that are there."""
    from fewmasks.study.series import report_study

    _tell(folder, report_study(folder, typer.echo))


def _tell(out: Path, found: "Found") -> None:
    for line in found.sentences:
        typer.echo(line)
    typer.echo(f"next: open {out / 'report.html'}")
