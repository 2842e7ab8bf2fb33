"""Take docs/page-*.png: the labelling page over a small project that was trained twice.

    python docs/make_screenshots.py [--all FOLDER]

The patients are those of `fewmasks demo`: made up, and nobody's. Needs the built page (`make ui`),
Chromium and a few minutes. `--all` puts every page, light and dark, into a folder to look at; the
documentation keeps those that it shows.
"""

import argparse
import io
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fewmasks.project import Import, Project, create, open_project
from fewmasks.project.readings import SECOND
from fewmasks.server import leases
from fewmasks.server.accounts import add_user
from fewmasks.server.auth import cookie_name
from fewmasks.server.sessions import begin_session
from fewmasks.study.cohort import write_cohort

FOLDER = Path(__file__).parent
FEWMASKS = (sys.executable, "-c", "from fewmasks.cli.main import main; main()")
PATIENTS, TRAININGS, LIMIT = 12, 4, 6
SETTINGS = '[learn]\nsize = 64\niterations = 200\nbatch = 4\nprecision = "fp32"\ndevice = "cpu"\n'
VIEW = {"width": 1280, "height": 772}
SCHEMES = ("light", "dark")
KEPT = {
    ("queue", "dark"), ("label", "light"), ("scribble", "dark"), ("progress", "light"),
    ("disputes", "light"),
}  # fmt: skip
WIDTH = 960


def trained(folder: Path) -> Project:
    """Two rounds answered and trained on, the third under way."""
    table = write_cohort(folder / "cohort", PATIENTS, seed=0, report=lambda *_: None)
    project = create(folder / "brain", Import(table=table, test_fraction=0.25))
    (project.folder / "project.toml").write_text(SETTINGS)
    for _ in range(TRAININGS):
        fewmasks("next", project.folder, "--limit", LIMIT)
        asked = [word for pick in project.open_picks() for word in ("--items", pick.item)]
        fewmasks("label", project.folder, "--from-reference", *asked)
        fewmasks("train", project.folder)
    fewmasks("next", project.folder, "--limit", LIMIT)
    subprocess.run([sys.executable, "-m", "fewmasks.cli.overlays", project.folder], check=True)
    project = open_project(project.folder)
    for name in ("anna", "bert"):
        add_user(project.engine, name, "owner", "only for the pictures")
    row = project.pool.rows([project.open_picks()[1].item])[0]
    leases.take(project, int(row), "bert")
    read_twice(project)
    return project


def read_twice(project: Project) -> None:
    """The last label is anna's, and bert drew the same two pixels off and with less lesion."""
    said = project.label(project.labels()[-1].item)
    assert said is not None
    mask = np.roll(said.mask, 2, axis=1)
    mask[mask == project.classes.index("lesion")] = project.classes.index("white matter")
    anna, bert = replace(said, by="anna", seconds=74.0), replace(said, by="bert", seconds=48.0)
    project.add_labels([anna], is_new=True)
    project.add_labels([replace(bert, mask=mask)], reading=SECOND)


def fewmasks(*words: object) -> None:
    subprocess.run([*FEWMASKS, *map(str, words)], check=True)


def queue(page: Any) -> None:
    go(page, "queue")
    page.get_by_text("Taken by bert").wait_for()
    blank = "all => all.filter(each => each.width === 300 && each.height === 150).length"
    while page.locator(".thumbnail canvas").evaluate_all(blank):
        page.wait_for_timeout(50)


def label(page: Any) -> None:
    """White matter from the prediction, and a stroke of the brush."""
    opened(page)
    page.get_by_role("button", name="Prediction", exact=True).click()
    page.keyboard.press("2")
    draw(page, (0.45, 0.42), (0.5, 0.46), (0.55, 0.45))
    saved(page)


def scribble(page: Any) -> None:
    opened(page)
    page.keyboard.press("Shift+n")
    page.get_by_role("button", name="Scribble", exact=True).click()
    for key, at in (("n", 0.08), ("1", 0.3), ("2", 0.45), ("3", 0.6)):
        page.keyboard.press(key)
        draw(page, (0.5, at), (0.55, at + 0.03), (0.6, at))
    saved(page)


