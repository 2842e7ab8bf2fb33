"""Ten people at one labelling page for two minutes, and a brush on the largest picture.

    python benchmarks/annotators.py [--quick]

`fewmasks serve` on this computer's own address, and ten clients that each do what the page does:
take an item, fetch it with its picture, save a drawing about once a second, hand it in after ten.
They come one after the other in the first seconds, as people do.
Prints the median and the 95th percentile of every kind of request; the aim is 200 ms or less for
fetching and saving on two cores. Ends with an error when a request fails, when two people hold one
item, or when a label is not what was drawn. Then, in Chromium where there is one, the time of a
brush move on 2048 x 2048: from the event to the repainted rectangle; the aim is 2 ms.
"""

import argparse
import math
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import imagecodecs
import numpy as np

from fewmasks.project import Import, Project, create
from fewmasks.server.accounts import add_user
from fewmasks.server.auth import cookie_name
from fewmasks.server.pages import STATIC
from fewmasks.server.png import indexed_png
from fewmasks.server.sessions import begin_session
from fewmasks.types import Pick, Round

FEWMASKS = (sys.executable, "-c", "from fewmasks.cli.main import main; main()")
CLIENTS, SIDES, ITEMS, DRAWINGS = 10, (512, 2048), 30, 10
SECONDS, SECONDS_QUICK = 120.0, 10.0
BETWEEN = (0.7, 1.3)
"""Seconds from one drawing to the next; the page itself waits 0.7 s after a stroke."""
AIM_MS, AIM_BRUSH_MS = 200.0, 2.0
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
MOVES = 400


@dataclass
class Seen:
    """What all clients saw together."""

    milliseconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    faults: list[str] = field(default_factory=list)
    holders: dict[str, str] = field(default_factory=dict)
    handed_in: dict[str, bytes] = field(default_factory=dict)
    """Of each item, the mask of its newest label."""
    turned_away: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


