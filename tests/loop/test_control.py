"""The control arm: a random sample of what could be asked for, beside the strategy's picks."""

import numpy as np
import pytest
from tests.loop.test_rounds import ENTROPY, RANDOM, entropy_of, picked, state_of

from fewmasks.config import Config
from fewmasks.errors import ConfigError
from fewmasks.loop.control import CONTROL, draw_control, matched, mixed
from fewmasks.loop.rounds import propose
from fewmasks.query.strategy import Strategy
from fewmasks.types import Pick, Round


def asked(share, limit=10, strategy=ENTROPY, seed=0, cap=None, **changes):
    state = state_of(n=64, **changes)
    return propose(state, strategy, entropy_of(state), limit, seed, cap, share)


def control_of(round_) -> list[str]:
    return [pick.item for pick in round_.picks if pick.control]


def chosen_of(round_) -> list[str]:
    return [pick.item for pick in round_.picks if not pick.control]


@pytest.mark.parametrize("share", [0.0, 0.1, 0.25, 0.5, 1.0])
@pytest.mark.parametrize("limit", [1, 7, 20, 60])
@pytest.mark.parametrize("strategy", [ENTROPY, RANDOM])
def test_the_arms_are_apart_and_fill_the_round(share, limit, strategy):
    found = asked(share, limit, strategy)
    assert len(set(picked(found))) == len(found.picks) == limit
    assert abs(len(control_of(found)) - share * limit) < 1
    assert {pick.reason for pick in found.picks if pick.control} <= {CONTROL}
    assert CONTROL not in {pick.reason for pick in found.picks if not pick.control}


@pytest.mark.slow
def test_the_share_holds_over_rounds_where_it_is_no_whole_number_of_picks():
    sizes = [len(control_of(asked(0.1, 4, next_round=number))) for number in range(400)]
    assert set(sizes) == {0, 1}
    assert np.mean(sizes) == pytest.approx(0.4, abs=0.08)


def test_without_a_control_arm_a_round_is_as_it_was():
    assert not control_of(asked(0.0))
    assert picked(asked(0.0)) == picked(
        propose(state_of(n=64), ENTROPY, entropy_of(state_of(n=64)), 10, 0)
    )


def test_the_same_seed_draws_the_same_and_another_one_does_not():
    assert asked(0.5, seed=3) == asked(0.5, seed=3)
    assert control_of(asked(0.5, seed=3)) != control_of(asked(0.5, seed=4))
    assert control_of(asked(0.5, next_round=1)) != control_of(asked(0.5, next_round=2))


def test_the_order_in_which_people_label_does_not_matter():
    one = asked(0.5, labelled=("i01", "i04"), next_round=1)
    assert one == asked(0.5, labelled=("i04", "i01"), next_round=1)


def test_no_strategy_has_a_say_in_what_the_control_arm_is():
    """Else it would be a sample of what a strategy leaves over."""
    assert control_of(asked(0.3, strategy=RANDOM)) == control_of(asked(0.3, strategy=ENTROPY))


def test_every_item_is_equally_likely_to_be_a_control():
    rows = np.arange(5, 25)
    drawn = [draw_control(rows, 10, 0.3, np.random.default_rng(seed)) for seed in range(4000)]
    assert {len(each) for each in drawn} == {3}
    counts = np.bincount(np.concatenate(drawn), minlength=25)
    assert counts[:5].sum() == 0
    expected = 4000 * 3 / 20
    chi = ((counts[5:] - expected) ** 2 / expected).sum()
    assert chi < 43.8  # 99.9 % of 19 degrees of freedom


def test_the_strategy_chooses_from_the_rest_as_if_it_were_all():
    state = state_of(n=64)
    whole = propose(state, ENTROPY, entropy_of(state), 60, 0)
    found = asked(0.25, 12)
    left = [item for item in picked(whole) if item not in control_of(found)]
    assert chosen_of(found) == left[:9]


def test_the_strategy_is_not_shown_the_control_arm_and_learns_how_far_the_budget_is():
    seen = {}

    def rank(unlabelled, limit, progress, rounds):
        seen.update(unlabelled=unlabelled, limit=limit, progress=progress, rounds=rounds)
        return unlabelled[:limit]

    labelled = tuple(f"i{k:02d}" for k in range(10))
    found = asked(0.5, 10, Strategy("theirs", rank, ""), labelled=labelled)
    names = [f"i{row:02d}" for row in seen["unlabelled"]]
    assert set(names) & set(control_of(found)) == set()
    assert seen["limit"] == 5
    assert seen["progress"] == state_of(n=64, labelled=labelled).progress(10)
    assert seen["rounds"] == 1


def test_the_cap_is_that_of_the_strategy_s_picks():
    found = asked(0.5, 8, cap=1)
    groups = [int(item[1:]) % 4 for item in chosen_of(found)]
    assert len(groups) == len(set(groups)) == 4
    assert len(control_of(found)) == 4


def test_the_last_items_go_to_both_arms():
    labelled = tuple(f"i{k:02d}" for k in range(58))
    found = asked(0.5, 10, labelled=labelled)
    assert sorted(picked(found)) == ["i58", "i59"]
    assert len(control_of(found)) == 1


@pytest.mark.parametrize("share", [-0.1, 1.1, "none"])
def test_a_share_is_from_nothing_to_all(share):
    with pytest.raises(ConfigError, match=r"query\.control"):
        Config().with_settings([f"query.control={share}"])


def test_both_arms_are_in_every_part_of_a_round():
    chosen = [Pick(f"s{n}", "") for n in range(16)]
    control = [Pick(f"c{n}", "", control=True) for n in range(4)]
    places = []
    for seed in range(300):
        found = mixed(chosen, control, np.random.default_rng(seed))
        assert [pick for pick in found if not pick.control] == chosen
        assert [pick for pick in found if pick.control] == control
        places += [place for place, pick in enumerate(found) if pick.control]
    assert np.mean(places) == pytest.approx(9.5, abs=0.5)
    assert set(places) == set(range(20))


def rounds_of(*sizes) -> list[Round]:
    """Rounds of so many picks of the strategy and of the control arm."""
    return [
        Round(number, "entropy", 0, (
            *(Pick(f"s{number}{k}", "") for k in range(chosen)),
            *(Pick(f"c{number}{k}", "", control=True) for k in range(random)),
            Pick(f"t{number}", "", audit=True),
        ))
        for number, (chosen, random) in enumerate(sizes, start=1)
    ]  # fmt: skip


def test_the_arms_are_matched_round_by_round():
    rounds = rounds_of((8, 2), (1, 3), (5, 0))
    labelled = {pick.item for each in rounds for pick in each.picks} - {"c10"}
    strategy, control = matched(rounds, labelled, seed=0)
    assert [item[:2] for item in strategy] == ["s1", "s2"]
    assert [item[:2] for item in control] == ["c1", "c2"]
    assert control[0] == "c11"
    assert matched(rounds, labelled, seed=0) == (strategy, control)
    drawn = {tuple(matched(rounds, labelled, seed)[0]) for seed in range(40)}
    assert len(drawn) > 4
    assert matched(rounds, set(), 0) == ([], [])
