"""Training and asking again: progress, ends of every kind, and what outlives the server."""

import asyncio
import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest
from tests.server import made
from tests.study import made as studies

from fewmasks.project import open_project
from fewmasks.server import jobs
from fewmasks.server.desk import Desk
from fewmasks.server.sessions import Link

QUICK = """
import json, os, sys
assert os.environ["FEWMASKS_PROGRESS"] == "json"
print("folder", sys.argv[1], *sys.argv[2:])
print(json.dumps({"what": "training", "done": 2, "of": 10}), file=sys.stderr)
print("{not json}")
print(json.dumps({"state": "done"}))
"""
WAITS = """
import json, subprocess, sys, time
print(json.dumps({"what": "training", "done": 3, "of": 10}), flush=True)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("child", child.pid, flush=True)
time.sleep(600)
"""
DIES = """
import os, signal
print("about to die", flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
FAILS = """
import json
print("fewmasks: no labels yet; label first")
print(json.dumps({"state": "failed"}))
raise SystemExit(1)
"""


def program(text: str) -> tuple[str, ...]:
    return sys.executable, "-c", text


@pytest.fixture
def project(tmp_path):
    return made.asking(tmp_path)


def wait_until(tab, is_so, seconds: float = 20.0) -> dict:
    until = time.monotonic() + seconds
    while not is_so(seen := tab.get("jobs/current").json()):
        assert time.monotonic() < until, seen
        time.sleep(0.02)
    return seen


def ended(seen: dict) -> bool:
    return seen["state"] != "running"


def test_a_job_that_is_done(project):
    tab = made.page(project, work=program(QUICK))
    assert tab.get("jobs/current").json()["state"] == "none"
    made.refused(tab.send("DELETE", "jobs/current"), 409, "none runs")
    assert tab.post("jobs", {"strategy": "clasp-pe", "limit": 5}).status_code == 202
    seen = wait_until(tab, ended)
    assert (seen["state"], seen["what"], seen["done"], seen["of"]) == ("done", "training", 2, 10)
    assert seen["lines"] == [
        f"folder {project.folder} --strategy clasp-pe --limit 5", "{not json}"
    ]  # fmt: skip
    assert (seen["line"], seen["by"]) == ("{not json}", "me")
    assert seen["started"] < seen["ended"]
    assert tab.send("POST", "jobs").json() == {"id": 2}  # nothing need be said
    wait_until(tab, ended)


@pytest.mark.parametrize(
    "body", [{"strategy": "--set x"}, {"strategy": ""}, {"limit": 0}, {"x": 1}]
)
def test_options_that_are_none(project, body):
    made.refused(made.page(project, work=program(QUICK)).post("jobs", body), 422)


def test_only_one_job_runs_and_cancelling_ends_all_its_processes(project):
    tab = made.page(project, work=program(WAITS))
    tab.post("jobs", {})
    seen = wait_until(tab, lambda seen: seen["line"])
    assert (seen["state"], seen["done"]) == ("running", 3)
    made.refused(tab.post("jobs", {}), 409, "me started one")
    assert len(list((project.folder / "jobs").iterdir())) == 1
    child = int(seen["line"].split()[1])
    seen = tab.send("DELETE", "jobs/current").json()
    assert seen["state"] == "cancelled"
    until = time.monotonic() + 10
    while is_running(child):
        assert time.monotonic() < until
        time.sleep(0.02)
    made.refused(tab.send("DELETE", "jobs/current"), 409)
    assert tab.post("jobs", {}).status_code == 202
    tab.send("DELETE", "jobs/current")


def is_running(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    if status.parent.parent.is_dir() and Path("/proc/self/stat").exists():
        return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize(
    ("text", "line"),
    [(DIES, "the job died; its last line: about to die"), (FAILS, "fewmasks: no labels yet")],
)
def test_a_job_that_fails(project, text, line):
    tab = made.page(project, work=program(text))
    tab.post("jobs", {})
    seen = wait_until(tab, ended)
    assert seen["state"] == "failed"
    assert seen["line"].startswith(line)
    assert seen["ended"] is not None


def test_a_new_server_knows_the_job_that_an_old_one_started(project):
    tab = made.page(project, work=program(WAITS))
    tab.post("jobs", {})
    seen = wait_until(tab, lambda seen: seen["line"])
    other = made.page(open_project(project.folder))
    assert other.get("jobs/current").json() == seen
    made.refused(other.post("jobs", {}), 409)
    with project.engine.begin() as connection:
        pid = connection.exec_driver_sql("SELECT pid FROM job").scalar()
    os.killpg(pid, signal.SIGKILL)
    seen = wait_until(other, ended)
    assert (seen["state"], seen["line"].split()[:3]) == ("failed", ["the", "job", "died;"])
    assert tab.get("jobs/current").json() == seen


def test_a_server_that_died_before_its_job_began(project):
    with project.engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO job (by, state, log, started) VALUES ('me', 'running', 'jobs/x.log', '')"
        )
    tab = made.page(project, work=program(QUICK))
    assert tab.get("jobs/current").json()["state"] == "failed"
    assert tab.post("jobs", {}).status_code == 202
    assert wait_until(tab, ended)["state"] == "done"


def test_events_tell_every_change_and_end_with_the_job(project):
    tab = made.page(project, work=program(QUICK))
    assert events(tab) == [tab.get("jobs/current").json()]
    tab.post("jobs", {})
    told = events(tab)
    assert told[-1]["state"] == "done"
    assert {each["state"] for each in told[:-1]} <= {"running"}
    assert told[-1] == tab.get("jobs/current").json()


@pytest.mark.slow
def test_events_of_a_quiet_job_keep_the_line_open(project, monkeypatch):
    monkeypatch.setattr(jobs, "QUIET_SECONDS", 0.0)
    tab = made.page(project, work=program(WAITS))
    tab.post("jobs", {})

    async def listen() -> list[str]:
        found = []
        async for text in jobs.job_events(project, lambda: False):
            found.append(text)
            if text.startswith(":"):
                tab.send("DELETE", "jobs/current")
        return found

    told = asyncio.run(listen())
    assert ": still running\n\n" in told
    assert json.loads(told[-1].removeprefix("data: "))["state"] == "cancelled"


def test_events_end_with_the_server(project):
    tab = made.page(project, work=program(WAITS), is_stopping=lambda: True)
    tab.post("jobs", {})
    assert events(tab) == []
    tab.send("DELETE", "jobs/current")


def events(tab) -> list[dict]:
    answer = tab.get("jobs/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["x-frame-options"] == "DENY"
    blocks = [block for block in answer.text.split("\n\n") if block]
    return [json.loads(block.removeprefix("data: ")) for block in blocks if block[0] != ":"]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_train_and_ask_again(tmp_path):
    """The real program: it asks, waits for what is open, trains, predicts, and asks again."""
    project = studies.pictures(tmp_path)
    (project.folder / "project.toml").write_text(
        '[learn]\nsize = 32\niterations = 5\nbatch = 4\nprecision = "fp32"\ndevice = "cpu"\n'
    )
    tab = made.Page(Desk(project, Link()))
    tab.post("jobs", {"limit": 2})
    seen = wait_until(tab, ended, 180.0)
    assert (seen["state"], seen["lines"][0][:12]) == ("done", "no label yet"), seen
    first, second = [each["item"] for each in tab.get("queue").json()["items"]]
    mask = studies.blob(0)[1]
    assert tab.label(first, mask).json()["next"] == second
    tab.post("jobs", {"limit": 2})
    seen = wait_until(tab, ended, 180.0)
    assert seen["state"] == "done", seen
    assert "1 items of the round are still open: no new ones are asked for" in seen["lines"]
    told = tab.get(tab.item(second)).json()
    assert (told["prediction"], told["uncertainty"]) == (True, True)
    for which in ("prediction", "uncertainty"):
        assert made.pixels(tab.get(tab.item(second, f"/{which}.png"))).shape == (32, 32)
    assert len(tab.get("dashboard").json()["curve"]) == 1
    tab.label(second, mask)
    tab.post("jobs", {"limit": 3, "strategy": "random"})
    seen = wait_until(tab, ended, 180.0)
    assert seen["state"] == "done", seen
    queue = tab.get("queue").json()
    assert (queue["round"], queue["strategy"], len(queue["items"])) == (1, "random", 3)
    assert {p.name for p in (project.folder / "predictions").iterdir()} == {"outlines.json"} | {
        f"{row}{which}.png"
        for row in project.pool.rows([each["item"] for each in queue["items"]])
        for which in ("", "-uncertainty")
    }
    assert [point["items"] for point in tab.get("dashboard").json()["curve"]] == [1, 2]
