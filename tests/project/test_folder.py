"""What a project keeps: labels with their history, rounds, trainings, and where it stands."""

import pickle
import shutil
import sqlite3
from dataclasses import replace

import numpy as np
import pytest
from jaxtyping import TypeCheckError
from tests.makers import write_picture, write_table
from tests.project import made
from tests.project.made import label

from fewmasks.errors import ConfigError, FormatError, GeometryError, ProjectError
from fewmasks.project import Import, Project, create, open_project
from fewmasks.types import Label, Pick, Round


@pytest.fixture(scope="module")
def unlabelled(tmp_path_factory) -> Project:
    return made.pictures_project(tmp_path_factory.mktemp("unlabelled"))


@pytest.fixture
def project(unlabelled, tmp_path) -> Project:
    """Ten items, p4 and p9 in test, without a label."""
    return open_project(shutil.copytree(unlabelled.folder, tmp_path / "project"))


def names_of_masks(project: Project) -> list[str]:
    return sorted(path.name for path in (project.folder / "masks").iterdir())


# Labels


def test_a_label_comes_back_as_it_was(project):
    given = label("p3", seed=5)
    project.add_labels([given], round=2)
    found = open_project(project.folder).label("p3")
    np.testing.assert_array_equal(found.mask, given.mask)
    assert replace(found, mask=given.mask) == replace(given, mask=given.mask)
    (record,) = project.labels()
    assert (record.item, record.kind, record.seconds) == ("p3", "mask", 30.0)
    assert (record.by, record.round) == ("ann", 2)
    assert record.created.endswith("Z")


def test_unknown_pixels_survive(project):
    mask = np.full((6, 8), 255, np.uint8)
    mask[0] = [0, 1] * 4
    project.add_labels([Label("p0", "scribble", mask, 4.0, "ann")])
    np.testing.assert_array_equal(project.label("p0").mask, mask)


def test_an_item_without_label_has_none(project):
    assert project.label("p0") is None
    assert project.labels() == []
    assert project.labelled.tolist() == []
    with pytest.raises(ConfigError, match="no item is called 'x'"):
        project.label("x")


def test_the_newest_answer_holds_and_older_ones_are_kept(project):
    project.add_labels([label("p1", seed=1)])
    project.add_labels([label("p1", seed=2, by="bob")])
    project.add_labels([replace(label("p1", seed=3), kind="scribble")])
    np.testing.assert_array_equal(project.label("p1").mask, made.mask_of(seed=3))
    assert [record.kind for record in project.labels()] == ["scribble"]
    assert len(names_of_masks(project)) == 3
    assert project.summary()["minutes"] == 1.5
    assert project.summary()["labels"] == {"mask": 0, "scribble": 1}


def test_the_label_that_holds_given_once_more_changes_nothing(project):
    for _ in range(2):
        project.add_labels([label("p1", seed=1)])
    before = project.labels()
    assert project.summary()["minutes"] == 0.5
    for _ in range(2):
        project.add_labels([label("p1", seed=2, by="bob")], reading=2)
        project.add_labels([label("p1", seed=1)])
    assert project.labels() == before
    assert project.summary()["minutes"] == 1.0


def test_an_earlier_answer_given_over_that_of_somebody_else_holds(project):
    project.add_labels([label("p1", seed=1)])
    project.add_labels([label("p1", seed=2, by="bob")])
    project.add_labels([label("p1", seed=1)])
    assert project.label("p1").by == "ann"
    np.testing.assert_array_equal(project.label("p1").mask, made.mask_of(seed=1))


def test_an_earlier_mask_given_over_a_scribble_holds(project):
    for kind in ("mask", "scribble", "mask"):
        project.add_labels([replace(label("p1", seed=1), kind=kind)])
    assert [record.kind for record in project.labels()] == ["mask"]


def test_an_annotator_may_return_to_an_earlier_answer(project):
    for seed in (1, 2, 1):
        project.add_labels([label("p1", seed=seed)])
    np.testing.assert_array_equal(project.label("p1").mask, made.mask_of(seed=1))
    assert len(names_of_masks(project)) == 2
    assert project.summary()["minutes"] == 1.5


def test_equal_masks_of_two_items_are_two_files(project):
    project.add_labels([label("p1"), label("p2")])
    assert len(names_of_masks(project)) == 2


