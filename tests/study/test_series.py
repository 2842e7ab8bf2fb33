"""Studies from a file: run, resumed, extended, reported."""

import shutil

import pandas as pd
import pytest
from tests.study import made
from tests.study.test_report import Page

from fewmasks.errors import ConfigError, ProjectError
from fewmasks.executors.local import map_here
from fewmasks.study.series import report_study, run_study

pytestmark = pytest.mark.slow

STUDY = """
title = "Long <or> short"
rounds = 2
limit = 2
seeds = 2
strategies = ["random"]
settings = ["learn.size=32", "learn.batch=4", "learn.precision=fp32", "learn.iterations=2"]

[[task]]
name = "pictures"
table = "study/meta.csv"
classes = ["background", "cell"]

[[arm]]
name = "short"

[[arm]]
name = "long"
settings = ["learn.iterations=4"]
"""


def run(path, out, **more):
    return run_study(path, out, execute=map_here, **more)


@pytest.fixture(scope="module")
def done_once(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    made.write_pictures(folder / "study")
    (folder / "study.toml").write_text(STUDY)
    run(folder / "study.toml", folder / "out")
    return folder


@pytest.fixture
def done(done_once, tmp_path):
    return shutil.copytree(done_once, tmp_path / "here")


def test_every_arm_is_run_and_compared(done):
    curve = pd.read_csv(done / "out" / "curve.csv")
    assert list(curve)[:9] == [
        "task", "arm", "strategy", "start", "annotation", "seed", "round", "items", "seconds",
    ]  # fmt: skip
    assert len(curve) == 2 * 2 * 2
    table = pd.read_csv(done / "out" / "table.csv")
    assert table["name"].tolist() == ["short", "long"]
    assert table.loc[0, "note"] == "baseline"
    page = Page(done / "out" / "report.html")
    for words in ("Long <or> short", "pictures", "long", "learn.iterations=4"):
        assert words in page.text
    assert "Dice over labels" in (done / "out" / "pictures.svg").read_text()
    assert [attrs for _, attrs in page.tags if {"src", "href"} & set(attrs)] == []


def test_arms_share_their_start_sets(done):
    picks = [
        pd.read_csv(done / "out" / "runs" / "pictures" / arm / "picks.csv")
        for arm in ("short", "long")
    ]
    first = [each[each["round"] == 0]["item"].tolist() for each in picks]
    assert first[0] == first[1]


def test_a_finished_study_is_left_as_it_is(done):
    before = {p: p.stat().st_mtime_ns for p in (done / "out" / "runs").rglob("*.json")}
    curve = (done / "out" / "curve.csv").read_bytes()
    run(done / "study.toml", done / "out")
    assert {p: p.stat().st_mtime_ns for p in (done / "out" / "runs").rglob("*.json")} == before
    assert (done / "out" / "curve.csv").read_bytes() == curve


def test_what_was_interrupted_goes_on_to_the_same_curve(done):
    curve = (done / "out" / "curve.csv").read_bytes()
    shutil.rmtree(done / "out" / "runs" / "pictures" / "long")
    said = []
    found = report_study(done / "out", said.append)
    assert said == ["not finished: pictures, long; run the study again and it goes on"]
    assert len(found.table) == 1
    assert "nothing to compare it with" in found.sentences[0]
    run(done / "study.toml", done / "out")
    assert (done / "out" / "curve.csv").read_bytes() == curve


def test_an_arm_may_be_added_and_a_changed_one_is_refused(done):
    path = done / "study.toml"
    path.write_text(STUDY + "\n[[arm]]\nname = 'longer'\nsettings = ['learn.iterations=5']\n")
    assert len(run(path, done / "out").table) == 3
    path.write_text(STUDY.replace("iterations=4", "iterations=3"))
    with pytest.raises(ProjectError, match=r"another config.learn.iterations \(4, now 3\)"):
        run(path, done / "out")


@pytest.mark.parametrize(
    ("old", "new"), [("seeds = 2", "seeds = 9"), ("iterations=4", "iterations=3")]
)
def test_a_refused_study_leaves_all_as_it_is(done, old, new):
    """Also where the arm that differs is the second one, and one was added before it."""
    before, page = (done / "out" / "study.toml").read_bytes(), done / "out" / "report.html"
    added = "[[arm]]\nname = 'new'\n\n[[arm]]\nname = \"long\""
    edited = STUDY.replace(old, new).replace('[[arm]]\nname = "long"', added)
    (done / "study.toml").write_text(edited)
    with pytest.raises(ProjectError, match="holds a run with another"):
        run(done / "study.toml", done / "out")
    assert (done / "out" / "study.toml").read_bytes() == before
    assert not (done / "out" / "runs" / "pictures" / "new").exists()
    report_study(done / "out")
    assert "0 to 1, paired" in Page(page).text


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            'classes = ["background", "cell"]',
            'classes = ["background", "blob"]',
            "classes is background, blob, but .* was made with background, cell",
        ),
        ('"study/meta.csv"', '"study/other.csv"', "table is .*other.csv, but .*meta.csv"),
        ("\n[[arm]]", "region = 16\n[[arm]]", "region is 16, but .* not given"),
        ("\n[[arm]]", "test_fraction = 0.4\n[[arm]]", r"test_fraction is 0\.4, but .* 0\.2"),
        ("\n[[arm]]", 'group_by = "id"\n[[arm]]', "group_by is id, but .* not given"),
    ],
    ids=["classes", "table", "region", "test fraction", "groups"],
)
def test_a_task_that_was_made_of_something_else_is_refused(done, old, new, said):
    shutil.copy(done / "study" / "meta.csv", done / "study" / "other.csv")
    (done / "study.toml").write_text(STUDY.replace(old, new, 1))
    pattern = f"task 'pictures': {said}.*; choose another --out, or write the old value again"
    with pytest.raises(ConfigError, match=pattern):
        run(done / "study.toml", done / "out")


