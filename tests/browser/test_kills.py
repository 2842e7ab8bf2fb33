"""Killed in the middle of drawing: server, browser and training; no acknowledged stroke is lost.

`FEWMASKS_KILLS=20` repeats each kill twenty times; a few are enough to see that nothing broke.
"""

import os
import signal
import subprocess
import time

import numpy as np
import pytest
from playwright.sync_api import expect
from tests.browser import made

from fewmasks.project import open_project
from fewmasks.server.sessions import begin_session

pytestmark = [pytest.mark.slow]

KILLS = int(os.environ.get("FEWMASKS_KILLS", "3"))
STROKES = 5


@pytest.fixture
def project(browser, tmp_path):
    return made.asking(tmp_path)


@pytest.fixture
def server(project):
    serving = made.Server(project.folder)
    yield serving
    serving.stop()


def strokes(page, rng, number: int) -> None:
    """Some whole strokes of changing classes, and one that is not over."""
    height, width = made.mask_of(page).shape
    for _ in range(number):
        page.keyboard.press(str(rng.integers(1, 4)))
        made.draw(page, *rng.uniform(0.1, 0.9, (3, 2)) * (height, width))
    made.begin(page, *rng.uniform(0.1, 0.9, (2, 2)) * (height, width))


def keeps(folder, item, ledger) -> None:
    """Whole, and at least as new as what was acknowledged; what it holds is what was sent."""
    made.check(folder)
    found = made.draft(folder, item)
    assert (0 if found is None else found[0]) >= ledger.acknowledged
    if found is not None:
        np.testing.assert_array_equal(found[1], ledger.mask(found[0]))


def all_is_saved(page, folder, item) -> None:
    drawn = made.mask_of(page)

    def is_stored() -> bool:
        found = made.draft(folder, item)
        return found is not None and np.array_equal(found[1], drawn)

    made.until(page, is_stored, "the drawing on the server's disk")
    expect(page.locator(".save")).to_have_text("Saved")


@pytest.mark.timeout(60 + 20 * KILLS)
def test_the_server_is_killed(project, server, context, capsys):
    page, rng = context.new_page(), np.random.default_rng(0)
    made.sign_in(page, server)
    item = project.open_picks()[0].item
    made.open_item(page, item)
    ledger = made.Ledger(page)
    for _ in range(KILLS):
        strokes(page, rng, int(rng.integers(1, STROKES)))
        page.wait_for_timeout(rng.uniform(0, 1500))  # anywhere before, in and after the saving
        server.kill()
        keeps(project.folder, item, ledger)
        page.mouse.up()  # the stroke in hand goes on without a server
        strokes(page, rng, 1)
        page.mouse.up()
        expect(page.get_by_text("No connection. Go on drawing")).to_be_visible()
        server.start()
        all_is_saved(page, project.folder, item)  # by itself: nobody loads the page or signs in
        expect(page.get_by_text("No connection. Go on drawing")).to_be_hidden()
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("Mask saved")).to_be_visible()
    np.testing.assert_array_equal(project.label(item).mask, ledger.mask(ledger.acknowledged))
