"""Which settings the weights of a pre-training depend on."""

from typing import Any

from fewmasks.config import Config, Method, PretrainConfig
from fewmasks.pretrain.views import Preset

GROUP_STRENGTH = 0.25
"""Of the views of group contrast, whose group mates are views that nature drew
(docs/decisions/0018)."""

COMMON = (
    "learn.network", "learn.size", "learn.normalise", "pretrain.epochs", "pretrain.iterations",
    "pretrain.batch", "pretrain.accumulate", "pretrain.optimiser", "pretrain.learning_rate",
    "pretrain.weight_decay",
)  # fmt: skip
VIEWS = ("pretrain.views", "pretrain.strength", "pretrain.hidden", "pretrain.projection")
MOVES = ("learn.flips", "learn.rotate_degrees", "learn.scale")
SETTINGS_OF: dict[Method, tuple[str, ...]] = {
    "byol": (*COMMON, *VIEWS, "pretrain.momentum"),
    "group": (
        *COMMON, *VIEWS, "pretrain.temperature", "pretrain.relations", "pretrain.spare_mates",
    ),
    "cluster": (*COMMON, *MOVES, "pretrain.clusters"),
    "dense": (*COMMON, *MOVES),
}  # fmt: skip
"""A setting that says how fast or where the work is done is none of them."""


def recipe(method: Method, config: Config, channels: int) -> dict[str, Any]:
    """The settings that matter to a method, by their dotted names, with what defaults stand for.

    Where epochs are given, the number of iterations says nothing, and is None.
    """
    flat, pretrain = config.flat(), config.pretrain
    flat |= {
        "pretrain.views": preset_for(pretrain, channels),
        "pretrain.strength": strength_of(method, pretrain),
        "pretrain.iterations": pretrain.iterations if pretrain.epochs is None else None,
    }
    return {name: flat[name] for name in SETTINGS_OF[method]}


def strength_of(method: Method, config: PretrainConfig) -> float:
    """How far two views differ: as set, else by the method."""
    return config.strength or (GROUP_STRENGTH if method == "group" else 1.0)


def preset_for(config: PretrainConfig, channels: int) -> Preset:
    """The views of a pool: as set, else by the channels."""
    if config.views != "auto":
        return config.views
    return "colour" if channels == 3 else "grey"
