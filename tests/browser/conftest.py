"""One Chromium for the tests of a file; without one they are left out."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.browser import made

from fewmasks.project import Project


@pytest.fixture(scope="module")
def playwright() -> Iterator[Any]:
    """Not for longer than a file: its event loop would be in the way of other tests'."""
    made.chromium()
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=1000 * made.PATIENCE)
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="module")
def browser(playwright: Any) -> Iterator[Any]:
    """The system's Chromium."""
    running = playwright.chromium.launch(executable_path=made.chromium(), args=list(made.FLAGS))
    yield running
    running.close()


@pytest.fixture
def context(browser: Any) -> Iterator[Any]:
    """A browser that nobody has used before."""
    fresh = browser.new_context(viewport={"width": 1280, "height": 800})
    fresh.set_default_timeout(1000 * made.PATIENCE)
    yield fresh
    fresh.close()


@pytest.fixture
def project(browser: Any, tmp_path: Path) -> Project:
    """A round asks for four slices of it."""
    return made.asking(tmp_path)


@pytest.fixture
def server(project: Project) -> Iterator[made.Server]:
    """One that serves it."""
    serving = made.Server(project.folder)
    yield serving
    serving.stop()
