"""What this machine offers to fewmasks."""

import os
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files

OPTIONAL = {
    "nilearn": ("the demo needs it", "demo"),
    "fastapi": ("labelling in the browser needs it", "serve"),
    "uvicorn": ("labelling in the browser needs it", "serve"),
    "pwdlib": ("labelling in the browser needs it", "serve"),
    "openTSNE": ("a t-SNE map of the pool needs it", "viz"),
    "transformers": ("embeddings by DINOv2 and DINOv3 need it", "foundation"),
}
"""Optional library: what its absence costs, and the extra that brings it."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    is_there: bool
    says: str


def findings() -> Iterator[Finding]:
    """Everything that fewmasks can use, one by one."""
    yield Finding("Python", sys.version_info >= (3, 11), sys.version.split()[0])
    yield Finding("SQLite", sqlite3.sqlite_version_info >= (3, 35), sqlite3.sqlite_version)
    for name in ("torch", "monai", "lightning-fabric", "numpy", "nibabel", "tifffile"):
        yield _package(name, "fewmasks does not run without it; reinstall fewmasks")
    for name, (cost, extra) in OPTIONAL.items():
        yield _package(name, f"{cost}; pip install 'fewmasks[{extra}]'")
    yield _page()
    yield from _devices()
    free = shutil.disk_usage(os.curdir).free / 2**30
    yield Finding("disk", free > 2, f"{free:.0f} GiB free here; projects cache decoded pixels")


def _package(name: str, cost: str) -> Finding:
    try:
        return Finding(name, True, version(name))
    except PackageNotFoundError:
        return Finding(name, False, cost)


def _page() -> Finding:
    there = (files("fewmasks") / "server" / "static" / "index.html").is_file()
    says = "built" if there else "`fewmasks serve` has no page to show; run `make ui` (needs Node)"
    return Finding("labelling page", there, says)


def _devices() -> Iterator[Finding]:
    import torch

    from fewmasks.learn.precision import choose_precision

    cores = torch.get_num_threads()
    precision = choose_precision(torch.device("cpu"))
    yield Finding("CPU", True, f"{cores} threads, {precision} is the faster precision")
    there = torch.cuda.is_available()
    name = torch.cuda.get_device_name() if there else "training runs on the CPU, which is slower"
    yield Finding("CUDA GPU", there, name)
