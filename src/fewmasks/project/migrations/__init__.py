"""Numbered steps that bring the database of an older project to the newest tables.

A step is a file in `versions/` with an `upgrade` function, as alembic's manual describes. After
adding one, change the tables in `fewmasks.project.schema`, and `HEAD` in `fewmasks.project`: a test
holds the two equal.
"""

from pathlib import Path

from sqlalchemy import Engine

from fewmasks.errors import ProjectError
from fewmasks.project.schema import writing

STEPS = Path(__file__).parent


def bring_to_head(engine: Engine, folder: Path, steps: Path = STEPS) -> None:
    """Run the steps that this project lacks, in one transaction; refuse a newer project."""
    from alembic.migration import MigrationContext
    from alembic.operations import Operations
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory(str(steps))
    known = {step.revision for step in scripts.walk_revisions()}
    # The write lock comes first, so that two programs that open an old project at the same time
    # do not both run the steps: the second one finds nothing left to do.
    with writing(engine).begin() as connection:
        context = MigrationContext.configure(connection)
        stored = context.get_current_revision()
        if stored is not None and stored not in known:
            raise ProjectError(
                f"{folder}: made by a newer fewmasks (its tables are at {stored!r}); "
                f"upgrade with: pip install --upgrade fewmasks"
            )
        with Operations.context(context):
            for step in reversed(list(scripts.iterate_revisions("head", stored or "base"))):
                step.module.upgrade()
                context.stamp(scripts, step.revision)
