"""A strategy in a package of its own: built, installed beside nothing else, and used by name."""

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.study import made

from fewmasks.testing import LAWS

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "third_party_strategy"
FEWMASKS = ["-c", "from fewmasks.cli.main import main; main()"]
FAST = [word for setting in made.FAST for word in ("--set", setting)]
NAME = "farthest-uncertain"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """A copy of the example, and its wheel unpacked into a folder of its own; no network."""
    folder = tmp_path_factory.mktemp("theirs")
    shutil.copytree(EXAMPLE, folder / "source", ignore=shutil.ignore_patterns("__pycache__", ".*"))
    offline = ["--no-index", "--no-deps", "--no-build-isolation", "--no-cache-dir"]
    python(
        {}, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *offline,
        "--target", folder / "site", folder / "source",
    )  # fmt: skip
    return folder


def python(env, *words, cwd=None) -> str:
    found = subprocess.run(
        [sys.executable, *map(str, words)],
        env=os.environ | env, cwd=cwd, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stdout + found.stderr
    return found.stdout


def with_it(package, *words, cwd=None) -> str:
    return python({"PYTHONPATH": str(package / "site")}, *words, cwd=cwd)


def test_the_wheel_holds_the_module_and_its_entry_point(package):
    installed = {path.name for path in (package / "site").iterdir()} - {"__pycache__"}
    assert installed == {"farthest_uncertain.py", "fewmasks_farthest_uncertain-0.1.0.dist-info"}


def test_it_is_listed_last_and_cited(package):
    listed = with_it(package, *FEWMASKS, "strategies")
    last = [line for line in listed.splitlines() if not line.startswith(" ")][-1]
    assert last == NAME
    assert listed.partition(f"\n{NAME}\n")[2].startswith("  needs entropy, embedding\n")
    assert with_it(package, *FEWMASKS, "cite", NAME) == "% An example of fewmasks; no paper\n"


def test_it_obeys_the_laws(package):
    out = with_it(
        package, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests", cwd=package / "source"
    )
    assert f"{len(LAWS) + 2} passed" in out


def test_it_plays_the_loop(package, tmp_path):
    project = made.pictures(tmp_path).folder
    out = tmp_path / "out"
    with_it(
        package, *FEWMASKS, "simulate", project, "--strategy", NAME, "--rounds", 2,
        "--limit", 2, "--seeds", 1, "--out", out, *FAST,
    )  # fmt: skip
    with (out / "picks.csv").open(newline="", encoding="utf-8") as file:
        picks = [row for row in csv.DictReader(file) if row["strategy"] == NAME]
    assert len(picks) == 4
    assert picks[-1]["reason"].startswith("entropy higher than")


def test_it_chooses_a_round_for_people(package, tmp_path):
    project = str(made.pictures(tmp_path).folder)
    lines = [
        ["label", project, "--from-reference", "--items", "p00", "--items", "p01"],
        ["train", project, *FAST],
        ["next", project, "--strategy", NAME, "--limit", "2", *FAST],
    ]
    program = (
        "from fewmasks.cli.main import app, run\n"
        f"assert [run(app, words) for words in {lines!r}] == [0, 0, 0]"
    )
    assert f"round 0, {NAME}: label these 2 items" in with_it(package, "-c", program)
