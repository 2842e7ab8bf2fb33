"""What a training learns from: labels, and beside them guesses with a source at every pixel."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from fewmasks.config import LearnConfig
from fewmasks.errors import ConfigError
from fewmasks.learn.data import Frames, Labelled, preload
from fewmasks.learn.weak.guesses import completed, composites, interpolated, outlined
from fewmasks.project.background import background_of
from fewmasks.types import UNKNOWN

SOURCES = ("random_walk", "interpolate", "watershed", "composite")
"""Where a guess may come from: each is also the setting with its weight.

A pixel's source is the position in this tuple, or UNKNOWN where nothing is guessed.
"""

Found = Mapping[int, UInt8[np.ndarray, "y x"]]


@dataclass(frozen=True)
class Material:
    """Labelled items, items about which there are guesses alone, and items for FixMatch."""

    labelled: Labelled
    guessed: Labelled | None = None
    unlabelled: Labelled | None = None
    used: Mapping[str, int] = field(default_factory=dict)
    """Of each option that is on: how many items it has something to say about. The gated CRF,
    which is on by default, is left out where that is none."""

    @property
    def is_plain(self) -> bool:
        """Whether there is nothing but labels."""
        return (
            "gated_crf" not in self.used
            and self.labelled.guesses is None
            and self.guessed is None
            and self.unlabelled is None
        )

    def to(self, device: torch.device) -> "Material":
        """All that is in memory, moved to a device once."""
        guessed = None if self.guessed is None else self.guessed.to(device)
        unlabelled = None if self.unlabelled is None else self.unlabelled.to(device)
        return Material(self.labelled.to(device), guessed, unlabelled, self.used)


def weights(config: LearnConfig) -> Float[Tensor, " sources"]:
    """The weight of a guessed pixel by its source; 0 for UNKNOWN."""
    table = torch.zeros(UNKNOWN + 1)
    table[: len(SOURCES)] = torch.tensor([getattr(config, source) for source in SOURCES])
    return table


def gather_material(
    labelled: Labelled, unlabelled: Frames, classes: Sequence[str], config: LearnConfig, seed: int
) -> Material:
    """The labelled items with all guesses that the settings ask for, made now.

    Labels are the same afterwards: a guess is about other pixels, in a map of its own.
    """
    used: dict[str, int] = {}
    parts: list[Labelled] = []
    taken: Found = {}
    if config.random_walk:
        found = completed(labelled)
        used["random_walk"] = len(found)
        if found:
            labelled = replace(labelled, guesses=_maps(found, labelled.masks, "random_walk"))
    if config.interpolate:
        taken = interpolated(labelled, unlabelled, config.interpolate_gap)
        used["interpolate"] = len(taken)
        parts += _part(unlabelled, taken, "interpolate")
    if config.watershed:
        found = outlined(labelled, unlabelled, taken.keys(), _two_classes(classes))
        used["watershed"] = len(found)
        parts += _part(unlabelled, found, "watershed")
    if config.composite:
        made = composites(labelled, _background(classes, "composite"), seed)
        used["composite"] = len(made)
        parts += _made_part(labelled.frames, made)
    if config.fixmatch:
        used["fixmatch"] = len(unlabelled.items)
    if config.gated_crf and (blank := _partly_known(labelled)):
        used["gated_crf"] = blank
    if config.recipe == "dmpls":
        used["dmpls"] = len(labelled)
    guessed = _joined(parts, bool(used.get("composite"))) if parts else None
    rest = _unknown(unlabelled) if config.fixmatch and unlabelled.items else None
    return Material(labelled, guessed, rest, used)


def _partly_known(labelled: Labelled) -> int:
    """How many labels leave pixels of their picture unknown."""
    inside = labelled.frames.valid(range(len(labelled)))
    return int((inside & (labelled.masks == UNKNOWN)).any(dim=2).any(dim=1).sum())


def _maps(found: Found, masks: UInt8[Tensor, "n y x"], source: str) -> UInt8[Tensor, "n 2 y x"]:
    """Guessed class and its source, for items that have these masks; UNKNOWN where neither is."""
    maps = torch.full((len(masks), 2, *masks.shape[1:]), UNKNOWN, dtype=torch.uint8)
    for position, plane in found.items():
        guess = torch.from_numpy(plane)
        maps[position, 0] = guess
        maps[position, 1] = torch.where(guess != UNKNOWN, SOURCES.index(source), UNKNOWN)
    return maps


def _unknown(frames: Frames) -> Labelled:
    """Items about which nobody said anything."""
    # One value seen everywhere: of a large pool whole masks would be gigabytes that nobody reads.
    nothing = torch.full((1, 1, 1), UNKNOWN, dtype=torch.uint8)
    masks = nothing.expand(len(frames.items), *frames.frame)
    return Labelled(frames, masks, preload(frames))


def _part(frames: Frames, found: Found, source: str) -> list[Labelled]:
    """The items about which something was found; none is an empty list."""
    if not found:
        return []
    part = _unknown(replace(frames, items=[frames.items[position] for position in found]))
    guesses = _maps(dict(enumerate(found.values())), part.masks, source)
    return [replace(part, guesses=guesses)]


def _made_part(
    frames: Frames,
    made: Mapping[int, tuple[Float[np.ndarray, "c y x"], UInt8[np.ndarray, "y x"]]],
) -> list[Labelled]:
    """The composites, whose pixels are those of no item."""
    found = {position: guess for position, (_, guess) in made.items()}
    pictures = [torch.from_numpy(picture) for picture, _ in made.values()]
    return [
        replace(part, preloaded=torch.stack(pictures)) for part in _part(frames, found, "composite")
    ]


def _joined(parts: Sequence[Labelled], has_composites: bool) -> Labelled:
    """All of these items; their pixels are in memory if those of all are."""
    items = [item for part in parts for item in part.frames.items]
    frames = replace(parts[0].frames, items=items)
    pixels = [part.preloaded for part in parts if part.preloaded is not None]
    guesses = [part.guesses for part in parts if part.guesses is not None]
    in_memory = len(pixels) == len(parts)
    if has_composites and not in_memory:
        raise ConfigError(
            f"learn.composite: composites are kept in memory, where {len(items)} guessed items of "
            f"learn.size={frames.size} find no room; set learn.composite=0, or a smaller size"
        )
    return Labelled(
        frames,
        torch.cat([part.masks for part in parts]),
        torch.cat(pixels) if in_memory else None,
        guesses=torch.cat(guesses),
    )


def _background(classes: Sequence[str], setting: str) -> int:
    background = background_of(classes)
    if background is None:
        raise ConfigError(
            f"learn.{setting}: no class is called background ({', '.join(classes)}); set "
            f"learn.{setting}=0"
        )
    return background


def _two_classes(classes: Sequence[str]) -> tuple[int, int]:
    """Background and foreground."""
    background = _background(classes, "watershed")
    if len(classes) != 2:
        raise ConfigError(
            f"learn.watershed: outlines objects of one class, the project has "
            f"{len(classes) - 1}; set learn.watershed=0"
        )
    return background, 1 - background
