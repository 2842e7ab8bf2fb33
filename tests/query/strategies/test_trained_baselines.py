"""CoreGCN, VAAL and DEAL choose by what their networks learnt."""

import numpy as np

from fewmasks.query.strategies.core_gcn import core_gcn
from fewmasks.query.strategies.deal import deal
from fewmasks.query.strategies.vaal import vaal


def test_core_gcn_takes_what_is_farthest_from_any_label():
    line = np.array([[0.0], [1.0], [5.0], [6.0], [10.0]])
    assert core_gcn(np.arange(1, 5), np.array([0]), line, 2).tolist() == [4, 2]


def test_core_gcn_returns_rows_of_the_pool_wherever_the_labels_stand():
    """Labelled rows between the others: a position among them is no row."""
    line = np.array([[0.0], [7.0], [0.0], [1.0], [0.0], [9.0]])
    assert core_gcn(np.array([1, 3, 5]), np.array([0, 2, 4]), line, 2).tolist() == [5, 1]


def test_core_gcn_starts_from_nothing_near_the_mean():
    line = np.array([[0.0], [4.0], [5.0], [20.0]])
    assert core_gcn(np.arange(4), np.array([], dtype=np.int64), line, 2).tolist() == [2, 3]


def test_vaal_takes_what_is_believed_least_to_be_labelled():
    assert vaal(np.array([0, 2, 3]), np.array([0.2, 1.0, 0.9, 0.4]), 2).tolist() == [2, 3]


def test_deal_takes_the_widest_mix_of_difficulties():
    assert deal(np.array([0, 2, 3]), np.array([0.2, 2.0, 0.9, 1.4]), 2).tolist() == [3, 2]
