"""Progress on the terminal: bars for people, a few lines for logs, JSON for programs."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer

Report = Callable[[str, int, int], None]
SECONDS_BETWEEN = 0.2
"""Between two lines of JSON about one task; its last one always comes."""


@contextmanager
def progress() -> Iterator[Report]:
    """A report for long work: bars where a person watches, a line per finished task elsewhere.

    With the environment variable FEWMASKS_PROGRESS=json it is one object a line on stderr:
    {"what": ..., "done": ..., "of": ...}.
    """
    if os.environ.get("FEWMASKS_PROGRESS") == "json":
        yield _as_json()
        return
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


def _as_json() -> Report:
    told: dict[str, float] = {}

    def report(what: str, done: int, of: int) -> None:
        now = time.monotonic()
        if done == of or now - told.get(what, -SECONDS_BETWEEN) >= SECONDS_BETWEEN:
            told[what] = now
            typer.echo(json.dumps({"what": what, "done": done, "of": of}), err=True)

    return report
