"""The laws of `fewmasks.testing` over the whole table, and what binds the table itself."""

from dataclasses import replace

import numpy as np
import pytest

from fewmasks.query.strategies import STRATEGIES
from fewmasks.query.strategy import Strategy
from fewmasks.testing import make_evidence, strategy_laws

ORACLES = ("foreground-random",)

test_laws = strategy_laws(*STRATEGIES.values(), oracles=ORACLES)


def test_the_ground_truth_is_read_by_the_oracle_baseline_alone():
    readers = [s.name for s in STRATEGIES.values() if "true_classes" in s.needs]
    assert readers == list(ORACLES)


@pytest.mark.parametrize(
    ("picks", "fault"),
    [([0, 0], "not 2 different"), ([0], "not 2 different"), ([0, 3], "not unlabelled")],
)
def test_a_plug_in_that_breaks_the_contract_fails_at_the_door(picks, fault):
    def rank(unlabelled, limit):
        return np.array(picks)

    with pytest.raises(ValueError, match=fault):
        Strategy("theirs", rank, reference="")(make_evidence(40, np.array([3, 4, 11]), 2))


def test_a_strategy_is_a_value():
    one = next(iter(STRATEGIES.values()))
    assert replace(one) == one
