"""One process at a time: a lock that the system lets go when its holder dies, however it dies."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fewmasks.errors import ProjectError


@contextmanager
def held(path: Path, otherwise: str) -> Iterator[None]:
    """Hold the lock of this file; where another process does, a `ProjectError` with `otherwise`."""
    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ProjectError(otherwise) from None
        yield
