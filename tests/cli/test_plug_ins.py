"""A strategy of others that does not fit is one line and status two, whatever the command."""

import pytest
from tests.study import made

from fewmasks.cli.main import app, run

BROKEN = {
    "wrong type": ("STRATEGY = 'theirs'", "its entry point gives a str, not a Strategy"),
    "taken name": (
        "from fewmasks.query.strategies.random import STRATEGY",
        "the strategy name 'random' is taken",
    ),
    "missing library": (
        "import a_library_that_nobody_has",
        "its strategy 'theirs' cannot be loaded (No module named 'a_library_that_nobody_has')",
    ),
    "missing name": ("PLAN = 1", "has no attribute 'STRATEGY'"),
}
COMMANDS = [
    pytest.param("strategies", id="strategies"),
    pytest.param("cite random", id="cite"),
    pytest.param("simulate {p} --strategy random --limit 1 --rounds 1", id="simulate"),
    # Slow, as it imports torch.
    pytest.param("next {p} --strategy random --limit 1", id="next", marks=pytest.mark.slow),
]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return made.pictures(tmp_path_factory.mktemp("plug-ins")).folder


@pytest.fixture
def install(tmp_path, monkeypatch):
    """A distribution as an installer leaves it: the module and what it offers."""

    def write(name, code):
        (tmp_path / f"{name}.py").write_text(code + "\n")
        described = tmp_path / f"{name}-1.0.dist-info"
        described.mkdir()
        (described / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        offer = f"[fewmasks.strategies]\ntheirs = {name}:STRATEGY\n"
        (described / "entry_points.txt").write_text(offer)
        monkeypatch.syspath_prepend(tmp_path)

    return write


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_plug_in_is_named_in_one_line(fault, command, project, install, capsys):
    code, said = BROKEN[fault]
    owner = f"broken_{fault.replace(' ', '_')}"
    install(owner, code)
    before = sorted(project.rglob("*"))
    capsys.readouterr()
    status = run(app, command.format(p=project).split())
    out, err = capsys.readouterr()
    assert (status, out) == (2, ""), err
    assert err.startswith(f"fewmasks: {owner}: ")
    assert said in err
    assert f"uninstall {owner}" in err
    assert err.count("\n") == 1
    assert sorted(project.rglob("*")) == before
