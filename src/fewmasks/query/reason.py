"""Why an item was picked, in one short sentence for the person who labels it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fewmasks.query.strategies.predicted_foreground_random import MIN_SHARE
from fewmasks.query.strategy import Rows, Strategy
from fewmasks.types import Item

SCORES = {
    "uncertainty": "uncertainty",
    "entropy": "entropy",
    "margin": "closeness of the two likeliest classes",
    "least_confidence": "lack of confidence",
    "variance": "disagreement of the models",
    "variation_ratio": "disagreement of the models",
    "bald": "disagreement of the models",
    "gradient_img": "effect on the model",
    "gradient_seg": "effect on the model",
    "badge_error": "effect on the model",
    "novelty": "unlikeness to the labelled items",
    "difficulty": "mix of easy and difficult parts",
}
"""Evidence that is a size, and what people call it."""


def reasons(
    picks: Rows,
    evidence: Mapping[str, Any],
    strategy: Strategy,
    items: Sequence[Item],
    class_names: Sequence[str],
) -> list[str]:
    """One sentence per pick, built from the evidence that the strategy asked for."""
    used = {name: evidence[name] for name in strategy.needs if name in evidence}
    is_drawn = "rng" in strategy.needs and not used.keys() & {"embedding", "thumbnail"}
    how = "drawn at random" if is_drawn else f"chosen by {strategy.name}"
    clauses = [
        *_score_clauses(picks, used, evidence["unlabelled"]),
        _class_clause(picks, used, evidence["unlabelled"], how, class_names),
        _neighbour_clause(picks, used, items),
        _slice_clause(picks, strategy, items),
    ]
    present = [clause for clause in clauses if clause]
    if not present:
        present = [[how] * len(picks)]
    said = [", ".join(words) for words in zip(*present, strict=True)]
    new = _new_groups(picks, evidence, items)
    return [text + ending for text, ending in zip(said, new, strict=True)]


def _score_clauses(picks: Rows, used: Mapping[str, Any], unlabelled: Rows) -> list[list[str]]:
    """Rank among the unlabelled pool of every size that the strategy looked at."""
    clauses = []
    for name, words in SCORES.items():
        if name in used:
            size = _sizes(used[name][unlabelled])
            mine = _sizes(used[name][picks])
            shares = _less(mine, size) * 100 // max(len(size), 1)
            clauses.append([f"{words} higher than {share} % of the pool" for share in shares])
    return clauses


def _less(mine: np.ndarray, pool: np.ndarray) -> np.ndarray:
    """How many values of the pool are less than each of these."""
    return np.searchsorted(np.sort(pool), mine)


def _sizes(values: np.ndarray) -> np.ndarray:
    """One number per item, however many values it has."""
    return np.abs(values).reshape(len(values), -1).sum(axis=1) if len(values) else values


def _class_clause(
    picks: Rows,
    used: Mapping[str, Any],
    unlabelled: Rows,
    how: str,
    class_names: Sequence[str],
) -> list[str] | None:
    """The foreground classes that may have drawn the pick, by the strategy's values per class."""
    foreground = used.get("foreground")
    if foreground is None or len(foreground) == 0:
        return None
    if "class_entropy" in used:
        names = [class_names[c] for c in foreground]
        values = used["class_entropy"][:, foreground]
        return _highest(values[picks], values[unlabelled], names)
    if "class_share" in used:
        shown = used["class_share"][picks] > MIN_SHARE
    elif "true_classes" in used:
        shown = used["true_classes"][picks]
    else:
        return None
    return [_contained(there, foreground, how, class_names) for there in shown]


def _highest(mine: np.ndarray, pool: np.ndarray, names: Sequence[str]) -> list[str]:
    """The class by which each pick ranks highest: large values of a common class say little."""
    less = np.stack(
        [_less(of_pick, of_pool) for of_pick, of_pool in zip(mine.T, pool.T, strict=True)]
    )
    shares = less.max(axis=0) * 100 // max(len(pool), 1)
    return [
        f"entropy of {names[best]} higher than {share} % of the pool"
        for best, share in zip(less.argmax(axis=0), shares, strict=True)
    ]


def _contained(there: np.ndarray, foreground: Rows, how: str, class_names: Sequence[str]) -> str:
    names = [class_names[c] for c in foreground if there[c]]
    return f"{how}, shows {', '.join(names)}" if names else how


def _neighbour_clause(
    picks: Rows, used: Mapping[str, Any], items: Sequence[Item]
) -> list[str] | None:
    """The labelled item that looks most like each pick."""
    labelled = used.get("labelled", picks[:0])
    points = used.get("embedding", used.get("gcn_embedding"))
    if points is None or len(labelled) == 0:
        return None
    known = np.asarray(points[labelled], dtype=np.float64)
    nearest = []
    for row in picks:
        distance = ((known - points[row]) ** 2).sum(axis=1)
        nearest.append(items[labelled[distance.argmin()]].id)
    return [f"most like {name} of the labelled" for name in nearest]


def _slice_clause(picks: Rows, strategy: Strategy, items: Sequence[Item]) -> list[str] | None:
    if "z" not in strategy.needs:
        return None
    where = "of a volume drawn at random" if "rng" in strategy.needs else "evenly spread"
    sliced = {item.source for item in items if item.z}  # pictures are volumes of slice 0 alone
    return [
        f"{where}, slice {items[row].z}" if items[row].source in sliced else where for row in picks
    ]


def _new_groups(picks: Rows, evidence: Mapping[str, Any], items: Sequence[Item]) -> list[str]:
    """An ending for picks that are the first of their group, counting earlier picks."""
    seen = {items[row].group[:1] for row in evidence["labelled"]}
    endings = []
    for row in picks:
        group = items[row].group[:1]
        endings.append(f"; first from {group[0]}" if group and group not in seen else "")
        seen.add(group)
    return endings
