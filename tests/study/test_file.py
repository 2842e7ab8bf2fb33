"""Study files: what they hold, and mistakes that are named before anything runs."""

from pathlib import Path

import pytest

from fewmasks.config import Config
from fewmasks.errors import ConfigError
from fewmasks.query.strategies import STRATEGIES
from fewmasks.study.file import baseline_of, import_of, lines_of, read_study

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "studies"

SMALL = """
strategies = ["random", "entropy"]
settings = ["learn.size=32"]

[[task]]
name = "cells"
project = "cells"
"""


def read(tmp_path, text):
    path = tmp_path / "study.toml"
    path.write_text(text)
    return read_study(path)


def test_a_small_file_says_little_and_has_defaults(tmp_path):
    study = read(tmp_path, SMALL)
    assert (study.rounds, study.limit, study.seeds) == (5, 20, 5)
    assert [arm.name for arm in study.arm] == ["plain"]
    assert lines_of(study, study.arm[0]) == [
        ("plain", "random", "scratch", "mask"),
        ("plain", "entropy", "scratch", "mask"),
    ]
    assert baseline_of(study, tmp_path) == ("plain", "random", "scratch", "mask")


def test_an_arm_may_have_strategies_of_its_own_and_a_baseline_is_named(tmp_path):
    text = f"""
annotations = ["mask", "scribble"]
{SMALL}
[baseline]
arm = "big"
annotation = "scribble"
[[arm]]
name = "small"
[[arm]]
name = "big"
settings = ["learn.size=64"]
strategies = ["coreset"]
"""
    study = read(tmp_path, text)
    assert len(lines_of(study, study.arm[0])) == 4
    assert lines_of(study, study.arm[1]) == [
        ("big", "coreset", "scratch", "mask"),
        ("big", "coreset", "scratch", "scribble"),
    ]
    assert baseline_of(study, tmp_path) == ("big", "coreset", "scratch", "scribble")


def test_a_task_says_what_create_says(tmp_path):
    text = """
[[task]]
name = "slides"
images = ["a", "b.png"]
masks = "m"
classes = ["background", "gland"]
region = 512
test_fraction = 0.5
limit = 3
"""
    (task,) = read(tmp_path, text).task
    given = import_of(task, Path("here"))
    assert given.images == (Path("here/a"), Path("here/b.png"))
    assert (given.masks, given.table) == (Path("here/m"), None)
    assert (given.classes, given.region) == (("background", "gland"), 512)
    assert (given.test_fraction, task.limit, task.rounds) == (0.5, 3, None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("strateges = ['random']" + SMALL, "strateges: there is no such setting; did you mean"),
        (SMALL + "projekt = 'x'", "task.0.projekt: there is no such setting; did you mean 'proj"),
        (SMALL + "[[arm]]\nnaem = 'x'", "arm.0"),
        (SMALL + "[[arm]]\nname = 'x'\nsettigns = []", "did you mean 'settings'"),
        (SMALL + "[baseline]\nstrategie = 'x'", "baseline.strategie: .*did you mean 'strategy'"),
        (SMALL + "[baseline]\nstrategy = 'coreset'", "baseline.strategy: no line .* 'coreset'"),
        (SMALL + "[[task]]\nname = 'Cells'\nproject = 'x'", "two tasks are called 'cells'"),
        (SMALL + "[[arm]]\nname = 'a'\n[[arm]]\nname = 'a'", "two arms are called 'a'"),
        (SMALL + "table = 'meta.csv'", "task 'cells' names 2 sources of data; give one"),
        ("[[task]]\nname = 'x'", "task 'x' names 0 sources of data"),
        ("[[task]]\nname = '../x'\nproject = 'x'", "task.0.name: .*pattern"),
        ("seeds = 0" + SMALL, "seeds: .*greater than or equal to 1"),
        ("strategies = []\n[[task]]\nname = 'x'\nproject = 'x'", "strategies: .*at least 1"),
        ("title = 'no tasks'", "task: Field required"),
        (
            "annotations = ['box']" + SMALL,
            "annotations.0: .*'either' or 'watershed'",
        ),
        ("title = [", "not TOML"),
    ],
)
def test_a_mistake_is_named(text, words, tmp_path):
    with pytest.raises(ConfigError, match=words):
        read(tmp_path, text)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match="no such study file"):
        read_study(tmp_path / "study.toml")


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.stem)
def test_the_examples_are_studies_of_strategies_and_settings_that_exist(path):
    study = read_study(path)
    for task in study.task:
        for arm in study.arm:
            Config().with_settings([*study.settings, *task.settings, *arm.settings])
            assert {line[1] for line in lines_of(study, arm)} <= set(STRATEGIES)


def test_there_are_examples():
    assert len(list(EXAMPLES.glob("*.toml"))) >= 2
