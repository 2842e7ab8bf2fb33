"""Map units of work over processes of this machine."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.queues import SimpleQueue
from typing import TypeVar

from fewmasks.errors import ProjectError

Unit = TypeVar("Unit")
Result = TypeVar("Result")
Report = Callable[[str, int, int], None]
"""Called with what is going on, how much of it is done, and how much there is."""

POLL_SECONDS = 0.1
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

_events: "SimpleQueue[tuple[str, int, int]] | None" = None


def map_units(
    function: Callable[[Unit, Report], Result],
    stages: Sequence[Sequence[Unit]],
    workers: int,
    threads: int,
    report: Report,
) -> Iterator[Result]:
    """Results as they come; a stage begins when the one before is done.

    The units run in at most `workers` processes of `threads` threads each, which live through all
    stages. An error in a unit, Ctrl-C, or a caller who asks for no more results ends the processes
    at once; if this process is killed, they end by themselves.
    """
    most = max((len(units) for units in stages), default=0)
    if most == 0:
        return
    context = multiprocessing.get_context("spawn")
    events = context.SimpleQueue()
    pool = ProcessPoolExecutor(min(workers, most), context, _start_worker, (events, os.getpid()))
    try:
        for units in stages:
            yield from _finish(_submit(pool, function, units, threads), events, report)
    except BrokenProcessPool:
        raise ProjectError(
            "a worker process was killed, most likely because memory ran out; run the same command "
            "again with fewer --workers: it goes on from here"
        ) from None
    finally:
        _stop(pool)


def map_here(
    function: Callable[[Unit, Report], Result],
    stages: Sequence[Sequence[Unit]],
    workers: int,
    threads: int,
    report: Report,
) -> Iterator[Result]:
    """The same results from a plain loop in this process: for debuggers and small work."""
    del workers, threads
    for units in stages:
        for unit in units:
            yield function(unit, report)


def _submit(
    pool: ProcessPoolExecutor,
    function: Callable[[Unit, Report], Result],
    units: Sequence[Unit],
    threads: int,
) -> set[Future[Result]]:
    # Processes start while units are submitted, and inherit both from this thread.
    with _thread_variables(threads), _deaf_to_interrupts():
        return {pool.submit(_call, function, unit) for unit in units}


def _finish(
    waiting: set[Future[Result]], events: "SimpleQueue[tuple[str, int, int]]", report: Report
) -> Iterator[Result]:
    while waiting:
        done, waiting = wait(waiting, POLL_SECONDS, FIRST_COMPLETED)
        while not events.empty():
            report(*events.get())
        for future in done:
            yield future.result()


@contextmanager
def _thread_variables(threads: int) -> Iterator[None]:
    """BLAS reads these once, when a process starts."""
    before = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, str(threads)))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Ctrl-C reaches a terminal's whole process group; only this process is to answer it.

    A worker that caught it while it starts would print a traceback of its own.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _stop(pool: ProcessPoolExecutor) -> None:
    """End the workers now: a unit in hand is repeated by whoever resumes."""
    processes = list((pool._processes or {}).values())
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.terminate()
    for process in processes:
        process.join()


def _start_worker(events: "SimpleQueue[tuple[str, int, int]]", parent: int) -> None:
    global _events
    _events = events
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """Leave when the parent is gone, for a killed parent cannot say so."""
    while os.getppid() == parent:
        time.sleep(POLL_SECONDS)
    os._exit(1)


def _call(function: Callable[[Unit, Report], Result], unit: Unit) -> Result:
    def send(what: str, done: int, of: int) -> None:
        if _events is not None:
            _events.put((what, done, of))

    return function(unit, send)