def test_labels_come_in_the_order_of_the_pool(project):
    project.add_labels([label("p7"), label("p0")])
    project.add_labels([label("p3")])
    assert [record.item for record in project.labels()] == ["p0", "p3", "p7"]
    assert project.labelled.tolist() == [0, 3, 7]


def test_labels_of_test_items_are_an_audit_and_never_training(project):
    project.add_labels([label("p4"), label("p5")])
    assert project.labelled.tolist() == [5]
    assert project.audited.tolist() == [4]
    assert project.summary()["audited"] == 1
    assert project.summary()["labels"]["mask"] == 1


def test_ids_that_are_no_file_names_can_be_labelled(tmp_path):
    folder = tmp_path / "study"
    long = "é" * 180
    rows = []
    for name, group in ((f"a/b\\c:{long}", "x"), (f"a/b\\d:{long}", "y")):
        write_picture(folder / f"{group}.png", made.grey())
        rows.append({"id": name, "image": f"{group}.png", "group": group})
    given = Import(table=write_table(folder / "meta.csv", rows))
    project = create(tmp_path / "project", given)
    project.add_labels([label(row["id"], seed=n) for n, row in enumerate(rows)])
    for n, row in enumerate(rows):
        np.testing.assert_array_equal(project.label(row["id"]).mask, made.mask_of(seed=n))


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        ({"item": "nobody"}, ConfigError, "'nobody'"),
        ({"kind": "polygon"}, ConfigError, "'polygon'"),
        ({"seconds": -1.0}, ConfigError, r"-1\.0"),
        ({"seconds": float("nan")}, ConfigError, "nan"),
        ({"mask": np.zeros((8, 6), np.uint8)}, GeometryError, "8 x 6 pixels, the item 6 x 8"),
        ({"mask": np.full((6, 8), 2, np.uint8)}, ConfigError, "class number 2"),
        ({"mask": np.full((6, 8), 254, np.uint8)}, ConfigError, "class number 254"),
        ({"mask": np.zeros((6, 8), np.int64)}, GeometryError, "int64|i64"),
    ],
)
def test_one_wrong_label_keeps_all_of_them_out(project, wrong, error, words):
    # TypeCheckError, since with shapes checked at run time some cannot even be made.
    with pytest.raises((error, TypeCheckError), match=words):
        project.add_labels([label("p0"), replace(label("p1"), **wrong)])
    assert project.labels() == []
    assert names_of_masks(project) == []


def test_no_labels_are_no_change(project):
    project.add_labels([])
    assert project.labels() == []


# Skips and rounds


def test_skipped_items_are_remembered_once(project):
    project.skip(["p2", "p2"], "blurred")
    project.skip(["p2", "p4"], "other")
    assert project.skipped.tolist() == [2, 4]
    with pytest.raises(ConfigError, match="'x'"):
        project.skip(["p1", "x"], "blurred")
    assert project.skipped.tolist() == [2, 4]


def round_of(number: int, *items: str, **changes: object) -> Round:
    picks = tuple(Pick(item, "entropy 0.4", item in {"p4", "p9"}, item == "p3") for item in items)
    return replace(Round(number, "random", 7, picks, {"learn": {"size": 128}}), **changes)


def test_rounds_come_back_as_they_were(project):
    rounds = [round_of(1, "p3", "p0", "p4"), round_of(2, "p1")]
    for each in rounds:
        project.add_round(each)
    assert open_project(project.folder).rounds() == rounds


def test_open_picks_are_those_of_the_newest_round_without_an_answer(project):
    assert project.open_picks() == []
    project.add_round(round_of(1, "p8"))
    project.add_round(round_of(2, "p3", "p0", "p4", "p6"))
    project.add_labels([label("p0")])
    project.skip(["p6"], "blurred")
    assert project.open_picks() == [
        Pick("p3", "entropy 0.4", control=True), Pick("p4", "entropy 0.4", True)
    ]  # fmt: skip


def test_a_round_may_be_stored_again_but_not_changed(project):
    first = round_of(1, "p3", "p0", config={"sizes": (1, 2)})
    project.add_round(first)
    project.add_round(first)
    with pytest.raises(ProjectError, match=r"round 1 exists.*number the new one 2"):
        project.add_round(round_of(1, "p3"))
    assert len(project.rounds()) == 1


