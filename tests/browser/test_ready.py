"""What the tests in a browser need: a lock for every computer, and a word where one is missing."""

import json
from pathlib import Path

import pytest
from tests.browser import made

LOCK = Path(__file__).parents[2] / "ui" / "package-lock.json"


def test_the_lock_holds_the_packages_of_every_platform():
    """Else `npm ci` finds nothing to build with on another kind of computer."""
    packages = json.loads(LOCK.read_text(encoding="utf-8"))["packages"]
    wanted = {name for each in packages.values() for name in each.get("optionalDependencies", ())}
    assert {"@rolldown/binding-darwin-arm64", "@rolldown/binding-linux-x64-gnu"} <= wanted
    held = {path.rpartition("node_modules/")[2] for path in packages}
    assert wanted - held == set()


@pytest.mark.parametrize(
    ("asked", "raised"), [("required", pytest.fail.Exception), ("", pytest.skip.Exception)]
)
def test_what_is_missing_is_told(monkeypatch, asked, raised):
    monkeypatch.setenv("FEWMASKS_BROWSER_TESTS", asked)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(raised, match="Chromium is not installed"):
        made.chromium()
