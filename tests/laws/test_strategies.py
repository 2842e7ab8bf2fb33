"""What every query strategy must do, whatever it is."""

from dataclasses import replace

import numpy as np
import pytest
from tests.query.evidence import FEATURES, make_evidence

from fewmasks.errors import EvidenceError
from fewmasks.query.strategies import STRATEGIES
from fewmasks.query.strategy import OF_ALL_ROWS, Strategy

N = 40
LABELLED = np.array([3, 4, 11, 20, 39])

strategies = pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=STRATEGIES.keys())

WITHOUT_CHANCE = [s for s in STRATEGIES.values() if "rng" not in s.needs]
"""Draws follow the order of the rows, so only these can be asked to ignore it."""


def ask(strategy, n=N, labelled=LABELLED, limit=7, seed=0):
    return strategy(make_evidence(n, labelled, limit, seed))


@strategies
@pytest.mark.parametrize("labelled", [LABELLED, LABELLED[:0]], ids=["warm", "cold"])
@pytest.mark.parametrize("limit", [0, 1, 7, 35])
def test_picks_are_distinct_unlabelled_and_as_many_as_asked(strategy, labelled, limit):
    picks = ask(strategy, labelled=labelled, limit=limit)
    assert picks.dtype == np.int64
    assert len(picks) == limit == len(set(picks.tolist()))
    assert not set(picks.tolist()) & set(labelled.tolist())
    assert ((picks >= 0) & (picks < N)).all()


@strategies
def test_same_seed_same_answer(strategy):
    assert ask(strategy, seed=3).tolist() == ask(strategy, seed=3).tolist()


@strategies
def test_a_pool_of_one(strategy):
    assert ask(strategy, n=1, labelled=LABELLED[:0], limit=1).tolist() == [0]


@strategies
def test_all_labelled(strategy):
    assert ask(strategy, labelled=np.arange(N)).tolist() == []


@strategies
def test_an_empty_pool(strategy):
    assert ask(strategy, n=0, labelled=LABELLED[:0]).tolist() == []


@strategies
def test_more_asked_than_left(strategy):
    rest = np.setdiff1d(np.arange(N), LABELLED)
    assert sorted(ask(strategy, limit=100).tolist()) == rest.tolist()


@strategies
@pytest.mark.parametrize("labelled", [LABELLED, LABELLED[:0]], ids=["warm", "cold"])
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_clones(strategy, labelled, value):
    """Equal evidence everywhere: nothing to tell items apart, and still a full round."""
    evidence = make_evidence(N, labelled, 7)
    for name in FEATURES:
        evidence[name] = np.full_like(evidence[name], value)
    assert len(set(strategy(evidence).tolist())) == 7


@strategies
def test_nan_in_needed_evidence_is_refused_with_the_name_of_the_item(strategy):
    ids = tuple(f"slice-{row}" for row in range(N))
    for name in strategy.needs:
        evidence = make_evidence(N, LABELLED, 7)
        values = evidence[name]
        if isinstance(values, np.ndarray) and values.dtype.kind == "f":
            values[17] = np.nan
            with pytest.raises(EvidenceError, match=rf"slice-17: {name} is not finite"):
                strategy(evidence, ids)


@strategies
def test_a_labelled_item_that_picks_are_compared_with_must_be_finite_too(strategy):
    for name in set(strategy.needs) & set(OF_ALL_ROWS):
        evidence = make_evidence(N, LABELLED, 7)
        evidence[name][LABELLED[1]] = np.nan
        if "labelled" in strategy.needs:
            with pytest.raises(EvidenceError, match=f"row 4: {name} is not finite"):
                strategy(evidence)
        else:
            assert len(strategy(evidence)) == 7


@strategies
def test_what_the_model_says_of_labelled_rows_is_never_read(strategy):
    clean = make_evidence(N, LABELLED, 7)
    holed = make_evidence(N, LABELLED, 7)
    for name in FEATURES:
        keeps = name in OF_ALL_ROWS and "labelled" in strategy.needs
        if holed[name].dtype.kind == "f" and not keeps:
            holed[name][LABELLED] = np.nan
    assert strategy(clean).tolist() == strategy(holed).tolist()


@strategies
def test_evidence_is_not_changed(strategy):
    evidence = make_evidence(N, LABELLED, 7)
    for values in evidence.values():
        if isinstance(values, np.ndarray):
            values.flags.writeable = False
    strategy(evidence)


@pytest.mark.parametrize("strategy", WITHOUT_CHANCE, ids=lambda strategy: strategy.name)
def test_order_of_the_pool_does_not_matter(strategy):
    evidence = make_evidence(N, LABELLED, 7)
    shuffled = dict(evidence)
    old_row = np.random.default_rng(5).permutation(N)  # the new row r shows the old row old_row[r]
    new_row = np.argsort(old_row)
    for name in (*FEATURES, "group", "volume", "z"):
        shuffled[name] = evidence[name][old_row]
    for name in ("unlabelled", "labelled"):
        shuffled[name] = np.sort(new_row[evidence[name]])
    assert sorted(old_row[strategy(shuffled)].tolist()) == sorted(strategy(evidence).tolist())


@strategies
def test_missing_evidence_is_named(strategy):
    for name in set(strategy.needs) - {"unlabelled", "labelled", "limit"}:
        evidence = make_evidence(N, LABELLED, 7)
        del evidence[name]
        with pytest.raises(EvidenceError, match=f"{strategy.name}: needs '{name}'"):
            strategy(evidence)


@strategies
def test_needs_only_evidence_that_exists(strategy):
    assert set(strategy.needs) <= make_evidence(N, LABELLED, 7).keys()
    assert "limit" in strategy.needs


@strategies
def test_says_where_it_comes_from_and_when_to_use_it(strategy):
    assert strategy.reference
    assert strategy.advice
    assert strategy.bibtex.count("{") == strategy.bibtex.count("}")


def test_the_ground_truth_is_read_by_the_oracle_baseline_alone():
    readers = [s.name for s in STRATEGIES.values() if "true_classes" in s.needs]
    assert readers == ["foreground-random"]


@pytest.mark.parametrize(
    ("picks", "fault"),
    [([0, 0], "not 2 different"), ([0], "not 2 different"), ([0, 3], "not unlabelled")],
)
def test_a_plug_in_that_breaks_the_contract_fails_at_the_door(picks, fault):
    def rank(unlabelled, limit):
        return np.array(picks)

    with pytest.raises(ValueError, match=fault):
        Strategy("theirs", rank, reference="")(make_evidence(N, LABELLED, 2))


def test_a_strategy_is_a_value():
    one = next(iter(STRATEGIES.values()))
    assert replace(one) == one
