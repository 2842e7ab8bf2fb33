"""Labels of a project as files for other programs: one function a format, listed in `EXPORTS`."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fewmasks.errors import ConfigError, ProjectError
from fewmasks.interop.label_studio import export_tasks
from fewmasks.io.masks import write_mask
from fewmasks.project import Project

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Export:
    """A format, what is written in it, and what writes it; the function says how many items."""

    name: str
    about: str
    write: Callable[[Project, Path, Progress], int]


def export_masks(project: Project, out: Path, report: Progress) -> int:
    """Write `ID.png` for every label: class numbers, and 255 where nobody said."""
    stored = project.labels()
    if not stored:
        raise ProjectError(f"{project.folder}: no labels yet; there is nothing to export")
    for done, each in enumerate(stored, start=1):
        label = project.label(each.item)
        assert label is not None
        path = out / f"{each.item}.png"
        if out.resolve() not in path.resolve().parents:
            raise ProjectError(f"{each.item}: this id leads out of {out}; it cannot name a file")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_mask(path, label.mask)
        report(done, len(stored))
    return len(stored)


EXPORTS: dict[str, Export] = {
    each.name: each
    for each in (
        Export("png", "class numbers of each labelled item as an indexed PNG", export_masks),
        Export(
            "label-studio", "tasks with brush strokes, the pictures, and the interface",
            export_tasks,
        ),
    )
}  # fmt: skip


def export(project: Project, name: str, out: Path, report: Progress = lambda done, of: None) -> int:
    """Write the labels in the format of this name; how many items were written."""
    if name not in EXPORTS:
        raise ConfigError(f"--format: there is no format {name!r}; use {', '.join(EXPORTS)}")
    return EXPORTS[name].write(project, out, report)
