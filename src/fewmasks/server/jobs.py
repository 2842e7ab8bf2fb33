"""Training and asking again, in a process of its own that outlives the page and the server.

A job is its log file: its processes write to it and hold a lock on it, which the system lets go
when the last of them dies, however that happens. So any server can say how a job stands.
"""

import asyncio
import fcntl
import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import select
from starlette.concurrency import run_in_threadpool

from fewmasks.project import Project
from fewmasks.project.schema import job, writing
from fewmasks.server.clock import moment
from fewmasks.server.messages import JobState, JobView
from fewmasks.server.refusal import Refusal

FOLDER = "jobs"
TAIL_BYTES = 64 * 1024
MOST_LINES = 20
GRACE_SECONDS = 5.0
POLL_SECONDS = 0.3
QUIET_SECONDS = 15.0
WORK = (sys.executable, "-m", "fewmasks.server.work")


def start_job(project: Project, by: str, options: Sequence[str], program: Sequence[str]) -> int:
    """Start the program on this project; refused while another job runs."""
    log = f"{FOLDER}/{secrets.token_hex(8)}.log"
    (project.folder / FOLDER).mkdir(exist_ok=True)
    with (project.folder / log).open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # the children share it
        given = {"by": by, "state": "running", "log": log, "started": moment()}
        with writing(project.engine).begin() as connection:
            last = connection.execute(select(job).order_by(job.c.id.desc()).limit(1)).first()
            if last is not None and last.state == "running" and _is_alive(project, last.log):
                (project.folder / log).unlink()
                raise Refusal(
                    409, f"job: {last.by} started one at {last.started}; wait for it, or cancel it"
                )
            number = connection.execute(job.insert().returning(job.c.id), given).scalar_one()
        command = [*program, str(project.folder), *options]
        environment = {**os.environ, "FEWMASKS_PROGRESS": "json", "PYTHONUNBUFFERED": "1"}
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=environment,
            start_new_session=True,
        )  # fmt: skip
        threading.Thread(target=child.wait, daemon=True).start()  # so that it leaves no zombie
        with writing(project.engine).begin() as connection:
            connection.execute(job.update().where(job.c.id == number), {"pid": child.pid})
    return number


def current_job(project: Project) -> JobView:
    """The job that runs, or the last one."""
    found = _last(project)
    if found is None:
        return JobView()
    # Before the log is read, so that what a job wrote last is seen.
    alive = found.state == "running" and _is_alive(project, found.log)
    seen = _read(project.folder / found.log)
    said = seen.pop("state")
    state: JobState = found.state
    ended = found.ended
    if found.state == "running" and not alive:
        state, ended = _close(project, found.id, said or "failed")
    if state == "failed" and said != "failed":
        seen["line"] = f"the job died; its last line: {seen['line'] or 'none'}"
    return JobView(
        id=found.id, state=state, by=found.by, started=found.started, ended=ended, **seen
    )


def cancel_job(project: Project) -> JobView:
    """End the processes of the job that runs; what they have stored stays."""
    found = _last(project)
    if found is None or found.state != "running" or not _is_alive(project, found.log):
        raise Refusal(409, "job: none runs; there is nothing to cancel")
    _close(project, found.id, "cancelled")
    if found.pid is not None:
        _end_group(project, found.log, found.pid)
    return current_job(project)


async def job_events(project: Project, is_stopping: Callable[[], bool]) -> AsyncIterator[str]:
    """Server-sent events: the job at every change, until one says that it does not run."""
    last, silent_since = "", time.monotonic()
    while not is_stopping():
        seen = await run_in_threadpool(current_job, project)
        text = seen.model_dump_json()
        if text != last:
            yield f"data: {text}\n\n"
            last, silent_since = text, time.monotonic()
        elif time.monotonic() - silent_since > QUIET_SECONDS:
            yield ": still running\n\n"  # so that no proxy hangs up
            silent_since = time.monotonic()
        if seen.state != "running":
            return
        await asyncio.sleep(POLL_SECONDS)


def _last(project: Project) -> Any:  # a row of the table, or None
    with project.engine.begin() as connection:
        return connection.execute(select(job).order_by(job.c.id.desc()).limit(1)).first()


def _close(project: Project, number: int, state: JobState) -> tuple[JobState, str]:
    """Note how a job ended, unless that is known; how and when it did."""
    mine = job.c.id == number
    with writing(project.engine).begin() as connection:
        given = {"state": state, "ended": moment()}
        connection.execute(job.update().where(mine, job.c.state == "running"), given)
        found = connection.execute(select(job).where(mine)).one()
        return found.state, found.ended


def _is_alive(project: Project, log: str) -> bool:
    """Whether a process still holds the job's log."""
    try:
        with (project.folder / log).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _end_group(project: Project, log: str, pid: int) -> None:
    """Ask the processes to end, then make them."""
    for kind, seconds in ((signal.SIGTERM, GRACE_SECONDS), (signal.SIGKILL, GRACE_SECONDS)):
        # The number is the job's own only while something holds the log.
        if not _is_alive(project, log):
            return
        try:
            os.killpg(pid, kind)
        except ProcessLookupError:
            return
        until = time.monotonic() + seconds
        while _is_alive(project, log) and time.monotonic() < until:
            time.sleep(0.02)


def _read(log: Path) -> dict[str, Any]:
    """What the end of a log says: progress, the last lines, and how it ended, if it did."""
    seen: dict[str, Any] = {"what": None, "done": None, "of": None, "line": None, "state": None}
    lines: list[str] = []
    for text in _tail(log):
        told = _json(text)
        if told is None:
            lines.append(text)
        else:
            seen |= {key: told[key] for key in ("what", "done", "of", "state") if key in told}
    return {**seen, "line": lines[-1] if lines else None, "lines": lines[-MOST_LINES:]}


def _tail(log: Path) -> list[str]:
    if not log.is_file():
        return []
    with log.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - TAIL_BYTES))
        lines = file.read().decode(errors="replace").splitlines()
    whole = lines if size <= TAIL_BYTES else lines[1:]
    return [line for line in map(str.strip, whole) if line]


def _json(line: str) -> dict[str, Any] | None:
    """The object that a line holds; None for a line of words."""
    if not line.startswith("{"):
        return None
    try:
        told = json.loads(line)
    except json.JSONDecodeError:
        return None
    return told if isinstance(told, dict) else None
