"""`fewmasks serve`: one link, quickly; who may listen where; and users."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.server import made
from typer.testing import CliRunner

from fewmasks.cli.main import app, run
from fewmasks.server.accounts import sign_in

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = [sys.executable, "-c", "from fewmasks.cli.main import main; main()", "serve"]


@pytest.fixture
def folder(tmp_path):
    return made.asking(tmp_path).folder


def refused(capsys, words: str, *args: object) -> None:
    capsys.readouterr()
    assert run(app, ["serve", *map(str, args)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert words in err


def test_other_computers_need_users(capsys, folder):
    refused(capsys, "--add-user NAME", folder, "--host", "0.0.0.0")


def test_a_port_that_is_taken(capsys, folder):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused(capsys, f"--port: {port} on 127.0.0.1 cannot be had", folder, "--port", port)


def test_an_address_that_is_none(capsys, folder, tmp_path):
    refused(capsys, "not a fewmasks project", tmp_path)


def test_what_is_missing_is_named(capsys, folder, monkeypatch):
    for name in [*sys.modules]:
        if name.startswith(("fewmasks.server", "fastapi")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "fastapi", None)
    refused(capsys, "fastapi: not installed; run: pip install 'fewmasks[serve]'", folder)


def test_answers_are_not_held_back():
    """Without it each answer in two parts takes 40 ms longer."""
    from fewmasks.server.run import _listen

    with (
        _listen("127.0.0.1", 0) as listening,
        socket.create_connection(listening.getsockname()),
        listening.accept()[0] as accepted,
    ):
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def add(folder: Path, *options: str, typed: str) -> object:
    args = ["serve", str(folder), "--add-user", *options]
    return CliRunner().invoke(app, args, input=typed)


@pytest.mark.slow
def test_a_user_is_added(folder):
    from fewmasks.project import open_project

    done = add(folder, "ann", "--role", "reviewer", typed="correct horse\ncorrect horse\n")
    assert done.exit_code == 0, done.output
    assert "ann may sign in as reviewer" in done.output
    assert "correct horse" not in done.output
    known = sign_in(open_project(folder).engine, "ann", "correct horse")
    assert (known.name, known.role) == ("ann", "reviewer")


def test_a_password_that_is_typed_otherwise_or_too_short(folder):
    done = add(folder, "ann", typed="correct horse\nwrong horse\n")
    assert done.exit_code == 1
    assert "may sign in" not in done.output
    assert "give 8 to 1024" in str(add(folder, "ann", typed="short\nshort\n").exception)


@pytest.mark.slow
def test_one_link_and_nothing_else(capsys, folder):
    began = time.monotonic()
    server = subprocess.Popen(
        [*PROGRAM, str(folder), "--port", "0"], cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    link = server.stdout.readline()
    took = time.monotonic() - began
    refused(capsys, "is being served already", folder, "--port", 0)
    os.kill(server.pid, signal.SIGINT)
    out, err = server.communicate()
    assert link.startswith("http://127.0.0.1:")
    assert "/?token=" in link
    assert out == ""
    assert "Traceback" not in err
    assert took < 10, "a tenth of it where nothing else runs"


@pytest.mark.slow
def test_the_server_never_imports_torch(folder):
    program = f"""
import sys
from pathlib import Path
from tests.server import made
from tests.project import made as projects
from fewmasks.project import open_project
project = open_project(Path({str(folder)!r}))
tab = made.page(project)
tab.label("p0", projects.mask_of())
for path in ("project", "queue", "items/p0", "items/p0/image.png", "dashboard", "jobs/current"):
    assert tab.get(path).is_success, path
print(*sorted({{"torch", "monai", "skimage", "pandas"}} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr
