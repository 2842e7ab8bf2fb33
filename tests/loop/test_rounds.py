"""Propose and absorb: pure, deterministic, and never a test item."""

import copy
from collections import Counter

import numpy as np
import pytest

from fewmasks.errors import ConfigError, EvidenceError, ProjectError
from fewmasks.loop.rounds import (
    STANDING,
    State,
    absorb,
    add_audit,
    ask_twice,
    propose,
    round_rng,
    standing_evidence,
)
from fewmasks.pool import Pool
from fewmasks.query.select import project_and_match
from fewmasks.query.strategies import STRATEGIES, ipm_uncertainty
from fewmasks.query.strategy import Strategy
from fewmasks.types import Item, Label

RANDOM, ENTROPY = STRATEGIES["random"], STRATEGIES["entropy"]


def state_of(n=20, n_test=4, groups=4, **changes) -> State:
    """Items i00, i01, ... whose last `n_test` are the test side; groups take turns."""
    items = [Item(f"i{k:02d}", f"f{k % groups}.nii", (f"g{k % groups}",), k) for k in range(n)]
    train = np.arange(n - n_test)
    given = {"train": train, "classes": ("background", "cell"), "foreground": np.array([1])}
    return State(Pool(tuple(items)), **(given | changes))


def answers(round_) -> list[Label]:
    mask = np.zeros((2, 2), np.uint8)
    return [Label(pick.item, "mask", mask, 1.0, "ann") for pick in round_.picks]


def picked(round_) -> list[str]:
    return [pick.item for pick in round_.picks]


def entropy_of(state, seed=0):
    return {"entropy": np.random.default_rng(seed).random(len(state.pool))}


def run(state, rounds, limit=3, seed=7):
    """Questions of so many rounds, answered in full."""
    asked = []
    for _ in range(rounds):
        asked.append(propose(state, RANDOM, {}, limit, seed))
        state = absorb(state, asked[-1], answers(asked[-1]))
    return asked, state


# Purity


def test_proposing_changes_nothing_and_says_the_same_twice():
    state = state_of(labelled=("i03",), skipped=frozenset({"i05"}))
    before = copy.deepcopy(state)
    evidence = entropy_of(state)
    kept = evidence["entropy"].copy()
    first = propose(state, ENTROPY, evidence, 4, seed=0)
    assert propose(state, ENTROPY, evidence, 4, seed=0) == first
    np.testing.assert_array_equal(evidence["entropy"], kept)
    assert set(evidence) == {"entropy"}
    assert (state.pool, state.labelled, state.skipped) == (
        before.pool, before.labelled, before.skipped,
    )  # fmt: skip


def test_absorbing_makes_a_new_state_and_leaves_the_old_one():
    state = state_of()
    asked = propose(state, RANDOM, {}, 3, seed=0)
    after = absorb(state, asked, answers(asked))
    assert state.labelled == ()
    assert state.next_round == 0
    assert after.labelled == tuple(picked(asked))
    assert after.next_round == 1
    assert absorb(state, asked, answers(asked)).labelled == after.labelled


def test_what_was_not_answered_stays_open():
    state = state_of()
    asked = propose(state, RANDOM, {}, 3, seed=0)
    after = absorb(state, asked, answers(asked)[:1])
    assert after.labelled == tuple(picked(asked)[:1])
    assert set(state.pool.rows(picked(asked)[1:])) <= set(after.unlabelled)


def test_answers_that_were_not_asked_for_or_come_twice_count_once_or_not_at_all():
    state = state_of(labelled=("i00",))
    asked = propose(state, RANDOM, {}, 2, seed=0)
    stranger = Label("i00", "mask", np.zeros((2, 2), np.uint8), 1.0, "ann")
    other = next(i.id for i in state.pool.items if i.id not in {*picked(asked), "i00"})
    extra = [stranger, Label(other, "mask", stranger.mask, 1.0, "ann"), *answers(asked)]
    assert absorb(state, asked, extra).labelled == ("i00", *picked(asked))


# Sides


@pytest.mark.parametrize("seed", range(5))
def test_only_unlabelled_training_items_are_asked_for(seed):
    asked, state = run(state_of(skipped=frozenset({"i02"})), rounds=5, seed=seed)
    items = [item for each in asked for item in picked(each)]
    assert len(items) == len(set(items)) == 15
    assert not {"i02", "i16", "i17", "i18", "i19"} & set(items)
    with pytest.raises(ProjectError, match="nothing to ask"):
        propose(state, RANDOM, {}, 1, seed)


