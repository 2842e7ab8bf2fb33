"""Somebody who has never seen the page: from the link to a curve that moves."""

import re
import subprocess

import numpy as np
import pytest
from playwright.sync_api import expect
from tests.browser import made

from fewmasks.project import open_project
from fewmasks.types import UNKNOWN

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

STROKES = {
    "n": (0, ((0.15, 0.2), (0.15, 0.8))),
    "1": (1, ((0.4, 0.3), (0.6, 0.3))),
    "2": (2, ((0.4, 0.5), (0.6, 0.5))),
    "3": (3, ((0.4, 0.7), (0.6, 0.7))),
}
"""Of each class key: its number, and a stroke in shares of the image's sides."""


@pytest.fixture
def server(browser, tmp_path):
    """As docs/labelling.md says, with little to train."""
    folder = tmp_path / "heart"
    fewmasks("create", folder, "--table", made.table(tmp_path / "study"))
    (folder / "project.toml").write_text(made.SMALL)
    fewmasks("next", folder, "--limit", 4)
    serving = made.Server(folder)
    yield serving
    serving.stop()


def fewmasks(*words) -> None:
    subprocess.run([*made.FEWMASKS, *map(str, words)], check=True, capture_output=True)


def test_from_the_link_to_a_curve_that_moves(server, context):
    page = context.new_page()
    page.goto(server.link)
    expect(page.get_by_role("heading", name="Round 1")).to_be_visible()
    expect(page).to_have_url(re.compile(rf"^{server.here}(#.*)?$"))  # the token is not kept
    reason = reads_why(page)
    item = page.evaluate("decodeURIComponent(location.hash.split('/')[2])")
    scribble = scribbles(page)
    takes_back(page, scribble)
    sets_the_window(page)
    looks_at_a_neighbour(page, scribble)
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text(re.compile("^Scribble saved"))).to_be_visible()
    skips_and_flags(page, item)
    paints_a_mask(page)
    expect(page.get_by_text("4 of 4 answered")).to_be_visible()

    project = open_project(server.folder)
    stored = project.label(item)
    np.testing.assert_array_equal(stored.mask, scribble)
    assert (stored.kind, stored.by) == ("scribble", "me")
    assert 0 < stored.seconds < made.PATIENCE
    assert sorted(record.kind for record in project.labels()) == ["mask", "scribble"]
    assert [flagged for (flagged,) in made.rows(server.folder, "SELECT flagged FROM skip")] == [
        0, 1
    ]  # fmt: skip
    assert reason in [reason for (reason,) in made.rows(server.folder, "SELECT reason FROM pick")]

    trains(page, 1)
    page.get_by_role("link", name="Queue", exact=True).click()
    expect(page.get_by_role("heading", name="Round 2")).to_be_visible()
    page.get_by_role("button", name="Label next").click()
    made.ready(page)
    paints_a_mask(page)
    trains(page, 2)
    signs_out(page, server)
    made.check(server.folder)


def reads_why(page) -> str:
    """The reason stands in the queue and beside the image."""
    row = page.get_by_role("listitem").first
    reason = row.locator(".queue-reason").text_content()
    assert len(reason) > 5
    page.get_by_role("button", name="Label next").click()
    made.ready(page)
    expect(page.get_by_role("complementary").get_by_text(reason)).to_be_visible()
    return reason


def stroke(page, shares) -> None:
    height, width = made.mask_of(page).shape
    made.draw(page, *((y * height, x * width) for y, x in shares))


def scribbles(page) -> np.ndarray:
    page.get_by_role("button", name="Scribble", exact=True).click()
    for key, (_, shares) in STROKES.items():
        page.keyboard.press(key)
        stroke(page, shares)
    drawn = made.mask_of(page)
    assert set(np.unique(drawn)) == {0, 1, 2, 3, UNKNOWN}
    assert (drawn == UNKNOWN).mean() > 0.8
    return drawn


def takes_back(page, drawn) -> None:
    page.keyboard.press("Control+z")
    assert set(np.unique(made.mask_of(page))) == {0, 1, 2, UNKNOWN}
    page.get_by_role("button", name="Redo").click()
    np.testing.assert_array_equal(made.mask_of(page), drawn)


def sets_the_window(page) -> None:
    before = page.evaluate("fewmasksEditor.state().window")
    x, y = made.place(page, 10, 10)
    page.mouse.move(x, y)
    page.mouse.down(button="right")
    page.mouse.move(x + 60, y + 40, steps=3)
    page.mouse.up(button="right")
    after = page.evaluate("fewmasksEditor.state().window")
    assert after["high"] - after["low"] > before["high"] - before["low"]
    assert after["high"] + after["low"] > before["high"] + before["low"]
    page.get_by_role("button", name="As stored").click()
    assert page.evaluate("fewmasksEditor.state().window") == before


def looks_at_a_neighbour(page, drawn) -> None:
    page.mouse.move(*made.place(page, 20, 20))
    z = int(re.search(r"_z(\d+)$", page.evaluate("location.hash")).group(1))
    page.mouse.wheel(0, -100 if z else 100)  # there is a slice below the first one
    peek = page.get_by_role("button", name=re.compile("only to look at"))
    expect(peek).to_be_visible()
    stroke(page, ((0.5, 0.1), (0.5, 0.9)))  # moves the image; nothing is drawn on a neighbour
    peek.click()
    expect(peek).to_be_hidden()
    page.get_by_role("button", name="Fit the image").click()
    np.testing.assert_array_equal(made.mask_of(page), drawn)


def skips_and_flags(page, item) -> None:
    for name, reason in (("Skip", "I am not sure"), ("Flag", "Artefact or noise")):
        expect(page.get_by_role("heading", name=f"Label {item}", exact=True)).to_have_count(0)
        made.ready(page)
        item = page.evaluate("decodeURIComponent(location.hash.split('/')[2])")
        page.get_by_role("button", name=name, exact=True).click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_role("button", name=reason).click()
        dialog.get_by_role("button", name=name, exact=True).click()
    expect(page.get_by_text("Flagged as a bad image")).to_be_visible()
    expect(page.get_by_role("heading", name=f"Label {item}", exact=True)).to_have_count(0)
    made.ready(page)


def paints_a_mask(page) -> None:
    page.get_by_role("button", name="Mask", exact=True).click()
    for key, (_, shares) in STROKES.items():
        page.keyboard.press(key)
        stroke(page, shares)
    page.get_by_role("button", name=re.compile("^Accept")).click()
    expect(page.get_by_text(re.compile("^Mask saved"))).to_be_visible()


def trains(page, times: int) -> None:
    """The curve has one point more afterwards."""
    page.get_by_role("link", name="Progress").click()
    page.get_by_role("button", name="Train and ask again").click()
    expect(page.get_by_text("Running")).to_be_visible()
    expect(page.get_by_text("Finished")).to_be_visible(timeout=480_000)
    expect(page.get_by_role("row")).to_have_count(times + 1)
    score = page.get_by_role("row").nth(1).get_by_role("cell").nth(3)
    expect(score).to_have_text(re.compile(r"^0\.\d+$"))


def signs_out(page, server) -> None:
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_text("Open the link that")).to_be_visible()
    assert page.request.get(f"{server.here}api/queue").status == 401
    page.reload()
    expect(page.get_by_text("Open the link that")).to_be_visible()
