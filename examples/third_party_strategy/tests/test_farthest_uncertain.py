import numpy as np
from farthest_uncertain import STRATEGY, farthest_uncertain

from fewmasks.testing import strategy_laws

test_laws = strategy_laws(STRATEGY)


def test_of_two_that_are_as_hard_the_one_unlike_the_label_comes_first():
    """Row 0 is labelled; 1 is hard and near it, 2 as hard and far away, 3 easy and far away."""
    picks = farthest_uncertain(
        unlabelled=np.array([1, 2, 3]),
        labelled=np.array([0]),
        entropy=np.array([0.0, 0.9, 0.9, 0.3]),
        embedding=np.array([[0.0, 0.0], [0.0, 1.0], [0.0, 5.0], [5.0, 0.0]]),
        limit=2,
    )
    assert picks.tolist() == [2, 3]


def test_without_labels_the_hardest_come_first():
    picks = farthest_uncertain(
        unlabelled=np.arange(3),
        labelled=np.array([], dtype=np.int64),
        entropy=np.array([0.1, 0.9, 0.5]),
        embedding=np.zeros((3, 2)),
        limit=2,
    )
    assert picks.tolist() == [1, 2]
