"""Units of work for the tests of executors: functions that a fresh process can import."""

import os
import signal
import time
from pathlib import Path

from fewmasks.errors import MissingExtra, ProjectError
from fewmasks.executors.local import Report


def square(unit: int, report: Report) -> int:
    report("square", 1, 2)
    report("square", 2, 2)
    return unit * unit


def process_of(unit: int, report: Report) -> tuple[int, str, str]:
    del unit, report
    return os.getpid(), os.environ["OMP_NUM_THREADS"], os.environ["MKL_NUM_THREADS"]


def fail(unit: int, report: Report) -> int:
    del report
    if unit == 1:
        raise ProjectError("unit 1: is wrong (1); take another")
    if unit == 2:
        raise MissingExtra.of("ray", "ray")
    raise ZeroDivisionError(unit)


def die(unit: int, report: Report) -> None:
    del unit, report
    os.kill(os.getpid(), signal.SIGKILL)


def stay(folder: Path, report: Report) -> None:
    """Say that it runs, and run for ever."""
    del report
    (folder / f"{os.getpid()}.pid").touch()
    while True:
        time.sleep(1)
