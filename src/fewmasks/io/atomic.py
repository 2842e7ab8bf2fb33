"""Files that are there whole or not at all."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def atomic(path: Path, sync: bool = True) -> Iterator[BinaryIO]:
    """A file to write to that takes the place of `path` once it is complete and on disk.

    It is written under a temporary name in the same folder; whoever is killed in between leaves
    `path` as it was. Without `sync` a power cut may leave it damaged: for files that are checked
    when read and can be made again.
    """
    writer = f"{os.getpid()}-{threading.get_ident()}"
    temporary = path.with_name(f".{path.name}.{writer}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
            if sync:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a whole text file, or leave the old one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as file:
        file.write(text.encode())


def remove_half_written(folder: Path, name: str = "*") -> None:
    """Remove what writers of a file of this name left in a folder when they were killed."""
    for left in folder.glob(f".{name}.[0-9]*-[0-9]*.tmp"):
        left.unlink(missing_ok=True)
