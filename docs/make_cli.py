"""Write docs/cli.md from the commands themselves; `--check` only says whether it is up to date."""

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

from fewmasks.cli.main import app

PAGE = Path(__file__).with_name("cli.md")
HEAD = """\
# Command line

Written by `docs/make_cli.py` from the commands themselves; do not edit by hand.
Every command exits with 0 when it did what was asked, and with 2 and one line
`where: what is wrong (the value); what to do` when you can mend it.
"""


def leaves(command: Any, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command below `command` that has no further commands, with the words that call it."""
    below = getattr(command, "commands", None)
    if below is None:
        yield words, command
        return
    for name, child in below.items():
        if not child.hidden:
            yield from leaves(child, (*words, name))


def section(words: tuple[str, ...], command: Any) -> str:
    """Markdown of one command: what it does, how it is called, its options."""
    context = command.context_class(command, info_name=" ".join(words))
    usage = command.get_usage(context).removeprefix("Usage: ")
    records = [param.get_help_record(context) for param in command.params]
    options = [f"- `{names}` {escape(text)}".rstrip() for names, text in filter(None, records)]
    about = escape(inspect.cleandoc((command.help or "").split("\f")[0]))
    return "\n".join(
        [f"## {' '.join(words)}\n", f"{about}\n", f"```text\n{usage}\n```\n", *options]
    )


def escape(text: str) -> str:
    """Text in which Markdown sees no HTML."""
    return text.replace("&", "&amp;").replace("<", "&lt;")


def page() -> str:
    """The whole reference."""
    commands = leaves(typer.main.get_command(app), ("fewmasks",))
    return "\n".join([HEAD, *(section(words, command) + "\n" for words, command in commands)])


if __name__ == "__main__":
    if "--check" not in sys.argv:
        PAGE.write_text(page(), encoding="utf-8")
    elif not PAGE.exists() or PAGE.read_text(encoding="utf-8") != page():
        sys.exit("docs/cli.md: not what the commands say; run: python docs/make_cli.py")
