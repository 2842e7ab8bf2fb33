"""Progress on the terminal: bars for people, a few lines for logs."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer

Report = Callable[[str, int, int], None]


@contextmanager
def progress() -> Iterator[Report]:
    """A report for long work: bars where a person watches, a line per finished task elsewhere."""
    if not sys.stderr.isatty():
        yield _line
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TimeRemainingColumn

    columns = (
        "{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    # Lines that are printed meanwhile go above the bars, unless they go to a file.
    above = sys.stdout.isatty()
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, redirect_stdout=above) as bars:
        tasks: dict[str, TaskID] = {}

        def report(what: str, done: int, of: int) -> None:
            total = None if of < 0 else of
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done, total=total)
            if done == of:
                bars.remove_task(tasks.pop(what))

        yield report


def _line(what: str, done: int, of: int) -> None:
    if done == of:
        typer.echo(f"{what}: {done} done", err=True)
