"""By keyboard, by screen reader, and with little sight: every control of every page."""

import re
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import expect
from tests.browser import made

from fewmasks.project.schema import job, writing

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

AXE = Path(__file__).parents[2] / "ui" / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
CONTROLS = "button, a[href], input, select, textarea, summary, [tabindex='0']"
VISIBLE = """all => {
  const shown = all.filter(each => !each.disabled && each.checkVisibility() && !each.inert)
  shown.forEach((each, number) => { each.dataset.number = number })
  return shown.length
}"""


@pytest.fixture
def axe() -> str:
    if not AXE.is_file():
        made.leave_out("axe-core is not installed (`make ui` does it, with Node 20 or newer)")
    return AXE.read_text(encoding="utf-8")


@pytest.fixture
def project(project):
    """One that was trained twice; the third job died."""
    for dice in (0.61, 0.72):
        scores = {"dice": dice, "hd95": 10 * dice, "per_class": {made.CLASSES[1]: dice}}
        project.add_training({"labels": round(10 * dice), "scores": scores})
    (project.folder / "jobs").mkdir()
    (project.folder / "jobs" / "x.log").write_text("training\nout of memory\n")
    given = {"by": "me", "state": "failed", "log": "jobs/x.log", "started": "2026-01-01T10:00:00Z"}
    with writing(project.engine).begin() as connection:
        connection.execute(job.insert(), given)
    return project


def see_queue(page) -> None:
    page.get_by_role("heading", name="Round 1").wait_for()


def see_progress(page) -> None:
    page.get_by_role("link", name="Progress").click()
    page.get_by_role("heading", name="Learning curve").wait_for()


def see_item(page) -> None:
    page.get_by_role("button", name=re.compile("Label next|Go on")).click()
    made.ready(page)
    made.draw(page, (60, 60), (60, 100))
    expect(page.locator(".save")).to_have_text("Saved")


def see_scribble(page) -> None:
    see_item(page)
    page.get_by_role("button", name="Scribble", exact=True).click()
    page.keyboard.press("p")
    made.draw(page, (80, 60))  # a corner, whose hint stands over the image
    page.keyboard.press("c")
    page.keyboard.type("a comment")


def see_offline(page) -> None:
    see_item(page)
    page.context.set_offline(True)
    page.keyboard.press("Control+z")
    page.get_by_text("No connection").wait_for()


def see_help(page) -> None:
    page.get_by_role("button", name="Keys").click()
    page.get_by_role("dialog").wait_for()


def see_skip(page) -> None:
    see_item(page)
    page.keyboard.press("Shift+s")
    page.get_by_role("dialog").wait_for()


def see_sign_in(page) -> None:
    page.get_by_role("button", name="Sign out").click()
    page.get_by_text("Open the link that").wait_for()


PAGES = (
    see_queue, see_progress, see_item, see_scribble, see_offline, see_help, see_skip, see_sign_in
)  # fmt: skip


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_has_names_roles_and_contrast(server, browser, axe, scheme):
    """What axe-core can see; `violations` is empty."""
    context = browser.new_context(color_scheme=scheme, viewport={"width": 1280, "height": 800})
    page = context.new_page()
    made.sign_in(page, server)
    found = []
    for see in PAGES:
        page.context.set_offline(False)
        page.goto(f"{server.here}#/queue")
        page.reload()
        see(page)
        page.evaluate(axe)
        run = "rules => axe.run(document, { runOnly: rules, resultTypes: ['violations'] })"
        for violation in page.evaluate(run, RULES)["violations"]:
            nodes = [
                f"{node['html'][:160]}: {node['failureSummary']}" for node in violation["nodes"]
            ]
            found.append(f"{see.__name__}, {scheme}: {violation['help']}\n" + "\n".join(nodes))
    context.close()
    assert not found, "\n\n".join(found)


@pytest.mark.parametrize("see", PAGES[:-1], ids=lambda see: see.__name__)
def test_every_control_is_reached_by_the_tab_key_and_seen(server, context, see):
    page = context.new_page()
    made.sign_in(page, server)
    see(page)
    count = page.locator("dialog[open]").count()
    inside = page.locator("dialog[open]" if count else "body").locator(CONTROLS)
    left = set(range(inside.evaluate_all(VISIBLE)))
    assert left
    page.evaluate("document.activeElement.blur()")
    for _ in range(2 * len(left) + 10):
        page.keyboard.press("Tab")
        number, outline, shadow = page.evaluate(
            "(({ dataset }, style) => [dataset.number, style.outlineStyle, style.boxShadow])"
            "(document.activeElement, getComputedStyle(document.activeElement))"
        )
        if number is not None:
            is_seen = outline != "none" or shadow != "none"
            assert is_seen, page.evaluate("document.activeElement.outerHTML")
            left.discard(int(number))
    names = [page.locator(f"[data-number='{n}']").evaluate("e => e.outerHTML") for n in left]
    assert not left, names


def test_an_item_is_labelled_without_a_mouse(server, project, context):
    page = context.new_page()
    made.sign_in(page, server)
    see_queue(page)
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent").strip() == "Label next":
            break
    page.keyboard.press("Enter")
    made.ready(page)
    item = page.evaluate("decodeURIComponent(location.hash.split('/')[2])")
    for key in ("2", "x", "Shift+ArrowRight", "Shift+ArrowDown", "x"):
        page.keyboard.press(key)
    drawn = made.mask_of(page)
    assert set(np.unique(drawn)) == {0, 2}
    page.keyboard.press("Control+Enter")
    page.get_by_text("Mask saved").wait_for()
    np.testing.assert_array_equal(project.label(item).mask, drawn)