def test_the_last_round_takes_what_is_left():
    _, state = run(state_of(), rounds=5)
    assert len(propose(state, RANDOM, {}, 10, seed=0).picks) == 1


def test_a_round_of_nothing_is_refused():
    with pytest.raises(ConfigError, match="--limit: must be at least 1 \\(0\\)"):
        propose(state_of(), RANDOM, {}, 0, seed=0)


# Randomness and resuming


def test_the_randomness_of_a_round_is_its_seed_and_number():
    assert round_rng(3, 2).random() == np.random.default_rng([3, 2]).random()
    drawn = {round_rng(seed, number).random() for seed in range(5) for number in range(5)}
    assert len(drawn) == 25


def test_a_resumed_project_asks_what_an_uninterrupted_one_asks():
    whole, _ = run(state_of(), rounds=4)
    for stop in range(4):
        _, halfway = run(state_of(), rounds=stop)
        resumed = state_of(labelled=halfway.labelled, next_round=stop)
        rest, _ = run(resumed, rounds=4 - stop)
        assert rest == whole[stop:]


def test_the_order_in_which_people_label_does_not_change_a_draw():
    one = state_of(labelled=("i01", "i04"), next_round=1)
    other = state_of(labelled=("i04", "i01"), next_round=1)
    assert propose(one, RANDOM, {}, 5, 0) == propose(other, RANDOM, {}, 5, 0)


# Evidence


def test_standing_evidence_is_what_it_says():
    state = state_of(labelled=("i03",))
    found = standing_evidence(state, 2, seed=0)
    assert set(found) == STANDING
    assert found["labelled"].tolist() == [3]
    assert 3 not in found["unlabelled"]
    assert found["group"].tolist() == [k % 4 for k in range(20)]
    assert found["volume"].tolist() == [k % 4 for k in range(20)]
    assert found["z"].tolist() == list(range(20))


def test_progress_runs_from_zero_to_one():
    state, seen = state_of(n=34, planned=30), []
    for _ in range(6):
        seen.append(state.progress(5))
        asked = propose(state, RANDOM, {}, 5, seed=0)
        state = absorb(state, asked, answers(asked))
    np.testing.assert_allclose(seen, [0, 0.2, 0.4, 0.6, 0.8, 1])


def test_progress_without_a_plan_starts_at_zero_and_never_passes_one():
    seen = [state_of(n=64, labelled=tuple(f"i{k:02d}" for k in range(m))).progress(3)
            for m in range(60)]  # fmt: skip
    assert seen[0] == 0
    assert seen == sorted(seen)
    assert seen[-1] == 1
    assert state_of().progress(1000) == 0


@pytest.mark.parametrize(
    ("cap", "control"), [(None, 0.0), (1, 0.0), (2, 0.0), (None, 0.75), (1, 0.5)]
)
def test_rounds_are_of_the_whole_round_however_often_a_part_of_it_is_asked_for(cap, control):
    """What a cap leaves to be asked again and what a control arm takes do not move a schedule."""
    seen = []

    def rank(unlabelled, limit, rounds, progress):
        seen.append((rounds, progress))
        return unlabelled[:limit]

    state = state_of(n=64, groups=30, labelled=tuple(f"i{k:02d}" for k in range(40)))
    propose(state, Strategy("theirs", rank, ""), {}, 16, 0, cap, control)
    assert set(seen) == {(2.5, state.progress(16))}
    assert standing_evidence(state, 16, 0)["rounds"] == 2.5


@pytest.mark.parametrize("split", [{"group_cap": 1}, {"control": 0.75}])
def test_ipm_with_uncertainty_weighs_the_same_in_every_part_of_a_round(split, monkeypatch):
    weights = []

    def watched(*given, alpha, **named):
        weights.append(alpha)
        return project_and_match(*given, alpha=alpha, **named)

    monkeypatch.setattr(ipm_uncertainty, "project_and_match", watched)
    state = state_of(n=124, groups=17, labelled=tuple(f"i{k:02d}" for k in range(40)))
    rng = np.random.default_rng(0)
    evidence = {"embedding": rng.normal(size=(124, 5)), "uncertainty": rng.random(124)}
    propose(state, ipm_uncertainty.STRATEGY, evidence, 20, 0, **split)
    assert set(weights) == {0.95**2}
    assert len(weights) > 1 or "control" in split


