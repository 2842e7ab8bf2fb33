"""Every law can be broken, and says so: a strategy for each that breaks it."""

import itertools
import subprocess
import sys

import numpy as np
import pytest
from jaxtyping import TypeCheckError

from fewmasks.errors import EvidenceError
from fewmasks.query.select import top
from fewmasks.query.strategies import STRATEGIES
from fewmasks.query.strategy import Strategy
from fewmasks.testing import LAWS, laws_of, strategy_laws

NAMES = [law.__name__ for law in LAWS]
ENTROPY = STRATEGIES["entropy"]

test_laws = strategy_laws(ENTROPY, STRATEGIES["random"])


class NoDoor(Strategy):
    """Ranks with whatever it is given."""

    def __call__(self, evidence, ids=()):
        return self.rank(**{name: evidence.get(name) for name in self.needs})


def small_rows(unlabelled, limit):
    return unlabelled[:limit].astype(np.int32)


def twice(unlabelled, limit):
    return unlabelled[np.arange(limit) // 2]


def labelled_ones(unlabelled, labelled, limit):
    return np.concatenate([labelled, unlabelled])[:limit]


def from_the_end(unlabelled, limit):
    return -1 - np.arange(limit)


def one_too_many(unlabelled, limit):
    return unlabelled[: limit + 1]


def a_list(unlabelled, limit):
    return unlabelled[:limit].tolist()


calls = itertools.count()


def counting(unlabelled, limit):
    return np.roll(unlabelled, next(calls))[:limit]


def unseeded(unlabelled, limit):
    return np.random.default_rng().permutation(unlabelled)[:limit]


def first_rows(unlabelled, limit):
    return unlabelled[:limit]


def only_different(unlabelled, entropy, limit):
    _, first = np.unique(entropy[unlabelled], return_index=True)
    return unlabelled[first][:limit]


def more_than_the_second(unlabelled, entropy, limit):
    seen = entropy[unlabelled]
    return top(entropy - np.sort(seen)[1] if len(seen) else entropy, unlabelled, limit)


def less_than_the_highest(unlabelled, entropy, limit):
    return top(entropy - entropy[unlabelled].max(), unlabelled, limit)


def less_than_the_nearest(unlabelled, labelled, entropy, limit):
    if len(unlabelled) == 0 and len(labelled) == 0:
        return unlabelled
    return top(entropy - entropy[unlabelled].min(), unlabelled, limit)


def as_many_as_asked(unlabelled, limit, rng):
    return rng.choice(unlabelled, limit, replace=False)


def all_but_labelled(labelled, entropy, limit):
    return np.setdiff1d(np.arange(len(entropy)), labelled)[:limit]


def above_the_mean(unlabelled, entropy, limit):
    return top(entropy - entropy.mean(), unlabelled, limit)


def cheat(unlabelled, true_classes, limit):
    return top(true_classes[:, 1].astype(float), unlabelled, limit)


def least_known(unlabelled, known_pixels, limit):
    return top(-known_pixels.mean(axis=1), unlabelled, limit)


def sorts_in_place(unlabelled, entropy, limit):
    entropy.sort()
    return unlabelled[:limit]


def unlocks(unlabelled, entropy, limit):
    entropy.flags.writeable = True
    entropy[unlabelled] += 1
    return top(entropy, unlabelled, limit)


def seven(unlabelled, limit):
    return unlabelled[:7]


def of_their_own(unlabelled, charm, limit):
    return unlabelled[:limit]


def farthest(unlabelled, labelled, embedding, limit):
    return top(np.nan_to_num(embedding[:, 0]), unlabelled, limit)


def without_limit(unlabelled):
    return unlabelled


BREAKERS = [
    ("picks_are_distinct_unlabelled_and_as_many_as_asked", small_rows, Strategy),
    ("picks_are_distinct_unlabelled_and_as_many_as_asked", twice, Strategy),
    ("picks_are_distinct_unlabelled_and_as_many_as_asked", twice, NoDoor),
    *(
        ("picks_are_distinct_unlabelled_and_as_many_as_asked", rank, NoDoor)
        for rank in (labelled_ones, from_the_end, one_too_many, a_list)
    ),
    ("same_seed_same_answer", counting, Strategy),
    ("same_seed_same_answer", unseeded, Strategy),
    ("order_of_the_pool_does_not_matter", first_rows, Strategy),
    ("clones", only_different, Strategy),
    ("a_pool_of_one", more_than_the_second, Strategy),
    ("an_empty_pool", less_than_the_highest, Strategy),
    ("all_labelled", less_than_the_nearest, Strategy),
    ("more_asked_than_left", as_many_as_asked, Strategy),
    ("rows_of_neither_side_are_left_alone", all_but_labelled, Strategy),
    ("rows_of_neither_side_are_left_alone", above_the_mean, Strategy),
    ("what_the_model_says_of_labelled_rows_is_never_read", above_the_mean, Strategy),
    ("the_ground_truth_is_not_read", cheat, Strategy),
    ("what_labels_say_is_read_of_labelled_rows_alone", least_known, Strategy),
    ("nan_is_refused_with_the_name_of_the_item", above_the_mean, NoDoor),
    ("a_labelled_item_to_compare_with_must_be_finite_too", farthest, NoDoor),
    ("evidence_is_not_changed", sorts_in_place, Strategy),
    ("evidence_is_not_changed", unlocks, Strategy),
    ("groups_are_capped_when_asked", seven, Strategy),
    ("missing_evidence_is_named", of_their_own, NoDoor),
    ("needs_only_evidence_that_exists", of_their_own, Strategy),
    ("needs_only_evidence_that_exists", without_limit, Strategy),
    ("says_where_it_comes_from_and_when_to_use_it", first_rows, Strategy),
]


@pytest.mark.parametrize(("name", "rank", "kind"), BREAKERS)
def test_a_broken_law_is_noticed(name, rank, kind):
    law = LAWS[NAMES.index(name)]
    broken = kind("broken", rank, reference="")
    # The types in the signatures are checked where the tests run with jaxtyping's hook.
    faults = (AssertionError, ValueError, IndexError, EvidenceError, TypeCheckError)
    with pytest.raises(faults) as caught:
        law(broken)
    if isinstance(caught.value, AssertionError):
        assert str(caught.value).startswith("broken")


def test_there_is_a_breaker_of_every_law():
    assert {name for name, _, _ in BREAKERS} == set(NAMES)


def test_the_braces_of_a_citation_are_counted():
    law = LAWS[NAMES.index("says_where_it_comes_from_and_when_to_use_it")]
    with pytest.raises(AssertionError, match=r"BibTeX with 1 \{ and 0 \}"):
        law(Strategy("theirs", first_rows, reference="x", advice="y", bibtex="@a{"))


def test_chance_is_bound_by_all_laws_but_that_of_order():
    free = set(NAMES) - {law.__name__ for law in laws_of(STRATEGIES["random"])}
    assert free == {"order_of_the_pool_does_not_matter"}
    assert laws_of(ENTROPY) == LAWS


def test_an_oracle_is_one_by_name():
    oracle = STRATEGIES["foreground-random"]
    bound = {law.__name__ for law in laws_of(oracle)}
    freed = {law.__name__ for law in laws_of(oracle, oracles=[oracle.name])}
    assert bound - freed == {"the_ground_truth_is_not_read"}


def test_one_test_id_per_law():
    (mark,) = test_laws.pytestmark
    ids = [case.id for case in mark.args[1]]
    assert ids[:2] == [f"entropy-{name}" for name in NAMES[:2]]
    assert len(ids) == len(set(ids)) == 2 * len(LAWS) - 1


def run(program: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )


def test_the_laws_load_neither_pytest_nor_the_heavy_libraries():
    heavy = {"pytest", "_pytest", "torch", "monai", "scipy", "sklearn", "pandas"}
    found = run(f"import sys, fewmasks.testing; print(sorted({heavy!r} & set(sys.modules)))")
    assert (found.returncode, found.stdout) == (0, "[]\n"), found.stderr


def test_without_pytest_a_sentence_says_what_to_install():
    found = run(
        "import sys; sys.modules['pytest'] = None\n"
        "from fewmasks.testing import LAWS, strategy_laws\n"
        "from fewmasks.errors import MissingExtra\n"
        "from fewmasks.query.strategies import STRATEGIES\n"
        "for law in LAWS: law(STRATEGIES['entropy'])\n"
        "try: strategy_laws()\n"
        "except MissingExtra as error: print(error)"
    )
    said = "fewmasks.testing: pytest is not installed; run: pip install pytest\n"
    assert (found.returncode, found.stdout) == (0, said), found.stderr
