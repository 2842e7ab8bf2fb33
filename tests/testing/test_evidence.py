import numpy as np

from fewmasks.learn.evidence import OFFERED
from fewmasks.learn.session import GENERAL, ORACLE
from fewmasks.loop.rounds import STANDING
from fewmasks.testing import FEATURES, make_evidence, make_items

N = 40


def test_all_evidence_is_made_up_and_none_besides():
    made = make_evidence(N, np.array([3, 4]), 7)
    assert made.keys() == {*STANDING, *OFFERED, GENERAL, ORACLE}


def test_what_describes_an_item_has_a_finite_row_per_item():
    made = make_evidence(N, np.array([3, 4]), 7)
    described = {
        name for name, values in made.items() if isinstance(values, np.ndarray) and len(values) == N
    }
    assert described - {"group", "volume", "z"} == set(FEATURES)
    assert all(np.isfinite(made[name]).all() for name in FEATURES)


def test_every_call_makes_arrays_of_its_own():
    one, two = (make_evidence(N, np.array([3, 4]), 7) for _ in range(2))
    assert not any(np.shares_memory(one[name], two[name]) for name in FEATURES)
    assert all(np.array_equal(one[name], two[name]) for name in FEATURES)


def test_items_and_evidence_agree_on_groups_and_slices():
    made, items = make_evidence(N, np.array([3, 4]), 7), make_items(N)
    assert [f"patient{code}" for code in made["group"]] == [item.group[0] for item in items]
    assert [f"v{code}.nii" for code in made["volume"]] == [item.source for item in items]
    assert made["z"].tolist() == [item.z for item in items]
