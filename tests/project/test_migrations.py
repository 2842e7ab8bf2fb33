"""Projects of older releases open; those of newer ones are refused."""

import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable
from tests.project import made

from fewmasks.errors import ProjectError
from fewmasks.project import migrations, open_project, schema

ANOTHER_STEP = """
import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("skip", sa.Column("since", sa.Text))
    {then}
"""


def schema_of(folder: Path) -> list[tuple[str, str]]:
    connection = sqlite3.connect(folder / "project.db")
    found = connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
    connection.close()
    return [(name, " ".join((sql or "").split())) for name, sql in found]


def steps_with_another(folder: Path, then: str = "") -> Path:
    shutil.copytree(migrations.STEPS / "versions", folder / "versions")
    (folder / "versions" / "r0005_since.py").write_text(ANOTHER_STEP.format(then=then))
    return folder


def test_the_steps_lead_to_the_tables_of_a_new_project(tmp_path):
    (tmp_path / "new").mkdir()
    (tmp_path / "old").mkdir()
    schema.make_tables(schema.database(tmp_path / "new"))
    engine = schema.database(tmp_path / "old")
    migrations.bring_to_head(engine, tmp_path / "old")
    assert schema_of(tmp_path / "old") == schema_of(tmp_path / "new")
    assert schema.stored_revision(engine, tmp_path / "old") == schema.HEAD


def test_an_older_project_is_brought_to_the_head(tmp_path):
    project = made.pictures_project(tmp_path)
    project.skip(["p1"], "blurred")
    steps = steps_with_another(tmp_path / "steps")
    migrations.bring_to_head(project.engine, project.folder, steps)
    assert schema.stored_revision(project.engine, project.folder) == "0005"
    with project.engine.begin() as connection:
        rows = connection.exec_driver_sql("SELECT item_row, reason, since FROM skip").all()
    assert rows == [(1, "blurred", None)]
    migrations.bring_to_head(project.engine, project.folder, steps)


def test_steps_run_in_order(tmp_path):
    engine = schema.database(tmp_path)
    migrations.bring_to_head(engine, tmp_path, steps_with_another(tmp_path / "steps"))
    assert schema.stored_revision(engine, tmp_path) == "0005"


def test_a_step_that_fails_changes_nothing(tmp_path):
    project = made.pictures_project(tmp_path)
    before = schema_of(project.folder)
    steps = steps_with_another(tmp_path / "steps", then="raise KeyError('power cut')")
    with pytest.raises(KeyError, match="power cut"):
        migrations.bring_to_head(project.engine, project.folder, steps)
    assert schema_of(project.folder) == before
    assert len(open_project(project.folder).pool) == 10


def test_a_project_at_the_first_revision_opens(tmp_path):
    """Made by the first step alone, as the first release made it."""
    made_by_alembic = tmp_path / "project"
    shutil.copytree(made.pictures_project(tmp_path / "new").folder, made_by_alembic)
    rows = sqlite3.connect(made_by_alembic / "project.db")
    dump = [line for line in rows.iterdump() if line.startswith('INSERT INTO "')]
    rows.close()
    (made_by_alembic / "project.db").unlink()
    migrations.bring_to_head(schema.database(made_by_alembic), made_by_alembic)
    filled = sqlite3.connect(made_by_alembic / "project.db")
    filled.executescript("".join(x for x in dump if "alembic_version" not in x))
    filled.close()
    project = open_project(made_by_alembic)
    assert schema.stored_revision(project.engine, project.folder) == schema.HEAD
    assert len(project.pool) == 10


