"""What a simulation is, and where its records lie."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from fewmasks.config import SCRATCH, STARTS, Config
from fewmasks.errors import ProjectError
from fewmasks.types import Pick, Round

Annotation = Literal["mask", "scribble", "either", "watershed"]
"""What the oracle answers with: `either` is of each item what gains more a minute, `watershed` a
word to the outlines that one finds (accept, all background, all foreground, skip)."""
SHARED = "start set"
"""Name under which the first round of a seed is kept: every strategy shares it."""


@dataclass(frozen=True)
class Plan:
    """What a simulation is; equal plans on equal projects give equal curves."""

    strategies: tuple[str, ...]
    rounds: int
    limit: int
    seeds: int
    annotations: tuple[Annotation, ...] = ("mask",)
    starts: tuple[str, ...] = (SCRATCH,)
    """Each strategy is run from each start and with each annotation."""
    config: Config = field(default_factory=Config)
    threads: int = 1
    """Per process; part of the plan, because it decides the last digits of a training."""
    keep_models: bool = False
    """Whether the models of the last round stay beside its record."""


@dataclass(frozen=True)
class Unit:
    """All rounds of one strategy and seed, or the start set that the strategies of a seed share."""

    folder: Path
    out: Path
    plan: Plan
    strategy: str
    seed: int
    start: str = SCRATCH
    annotation: Annotation = "mask"

    def file(self, number: int, what: str) -> Path:
        """Where the record of a round lies."""
        start = self.start if self.start in STARTS else Path(self.start).stem
        arm = Path(f"{start}-{self.annotation}") / self.strategy
        return self.out / "rounds" / f"seed-{self.seed}" / arm / f"{number:02d}-{what}"

    @property
    def title(self) -> str:
        """What this unit is called in progress; no more than tells it from the others."""
        start = f"from {self.start}" if len(self.plan.starts) > 1 else ""
        annotation = f"with {self.annotation}" if len(self.plan.annotations) > 1 else ""
        return ", ".join(filter(None, (f"seed {self.seed}", self.strategy, start, annotation)))

    @property
    def kept(self) -> Path | None:
        """Where the model of the last round stays, if it does."""
        last = self.plan.rounds - 1
        owner = self.shared if last == 0 else self
        return owner.file(last, "model.safetensors") if self.plan.keep_models else None

    @property
    def shared(self) -> "Unit":
        """The start set that this unit goes on from."""
        return replace(self, strategy=SHARED)

    @property
    def numbers(self) -> range:
        """The rounds that are this unit's own."""
        return range(1) if self.strategy == SHARED else range(1, self.plan.rounds)

    @property
    def is_finished(self) -> bool:
        """Whether every round of its own is scored."""
        return all(self.file(number, "scored.json").exists() for number in self.numbers)


def read_record(path: Path) -> dict[str, Any]:
    """A record; they are written whole or not at all, so a cut one means trouble with the disk."""
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError):
        stored = None
    if not isinstance(stored, dict):
        raise ProjectError(
            f"{path}: damaged, which a disk does and fewmasks does not; check the disk, delete "
            f"{path.parent} and run the same command again"
        )
    return stored


def read_asked(unit: Unit, number: int) -> Round:
    """What a round asked for."""
    stored = read_record(unit.file(number, "asked.json"))
    return Round(**{**stored, "picks": tuple(Pick(**pick) for pick in stored["picks"])})


def read_records(unit: Unit) -> Iterator[tuple[int, Round, dict[str, Any]]]:
    """Number, question and scores of every round, the shared first one included."""
    for number in range(unit.plan.rounds):
        owner = unit.shared if number == 0 else unit
        scored = read_record(owner.file(number, "scored.json"))
        yield number, read_asked(owner, number), scored