class Annotator:
    """Somebody at the page."""

    def __init__(
        self, name: str, cookie: dict[str, str], here: str, seen: Seen, masks: list[np.ndarray]
    ):
        self.name, self.seen, self.masks = name, seen, masks
        self.random = random.Random(name)
        self.client = httpx2.Client(
            base_url=f"{here}api/", cookies=cookie, headers={"Origin": here[:-1]}
        )
        self.client.headers["X-CSRF-Token"] = self.client.get("session").json()["csrf"]

    def work(self, until: float) -> None:
        """Label one item after the other."""
        time.sleep(self.random.uniform(0, DRAWINGS * BETWEEN[0]))
        while time.monotonic() < until:
            item = self.ask("queue", "GET", "queue").json()["items"]
            self.label(self.random.choice(item)["item"], until)

    def label(self, item: str, until: float) -> None:
        taken = self.ask("take", "POST", "leases", json={"item": item}, may=(409,))
        if taken.status_code == 409:
            self.seen.turned_away += 1
            time.sleep(0.05)
            return
        with self.seen.lock:
            if item in self.seen.holders:
                self.seen.faults.append(f"{item}: {self.seen.holders[item]} and {self.name}")
            self.seen.holders[item] = self.name
        self.fetch(item)
        sequence, mask = taken.json()["sequence"], self.masks[0]
        for _ in range(DRAWINGS):
            time.sleep(self.random.uniform(*BETWEEN))
            sequence, mask = sequence + 1, self.random.choice(self.masks)
            query = {"sequence": sequence, "kind": "mask", "seconds": 10}
            self.ask("save", "PUT", f"items/{item}/draft", params=query, content=indexed_png(mask))
            if time.monotonic() > until:
                break
        with self.seen.lock:  # before it is given back, so that the next one may have it at once
            del self.seen.holders[item]
            self.seen.handed_in[item] = mask.tobytes()
        given = {"kind": "mask", "seconds": 10, "sequence": sequence}
        base = taken.json()["revision"]
        self.ask("answer", "POST", f"items/{item}/answer", json={**given, "base": base})

    def fetch(self, item: str) -> None:
        """As the page does: what is known of it, and its picture."""
        begun = time.perf_counter()
        self.ask("item alone", "GET", f"items/{item}")
        self.ask("picture alone", "GET", f"items/{item}/image.png")
        self.seen.milliseconds["fetch"].append(1000 * (time.perf_counter() - begun))

    def ask(
        self, what: str, method: str, path: str, may: tuple[int, ...] = (), **options: Any
    ) -> httpx2.Response:
        begun = time.perf_counter()
        answer = self.client.request(method, path, timeout=60, **options)
        self.seen.milliseconds[what].append(1000 * (time.perf_counter() - begun))
        if answer.is_error and answer.status_code not in may:
            self.seen.faults.append(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer


def made(folder: Path, side: int) -> Project:
    """Smooth pictures in noise, as scans are; a round asks for all but two of them."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:side, :side] / side
    for number in range(ITEMS + 2):
        waves = np.sin(7 * y + number) * np.cos(5 * x - number)
        grey = 120 + 80 * waves + rng.normal(0, 8, (side, side))
        pixels = imagecodecs.png_encode(grey.clip(0, 255).astype(np.uint8))
        (folder / "images").mkdir(exist_ok=True)
        (folder / "images" / f"p{number:02d}.png").write_bytes(pixels)
    given = Import(images=(folder / "images",), classes=("background", "a", "b", "c"))
    project = create(folder / "project", given)
    picks = tuple(Pick(item, "asked by the benchmark") for item in asked(project))
    project.add_round(Round(0, "random", 0, picks))
    return project


def asked(project: Project) -> list[str]:
    """The items of the training side."""
    test = set(project.pool.ids(project.test))
    return [item.id for item in project.pool.items if item.id not in test]


def drawings(side: int) -> list[np.ndarray]:
    """Masks of sixty blobs of three classes."""
    found = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        mask = np.zeros((side, side), np.uint8)
        for _ in range(60):
            radius = int(rng.integers(side // 80, side // 20))
            y, x = rng.integers(radius, side - radius, 2)
            dy, dx = np.mgrid[-radius : radius + 1, -radius : radius + 1]
            inside = np.hypot(dy, dx) <= radius
            around = mask[y - radius : y + radius + 1, x - radius : x + radius + 1]
            around[inside] = rng.integers(1, 4)
        found.append(mask)
    return found


@contextmanager
def served(project: Project) -> Iterator[str]:
    """`fewmasks serve` as a process of its own; its address."""
    command = [*FEWMASKS, "serve", str(project.folder), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip()
        finally:
            server.terminate()


def annotate(project: Project, side: int, seconds: float) -> Seen:
    """Ten clients at once, each in a thread."""
    seen, masks = Seen(), drawings(side)
    names = [f"person{number}" for number in range(CLIENTS)]
    for name in names:
        add_user(project.engine, name, "annotator", "a long password")
    with served(project) as here:
        cookie = cookie_name(project.folder)
        people = [
            Annotator(name, {cookie: begin_session(project.engine, name)}, here, seen, masks)
            for name in names
        ]
        until = time.monotonic() + seconds
        threads = [threading.Thread(target=each.work, args=(until,)) for each in people]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for each in people:
            each.client.close()
    for item, mask in seen.handed_in.items():
        found = project.label(item)
        if found is None or found.mask.tobytes() != mask:
            seen.faults.append(f"{item}: the label is not what was drawn last")
    return seen


def show(side: int, seen: Seen) -> None:
    print(f"{CLIENTS} annotators, {side} x {side}; {seen.turned_away} times turned away")
    for what, times in seen.milliseconds.items():
        middle, high = np.percentile(times, [50, 95])
        missed = what in ("fetch", "save") and high > AIM_MS
        note = f"   over {AIM_MS:.0f} ms" if missed else ""
        print(
            f"  {what:14} {len(times):6d} times   p50 {middle:7.1f} ms   p95 {high:7.1f} ms{note}"
        )


def brush(project: Project) -> None:
    """Circles with the brush, by the browser's own mouse."""
    program = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if program is None or not (STATIC / "index.html").is_file():
        print("brush: left out; it needs Chromium and the built page (make ui)")
        return
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright, served(project) as here:
        running = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = running.new_page(viewport={"width": 1280, "height": 800})
        name, token = cookie_name(project.folder), begin_session(project.engine, "person0")
        page.context.add_cookies([{"name": name, "value": token, "url": here}])
        page.goto(f"{here}#/item/{asked(project)[0]}")
        page.locator(".canvas:not(.is-locked) .editor-overlay").wait_for()
        while not page.evaluate("window.fewmasksEditor?.state().isLocked === false"):
            page.wait_for_timeout(50)
        times = moves(page)
        running.close()
    middle, high = np.percentile(times, [50, 95])
    note = f"   over {AIM_BRUSH_MS:.0f} ms" if middle > AIM_BRUSH_MS else ""
    print(f"brush move on {SIDES[-1]} x {SIDES[-1]}: p50 {middle:.2f} ms   p95 {high:.2f} ms{note}")


def moves(page: Any) -> list[float]:
    box = page.locator(".editor-overlay").bounding_box()
    y, x, radius = box["y"] + box["height"] / 2, box["x"] + box["width"] / 2, box["height"] / 3
    page.mouse.move(x + radius, y)
    page.mouse.down()
    for step in range(MOVES):
        angle, reach = step / 12, radius * (1 - step / MOVES / 2)
        page.mouse.move(x + reach * math.cos(angle), y + reach * math.sin(angle))
    page.mouse.up()
    return page.evaluate("fewmasksEditor.moves")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="ten seconds instead of two minutes")
    seconds = SECONDS_QUICK if parser.parse_args().quick else SECONDS
    faults: list[str] = []
    print(f"load of this computer before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    for side in SIDES:
        with tempfile.TemporaryDirectory() as folder:
            project = made(Path(folder), side)
            seen = annotate(project, side, seconds)
            show(side, seen)
            faults += seen.faults
            if side == SIDES[-1]:
                brush(project)
    print("\n".join(faults) or "no request failed, no item was held twice, no label was lost")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
