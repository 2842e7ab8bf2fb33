"""The command that serves the labelling page."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from fewmasks.errors import MissingExtra

OPTIONAL = ("fastapi", "starlette", "uvicorn")
"""What the labelling page stands on, and nothing else needs."""


def serve(
    project: Annotated[Path, typer.Argument(metavar="PROJECT", help="Folder of the project.")],
    host: Annotated[
        str, typer.Option(help="Address to listen at; another than this computer's needs users.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen at; 0 takes any.")
    ] = 8000,
    add_user: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Make a user, or change the password; then leave."),
    ] = None,
    role: Annotated[
        Literal["annotator", "reviewer", "owner"],
        typer.Option(help="What that user may do; reviewers and owners may train."),
    ] = "annotator",
) -> None:
    """Label in the browser, at the link that this prints; Ctrl-C ends it."""
    if add_user is not None:
        _add_user(project, add_user, role)
        return
    try:
        from fewmasks.server import run
    except ModuleNotFoundError as missing:
        if missing.name not in OPTIONAL:
            raise
        raise MissingExtra.of(missing.name, "serve") from None
    run.serve(project, host, port, typer.echo)


def _add_user(project: Path, name: str, role: Literal["annotator", "reviewer", "owner"]) -> None:
    from fewmasks.project import open_project
    from fewmasks.server.accounts import add_user

    engine = open_project(project).engine
    password = typer.prompt("Password", hide_input=True, confirmation_prompt="Once more", err=True)
    add_user(engine, name, role, password)
    typer.echo(f"{name} may sign in as {role}")
    typer.echo(f"next: fewmasks serve {project} --host 0.0.0.0")


COMMANDS = (serve,)
