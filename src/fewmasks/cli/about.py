"""Commands that tell: strategies, formats, cite, doctor; and the demo."""

from pathlib import Path
from typing import Annotated

import typer

from fewmasks.errors import ConfigError


def strategies() -> None:
    """List the query strategies: what they need, when to use them, where they come from."""
    from fewmasks.query.strategies import load_strategies

    given = {"unlabelled", "labelled", "limit", "rng", "progress", "rounds", "foreground"}
    for strategy in load_strategies().values():
        needs = ", ".join(name for name in strategy.needs if name not in given) or "nothing"
        typer.echo(f"{strategy.name}\n  needs {needs}")
        if strategy.advice:
            typer.echo(f"  {strategy.advice}")
        typer.echo(f"  {strategy.reference}")


def formats() -> None:
    """List the image formats that can be read."""
    from fewmasks.io import FORMATS

    for each in FORMATS:
        typer.echo(f"{each.name}  {' '.join(each.suffixes)}")
        if each.guidance:
            typer.echo(f"  {each.guidance}")


def cite(
    strategy: Annotated[str | None, typer.Argument(help="Name of a strategy.")] = None,
) -> None:
    """Print BibTeX for a strategy, or for all of them."""
    from fewmasks.query.strategies import load_strategies

    table = load_strategies()
    if strategy is not None and strategy not in table:
        raise ConfigError(f"cite: no strategy {strategy!r}; `fewmasks strategies` lists them")
    chosen = table.values() if strategy is None else [table[strategy]]
    entries = dict.fromkeys(each.bibtex.strip() or f"% {each.reference}" for each in chosen)
    typer.echo("\n\n".join(entries))


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the project and the report.")] = Path(
        "demo"
    ),
) -> None:
    """Run the main job on brain slices that need no download."""
    from fewmasks.cli.progress import progress
    from fewmasks.study.demo import run_demo

    with progress() as report:
        result = run_demo(out, typer.echo, report)
    typer.echo(result.verdict)
    typer.echo(f"report:  {result.report}")
    typer.echo(f"project: {result.project} (fewmasks info {result.project})")


def doctor() -> None:
    """Say what is installed, what is missing, and what each missing piece costs."""
    from fewmasks.cli.doctor import findings

    for finding in findings():
        mark = "ok     " if finding.is_there else "missing"
        typer.echo(f"{mark}  {finding.what}: {finding.says}")


COMMANDS = (strategies, formats, cite, demo, doctor)
