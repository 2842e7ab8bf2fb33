"""The documentation says what the code does: names, commands, links, and nothing left over."""

import importlib
import re
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

import fewmasks
from fewmasks.cli.main import app
from fewmasks.io import FORMATS
from fewmasks.query.strategies import STRATEGIES

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]
PAGE_NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]

FENCE = re.compile(r"^ *```(\w*)[^\n]*\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)\s#]+)")
# What a strategy always gets; the table of the page lists what it asks for beyond that.
ALWAYS_THERE = {"unlabelled", "labelled", "limit", "rng", "progress", "rounds", "foreground"}


def blocks(languages: set[str]) -> Iterator[tuple[str, str]]:
    """Page and text of every fenced block in one of these languages."""
    for name, page in zip(PAGE_NAMES, PAGES, strict=True):
        for language, text in FENCE.findall(page.read_text(encoding="utf-8")):
            if language in languages:
                yield name, textwrap.dedent(text)


def shell_commands() -> list[tuple[str, str]]:
    """Page and text of every `fewmasks ...` line that the pages tell a reader to type."""
    return [
        (name, line.strip())
        for name, text in blocks({"bash", "sh", "shell", "console"})
        for line in text.replace("\\\n", " ").splitlines()
        if line.strip().startswith("fewmasks ")
    ]


def table(page: Path) -> dict[str, list[str]]:
    """Rows of the tables whose first cell is `code`: its text, then the other cells."""
    rows = re.findall(r"^\| *`([^`|]+)` *\|(.*)\|$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {name: [cell.strip() for cell in rest.split("|")] for name, rest in rows}


def find(words: list[str]) -> tuple[Any, list[str]]:
    """The command that these words call, and the words after it."""
    command = typer.main.get_command(app)
    while words and words[0] in getattr(command, "commands", {}):
        command, words = command.commands[words[0]], words[1:]
    return command, words


def tracked() -> list[Path]:
    """Files that belong to the project."""
    command = ["git", "ls-files"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip("not a git checkout, so what belongs to the project is not known")
    return [ROOT / name for name in done.stdout.splitlines() if (ROOT / name).is_file()]


def test_every_strategy_is_documented_with_what_it_needs():
    told = {
        name: set(re.findall(r"`(\w+)`", cells[0]))
        for name, cells in table(DOCS / "strategies.md").items()
    }
    true = {name: set(one.needs) - ALWAYS_THERE for name, one in STRATEGIES.items()}
    assert told == true


def test_every_format_is_documented_with_its_suffixes():
    told = {
        name: set(re.findall(r"`(\.[\w.]+)`", cells[0]))
        for name, cells in table(DOCS / "formats.md").items()
    }
    assert told == {one.name: set(one.suffixes) for one in FORMATS}


def test_the_command_reference_is_what_the_commands_say():
    command = [sys.executable, str(DOCS / "make_cli.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_description_of_the_server_is_what_it_says():
    """The types of the page are made from it; `npm run check` says whether they are current."""
    command = [sys.executable, str(DOCS / "make_openapi.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_there_are_commands_to_check():
    assert len(shell_commands()) > 10


@pytest.mark.parametrize(("page", "line"), shell_commands())
def test_a_command_in_the_pages_is_one_that_exists(page: str, line: str):
    command, words = find(shlex.split(line, comments=True)[1:])
    assert getattr(command, "commands", None) is None or words == ["--help"], (
        f"{page}: no command {line!r}"
    )
    if "--help" in words:
        return
    context = command.context_class(command, info_name=command.name)
    given, left, _ = command.make_parser(context).parse_args(args=words)
    assert left == [], f"{page}: too many arguments in {line!r}"
    missing = [
        param.name for param in command.params if param.required and not given.get(param.name)
    ]
    assert missing == [], f"{page}: {line!r} lacks {missing}"
    named = given.get("strategy") or ()
    for name in [named] if isinstance(named, str) else named:
        assert set(name.split(",")) <= set(STRATEGIES), f"{page}: no such strategy in {line!r}"


def test_python_blocks_compile_and_name_what_exists():
    for name, text in blocks({"python", "py"}):
        compile(text, name, "exec")
        for public in re.findall(r"\bfm\.(\w+)", text):
            assert public in fewmasks.__all__, f"{name}: fewmasks has no {public}"


def test_the_api_page_names_what_exists():
    names = re.findall(r"`(fewmasks(?:\.\w+)+)", (DOCS / "api.md").read_text(encoding="utf-8"))
    assert len(names) > 10
    missing = []
    for name in names:
        module, _, attribute = name.rpartition(".")
        if not hasattr(importlib.import_module(module), attribute):
            missing.append(name)
    assert missing == []


def test_every_public_name_is_on_the_api_page():
    text = (DOCS / "api.md").read_text(encoding="utf-8")
    missing = [name for name in fewmasks.__all__ if f"`fewmasks.{name}" not in text]
    assert missing == []


@pytest.mark.parametrize("name", PAGE_NAMES)
def test_relative_links_lead_somewhere(name: str):
    page = ROOT / name
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    lost = [link for link in LINK.findall(text) if not (page.parent / link).exists()]
    assert lost == []


def test_every_page_is_in_the_menu():
    menu = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")}
    assert {page for page in pages if page not in menu} == set()


def test_the_project_names_no_file_or_folder_that_it_does_not_have():
    """No path of somebody's machine, and no page in capitals that is not part of the project."""
    foreign = re.compile(r"(?<![\w.~}/])/(?:work|home|root|Users|opt|mnt)/\w+|(?<!\w)shared/\w+")
    pages = re.compile(r"\b[A-Z]{4,}\.md\b")
    found = []
    for path in tracked():
        if path.suffix in {".png", ".svg", ".npz"} or path.name in {"conftest.py", "test_docs.py"}:
            continue
        text = path.read_text(encoding="utf-8")
        words = foreign.findall(text) + [p for p in pages.findall(text) if not (ROOT / p).exists()]
        found += [f"{path.relative_to(ROOT)}: {word}" for word in words]
    assert found == []
