import numpy as np

from fewmasks.query.strategies.whole_volumes import whole_volumes

VOLUME = np.repeat([0, 1, 2, 3], 5)
Z = np.tile([4, 3, 2, 1, 0], 4)


def ask(labelled, limit, seed=0):
    known = np.array(labelled, dtype=np.int64)
    unlabelled = np.setdiff1d(np.arange(20), known)
    return whole_volumes(unlabelled, known, VOLUME, Z, limit, np.random.default_rng(seed))


def test_volumes_are_whole_and_in_order():
    picks = ask([], 10)
    assert VOLUME[picks].tolist() == sorted(VOLUME[picks], key=VOLUME[picks].tolist().index)
    assert sorted(np.bincount(VOLUME[picks], minlength=4)) == [0, 0, 5, 5]
    assert Z[picks].tolist() == [0, 1, 2, 3, 4] * 2


def test_a_volume_that_was_begun_is_finished_first():
    first = ask([], 7)
    second = ask(first, 3, seed=1)
    assert set(VOLUME[second]) == {VOLUME[first[-1]]}
    assert Z[second].tolist() == [2, 3, 4]


def test_every_volume_comes_first_as_often():
    firsts = [VOLUME[ask([], 1, seed)][0] for seed in range(400)]
    assert (np.bincount(firsts) > 70).all()
