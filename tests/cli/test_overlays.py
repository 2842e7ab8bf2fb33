"""Predictions for the labelling page."""

import numpy as np

from fewmasks.cli.overlays import uncertainty


def test_uncertainty_is_none_where_sure_and_all_where_classes_are_alike():
    probs = np.zeros((4, 1, 3), np.float32)
    probs[0, 0, 0] = 1
    probs[:, 0, 1] = 0.25
    probs[:2, 0, 2] = 0.5
    assert uncertainty(probs).tolist() == [[0, 255, 128]]
    assert uncertainty(np.ones((1, 2, 2), np.float32)).tolist() == [[0, 0], [0, 0]]