@pytest.mark.parametrize(
    ("picks", "words"),
    [
        ([Pick("p4", "why")], "p4 is a test item"),
        ([Pick("p0", "why", audit=True)], "p0 is a training item"),
        ([Pick("p0", "why"), Pick("p0", "why")], "one item twice"),
    ],
)
def test_a_round_never_crosses_the_split(project, picks, words):
    with pytest.raises(ProjectError, match=words):
        project.add_round(Round(1, "random", 0, tuple(picks)))
    assert project.rounds() == []


# Where it stands


def test_the_next_step_follows_the_work(project):
    def step() -> str:
        return project.summary()["next"].split(":")[0]

    assert step() == "choose the next items to label"
    project.add_round(round_of(1, "p0", "p1"))
    assert step() == "label the 2 chosen items"
    project.add_labels([label("p0"), label("p1")])
    assert step() == "train on the 2 labels"
    project.add_training({"labels": 2, "scores": {"dice": 0.5}})
    assert step() == "choose the next items to label"
    assert project.summary()["scores"] == {"dice": 0.5}
    project.add_labels([label(f"p{n}") for n in (2, 3, 5, 6, 7, 8)])
    project.add_training({"labels": 8, "scores": {"dice": 0.75}})
    assert step() == "every item is labelled; use the model"
    assert [record["labels"] for record in project.trainings()] == [2, 8]


def test_the_next_step_names_commands_that_exist(project):
    from fewmasks.cli.main import app

    commands = {each.callback.__name__.rstrip("_") for each in app.registered_commands}
    for items in (["p0"], ["p0"], ["p1"]):
        words = project.summary()["next"].split("fewmasks ")[1].split()
        assert words[0] in commands
        assert words[1] == str(project.folder)
        project.add_labels([label(items[0], seed=len(project.labels()))])


def test_the_summary_counts_what_python_counts(project):
    project.add_labels([label("p0"), label("p9")])
    found = project.summary()
    assert found["items"] == len(project.pool)
    assert found["train"] == {"items": len(project.train), "groups": 4}
    assert found["test"] == {"items": len(project.test), "groups": 1}
    assert found["volumes"] == 0
    assert found["classes"] == list(project.classes)


def test_images_that_are_gone_are_counted_and_not_needed(tmp_path):
    project = made.pictures_project(tmp_path)
    shutil.rmtree(tmp_path / "study" / "images")
    shutil.rmtree(tmp_path / "study" / "masks")
    moved = open_project((tmp_path / "project").rename(tmp_path / "moved"))
    assert moved.summary()["missing_sources"] == 10
    for number, item in enumerate(moved.pool.items):
        np.testing.assert_array_equal(moved.cache.read(item)[..., 0], made.grey(seed=number))
        np.testing.assert_array_equal(moved.reference(item), made.mask_of(seed=number))
    assert project.folder != moved.folder


def test_a_project_can_be_sent_to_another_process(project):
    again = pickle.loads(pickle.dumps(project))
    assert again.folder == project.folder
    assert again.pool == project.pool


# Opening


def test_a_folder_without_a_project_is_refused(tmp_path):
    with pytest.raises(ProjectError, match=r"not a fewmasks project.*fewmasks create"):
        open_project(tmp_path)
    with pytest.raises(ProjectError, match="not a fewmasks project"):
        open_project(tmp_path / "nowhere")


@pytest.mark.parametrize("content", [b"", b"not a database at all" * 100])
def test_a_damaged_database_is_named(tmp_path, content):
    (tmp_path / "project.db").write_bytes(content)
    with pytest.raises(ProjectError, match=r"project\.db"):
        open_project(tmp_path)


def test_a_database_of_another_program_is_refused_and_left_alone(tmp_path):
    with sqlite3.connect(tmp_path / "project.db") as connection:
        connection.execute("CREATE TABLE alien (x)")
    connection.close()
    before = (tmp_path / "project.db").read_bytes()
    with pytest.raises(ProjectError, match="not the database of a fewmasks project"):
        open_project(tmp_path)
    assert (tmp_path / "project.db").read_bytes() == before


def test_a_wrong_setting_is_named_when_settings_are_used(project):
    (project.folder / "project.toml").write_text("[learn]\nsise = 64\n")
    with pytest.raises(ConfigError, match="did you mean 'size'"):
        _ = open_project(project.folder).config


def test_a_changed_image_is_refused(tmp_path):
    project = made.pictures_project(tmp_path)
    write_picture(tmp_path / "study" / "images" / "p0.png", made.grey(9, 9, seed=99))
    with pytest.raises(FormatError, match="changed since"):
        project.cache.read(project.pool.items[0])
