"""A served project, a page in Chromium, and a hand that draws on it."""

import csv
import io
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests import conftest
from tests.makers import write_table
from tests.project.made import write_volume

from fewmasks.errors import FormatError
from fewmasks.io.masks import read_mask
from fewmasks.project import Import, Project, create
from fewmasks.server.drafts import digest_of
from fewmasks.server.pages import STATIC
from fewmasks.types import Pick, Round

FEWMASKS = (sys.executable, "-c", "from fewmasks.cli.main import main; main()")
NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
)  # fmt: skip
CLASSES = ("background", "right ventricle", "myocardium", "left ventricle")
SMALL = '[learn]\nsize = 32\niterations = 5\nbatch = 4\nprecision = "fp32"\ndevice = "cpu"\n'
PATIENCE = 60.0
"""Seconds; two cores may be shared by much else."""


def chromium() -> str:
    """The system's Chromium, once the page is built; else why the test is left out."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        leave_out("Chromium is not installed (looked for chromium and google-chrome)")
    if not (STATIC / "index.html").is_file():
        leave_out("the labelling page is not built (`make ui` builds it, with Node 20 or newer)")
    return str(found)


def leave_out(why: str) -> None:
    """Skip a test, or fail where the tests of the page must run."""
    if os.environ.get("FEWMASKS_BROWSER_TESTS") == "required":
        pytest.fail(f"FEWMASKS_BROWSER_TESTS=required, but {why}")
    pytest.skip(why)


def table(folder: Path) -> Path:
    """Three scans of hearts: real ones where they lie beside the project, else made up."""
    folder.mkdir(parents=True)
    real = conftest.REAL_DATA / "acdc"
    return _real(real, folder) if real.is_dir() else _made_up(folder)


def _real(real: Path, folder: Path) -> Path:
    with (real / "meta.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    train = [row for row in rows if row["split"] == "train" and row["phase"] == "ED"][:2]
    kept = [*train, next(row for row in rows if row["split"] == "test")]
    for row in kept:
        row |= {part: str(real / row[part]) for part in ("image", "mask", "scribble")}
    shutil.copy(real / "dataset.json", folder)
    return write_table(folder / "meta.csv", kept)


def _made_up(folder: Path) -> Path:
    """A ring around a disc, with a crescent beside it, in noise; 16 bits."""
    rng = np.random.default_rng(0)
    rows = []
    for number in range(3):
        slices = [heart(rng, 60 - 4 * z) for z in range(6)]
        for part, content in zip(("images", "masks"), zip(*slices, strict=True), strict=True):
            write_volume(folder / part / f"h{number}.nii.gz", np.stack(content), (8.0, 1.5, 1.5))
        files = {"image": f"images/h{number}.nii.gz", "mask": f"masks/h{number}.nii.gz"}
        side = "test" if number == 2 else "train"
        rows.append({"id": f"h{number}", **files, "group": f"h{number}", "split": side})
    names = ", ".join(f'"{number}": "{name}"' for number, name in enumerate(CLASSES))
    (folder / "dataset.json").write_text(f'{{"classes": {{{names}}}}}')
    return write_table(folder / "meta.csv", rows)


def heart(rng: np.random.Generator, radius: float, side: int = 200) -> tuple[np.ndarray, ...]:
    """A slice and its mask."""
    y, x = np.mgrid[:side, :side] - side / 2 + rng.integers(-8, 8)
    mask = np.zeros((side, side), np.uint8)
    mask[np.hypot(y, x + radius) < radius] = 1
    mask[np.hypot(y, x) < radius] = 2
    mask[np.hypot(y, x) < 0.6 * radius] = 3
    grey = np.array([100, 700, 300, 800])[mask] + rng.normal(0, 60, mask.shape)
    return np.clip(grey, 0, 2000).astype(np.uint16), mask


def asking(folder: Path, n: int = 4) -> Project:
    """A project of those scans, of which a round asks for the first few slices."""
    project = create(folder / "heart", Import(table=table(folder / "study")))
    (project.folder / "project.toml").write_text(SMALL)
    train = [item for item in project.pool.items if item.id in _training(project)]
    picks = tuple(Pick(item.id, f"reason {number}") for number, item in enumerate(train[1 : n + 1]))
    project.add_round(Round(0, "random", 0, picks))
    return project


def _training(project: Project) -> set[str]:
    test = set(project.pool.ids(project.test))
    return {item.id for item in project.pool.items} - test


class Server:
    """`fewmasks serve` on a port of its own, which can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.create_server(("127.0.0.1", 0)) as listening:
            self.port = listening.getsockname()[1]
        self.here = f"http://127.0.0.1:{self.port}/"
        self.start()

    def start(self) -> None:
        command = [*FEWMASKS, "serve", str(self.folder), "--port", str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.link = self.process.stdout.readline().strip()
        assert self.link.startswith(self.here), "the server said why on its standard error"

    def kill(self) -> None:
        """As a power cut would: it can do nothing about it."""
        self.process.kill()
        self._wait()

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self._wait()

    def _wait(self) -> None:
        self.process.wait(PATIENCE)
        assert self.process.stdout is not None
        self.process.stdout.close()


class Chromium:
    """A browser in processes of its own, on a profile that outlives them."""

    def __init__(self, playwright: Any, profile: Path) -> None:
        told = profile / "DevToolsActivePort"
        told.unlink(missing_ok=True)
        command = [
            chromium(), *FLAGS, "--headless=new", "--disable-breakpad", "--window-size=1280,800",
            "--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank",
        ]  # fmt: skip
        self.process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        end = time.monotonic() + PATIENCE
        while not told.is_file() or "\n" not in told.read_text():
            assert time.monotonic() < end, "Chromium does not say where it listens"
            time.sleep(0.02)
        port = told.read_text().splitlines()[0]
        self.browser = playwright.chromium.connect_over_cdp(f"http://127.0.0.1:{port}")
        self.context = self.browser.contexts[0]
        self.context.set_default_timeout(1000 * PATIENCE)

    def kill(self) -> None:
        """All of its processes at once; it can do nothing about it."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(PATIENCE)


def until(page: Any, is_so: Callable[[], Any], what: str) -> None:
    """Wait for what can only be looked up; the page goes on meanwhile."""
    end = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < end, f"waited {PATIENCE} seconds for {what}"
        page.wait_for_timeout(20)


def sign_in(page: Any, server: Server) -> None:
    page.goto(server.link)
    page.get_by_role("button", name="Sign out").wait_for()


def open_item(page: Any, item: str) -> None:
    """Go to an item and wait until it can be drawn on."""
    page.evaluate("id => { location.hash = `#/item/${encodeURIComponent(id)}` }", item)
    ready(page, item)


def ready(page: Any, item: str | None = None) -> None:
    """Wait until an item can be drawn on."""
    if item is not None:
        page.get_by_role("heading", name=f"Label {item}", exact=True).wait_for(state="attached")
    page.locator(".canvas:not(.is-locked) .editor-overlay").wait_for()
    # Not by the page's own waiting, which its content policy forbids.
    is_open = "window.fewmasksEditor?.state().isLocked === false"
    until(page, lambda: page.evaluate(is_open), "an item that can be drawn on")


def mask_of(page: Any) -> np.ndarray:
    """What is drawn on the page."""
    told = page.evaluate(
        "(({ height, width, data }) => [height, width, [...data]])(fewmasksEditor.mask)"
    )
    height, width, values = told
    return np.array(values, np.uint8).reshape(height, width)


def place(page: Any, y: float, x: float) -> tuple[float, float]:
    """Where a point of the image lies on the screen, as long as the image is fitted."""
    told = page.evaluate(
        """() => {
          const box = document.querySelector('.editor-overlay').getBoundingClientRect()
          const { height, width } = fewmasksEditor.mask
          const { zoom } = fewmasksEditor.state()
          const [top, left] = [box.top + box.height / 2, box.left + box.width / 2]
          return { top: top - (height * zoom) / 2, left: left - (width * zoom) / 2, zoom }
        }"""
    )
    return told["left"] + x * told["zoom"], told["top"] + y * told["zoom"]


def draw(page: Any, *points: tuple[float, float]) -> None:
    """One stroke through points (y, x) of the image."""
    begin(page, *points)
    page.mouse.up()


def begin(page: Any, *points: tuple[float, float]) -> None:
    """A stroke that is not over yet."""
    for number, point in enumerate(points):
        page.mouse.move(*place(page, *point), steps=1 if number == 0 else 4)
        if number == 0:
            page.mouse.down()


class Ledger:
    """What a page sent of an item, and the highest number that the server has acknowledged."""

    def __init__(self, page: Any) -> None:
        self.sent: dict[int, bytes] = {}
        self.acknowledged = 0
        page.on("request", self._on_request)
        page.on("response", self._on_response)

    def _on_request(self, request: Any) -> None:
        number = self._number(request)
        if number is not None:
            self.sent[number] = request.post_data_buffer

    def _on_response(self, response: Any) -> None:
        number = self._number(response.request)
        if number is not None and response.ok:
            self.acknowledged = max(self.acknowledged, number)

    def is_sending(self) -> bool:
        """Whether something went out whose answer has not come."""
        return max(self.sent, default=0) > self.acknowledged

    @staticmethod
    def _number(request: Any) -> int | None:
        path, _, query = request.url.partition("?")
        if request.method != "PUT" or not path.endswith("/draft"):
            return None
        return int(dict(each.split("=") for each in query.split("&"))["sequence"])

    def mask(self, number: int) -> np.ndarray:
        """What was sent under this number."""
        return np.asarray(Image.open(io.BytesIO(self.sent[number])))


def draft(folder: Path, item: str) -> tuple[int, np.ndarray] | None:
    """Number and pixels of what the server holds of an item, straight from the disk."""
    query = (
        "SELECT sequence, file FROM draft JOIN item ON item.row = draft.item_row "
        "WHERE item.id = ? AND file IS NOT NULL"
    )
    for _ in range(100):
        found = rows(folder, query, item)
        if not found:
            return None
        path = folder / found[0][1]
        try:
            return found[0][0], read_mask(path)[0]
        except (FileNotFoundError, FormatError):
            if path.exists():
                raise
            continue  # replaced between the two
    raise AssertionError(f"{item}: the file of its draft is missing")


def saved(page: Any, folder: Path, item: str) -> None:
    """Wait until all that is drawn is on the server's disk, and the page says so."""
    drawn = mask_of(page)

    def is_stored() -> bool:
        found = draft(folder, item)
        return found is not None and np.array_equal(found[1], drawn)

    until(page, is_stored, "the drawing on the server's disk")
    page.locator(".save").get_by_text("Saved", exact=True).wait_for()


def check(folder: Path) -> None:
    """That the database and its files are whole and belong together."""
    assert rows(folder, "PRAGMA integrity_check") == [("ok",)]
    assert rows(folder, "PRAGMA foreign_key_check") == []
    for file, digest in rows(folder, "SELECT file, digest FROM draft WHERE file IS NOT NULL"):
        assert digest_of(read_mask(folder / file)[0]) == digest


def rows(folder: Path, query: str, *values: Any) -> list[tuple[Any, ...]]:
    """What the database of a project says."""
    connection = sqlite3.connect(folder / "project.db", timeout=PATIENCE)
    try:
        return connection.execute(query, values).fetchall()
    finally:
        connection.close()
