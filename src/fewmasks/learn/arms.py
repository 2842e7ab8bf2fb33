"""The strategy's picks against those of the control arm: what each of them taught.

Two figures, of which decision 0011 says why. `foreseen` costs a prediction: how well the model did
on picks that it had not learnt from yet. `taught` costs trainings: models that learnt the same
labels, and then as many of one arm as of the other.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from fewmasks.learn.model import Card, Model
from fewmasks.learn.predict import predict
from fewmasks.learn.score import foreground_dice, score
from fewmasks.learn.train import fit
from fewmasks.loop.control import matched
from fewmasks.metrics import confusion
from fewmasks.project import Project
from fewmasks.types import Item, Label, Round, Rows

Arm = Literal["strategy", "control"]
ARMS: tuple[Arm, ...] = get_args(Arm)
Report = Callable[[str, int, int], None]


def compared_rounds(project: Project) -> list[Round]:
    """Rounds with a control arm; not the first one, which is asked for before there is a model."""
    return [
        each
        for each in project.rounds()
        if each.number > 0 and any(pick.control for pick in each.picks)
    ]


def foreseen(project: Project, model: Model, learnt: Iterable[int]) -> list[dict[str, Any]]:
    """Dice of a model's predictions for picks labelled since, against the labels that came.

    `learnt` are the rows that the model was trained on. Items in which neither of the two sees
    any foreground say nothing and are left out.
    """
    asked = {
        pick.item: ARMS[pick.control]
        for each in compared_rounds(project)
        for pick in each.picks
        if not pick.audit
    }
    fresh = np.setdiff1d(project.labelled, np.array(list(learnt), dtype=np.int64))
    items = [item for item in project.pool.at(fresh) if item.id in asked]
    found = []
    for item, pred in zip(items, predict(model, project.cache, items), strict=True):
        said = project.label(item.id)
        assert said is not None
        counts = confusion(pred, said.mask, len(project.classes))
        dice = float(foreground_dice(counts[None], project.foreground)[0])
        if not np.isnan(dice):
            found.append({"item": item.id, "arm": asked[item.id], "dice": round(dice, 4)})
    return found


def taught(
    project: Project, card: Card, start: Path | None, test: Rows, report: Report
) -> dict[str, Any] | None:
    """Dice of models that learnt one arm each, on top of all labels outside of these rounds.

    Both learn as many labels, in each of `query.compare` pairs with its own seed, which also draws
    which of the strategy's picks stand against the control arm. None where an arm has no label,
    or nobody asked for it.
    """
    pairs = project.config.query.compare
    labelled = set(project.pool.ids(project.labelled))
    rounds = compared_rounds(project)
    asked = {pick.item for each in rounds for pick in each.picks}
    shared = [item for item in project.pool.ids(project.labelled) if item not in asked]
    n_labels = len(matched(rounds, labelled, seed=0)[0])
    if not pairs or not n_labels:
        return None
    dice: dict[Arm, list[float]] = {arm: [] for arm in ARMS}
    for seed in range(pairs):
        of_arm = dict(zip(ARMS, matched(rounds, labelled, seed), strict=True))
        for done, arm in enumerate(ARMS, start=1):
            items = project.pool.at(project.pool.rows([*shared, *of_arm[arm]]))
            labels = _labels(project, items)
            model = fit(card, project.cache, items, labels, seed, start, ensemble=False)
            dice[arm].append(score(model, project, test).dice)
            report("comparing the arms", len(ARMS) * seed + done, len(ARMS) * pairs)
    differences = np.subtract(dice["strategy"], dice["control"])
    return {
        "shared": len(shared),
        "labels": n_labels,
        "pairs": pairs,
        **{arm: _mean_and_interval(dice[arm])["mean"] for arm in ARMS},
        "difference": _mean_and_interval(differences),
    }


def told(all_foreseen: Sequence[dict[str, Any]]) -> dict[Arm, dict[str, Any]] | None:
    """Mean and 95 % t interval of each arm over its items, of all trainings so far."""
    found = {arm: [each["dice"] for each in all_foreseen if each["arm"] == arm] for arm in ARMS}
    if not all(found.values()):
        return None
    return {arm: {"items": len(of), **_within(_mean_and_interval(of))} for arm, of in found.items()}


def _within(spread: dict[str, float | None]) -> dict[str, float | None]:
    """No Dice is below 0 or above 1, which the t interval of a few does not know."""
    return {name: None if n is None else min(max(n, 0.0), 1.0) for name, n in spread.items()}


def _labels(project: Project, items: Sequence[Item]) -> Iterator[Label]:
    for item in items:
        label = project.label(item.id)
        assert label is not None
        yield label


def _mean_and_interval(values: Sequence[float] | np.ndarray) -> dict[str, float | None]:
    """Mean and 95 % t interval; one value has none, and a mean that is not a number is None."""
    from scipy.special import stdtrit

    known = np.asarray(values, np.float64)
    mean = float(known.mean())
    if np.isnan(mean):
        return {"mean": None, "low": None, "high": None}
    if len(known) < 2:
        return {"mean": mean, "low": None, "high": None}
    half = float(stdtrit(len(known) - 1, 0.975) * known.std(ddof=1) / np.sqrt(len(known)))
    return {"mean": mean, "low": mean - half, "high": mean + half}
