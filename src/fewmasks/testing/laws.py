"""The laws of query strategies: each takes a strategy and raises AssertionError if it is broken."""

from collections import Counter
from collections.abc import Callable, Collection
from typing import Any, NoReturn

import numpy as np

from fewmasks.errors import EvidenceError, MissingExtra
from fewmasks.loop.rounds import State, propose
from fewmasks.pool import Pool
from fewmasks.query.strategy import OF_ALL_ROWS, Strategy
from fewmasks.testing.evidence import FEATURES, make_evidence, make_items
from fewmasks.types import Rows

Law = Callable[[Strategy], None]

N = 40
LABELLED = np.array([3, 4, 11, 20, 39])
NOBODY = LABELLED[:0]
ELSEWHERE = np.array([0, 12, 25])
"""Rows of the test side and of skipped items: neither labelled nor to be asked for."""

OF_LABELS = ("known_pixels",)
"""Evidence that is made from labels, and so says nothing of items that have none."""


class Sealed:
    """Stands for the ground truth: every look at it breaks the law."""

    def __init__(self, reader: str) -> None:
        self.__dict__["reader"] = reader

    def _refuse(self, *_: object) -> NoReturn:
        reader = self.__dict__["reader"]
        raise AssertionError(
            f"{reader}: reads true_classes, the ground truth; an oracle baseline must be named: "
            f"strategy_laws(STRATEGY, oracles=[{reader!r}])"
        )

    __getattr__ = __getitem__ = __len__ = __iter__ = __array__ = _refuse


def ask(
    strategy: Strategy, n: int = N, labelled: Rows = LABELLED, limit: int = 7, seed: int = 0
) -> Rows:
    """The picks from a made-up pool of `n` items."""
    return strategy(make_evidence(n, labelled, limit, seed))


def picks_are_distinct_unlabelled_and_as_many_as_asked(strategy: Strategy) -> None:
    """With and without labels, from no pick to all that are left; int64 rows of the pool."""
    for labelled in (LABELLED, NOBODY):
        for limit in (0, 1, 7, 35):
            case = f"{strategy.name}, {limit} asked of {N} with {len(labelled)} labelled"
            picks = ask(strategy, labelled=labelled, limit=limit)
            assert isinstance(picks, np.ndarray), f"{case}: gives a {type(picks).__name__}"
            assert picks.dtype == np.int64, f"{case}: rows are {picks.dtype}, not int64"
            assert len(picks) == limit, f"{case}: gives {len(picks)} rows"
            assert len(set(picks.tolist())) == limit, f"{case}: a row twice in {picks}"
            assert not set(picks.tolist()) & set(labelled.tolist()), f"{case}: a labelled row"
            assert ((picks >= 0) & (picks < N)).all(), f"{case}: {picks} are not rows of the pool"


