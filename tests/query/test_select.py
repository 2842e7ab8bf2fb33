import numpy as np
import pytest

from fewmasks.errors import EvidenceError
from fewmasks.query.select import cap_groups, power_noise, top


def test_top_takes_the_highest_of_the_candidates_and_of_equals_the_lowest_row():
    scores = np.array([9.0, 1.0, 3.0, 3.0, 2.0])
    assert top(scores, np.array([4, 3, 2, 1]), 3).tolist() == [2, 3, 4]
    assert top(scores, np.array([1]), 5).tolist() == [1]


def test_top_names_the_row_that_is_not_a_number():
    with pytest.raises(EvidenceError, match="row 2"):
        top(np.array([0.0, 1.0, np.nan]), np.array([0, 2]), 1)


def test_power_noise_draws_with_chances_in_proportion_to_the_score():
    rng = np.random.default_rng(0)
    scores = np.array([1.0, 2.0, 5.0, 0.0])
    first = [int(power_noise(scores, 1.0, rng).argmax()) for _ in range(8000)]
    assert np.bincount(first, minlength=4) / 8000 == pytest.approx(
        [1 / 8, 2 / 8, 5 / 8, 0], abs=0.02
    )


def test_power_noise_fades_with_beta():
    scores = np.array([0.5, 0.6, 0.4])
    noisy = power_noise(scores, 1e6, np.random.default_rng(0))
    assert noisy == pytest.approx(np.log(scores), abs=1e-4)


def test_cap_groups_passes_over_a_group_that_gave_its_share():
    group = np.array([0, 0, 0, 1, 1, 2])
    assert cap_groups(np.array([2, 0, 1, 5, 4, 3]), group, 1, 3).tolist() == [2, 5, 4]
    assert cap_groups(np.array([2, 0, 1, 5, 4, 3]), group, 2, 4).tolist() == [2, 0, 5, 4]
    assert cap_groups(np.array([2, 0, 1]), group, 1, 3).tolist() == [2]
    assert cap_groups(np.array([], dtype=np.int64), group, 1, 3).tolist() == []


def test_cap_groups_equals_counting_by_hand():
    rng = np.random.default_rng(1)
    group = rng.integers(0, 6, size=50)
    ranked = rng.permutation(50)
    slow, given = [], dict.fromkeys(range(6), 0)
    for row in ranked:
        if given[group[row]] < 3:
            given[group[row]] += 1
            slow.append(int(row))
    assert cap_groups(ranked, group, 3, 12).tolist() == slow[:12]
