"""Units mapped over processes: every result, errors as they are, and no process left behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.executors import work

from fewmasks.errors import MissingExtra, ProjectError
from fewmasks.executors.local import map_here, map_units

ROOT = Path(__file__).resolve().parents[2]
VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

needs_proc = pytest.mark.skipif(
    not Path("/proc/self").exists(), reason="looks at processes where Linux shows them"
)

# Should it ever hang, it says where before whoever waits for it gives up.
PARENT = """
import faulthandler, sys
from pathlib import Path
from tests.executors import work
from fewmasks.executors.local import map_units
if __name__ == "__main__":
    faulthandler.dump_traceback_later(40)
    folder = Path(sys.argv[1])
    try:
        list(map_units(work.stay, [[folder, folder, folder]], 2, 1, lambda what, done, of: None))
    except KeyboardInterrupt:
        sys.exit(130)
"""


def nobody(what, done, of):
    del what, done, of


def until(condition, seconds=30.0):
    """Poll a condition; whether it came true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


def is_alive(pid: int) -> bool:
    """Zombies are dead: whoever adopted them has only not looked yet."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


@pytest.mark.parametrize("execute", [map_units, map_here])
def test_every_unit_has_its_result_and_stages_come_in_order(execute):
    stages = [[1, 2, 3], [], [4], [5, 6]]
    found = list(execute(work.square, stages, 2, 1, nobody))
    assert sorted(found[:3]) == [1, 4, 9]
    assert found[3] == 16
    assert sorted(found[4:]) == [25, 36]


@pytest.mark.parametrize("execute", [map_units, map_here])
@pytest.mark.parametrize("stages", [[], [[]], [[], []]])
def test_no_units_are_no_processes(execute, stages):
    assert list(execute(work.square, stages, 2, 1, nobody)) == []


@pytest.mark.parametrize("execute", [map_units, map_here])
def test_what_workers_report_arrives(execute):
    heard = []
    list(execute(work.square, [[1, 2]], 2, 1, lambda *event: heard.append(event)))
    assert sorted(heard) == [("square", 1, 2)] * 2 + [("square", 2, 2)] * 2


def test_processes_live_through_all_stages_and_have_their_threads(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    before = {name: os.environ.get(name) for name in VARIABLES}
    found = list(map_units(work.process_of, [[1], [2], [3]], 4, 3, nobody))
    assert len({pid for pid, _, _ in found}) == 1
    assert {threads for _, *threads in map(list, found) for threads in threads} == {"3"}
    assert os.getpid() not in {pid for pid, _, _ in found}
    assert {name: os.environ.get(name) for name in VARIABLES} == before


def test_an_error_of_the_user_keeps_its_sentence():
    with pytest.raises(ProjectError, match=r"^unit 1: is wrong \(1\); take another$"):
        list(map_units(work.fail, [[1]], 1, 1, nobody))
    with pytest.raises(MissingExtra, match=r"^ray: not installed; run: pip install"):
        list(map_units(work.fail, [[2]], 1, 1, nobody))


def test_an_error_of_ours_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError) as caught:
        list(map_units(work.fail, [[3]], 1, 1, nobody))
    assert "in fail" in str(caught.value.__cause__)


def test_a_killed_worker_is_a_sentence():
    with pytest.raises(ProjectError, match=r"a worker process was killed.*fewer --workers"):
        list(map_units(work.die, [[1]], 1, 1, nobody))


def test_interrupts_are_heard_again_afterwards():
    list(map_units(work.square, [[1]], 1, 1, nobody))
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


@needs_proc
def test_a_caller_who_leaves_ends_the_processes(tmp_path):
    heard = map_units(work.process_of, [[1, 2, 3, 4]], 2, 1, nobody)
    pid, *_ = next(heard)
    heard.close()
    assert until(lambda: not is_alive(pid))


@pytest.mark.slow
@needs_proc
@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_no_process_outlives_its_parent(tmp_path, kill):
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)],
        cwd=ROOT, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert until(lambda: len(list(tmp_path.glob("*.pid"))) == 2)
    children = [int(path.stem) for path in tmp_path.glob("*.pid")]
    assert all(map(is_alive, children))
    os.kill(parent.pid, kill)
    assert until(lambda: not any(map(is_alive, children)), seconds=10)
    _, error = parent.communicate()
    if kill == signal.SIGINT:
        assert (parent.returncode, error) == (130, "")


@pytest.mark.slow
@needs_proc
@pytest.mark.parametrize("after", [0.0, 0.1, 0.2, 0.4])
def test_ctrl_c_in_a_terminal_is_answered_by_the_parent_alone(tmp_path, after):
    """A terminal sends it to all processes of the group, also to those that are just starting."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)],
        cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
    assert until(lambda: len(children.read_text().split()) >= 2)  # the first one is the tracker
    until(lambda: False, seconds=after)
    os.killpg(parent.pid, signal.SIGINT)
    _, error = parent.communicate(timeout=60)
    assert (parent.returncode, error) == (130, "")