def test_a_project_of_the_first_release_keeps_what_it_holds(tmp_path):
    """Made by the first step, filled, and brought to the tables of today."""
    steps = tmp_path / "steps"
    (steps / "versions").mkdir(parents=True)
    shutil.copy(migrations.STEPS / "versions" / "r0001_first_tables.py", steps / "versions")
    folder = tmp_path / "project"
    folder.mkdir()
    engine = schema.database(folder)
    migrations.bring_to_head(engine, folder, steps)
    assert schema.stored_revision(engine, folder) == "0001"
    with schema.writing(engine).begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO source VALUES (0, 'a', NULL, NULL, 'g', '[]', 'train', 1, 6, 8, 1, 1, 1)"
        )
        connection.exec_driver_sql("INSERT INTO item VALUES (0, 'a', 0, 0, NULL, NULL, NULL, NULL)")
        connection.exec_driver_sql("INSERT INTO skip VALUES (0, 'blurred', 'then')")
    project = open_project(folder)
    assert schema.stored_revision(project.engine, folder) == schema.HEAD
    assert project.skipped.tolist() == [0]
    project.skip(["a"], "again")
    with project.engine.begin() as connection:
        rows = connection.exec_driver_sql("SELECT reason, by, flagged FROM skip").all()
        assert rows == [("blurred", None, 0)]
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
    assert "lease" in {name for name, _ in schema_of(folder)}


def test_what_an_older_version_asked_and_heard_was_asked_once(tmp_path):
    """Made by the first two steps; one pick and one label, then read a second time."""
    steps = tmp_path / "steps"
    (steps / "versions").mkdir(parents=True)
    for step in ("r0001_first_tables.py", "r0002_labelling_page.py"):
        shutil.copy(migrations.STEPS / "versions" / step, steps / "versions")
    folder = tmp_path / "project"
    shutil.copytree(made.pictures_project(tmp_path / "new").folder, folder)
    whole = sqlite3.connect(folder / "project.db")
    kept = {
        name: whole.execute(f"SELECT * FROM {name}").fetchall()
        for name in ("fact", "source", "item")
    }
    whole.close()
    (folder / "project.db").unlink()
    engine = schema.database(folder)
    migrations.bring_to_head(engine, folder, steps)
    assert schema.stored_revision(engine, folder) == "0002"
    older = sqlite3.connect(folder / "project.db")
    for name, rows in kept.items():
        marks = ", ".join("?" * len(rows[0]))
        older.executemany(f"INSERT INTO {name} VALUES ({marks})", rows)
    older.execute("INSERT INTO round VALUES (0, 'random', 0, '{}', 'then')")
    older.execute("INSERT INTO pick VALUES (0, 0, 0, 'why', 0)")
    older.execute("INSERT INTO label VALUES (1, 0, 'mask', 9.0, 'ann', 0, 'then', 'masks/p0.png')")
    older.commit()
    older.close()
    project = open_project(folder)
    assert schema.stored_revision(project.engine, folder) == schema.HEAD
    (asked,) = project.rounds()[0].picks
    assert (asked.item, asked.control, asked.readings) == ("p0", False, 1)
    assert [(each.item, each.by) for each in project.labels()] == [("p0", "ann")]
    project.add_labels([made.label("p0", by="bob")], round=0, reading=2)
    assert [each.by for each in project.labels()] == ["ann"]
    assert project.summary()["labels"]["mask"] == 1


def test_a_newer_project_is_refused_and_left_alone(tmp_path):
    folder = made.pictures_project(tmp_path).folder
    connection = sqlite3.connect(folder / "project.db")
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    connection.close()
    with pytest.raises(ProjectError, match=r"made by a newer fewmasks.*'9999'"):
        open_project(folder)
    assert schema.stored_revision(schema.database(folder), folder) == "9999"


@pytest.mark.slow
def test_opening_a_project_of_today_needs_neither_alembic_nor_pydantic(tmp_path):
    folder = made.pictures_project(tmp_path).folder
    program = f"""
import sys
from pathlib import Path
from fewmasks.project import open_project
open_project(Path({str(folder)!r})).summary()
print(*sorted({{"alembic", "pydantic", "torch", "scipy", "pandas", "PIL"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


def test_the_tables_can_be_made_in_postgresql():
    for table in schema.metadata.sorted_tables:
        statement = str(CreateTable(table).compile(dialect=postgresql.dialect()))
        assert "AUTOINCREMENT" not in statement
        numbered = table.name in {"label", "training", "comment", "job"}
        assert ("SERIAL" in statement) == numbered
