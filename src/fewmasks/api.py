"""The library in a few calls, as `import fewmasks as fm` shows it."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fewmasks.config import SCRATCH
from fewmasks.project import Import, Project, open_project
from fewmasks.project import create as create_project

if TYPE_CHECKING:
    import pandas as pd

    from fewmasks.study.plan import Annotation


def create(
    folder: str | Path,
    table: str | Path | None = None,
    images: Sequence[str | Path] = (),
    masks: str | Path | None = None,
    scribbles: str | Path | None = None,
    classes: Sequence[str] = (),
    region: int | None = None,
    test_fraction: float = 0.2,
) -> Project:
    """Make a project from a table, or from folders of images and reference masks.

    What was decided for you (split, classes, channels) stands in `project.summary()["notes"]`.
    """
    given = Import(
        images=tuple(Path(image) for image in images),
        table=None if table is None else Path(table),
        masks=None if masks is None else Path(masks),
        scribbles=None if scribbles is None else Path(scribbles),
        classes=tuple(classes),
        region=region,
        test_fraction=test_fraction,
    )
    return create_project(Path(folder), given)


def open(folder: str | Path) -> Project:
    """Open a project folder; an older one is migrated first, a newer one is refused."""
    return open_project(Path(folder))


def serve(project: Project, host: str = "127.0.0.1", port: int = 8000) -> None:
    """Label in the browser until interrupted; the link is written to standard output."""
    import sys

    from fewmasks.server.run import serve as run

    def say(line: str) -> None:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    run(project.folder, host, port, say)


def simulate(
    project: Project,
    strategies: Sequence[str],
    rounds: int = 5,
    limit: int = 20,
    seeds: int = 1,
    out: str | Path | None = None,
    annotations: "Sequence[Annotation]" = ("mask",),
    starts: Sequence[str] = (SCRATCH,),
) -> "pd.DataFrame":
    """The whole loop with the reference masks as annotator; the frame has curve.csv's columns.

    Every strategy is run from every start and with every kind of annotation, at the settings of
    `project.config`.

    Called again with the same arguments it goes on where it was stopped, or reads what is there.
    """
    from fewmasks.study.plan import Plan
    from fewmasks.study.run import default_out
    from fewmasks.study.run import simulate as run

    plan = Plan(
        strategies=tuple(strategies),
        rounds=rounds,
        limit=limit,
        seeds=seeds,
        annotations=tuple(annotations),
        starts=tuple(starts),
        config=project.config,
    )
    return run(project, plan, Path(out) if out else default_out(project, plan))