def progress(page: Any) -> None:
    go(page, "dashboard")
    page.locator(".js-plotly-plot .main-svg").first.wait_for()
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(500)  # the charts draw themselves


def disputes(page: Any) -> None:
    go(page, "disputes")
    page.get_by_role("heading", name="Disputes").wait_for()
    page.wait_for_timeout(500)  # three pictures are drawn


def help_(page: Any) -> None:
    go(page, "queue")
    page.keyboard.press("?")


def skip(page: Any) -> None:
    opened(page)
    page.keyboard.press("Shift+b")


def sign_in(page: Any) -> None:
    page.context.clear_cookies()
    page.reload()
    page.get_by_text("Sign in").first.wait_for()


PAGES: dict[str, Callable[[Any], None]] = {
    "queue": queue, "label": label, "scribble": scribble, "progress": progress, "help": help_,
    "disputes": disputes, "flag": skip, "sign-in": sign_in,
}  # fmt: skip


def go(page: Any, name: str) -> None:
    page.evaluate("name => { location.hash = `#/${name}` }", name)
    page.wait_for_load_state("networkidle")


def opened(page: Any) -> None:
    go(page, "queue")
    page.get_by_role("listitem").last.get_by_role("link").click()
    page.locator(".canvas:not(.is-locked) .editor-overlay").wait_for()
    while not page.evaluate("window.fewmasksEditor?.state().isLocked === false"):
        page.wait_for_timeout(50)
    dismiss = page.locator(".banners").get_by_role("button", name="Dismiss")
    if dismiss.is_visible():
        dismiss.click()


def draw(page: Any, *points: tuple[float, float]) -> None:
    """One stroke; points are shares of the image's sides."""
    box = page.locator(".editor-overlay").bounding_box()
    zoom = page.evaluate("fewmasksEditor.state().zoom")
    height, width = page.evaluate("[fewmasksEditor.mask.height, fewmasksEditor.mask.width]")
    for number, (y, x) in enumerate(points):
        left = box["x"] + box["width"] / 2 + (x - 0.5) * width * zoom
        top = box["y"] + box["height"] / 2 + (y - 0.5) * height * zoom
        page.mouse.move(left, top, steps=1 if number == 0 else 8)
        if number == 0:
            page.mouse.down()
    page.mouse.up()


def saved(page: Any) -> None:
    page.locator(".save").get_by_text("Saved", exact=True).wait_for()
    page.wait_for_load_state("networkidle")


def store(picture: bytes, path: Path) -> None:
    """As wide as the pages of the documentation, with a palette; few pages have more colours."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    image = image.resize((WIDTH, WIDTH * image.height // image.width), Image.Resampling.LANCZOS)
    image.quantize(256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(path)
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def shoot(project: Project, here: str, wanted: Callable[[str, str], Path | None]) -> None:
    """Every page that is wanted, light and dark."""
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for scheme in SCHEMES:
            context = browser.new_context(viewport=VIEW, color_scheme=scheme)
            token = begin_session(project.engine, "anna")
            name = cookie_name(project.folder)
            context.add_cookies([{"name": name, "value": token, "url": here}])
            page = context.new_page()
            page.goto(here)
            for name, see in PAGES.items():
                path = wanted(name, scheme)
                if path is not None:
                    see(page)
                    store(page.screenshot(), path)
                    page.keyboard.press("Escape")
        browser.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--all", type=Path, help="a folder for every page, light and dark")
    everything = parser.parse_args().all
    if everything is not None:
        everything.mkdir(parents=True, exist_ok=True)

    def wanted(name: str, scheme: str) -> Path | None:
        if everything is not None:
            return everything / f"page-{name}-{scheme}.png"
        return FOLDER / f"page-{name}-{scheme}.png" if (name, scheme) in KEPT else None

    with tempfile.TemporaryDirectory() as folder:
        project = trained(Path(folder))
        command = [*FEWMASKS, "serve", str(project.folder), "--port", "0"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            try:
                shoot(project, server.stdout.readline().strip(), wanted)
            finally:
                server.terminate()


if __name__ == "__main__":
    main()
