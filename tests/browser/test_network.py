"""The network goes away, a second tab opens, a second person comes: nothing is lost in silence."""

import numpy as np
import pytest
from playwright.sync_api import expect
from tests.browser import made

from fewmasks.server.accounts import add_user

pytestmark = pytest.mark.slow

LINE = ((40.0, 40.0), (40.0, 90.0))
OTHER = ((80.0, 40.0), (80.0, 90.0))
NO_CONNECTION = "No connection. Go on drawing"
PASSWORD = "correct horse"


@pytest.fixture
def item(project):
    return project.open_picks()[0].item


def test_strokes_without_a_network_are_saved_when_it_is_back(project, server, context, item):
    page = context.new_page()
    made.sign_in(page, server)
    made.open_item(page, item)
    made.draw(page, *LINE)
    made.saved(page, project.folder, item)
    number, before = made.draft(project.folder, item)
    context.set_offline(True)
    for key in "123":
        page.keyboard.press(key)
        made.draw(page, *OTHER)
    page.keyboard.press("Control+z")
    expect(page.get_by_text(NO_CONNECTION)).to_be_visible()
    expect(page.locator(".save")).to_have_text("Kept here")
    assert made.draft(project.folder, item)[0] == number
    np.testing.assert_array_equal(made.draft(project.folder, item)[1], before)
    context.set_offline(False)
    made.saved(page, project.folder, item)
    assert set(np.unique(made.mask_of(page))) == {0, 1, 2}
    expect(page.get_by_text(NO_CONNECTION)).to_be_hidden()


def test_strokes_outlive_a_tab_that_is_closed_without_a_network(project, server, context, item):
    page = context.new_page()
    made.sign_in(page, server)
    made.open_item(page, item)
    context.set_offline(True)
    made.draw(page, *LINE)
    drawn = made.mask_of(page)
    expect(page.get_by_text(NO_CONNECTION)).to_be_visible()  # by then this computer has kept it
    page.close()
    assert made.draft(project.folder, item) is None
    context.set_offline(False)
    page = context.new_page()
    page.goto(f"{server.here}#/item/{item}")
    made.ready(page, item)
    np.testing.assert_array_equal(made.mask_of(page), drawn)
    # From this computer, or from the server, where the closing tab still got it to.
    expect(page.get_by_text("open again")).to_be_visible()
    made.saved(page, project.folder, item)


def test_two_tabs_on_one_item_are_told(project, server, context, item):
    first = context.new_page()
    made.sign_in(first, server)
    made.open_item(first, item)
    made.draw(first, *LINE)
    made.saved(first, project.folder, item)
    drawn = made.mask_of(first)

    second = context.new_page()
    second.goto(f"{server.here}#/item/{item}")
    expect(second.get_by_text("open in another tab of yours")).to_be_visible()
    np.testing.assert_array_equal(made.mask_of(second), drawn)
    made.draw(second, *OTHER)  # moves the image; nothing is drawn until it is said which tab holds
    np.testing.assert_array_equal(made.mask_of(second), drawn)
    second.get_by_role("button", name="Fit the image").click()
    made.draw(first, (120.0, 40.0), (120.0, 90.0))  # since the second one opened
    made.saved(first, project.folder, item)
    drawn = made.mask_of(first)
    second.get_by_role("button", name="Go on here").click()
    made.ready(second)
    np.testing.assert_array_equal(made.mask_of(second), drawn)

    expect(first.get_by_text("You went on with this item in another tab")).to_be_visible()
    made.draw(first, *OTHER)
    np.testing.assert_array_equal(made.mask_of(first), drawn)
    made.draw(second, *OTHER)
    made.saved(second, project.folder, item)
    newest = made.mask_of(second)
    assert (newest != drawn).any()

    first.get_by_role("button", name="Take it back").click()
    first.get_by_role("button", name="Go on here").click()
    made.ready(first)
    np.testing.assert_array_equal(made.mask_of(first), newest)
    expect(second.get_by_text("You went on with this item in another tab")).to_be_visible()


def test_a_second_person_is_told_who_is_at_it(project, browser, item):
    for name in ("anna", "bert"):
        add_user(project.engine, name, "annotator", PASSWORD)
    server = made.Server(project.folder)
    contexts = [browser.new_context() for _ in range(2)]
    try:
        anna, bert = (context.new_page() for context in contexts)
        for name, page in (("anna", anna), ("bert", bert)):
            page.goto(server.link)
            page.get_by_label("Name").fill(name)
            page.get_by_label("Password").fill(PASSWORD)
            page.get_by_role("button", name="Sign in").click()
            page.get_by_role("button", name="Sign out").wait_for()
        made.open_item(anna, item)
        made.draw(anna, *LINE)
        made.saved(anna, project.folder, item)
        bert.goto(f"{server.here}#/queue")
        expect(bert.get_by_text("Taken by anna")).to_be_visible()
        bert.goto(f"{server.here}#/item/{item}")
        expect(bert.get_by_text("anna is labelling this item now")).to_be_visible()
        assert not made.mask_of(bert).any()
        expect(bert.get_by_role("button", name="Accept")).to_be_disabled()
        anna.keyboard.press("Control+Enter")
        expect(anna.get_by_text("Mask saved")).to_be_visible()
        assert project.label(item).by == "anna"
    finally:
        for context in contexts:
            context.close()
        server.stop()