def test_a_task_may_be_written_in_another_way(done):
    """The same table by its full path, and a study file beside the data."""
    table = done / "study" / "meta.csv"
    run(done / "study.toml", done / "new")  # the copy in `out` was made of another folder's table
    (done / "study.toml").write_text(STUDY.replace('"study/meta.csv"', f'"{table}"'))
    run(done / "study.toml", done / "new")
    (done / "study" / "study.toml").write_text(STUDY.replace('"study/meta.csv"', '"meta.csv"'))
    run(done / "study" / "study.toml", done / "new")


def test_a_project_of_an_older_version_is_taken_as_it_is(done):
    shutil.rmtree(done / "out" / "tasks")
    (done / "study.toml").write_text(STUDY.replace("\n[[arm]]", "region = 16\n[[arm]]", 1))
    assert len(run(done / "study.toml", done / "out").table) == 2


def test_an_arm_may_give_more_labels_and_is_compared_over_minutes(done):
    """Scribbles at a fifteenth of a mask's price: fifteen times as many fill the same minutes."""
    path = done / "study.toml"
    path.write_text(
        'over = "minutes"\nkeep_models = true\n' + STUDY.replace(
            'name = "long"\nsettings = ["learn.iterations=4"]',
            'name = "many"\nlimit = 4\nsettings = ["cost.seconds_per_mask=30"]',
        )
    )  # fmt: skip
    found = run(path, done / "minutes").table.set_index("name").loc["many"]
    curve = pd.read_csv(done / "minutes" / "curve.csv")
    assert set(curve["seconds"]) == {120, 240}
    assert curve.groupby("arm", sort=False)["items"].unique().map(list).tolist() == [[2, 4], [4, 8]]
    areas = curve.groupby(["arm", "seed"])["dice"].mean()
    assert found["difference"] == pytest.approx((areas["many"] - areas["short"]).mean(), abs=1e-6)
    assert found["difference"] == found["difference_minutes"]
    assert "Dice over minutes of labelling" in (done / "minutes" / "pictures.svg").read_text()
    page = Page(done / "minutes" / "report.html")
    words_of = (
        "Mean Dice along the curve over minutes",
        "many: 4 limit; cost",
        "last Dice, at minutes",
    )
    for words in words_of:
        assert words in page.text
    kept = sorted(str(p.relative_to(done / "minutes")) for p in done.rglob("*.safetensors"))
    assert kept == [
        f"runs/pictures/{arm}/rounds/seed-{seed}/scratch-mask/random/01-model.safetensors"
        for arm in ("many", "short")
        for seed in (0, 1)
    ]


def test_mistakes_are_named_before_anything_runs(done):
    path = done / "study.toml"
    for change, words in (
        (
            ("learn.iterations=4", "learn.itertions=4"),
            "settings of task 'pictures', arm 'long': .*did you mean 'iterations'",
        ),
        (("limit = 2", "limit = 99"), "--limit: 99 items a round"),
        (('["random"]', '["randum"]'), "no strategy 'randum'"),
    ):
        path.write_text(STUDY.replace(*change))
        with pytest.raises(ConfigError, match=words):
            run(path, done / "new")
        assert not (done / "new" / "runs").exists()


def test_a_folder_without_a_study_is_named(tmp_path):
    with pytest.raises(ProjectError, match=r"no study was run there \(no study.toml\)"):
        report_study(tmp_path)
