"""A lock of one process at a time."""

import subprocess
import sys

import pytest

from fewmasks.errors import ProjectError
from fewmasks.io.lock import held

HOLDER = """
import sys
from pathlib import Path
from fewmasks.io.lock import held
with held(Path(sys.argv[1]), "taken"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_one_is_refused_until_the_first_lets_go(tmp_path):
    lock = tmp_path / "lock"
    with held(lock, "taken"), pytest.raises(ProjectError, match="taken"), held(lock, "taken"):
        pass
    with held(lock, "taken"):
        assert lock.exists()


def test_a_killed_holder_holds_nothing(tmp_path):
    lock = tmp_path / "lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(lock)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(ProjectError, match="taken"), held(lock, "taken"):
            pass
        holder.kill()
    with held(lock, "taken"):
        pass