def test_evidence_that_is_missing_or_not_finite_is_named():
    state = state_of()
    with pytest.raises(EvidenceError, match="entropy: needs 'entropy'"):
        propose(state, ENTROPY, {}, 2, seed=0)
    evidence = entropy_of(state)
    evidence["entropy"][4] = np.nan
    with pytest.raises(EvidenceError, match="i04: entropy is not finite"):
        propose(state, ENTROPY, evidence, 2, seed=0)


def test_evidence_cannot_replace_what_always_stands():
    state = state_of(labelled=("i00",))
    asked = propose(state, RANDOM, {"unlabelled": np.array([0]), "limit": 9}, 2, seed=0)
    assert len(asked.picks) == 2
    assert "i00" not in picked(asked)


# A strategy at fault


@pytest.mark.parametrize(
    "rows",
    [[3, 4], [1, 1], [1], [1, 2, 5], [1, 16], [1, 99]],
    ids=["labelled", "twice", "too few", "too many", "test side", "nowhere"],
)
@pytest.mark.parametrize("group_cap", [None, 5])
def test_a_strategy_at_fault_is_caught(rows, group_cap):
    def rank(unlabelled, limit):
        del unlabelled, limit
        return np.array(rows, dtype=np.int64)

    with pytest.raises(ValueError, match="theirs"):
        propose(
            state_of(labelled=("i03",)), Strategy("theirs", rank, ""), {}, 2, 0, group_cap
        )  # fmt: skip


# Cap per group


def capped(state, limit, cap):
    evidence = {"entropy": np.arange(len(state.pool), dtype=float)[::-1]}
    return propose(state, ENTROPY, evidence, limit, 0, group_cap=cap)


@pytest.mark.parametrize("limit", [1, 3, 4, 8, 16])
@pytest.mark.parametrize("cap", [1, 2, 3])
def test_a_cap_equals_its_definition(limit, cap):
    """Walk the whole ranking and pass over full groups."""
    state = state_of()
    taken, expected = {}, []
    for row in range(16):  # by descending entropy
        group = row % 4
        if taken.get(group, 0) < cap and len(expected) < limit:
            taken[group] = taken.get(group, 0) + 1
            expected.append(f"i{row:02d}")
    assert picked(capped(state, limit, cap)) == expected


def test_a_cap_looks_as_far_as_it_must():
    """The first twenty rows are of one group, and the limit is two."""
    items = [Item(f"i{k:02d}", "f", ("a" if k < 20 else "b",)) for k in range(22)]
    state = State(Pool(tuple(items)), np.arange(22), ("bg", "fg"), np.array([1]))
    assert picked(capped(state, 2, 1)) == ["i00", "i20"]
    assert picked(capped(state, 5, 1)) == ["i00", "i20"]


def walk(ranked, group, cap, limit):
    """The whole ranking from its top, full groups passed over."""
    taken, kept = Counter(), []
    for row in ranked:
        if taken[group[row]] < cap and len(kept) < limit:
            taken[group[row]] += 1
            kept.append(row)
    return kept


@pytest.mark.parametrize("seed", range(20))
def test_a_cap_on_a_score_walks_down_the_whole_ranking(seed):
    """Groups of uneven size, equal scores among them, and any cap and limit."""
    rng = np.random.default_rng(seed)
    group = rng.geometric(0.3, size=60)
    items = [Item(f"i{k:02d}", "f", (f"g{code}",)) for k, code in enumerate(group)]
    labelled = tuple(f"i{k:02d}" for k in rng.choice(60, size=5, replace=False))
    known = (("bg", "fg"), np.array([1]), labelled)
    state = State(Pool(tuple(items)), np.arange(60), *known)
    evidence = {"entropy": rng.integers(0, 30, size=60) / 30}
    for cap, limit in ((1, 3), (2, 8), (3, 20), (5, 55)):
        ranked = [int(p.item[1:]) for p in propose(state, ENTROPY, evidence, 55, 0).picks]
        expected = [f"i{row:02d}" for row in walk(ranked, group, cap, limit)]
        assert picked(propose(state, ENTROPY, evidence, limit, 0, group_cap=cap)) == expected


def test_a_cap_leaves_every_cluster_its_share():
    """Four clusters, each over two groups: a batch in blocks is not cut after the first blocks."""
    items = [Item(f"i{k:02d}", "f", (f"g{k % 8}",)) for k in range(64)]
    state = State(Pool(tuple(items)), np.arange(64), ("bg", "fg"), np.array([1]))
    place = np.repeat(100.0 * np.arange(4), 2)[np.arange(64) % 8]
    evidence = {"embedding": np.stack([place + np.arange(64) / 64, 0 * place], axis=1)}
    strategy = STRATEGIES["cluster-stratified"]
    for cap in (1, 3):
        picks = picked(propose(state, strategy, evidence, 8, 0, group_cap=cap))
        assert Counter(place[int(i[1:])] for i in picks) == dict.fromkeys(100.0 * np.arange(4), 2)


