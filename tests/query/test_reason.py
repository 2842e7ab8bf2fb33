import numpy as np
import pytest
from tests.query.evidence import make_evidence, make_items

from fewmasks.query.reason import reasons
from fewmasks.query.strategies import STRATEGIES

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


def test_clasp_pe_names_the_class():
    class_entropy = np.tile([0.9, 0.1, 0.2], (N, 1))
    class_entropy[5] = [0.9, 0.4, 0.2]
    said = say("clasp-pe", [5, 6], class_entropy=class_entropy)
    assert said[0].endswith("of the pool, most in left ventricle")
    assert said[1].endswith("most in myocardium")


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
    assert say("whole-volumes", [3]) == ["of a volume drawn at random, slice 3"]


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_has_a_short_reason_for_each_pick(name):
    evidence = make_evidence(N, np.array([0, 1]), 5)
    strategy = STRATEGIES[name]
    picks = strategy(evidence)
    said = reasons(picks, evidence, strategy, make_items(N), CLASSES)
    assert len(said) == len(picks)
    assert all(0 < len(sentence) < 160 for sentence in said)
