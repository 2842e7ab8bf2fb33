import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fewmasks.io.regions import boxes

sizes = st.integers(1, 300)


@given(sizes, sizes, st.integers(1, 320))
def test_every_pixel_lies_in_exactly_one_region(height: int, width: int, region: int):
    covered = np.zeros((height, width), int)
    for y0, x0, y1, x1 in boxes(height, width, region):
        covered[y0:y1, x0:x1] += 1
    assert (covered == 1).all()


@given(sizes, sizes, st.integers(2, 320))
def test_no_region_is_larger_than_wanted_or_a_sliver(height: int, width: int, region: int):
    for y0, x0, y1, x1 in boxes(height, width, region):
        for side, whole in ((y1 - y0, height), (x1 - x0, width)):
            assert side <= region
            assert side >= min(region // 2, whole)
