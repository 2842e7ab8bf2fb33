import numpy as np
import pytest
from tests.query.evidence import make_evidence, make_items

from fewmasks.query.reason import reasons
from fewmasks.query.strategies import STRATEGIES
from fewmasks.types import Item

N = 40
CLASSES = ("background", "left ventricle", "myocardium")


def say(name, picks, **evidence):
    given = make_evidence(N, np.array([0, 1]), 3) | evidence
    return reasons(np.array(picks), given, STRATEGIES[name], make_items(N), CLASSES)


def test_a_score_is_told_as_a_rank_in_the_unlabelled_pool():
    entropy = np.arange(N) / N
    said = say("entropy", [39, 20], entropy=entropy)
    assert said[0] == "entropy higher than 97 % of the pool; first from patient3"
    assert said[1].startswith("entropy higher than 47 % of the pool")


def test_clasp_pe_names_the_class_in_which_the_pick_ranks_highest():
    """Not the commonest class, whose values are large in every item."""
    rng = np.random.default_rng(0)
    class_entropy = rng.random((N, 3)) * [0.9, 0.4, 0.01]
    class_entropy[5] = [0.1, 0.02, 0.02]
    class_entropy[6] = [0.1, 0.5, 0.001]
    said = say("clasp-pe", [5, 6], class_entropy=class_entropy, entropy=class_entropy.sum(axis=1))
    ends = [
        "% of the pool, entropy of myocardium higher than 97 % of the pool",
        "% of the pool, entropy of left ventricle higher than 97 % of the pool",
    ]
    assert [text.endswith(end) for text, end in zip(said, ends, strict=True)] == [True, True]


def test_the_rank_in_a_class_is_that_among_the_unlabelled():
    """Against counting: labelled rows, whose values nobody computed, are no part of the pool."""
    n = 400
    evidence = make_evidence(n, np.array([0, 1]), 3)
    class_entropy = evidence["class_entropy"]
    class_entropy[[0, 1]] = np.nan
    picks = np.argsort(class_entropy[2:, 1] * class_entropy[2:, 2])[-40:] + 2
    said = reasons(picks, evidence, STRATEGIES["clasp-pe"], make_items(n), CLASSES)
    for row, text in zip(picks, said, strict=True):
        less = [
            sum(class_entropy[k, c] < class_entropy[row, c] for k in range(2, n)) for c in (1, 2)
        ]
        name = CLASSES[1 + int(np.argmax(less))]
        share = 100 * max(less) // (n - 2)
        assert f", entropy of {name} higher than {share} % of the pool" in text


def test_a_random_pick_is_told_to_show_what_is_predicted_there_and_nothing_else():
    class_share = np.tile([1.0, 0.0, 0.0], (N, 1))
    class_share[3] = [0.9, 0.0, 0.1]
    class_share[4] = [0.5, 0.3, 0.2]
    class_share[5] = [0.999, 0.0, 0.001]
    said = say("predicted-foreground-random", [2, 3, 4, 5], class_share=class_share)
    assert said == [
        "drawn at random",
        "drawn at random, shows myocardium",
        "drawn at random, shows left ventricle, myocardium",
        "drawn at random",
    ]


def test_only_the_first_pick_of_a_new_group_says_so():
    said = say("random", [2, 10, 11])
    assert said == ["drawn at random", "drawn at random; first from patient1", "drawn at random"]


def test_the_oracle_baseline_names_what_is_there():
    true_classes = np.zeros((N, 3), dtype=bool)
    true_classes[2, 1:] = True
    said = say("foreground-random", [2, 3], true_classes=true_classes)
    assert said == ["drawn at random, shows left ventricle, myocardium", "drawn at random"]


def test_gradients_are_told_by_their_size_whatever_their_sign():
    error = np.full((N, 3), 0.1)
    error[7] = [-5, 2, 3]
    assert say("badge", [7], badge_error=error) == [
        "effect on the model higher than 97 % of the pool"
    ]


def test_a_coreset_pick_names_its_nearest_label():
    embedding = np.arange(N, dtype=np.float64)[:, None]
    assert say("coreset", [3], embedding=embedding) == ["most like item1 of the labelled"]


def test_strided_names_the_slice():
    assert say("strided", [3]) == ["evenly spread, slice 3"]
    assert say("strided", [5]) == ["evenly spread, slice 0"]
    assert say("whole-volumes", [3]) == ["of a volume drawn at random, slice 3"]


def test_a_picture_has_no_slice_to_name():
    """Nor has a tile of one; the slices of a volume in the same pool have theirs."""
    items = [
        *(Item(f"p{n}", f"p{n}.png", ()) for n in range(3)),
        *(Item(f"t{n}", "large.png", (), box=(8 * n, 0, 8 * n + 8, 8)) for n in range(3)),
        *(Item(f"v{z}", "v.nii", (), z) for z in range(3)),
    ]
    evidence = make_evidence(9, np.array([0, 3]), 3)
    picks = np.array([1, 4, 6, 7])
    said = reasons(picks, evidence, STRATEGIES["strided"], items, CLASSES)
    assert said == ["evenly spread"] * 2 + ["evenly spread, slice 0", "evenly spread, slice 1"]
    said = reasons(picks[:2], evidence, STRATEGIES["whole-volumes"], items, CLASSES)
    assert said == ["of a volume drawn at random"] * 2


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_has_a_short_reason_for_each_pick(name):
    evidence = make_evidence(N, np.array([0, 1]), 5)
    strategy = STRATEGIES[name]
    picks = strategy(evidence)
    said = reasons(picks, evidence, strategy, make_items(N), CLASSES)
    assert len(said) == len(picks)
    assert all(0 < len(sentence) < 160 for sentence in said)
