import numpy as np

from fewmasks.query.strategies.strided import strided


def pool(volumes, slices):
    """Volumes of equally many slices, each volume its own group."""
    volume = np.repeat(np.arange(volumes), slices)
    return {"group": volume, "volume": volume, "z": np.tile(np.arange(slices), volumes)}


def ask(places, labelled, limit):
    labelled = np.array(labelled, dtype=np.int64)
    unlabelled = np.setdiff1d(np.arange(len(places["z"])), labelled)
    return strided(unlabelled, labelled, limit=limit, **places)


def test_every_kth_slice_of_one_volume():
    picks = ask(pool(1, 20), [], 4)
    assert np.diff(np.sort(picks)).tolist() == [5, 5, 5]


def test_every_volume_gives_its_share():
    places = pool(4, 10)
    picks = ask(places, [], 8)
    assert np.bincount(places["volume"][picks]).tolist() == [2, 2, 2, 2]


def test_few_slices_come_from_evenly_spread_volumes_at_different_depths():
    places = pool(12, 20)
    picks = ask(places, [], 4)
    assert places["volume"][picks].tolist() == [1, 4, 7, 10]
    assert len(set(places["z"][picks].tolist())) == 4


def test_the_least_labelled_volumes_come_first():
    places = pool(3, 10)
    known = [0, 1, 25]  # two in volume 0, one in volume 2
    assert places["volume"][ask(places, known, 1)].tolist() == [1]
    assert sorted(places["volume"][ask(places, known, 3)].tolist()) == [1, 1, 2]


def test_a_short_volume_gives_all_and_the_others_the_rest():
    places = {
        "group": np.zeros(12, dtype=np.int64),
        "volume": np.array([0, 0, *[1] * 10]),
        "z": np.array([0, 1, *range(10)]),
    }
    assert np.bincount(places["volume"][ask(places, [], 8)]).tolist() == [2, 6]


def test_pictures_are_taken_at_an_even_stride_over_groups():
    group = np.repeat([0, 1, 2], 6)
    places = {"group": group, "volume": np.arange(18), "z": np.zeros(18, dtype=np.int64)}
    picks = ask(places, [], 6)
    assert np.bincount(group[picks]).tolist() == [2, 2, 2]
    assert np.diff(np.sort(picks)).tolist() == [3] * 5
