"""Killed or crowded, a project keeps what it acknowledged."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.project import made

from fewmasks.project import open_project

ROOT = Path(__file__).resolve().parents[2]

ENDLESS_ANNOTATOR = """
import sys
from pathlib import Path
from fewmasks.project import open_project
from tests.project.made import label
project = open_project(Path(sys.argv[1]))
train = project.pool.ids(project.train)
for seed in range(int(sys.argv[2]), 10**9):
    items = [train[(seed + n) % len(train)] for n in range(3)]
    project.add_labels([label(item, seed=seed, seconds=seed) for item in items])
    print(seed, flush=True)
"""

READER = """
import sys
from pathlib import Path
from fewmasks.project import open_project
folder = Path(sys.argv[1])
counts = [0]
while counts[-1] < 8:
    project = open_project(folder)
    counts.append(len(project.labels()))
    project.summary(), project.labelled, project.open_picks()
    for record in project.labels():
        assert project.label(record.item).mask.shape == (6, 8)
assert counts == sorted(counts)
"""

WRITER = """
import sys
from pathlib import Path
from fewmasks.project import open_project
from tests.project.made import label
project = open_project(Path(sys.argv[1]))
for turn in range(12):
    for item in project.pool.ids(project.train):
        project.add_labels([label(item, seed=turn, seconds=turn, by=sys.argv[2])])
"""


def start(program: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_killed_at_any_moment_no_acknowledged_label_is_lost(tmp_path):
    folder = made.pictures_project(tmp_path).folder
    rng = np.random.default_rng(0)
    acknowledged = 0
    for _ in range(6):
        child = start(ENDLESS_ANNOTATOR, folder, acknowledged + 1)
        for _ in range(int(rng.integers(1, 20))):
            acknowledged = int(child.stdout.readline())
        # The child goes on meanwhile, so that the moment is any.
        sum(range(int(rng.integers(0, 300_000))))
        os.kill(child.pid, signal.SIGKILL)
        rest, _ = child.communicate()
        acknowledged = max([acknowledged, *map(int, rest.split())])
        project = open_project(folder)
        found = {record.item: record.seconds for record in project.labels()}
        train = project.pool.ids(project.train)
        for n in range(3):
            assert found[train[(acknowledged + n) % len(train)]] >= acknowledged
        for item, seconds in found.items():
            given = made.mask_of(seed=int(seconds))
            np.testing.assert_array_equal(project.label(item).mask, given)
        with project.engine.begin() as connection:
            rows = connection.exec_driver_sql("SELECT seconds, file FROM label").all()
        by_turn: dict[float, int] = {}
        for seconds, file in rows:
            assert (folder / file).is_file()
            by_turn[seconds] = by_turn.get(seconds, 0) + 1
        assert set(by_turn.values()) == {3}, "a transaction was cut"
        assert set(range(1, acknowledged + 1)) <= set(by_turn)


@pytest.mark.slow
def test_readers_and_writers_at_once_wait_for_each_other(tmp_path):
    folder = made.pictures_project(tmp_path).folder
    crowd = [start(READER, folder), start(READER, folder)]
    crowd += [start(WRITER, folder, "ann"), start(WRITER, folder, "bob")]
    for process in crowd:
        process.communicate()
    assert [process.returncode for process in crowd] == [0, 0, 0, 0]
    with open_project(folder).engine.begin() as connection:
        rows = connection.exec_driver_sql("SELECT by, count(*) FROM label GROUP BY by").all()
    assert sorted(rows) == [("ann", 96), ("bob", 96)]
