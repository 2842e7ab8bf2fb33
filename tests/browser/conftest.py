"""One Chromium for the tests of a file."""

from collections.abc import Iterator
from typing import Any

import pytest
from tests.browser import made


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Not for longer than a file: Playwright's event loop would be in the way of other tests'."""
    program = made.chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=list(made.FLAGS))
        yield running
        running.close()


@pytest.fixture
def context(browser: Any) -> Iterator[Any]:
    """A browser that nobody has used before."""
    fresh = browser.new_context(viewport={"width": 1280, "height": 800})
    fresh.set_default_timeout(1000 * made.PATIENCE)
    yield fresh
    fresh.close()