def test_what_a_cap_lets_a_strategy_pick_later_stays_away_from_what_it_picked_first():
    """On a line from the label at 0: 9 fills the group of 8, and 7 is farther than 4 but near 9."""
    position = np.array([0.0, 9.0, 8.0, 7.0, 4.0])
    group = ("a", "b", "b", "c", "d")
    items = [Item(f"i{k:02d}", "f", (name,)) for k, name in enumerate(group)]
    state = State(Pool(tuple(items)), np.arange(5), ("bg", "fg"), np.array([1]), ("i00",))
    evidence = {"embedding": position[:, None]}

    def all_far(unlabelled, labelled, embedding, limit):
        away = np.abs(embedding[unlabelled] - embedding[labelled].T).min(axis=1)
        return unlabelled[np.argsort(-away)][:limit]

    farthest = Strategy("farthest", all_far, "")
    assert picked(propose(state, farthest, evidence, 2, 0)) == ["i01", "i02"]
    assert picked(propose(state, farthest, evidence, 2, 0, group_cap=1)) == ["i01", "i04"]


def test_a_capped_draw_is_the_same_twice():
    one = propose(state_of(), RANDOM, {}, 4, 0, group_cap=1)
    assert one == propose(state_of(), RANDOM, {}, 4, 0, group_cap=1)
    assert len({state_of().pool.items[int(p.item[1:])].group for p in one.picks}) == 4


# Audit


def audited_round(limit=10, audited=(), skipped=()):
    state = state_of(n=40, n_test=20, skipped=frozenset(skipped))
    asked = propose(state, RANDOM, {}, limit, seed=0)
    return state, add_audit(asked, np.arange(20, 40), state, audited)


def test_audit_items_come_from_the_test_side_alone_and_are_marked():
    state, asked = audited_round()
    audit = [pick for pick in asked.picks if pick.audit]
    assert len(audit) == 1
    assert all(state.pool.rows([pick.item])[0] >= 20 for pick in audit)
    assert "never trained on" in audit[0].reason


def test_audit_labels_are_never_trained_on():
    state, asked = audited_round()
    after = absorb(state, asked, answers(asked))
    assert set(after.labelled) == {pick.item for pick in asked.picks if not pick.audit}
    assert (after.labelled_rows < 20).all()


def test_an_audit_asks_for_new_items_until_there_are_none():
    audited = set()
    for _ in range(20):
        _, asked = audited_round(audited=audited, skipped=["i20"])
        audited |= {pick.item for pick in asked.picks if pick.audit}
    assert audited == {f"i{k}" for k in range(21, 40)}
    _, asked = audited_round(audited=audited, skipped=["i20"])
    assert not any(pick.audit for pick in asked.picks)


def test_the_audit_does_not_disturb_the_draw():
    state = state_of(n=40, n_test=20)
    plain = propose(state, RANDOM, {}, 10, seed=0)
    _, asked = audited_round()
    assert asked.picks[:10] == plain.picks


# Two readers


def twice(share, limit=10, seed=0, **changes):
    return ask_twice(propose(state_of(n=64, **changes), RANDOM, {}, limit, seed), share)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 1.0])
@pytest.mark.parametrize("limit", [1, 7, 40])
def test_a_share_of_the_round_is_asked_of_two(share, limit):
    found = twice(share, limit)
    n = sum(pick.readings == 2 for pick in found.picks)
    assert abs(n - share * limit) < 1
    assert {pick.readings for pick in found.picks} <= {1, 2}
    assert picked(found) == picked(twice(0.0, limit))
    assert found == twice(share, limit)


def test_who_is_asked_twice_follows_from_the_seed_and_the_round():
    def items(**changes):
        return {pick.item for pick in twice(0.5, 60, **changes).picks if pick.readings == 2}

    assert items() == items(labelled=())
    assert len({frozenset(items(seed=seed)) for seed in range(5)}) == 5
    assert items(next_round=1) != items(next_round=2)


def test_test_items_are_read_once():
    _, asked = audited_round(limit=10)
    found = ask_twice(asked, 1.0)
    assert [pick.readings for pick in found.picks] == [1 if p.audit else 2 for p in asked.picks]
