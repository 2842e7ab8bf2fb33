"""A study file: which tasks, which arms, how often; TOML, checked before anything runs."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from fewmasks.config import SCRATCH, Section, read_toml, validated
from fewmasks.errors import ConfigError
from fewmasks.project import Import
from fewmasks.study.plan import Annotation

Name = Annotated[str, Field(pattern=r"^[\w-][\w.+ -]{0,60}$")]
"""A name that is also the name of a folder."""
Count = Annotated[int, Field(ge=1)]
Names = Annotated[tuple[str, ...], Field(min_length=1)]
Kinds = Annotated[tuple[Annotation, ...], Field(min_length=1)]
NAMED = ("arm", "strategy", "start", "annotation")
"""What tells one line of a curve from another."""


class TaskSection(Section):
    """Data to learn: a project folder, or what `fewmasks create` would make one of."""

    name: Name
    project: Path | None = None
    """Folder of a project; all paths are relative to the study file."""
    table: Path | None = None
    images: tuple[Path, ...] = ()
    masks: Path | None = None
    scribbles: Path | None = None
    classes: tuple[str, ...] = ()
    region: int | None = None
    test_fraction: float = 0.2
    slice_axis: int | None = None
    group_by: Literal["id"] | None = None
    rounds: Count | None = None
    """Here instead of the study's, as is the next."""
    limit: Count | None = None
    settings: tuple[str, ...] = ()
    """Here on top of the study's."""


class ArmSection(Section):
    """One way of doing it, by settings of its own on top of those of study and task."""

    name: Name
    settings: tuple[str, ...] = ()
    strategies: Names | None = None
    """Here instead of the study's, as are the next two."""
    starts: Names | None = None
    annotations: Kinds | None = None
    rounds: Count | None = None
    """Here instead of those of study and task, as is the next: of cheap labels one gives more."""
    limit: Count | None = None


class BaselineSection(Section):
    """What all else is compared with; by default the first of everything."""

    arm: str | None = None
    strategy: str | None = None
    start: str | None = None
    annotation: str | None = None


class Study(Section):
    """Every strategy from every start with every annotation, in every arm of every task."""

    title: str = "Study"
    rounds: Count = 5
    limit: Count = 20
    seeds: Count = 5
    strategies: Names = ("random",)
    starts: Names = (SCRATCH,)
    annotations: Kinds = ("mask",)
    settings: tuple[str, ...] = ()
    """`section.key=value`, as after --set."""
    over: Literal["items", "minutes"] = "items"
    """What areas under curves are over; minutes where lines differ in kind or number of labels."""
    keep_models: bool = False
    """Whether the models of last rounds stay, for `fewmasks compare` and `predict`."""
    baseline: BaselineSection = BaselineSection()
    task: Annotated[tuple[TaskSection, ...], Field(min_length=1)]
    arm: Annotated[tuple[ArmSection, ...], Field(min_length=1)] = (ArmSection(name="plain"),)


def read_study(path: Path) -> Study:
    """The study in a file; a name given twice, or a baseline that is not run, is refused."""
    if not path.is_file():
        raise ConfigError(f"{path}: no such study file; name one that is there")
    study = validated(Study, read_toml(path), where=str(path))
    for what, sections in (("task", study.task), ("arm", study.arm)):
        names = [each.name.casefold() for each in sections]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ConfigError(f"{path}: two {what}s are called {twice!r}; rename one")
    for task in study.task:
        sources = (task.project is not None, task.table is not None, bool(task.images))
        if sum(sources) != 1:
            raise ConfigError(
                f"{path}: task {task.name!r} names {sum(sources)} sources of data; give one of "
                f"project, table and images"
            )
    baseline_of(study, path)
    return study


def lines_of(study: Study, arm: ArmSection) -> list[tuple[str, ...]]:
    """Name of the arm, strategy, start and annotation of every line that an arm draws."""
    return [
        (arm.name, strategy, start, annotation)
        for strategy in arm.strategies or study.strategies
        for start in arm.starts or study.starts
        for annotation in arm.annotations or study.annotations
    ]


def baseline_of(study: Study, path: Path) -> tuple[str, ...]:
    """The line that all others are compared with."""
    lines = [line for arm in study.arm for line in lines_of(study, arm)]
    asked = study.baseline.model_dump()
    for place, name in enumerate(NAMED):
        if asked[name] is not None:
            lines = [line for line in lines if line[place] == asked[name]]
            if not lines:
                raise ConfigError(
                    f"{path}: baseline.{name}: no line of this study is of {asked[name]!r}; name "
                    f"one that is run"
                )
    return lines[0]


def import_of(task: TaskSection, folder: Path) -> Import:
    """What the project of a task is made of; relative paths start from a folder."""
    return Import(
        images=tuple(folder / image for image in task.images),
        table=None if task.table is None else folder / task.table,
        masks=None if task.masks is None else folder / task.masks,
        scribbles=None if task.scribbles is None else folder / task.scribbles,
        classes=task.classes,
        region=task.region,
        test_fraction=task.test_fraction,
        slice_axis=task.slice_axis,
        group_by=task.group_by,
    )
