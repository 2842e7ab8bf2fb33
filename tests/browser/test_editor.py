"""What only a real canvas shows of the editor."""

import numpy as np
import pytest
from tests.browser import made

from fewmasks.types import UNKNOWN

pytestmark = pytest.mark.slow


def test_what_is_blank_in_a_mask_is_unknown_in_a_scribble_also_after_undoing(
    project, server, context
):
    """Else a scribble would say of the whole image that it is background."""
    page, item = context.new_page(), project.open_picks()[0].item
    made.sign_in(page, server)
    made.open_item(page, item)
    made.draw(page, (60, 60), (60, 100))
    made.saved(page, project.folder, item)
    page.keyboard.press("Control+z")
    assert set(np.unique(made.mask_of(page))) == {0}
    page.get_by_role("button", name="Scribble", exact=True).click()
    assert set(np.unique(made.mask_of(page))) == {UNKNOWN}
    made.draw(page, (60, 60), (60, 100))
    assert set(np.unique(made.mask_of(page))) == {1, UNKNOWN}
    made.saved(page, project.folder, item)

    page.keyboard.press("Shift+n")  # from nothing: a scribble that is blank
    page.get_by_role("button", name="Mask", exact=True).click()
    assert set(np.unique(made.mask_of(page))) == {0}
    made.saved(page, project.folder, item)

    made.draw(page, (60, 60), (60, 100))  # what is drawn stays as it is
    page.get_by_role("button", name="Scribble", exact=True).click()
    assert set(np.unique(made.mask_of(page))) == {0, 1}
