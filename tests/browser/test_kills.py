"""Killed in the middle of drawing: server, browser and training; no acknowledged stroke is lost.

`FEWMASKS_KILLS=20` repeats each kill twenty times; a few are enough to see that nothing broke.
"""

import os
import signal
import subprocess

import numpy as np
import pytest
from playwright.sync_api import expect
from tests.browser import made

from fewmasks.project import open_project
from fewmasks.server.auth import cookie_name
from fewmasks.server.sessions import begin_session

pytestmark = [pytest.mark.slow]

KILLS = int(os.environ.get("FEWMASKS_KILLS", "3"))
STROKES = 5
LONGEST_WAIT = 3000
"""Milliseconds after which a training is killed: less than one takes, its start included."""


def at_some_moment(page, rng, number: int, ledger) -> bool:
    """At once, while a drawing is sent, or any time; whether a whole stroke is unsaved by then."""

    def is_saved() -> bool:
        return page.locator(".save").text_content() == "Saved"

    if number % 3 == 1:
        made.until(page, lambda: ledger.is_sending() or is_saved(), "a drawing that is sent")
    elif number % 3 == 2:
        page.wait_for_timeout(rng.uniform(0, 1500))
    return not is_saved()


def strokes(page, rng, number: int) -> list[np.ndarray]:
    """Some whole strokes of changing classes, and one that is not over; the mask after each."""
    height, width = made.mask_of(page).shape
    drawn = []
    for _ in range(number):
        page.keyboard.press(str(rng.integers(1, 4)))
        made.draw(page, *rng.uniform(0.1, 0.9, (3, 2)) * (height, width))
        drawn.append(made.mask_of(page))
    made.begin(page, *rng.uniform(0.1, 0.9, (2, 2)) * (height, width))
    return drawn


def keeps(folder, item, ledger) -> tuple[int, np.ndarray] | None:
    """Whole, and at least as new as what was acknowledged; the drawing and its number."""
    made.check(folder)
    found = made.draft(folder, item)
    assert (0 if found is None else found[0]) >= ledger.acknowledged
    return found


@pytest.mark.timeout(120 + 60 * KILLS)
def test_the_server_is_killed(project, server, context, record_property):
    page, rng = context.new_page(), np.random.default_rng(0)
    made.sign_in(page, server)
    item = project.open_picks()[0].item
    made.open_item(page, item)
    ledger = made.Ledger(page)
    unsaved = 0
    for number in range(KILLS):
        strokes(page, rng, int(rng.integers(1, STROKES)))
        unsaved += at_some_moment(page, rng, number, ledger)
        server.kill()
        kept = keeps(project.folder, item, ledger)
        assert kept is None or np.array_equal(kept[1], ledger.mask(kept[0]))
        page.mouse.up()  # the stroke in hand goes on without a server
        strokes(page, rng, 1)
        page.mouse.up()
        expect(page.get_by_text("No connection. Go on drawing")).to_be_visible()
        server.start()
        made.saved(page, project.folder, item)  # by itself: nobody loads the page or signs in
        expect(page.get_by_text("No connection. Go on drawing")).to_be_hidden()
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("Mask saved")).to_be_visible()
    np.testing.assert_array_equal(project.label(item).mask, ledger.mask(ledger.acknowledged))
    record_property("kills while a whole stroke was not acknowledged", unsaved)


@pytest.fixture
def chromiums(playwright, tmp_path):
    """One browser after the other on the same profile; none is left over."""
    begun = []

    def begin() -> made.Chromium:
        begun.append(made.Chromium(playwright, tmp_path / "profile"))
        return begun[-1]

    yield begin
    for chromium in begun:
        if chromium.process.poll() is None:
            chromium.kill()


@pytest.mark.timeout(120 + 60 * KILLS)
def test_the_browser_is_killed(project, server, chromiums, record_property):
    """What is open again is the drawing as a whole stroke left it, and none before the safe one."""
    item, rng = project.open_picks()[0].item, np.random.default_rng(1)
    shape = project.shape(project.pool.items[project.pool.rows([item])[0]])
    drawn, safe, lost, unsaved = [np.zeros(shape, np.uint8)], 0, [], 0
    for number in range(KILLS + 1):
        chromium = chromiums()
        page = signed_in(chromium, project, server)
        made.open_item(page, item)
        found = made.mask_of(page)
        assert where(drawn, found) >= safe
        lost.append(len(drawn) - 1 - where(drawn, found))
        if found.any():
            made.saved(page, project.folder, item)
        ledger = made.Ledger(page)
        drawn = [found, *strokes(page, rng, int(rng.integers(1, STROKES)))]
        unsaved += at_some_moment(page, rng, number, ledger)
        chromium.kill()
        kept = keeps(project.folder, item, ledger)
        assert kept is None or where(drawn, kept[1]) >= 0
        safe = where(drawn, ledger.mask(ledger.acknowledged)) if ledger.acknowledged else 0
    record_property("whole strokes lost after each kill", lost[1:])
    record_property("kills while a whole stroke was not acknowledged", unsaved)


def signed_in(chromium, project, server):
    """A page of somebody who has a session: Chromium stores a new cookie half a minute late."""
    name, token = cookie_name(project.folder), begin_session(project.engine, "me")
    chromium.context.add_cookies([{"name": name, "value": token, "url": server.here}])
    page = chromium.context.new_page()
    page.goto(server.here)
    page.get_by_role("button", name="Sign out").wait_for()
    return page


def where(drawn, mask) -> int:
    """The place of a mask among those that were drawn one after the other."""
    return next(n for n, each in enumerate(drawn) if np.array_equal(each, mask))


@pytest.mark.timeout(600 + 120 * KILLS)
def test_the_training_is_killed(project, server, context):
    """All its processes, or the one that trains; labelling goes on, and training again works."""
    page, rng = context.new_page(), np.random.default_rng(2)
    made.sign_in(page, server)
    first, second = [pick.item for pick in project.open_picks()[:2]]
    made.open_item(page, first)
    strokes(page, rng, 3)
    page.mouse.up()
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("Mask saved")).to_be_visible()
    page.get_by_role("link", name="Progress").click()
    button = page.get_by_role("button", name="Train and ask again")
    for number in range(KILLS):
        button.click()
        expect(page.get_by_text("Running", exact=True)).to_be_visible()
        page.wait_for_timeout(rng.uniform(0, LONGEST_WAIT))
        kill_job(project.folder, all_of_it=number % 2 == 0)
        expect(page.get_by_text("Failed", exact=True)).to_be_visible()  # nobody loads the page
        expect(page.locator(".job .problem")).to_be_visible()
        made.check(project.folder)
    made.open_item(page, second)
    strokes(page, rng, 1)
    page.mouse.up()
    made.saved(page, project.folder, second)
    page.get_by_role("link", name="Progress").click()
    button.click()
    expect(page.get_by_text("Finished", exact=True)).to_be_visible(timeout=480_000)
    trained = len(open_project(project.folder).trainings())  # some were killed after that, asking
    assert trained >= 1
    expect(page.get_by_role("row")).to_have_count(1 + trained)
    made.check(project.folder)
    assert len(open_project(project.folder).labels()) == 1


def kill_job(folder, all_of_it: bool) -> None:
    ((pid,),) = made.rows(folder, "SELECT pid FROM job ORDER BY id DESC LIMIT 1")
    children = subprocess.run(
        ["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False
    )
    child = next(iter(children.stdout.split()), None)
    if all_of_it or child is None:  # it has only begun
        os.killpg(pid, signal.SIGKILL)
    else:
        os.kill(int(child), signal.SIGKILL)