def same_seed_same_answer(strategy: Strategy) -> None:
    """Whatever was asked before; all chance comes from `rng`."""
    first = ask(strategy, seed=3).tolist()
    ask(strategy, n=N // 2, labelled=NOBODY, seed=4)
    second = ask(strategy, seed=3).tolist()
    assert first == second, f"{strategy.name}: the same seed gave {first} and then {second}"


def order_of_the_pool_does_not_matter(strategy: Strategy) -> None:
    """Without chance, the same items are picked however they are ordered."""
    evidence = make_evidence(N, LABELLED, 7)
    shuffled = dict(evidence)
    old_row = np.random.default_rng(5).permutation(N)  # the new row r shows the old row old_row[r]
    new_row = np.argsort(old_row)
    for name in (*FEATURES, "group", "volume", "z"):
        shuffled[name] = evidence[name][old_row]
    for name in ("unlabelled", "labelled"):
        shuffled[name] = np.sort(new_row[evidence[name]])
    straight = sorted(strategy(evidence).tolist())
    back = sorted(old_row[strategy(shuffled)].tolist())
    assert straight == back, f"{strategy.name}: {straight}, but {back} of the shuffled pool"


def clones(strategy: Strategy) -> None:
    """Equal evidence everywhere: nothing to tell items apart, and still a full round."""
    for labelled in (LABELLED, NOBODY):
        for value in (0.0, 1.0):
            evidence = make_evidence(N, labelled, 7)
            for name in FEATURES:
                evidence[name] = np.full_like(evidence[name], value)
            picks = strategy(evidence)
            assert len(set(picks.tolist())) == 7, f"{strategy.name}: {picks} where all is {value}"


def a_pool_of_one(strategy: Strategy) -> None:
    """The only item is the pick."""
    picks = ask(strategy, n=1, labelled=NOBODY, limit=1).tolist()
    assert picks == [0], f"{strategy.name}: {picks} of a pool of one item"


def an_empty_pool(strategy: Strategy) -> None:
    """Nothing to pick from, nothing picked."""
    picks = ask(strategy, n=0, labelled=NOBODY).tolist()
    assert picks == [], f"{strategy.name}: {picks} of an empty pool"


def all_labelled(strategy: Strategy) -> None:
    """Nothing left to ask for, nothing picked."""
    picks = ask(strategy, labelled=np.arange(N)).tolist()
    assert picks == [], f"{strategy.name}: {picks} where every item is labelled"


def more_asked_than_left(strategy: Strategy) -> None:
    """All that is left is picked."""
    rest = np.setdiff1d(np.arange(N), LABELLED).tolist()
    picks = sorted(ask(strategy, limit=100).tolist())
    assert picks == rest, f"{strategy.name}: {picks} where {rest} are left"


def rows_of_neither_side_are_left_alone(strategy: Strategy) -> None:
    """Test items and skipped ones have rows and no evidence: neither picked nor read."""
    clean, holed = (make_evidence(N, LABELLED, 7) for _ in range(2))
    for evidence in (clean, holed):
        evidence["unlabelled"] = np.setdiff1d(evidence["unlabelled"], ELSEWHERE)
    for name in FEATURES:
        if holed[name].dtype.kind == "f":
            holed[name][ELSEWHERE] = np.nan
    picks, others = strategy(clean).tolist(), strategy(holed).tolist()
    assert picks == others, f"{strategy.name}: reads rows that are neither labelled nor unlabelled"


def what_the_model_says_of_labelled_rows_is_never_read(strategy: Strategy) -> None:
    """It is not computed there: only `embedding` and `thumbnail` exist, if `labelled` is asked."""
    clean, holed = (make_evidence(N, LABELLED, 7) for _ in range(2))
    for name in FEATURES:
        keeps = name in OF_ALL_ROWS and "labelled" in strategy.needs
        if holed[name].dtype.kind == "f" and not keeps:
            holed[name][LABELLED] = np.nan
    picks, others = strategy(clean).tolist(), strategy(holed).tolist()
    assert picks == others, f"{strategy.name}: reads evidence of labelled rows"


def the_ground_truth_is_not_read(strategy: Strategy) -> None:
    """Of items without a label nothing is known; labels themselves are no evidence at all."""
    strategy(make_evidence(N, LABELLED, 7) | {"true_classes": Sealed(strategy.name)})


def what_labels_say_is_read_of_labelled_rows_alone(strategy: Strategy) -> None:
    """Of all other rows the values mean nothing, whatever they are."""
    evidence, other = (make_evidence(N, LABELLED, 7) for _ in range(2))
    for name in OF_LABELS:
        unlabelled = evidence["unlabelled"]
        other[name][unlabelled] = ~other[name][unlabelled]
    picks, others = strategy(evidence).tolist(), strategy(other).tolist()
    assert picks == others, f"{strategy.name}: reads {', '.join(OF_LABELS)} of unlabelled rows"


def nan_is_refused_with_the_name_of_the_item(strategy: Strategy) -> None:
    """In any evidence that is asked for, at the row of an unlabelled item."""
    ids = tuple(f"slice-{row}" for row in range(N))
    for name in strategy.needs:
        evidence = make_evidence(N, LABELLED, 7)
        values = evidence.get(name)
        if isinstance(values, np.ndarray) and values.dtype.kind == "f":
            values[17] = np.nan
            said = _refusal(strategy, evidence, ids)
            assert said.startswith(f"slice-17: {name} is not finite"), (
                f"{strategy.name}: {name} of slice-17 is NaN, and it said {said!r}"
            )


def a_labelled_item_to_compare_with_must_be_finite_too(strategy: Strategy) -> None:
    """Where picks are compared with labelled items; otherwise those are nobody's business."""
    for name in sorted({*strategy.needs} & {*OF_ALL_ROWS}):
        evidence = make_evidence(N, LABELLED, 7)
        evidence[name][LABELLED[1]] = np.nan
        said = _refusal(strategy, evidence)
        refusal = f"row 4: {name} is not finite"
        kept = said.startswith(refusal) if "labelled" in strategy.needs else said == ""
        assert kept, f"{strategy.name}: {name} of the labelled row 4 is NaN, and it said {said!r}"


def evidence_is_not_changed(strategy: Strategy) -> None:
    """The arrays belong to the loop, which hands them to others."""
    evidence, before = (make_evidence(N, LABELLED, 7) for _ in range(2))
    for values in evidence.values():
        if isinstance(values, np.ndarray):
            values.flags.writeable = False
    strategy(evidence)
    for name, values in before.items():
        if isinstance(values, np.ndarray):
            same = np.array_equal(values, evidence[name])
            assert same, f"{strategy.name}: has changed {name}"


def groups_are_capped_when_asked(strategy: Strategy) -> None:
    """At most so many picks of a patient, as many as that allows; a cap nobody meets is none."""
    items = make_items(N)
    classes = ("background", "organ", "lesion")
    labelled = tuple(items[row].id for row in LABELLED)
    state = State(Pool(items), np.arange(N), classes, np.array([1, 2]), labelled)
    group = {item.id: item.group for item in items}
    left = Counter(items[row].group for row in state.unlabelled)

    def picks_within(cap: int | None) -> list[str]:
        evidence = make_evidence(N, LABELLED, 7)
        round_ = propose(state, strategy, evidence, limit=7, seed=0, group_cap=cap)
        return [pick.item for pick in round_.picks]

    free = picks_within(None)
    widest = max(Counter(group[item] for item in free).values())
    for cap in (1, 2, widest):
        picks = picks_within(cap)
        case = f"{strategy.name}, 7 asked with at most {cap} of a group"
        expected = min(7, sum(min(cap, count) for count in left.values()))
        assert len(picks) == len(set(picks)), f"{case}: an item twice in {picks}"
        assert len(picks) == expected, f"{case}: {len(picks)} picks, not {expected}"
        assert max(Counter(group[item] for item in picks).values()) <= cap, case
    assert picks == free, f"{strategy.name}: a cap that binds nobody gives {picks}, not {free}"


def missing_evidence_is_named(strategy: Strategy) -> None:
    """The refusal says what is not there and who asked."""
    for name in sorted({*strategy.needs} - {"unlabelled", "labelled", "limit"}):
        evidence = make_evidence(N, LABELLED, 7)
        evidence.pop(name, None)
        said = _refusal(strategy, evidence)
        assert said.startswith(f"{strategy.name}: needs {name!r}"), (
            f"{strategy.name}: {name} is missing, and it said {said!r}"
        )


def needs_only_evidence_that_exists(strategy: Strategy) -> None:
    """The names of the arguments are the request; `limit` must be among them."""
    unknown = {*strategy.needs} - make_evidence(N, LABELLED, 7).keys()
    assert not unknown, f"{strategy.name}: nobody computes {', '.join(sorted(unknown))}"
    assert "limit" in strategy.needs, f"{strategy.name}: does not ask for `limit`"


def says_where_it_comes_from_and_when_to_use_it(strategy: Strategy) -> None:
    """What `fewmasks strategies` and `fewmasks cite` print."""
    assert strategy.reference, f"{strategy.name}: no reference; name the paper, or say it is yours"
    assert strategy.advice, f"{strategy.name}: no advice; say in a line when to use it"
    opened, closed = (strategy.bibtex.count(brace) for brace in "{}")
    assert opened == closed, f"{strategy.name}: BibTeX with {opened} {{ and {closed} }}"


LAWS: tuple[Law, ...] = (
    picks_are_distinct_unlabelled_and_as_many_as_asked,
    same_seed_same_answer,
    order_of_the_pool_does_not_matter,
    clones,
    a_pool_of_one,
    an_empty_pool,
    all_labelled,
    more_asked_than_left,
    rows_of_neither_side_are_left_alone,
    what_the_model_says_of_labelled_rows_is_never_read,
    the_ground_truth_is_not_read,
    what_labels_say_is_read_of_labelled_rows_alone,
    nan_is_refused_with_the_name_of_the_item,
    a_labelled_item_to_compare_with_must_be_finite_too,
    evidence_is_not_changed,
    groups_are_capped_when_asked,
    missing_evidence_is_named,
    needs_only_evidence_that_exists,
    says_where_it_comes_from_and_when_to_use_it,
)


def laws_of(strategy: Strategy, oracles: Collection[str] = ()) -> tuple[Law, ...]:
    """The laws that bind this strategy.

    Draws follow the order of the rows, so what asks for `rng` cannot be asked to ignore it.
    """
    free = set()
    if "rng" in strategy.needs:
        free.add(order_of_the_pool_does_not_matter)
    if strategy.name in oracles:
        free.add(the_ground_truth_is_not_read)
    return tuple(law for law in LAWS if law not in free)


def strategy_laws(*strategies: Strategy, oracles: Collection[str] = ()) -> Callable[..., None]:
    """A pytest function that holds each strategy to each of its laws, one test id per law.

    Bind it to a name that pytest collects: `test_laws = strategy_laws(STRATEGY)`. `oracles` names
    the strategies that may read the ground truth: baselines for simulation only.
    """
    try:
        import pytest
    except ImportError as error:
        raise MissingExtra(
            "fewmasks.testing: pytest is not installed; run: pip install pytest"
        ) from error
    cases = [
        pytest.param(strategy, law, id=f"{strategy.name}-{law.__name__}")
        for strategy in strategies
        for law in laws_of(strategy, oracles)
    ]

    @pytest.mark.parametrize(("strategy", "law"), cases)
    def law_holds(strategy: Strategy, law: Law) -> None:
        law(strategy)

    return law_holds


def _refusal(strategy: Strategy, evidence: dict[str, Any], ids: tuple[str, ...] = ()) -> str:
    """What the strategy says against this evidence; nothing if it takes it."""
    try:
        strategy(evidence, ids)
    except EvidenceError as error:
        return str(error)
    return ""
