"""The `fewmasks` command."""

import errno
import os
import shlex
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

from fewmasks import __version__
from fewmasks.cli import about, serve, simulation, studies, work
from fewmasks.cli.typed import TYPED
from fewmasks.errors import FewmasksError

NAME = "fewmasks"
# What the parser raises for a wrong option; typer exports its child alone.
UsageError: type[Any] = typer.BadParameter.__mro__[1]

OF_THE_SYSTEM = {
    errno.EACCES: "permission denied; name another place, or change its permissions",
    errno.EPERM: "permission denied; name another place, or change its permissions",
    errno.EROFS: "cannot be written to; name another place",
    errno.ENOSPC: "the disk is full; make room, and the same command goes on from here",
    errno.EDQUOT: "the disk quota is used up; make room, and the same command goes on from here",
    errno.EEXIST: "exists and is no folder; name another place",
    errno.ENOTDIR: "lies in a file that is no folder; name another place",
}
"""What the system refuses, and what to do about it."""

app = typer.Typer(
    name=NAME,
    help="Train a good segmentation model from few masks.",
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (*work.COMMANDS, *serve.COMMANDS, *simulation.COMMANDS, *about.COMMANDS):
    app.command(command.__name__.rstrip("_"))(command)
app.add_typer(studies.study)


def _show_version(is_wanted: bool | None) -> None:
    if is_wanted:
        typer.echo(f"{NAME} {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool | None,  # the parser gives None where it was not said
        typer.Option(
            "--version",
            help="Print the version and leave.",
            callback=_show_version,
            is_eager=True,
        ),
    ] = None,
) -> None:
    """Train a good segmentation model from few masks."""
    del version


def main() -> None:
    """Run a command: 0 when done, 2 with one line for what the user can mend, 130 for Ctrl-C."""
    sys.exit(run(app, sys.argv[1:] or ["--help"]))


def run(command: Callable[..., Any], args: list[str]) -> int:
    """The exit status of a command; what the user can mend is one line on stderr."""
    try:
        TYPED.set(shlex.join([NAME, *args]))
        status = command(args, prog_name=NAME, standalone_mode=False) or 0
        sys.stdout.flush()
    except FewmasksError as error:
        return _refuse(str(error))
    except UsageError as error:
        return _refuse(_sentence(error))
    except BrokenPipeError:
        # Whoever read our lines has had enough; the interpreter would complain on leaving.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        if error.errno not in OF_THE_SYSTEM:
            raise
        return _refuse(f"{error.filename or 'disk'}: {OF_THE_SYSTEM[error.errno]}")
    except KeyboardInterrupt:
        status = 130
    if status == 130:
        typer.echo(f"{NAME}: interrupted; the same command goes on from here", err=True)
    return status


def _refuse(sentence: str) -> int:
    typer.echo(f"{NAME}: {' '.join(sentence.split())}", err=True)
    return 2


def _sentence(error: Any) -> str:
    command = error.ctx.command_path if error.ctx else NAME
    where = f"{command.removeprefix(NAME).strip()}: ".removeprefix(": ")
    return f"{where}{error.format_message().rstrip('.')}; see `{command} --help`"
