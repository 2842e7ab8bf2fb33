"""A project is made whole or not at all, and says aloud what it decided."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.makers import write_picture, write_table, write_tiff
from tests.project import made

from fewmasks.errors import ConfigError, FewmasksError, FormatError, GeometryError, ProjectError
from fewmasks.project import Import, create, open_project


def test_pictures_become_items(tmp_path):
    project = made.pictures_project(tmp_path)
    assert [item.id for item in project.pool.items] == [f"p{n}" for n in range(10)]
    assert project.pool.ids(project.test) == ["p4", "p9"]
    assert project.pool.ids(project.train) == ["p0", "p1", "p2", "p3", "p5", "p6", "p7", "p8"]
    assert project.classes == ("background", "cell")
    assert (project.background, project.foreground.tolist()) == (0, [1])
    assert project.channels == 1
    assert project.has_reference.all()
    for number, item in enumerate(project.pool.items):
        np.testing.assert_array_equal(project.cache.read(item)[..., 0], made.grey(seed=number))
        np.testing.assert_array_equal(project.reference(item), made.mask_of(seed=number))
        assert project.shape(item) == (6, 8)
        assert not project.is_volume(item)


def test_the_folder_is_laid_out(tmp_path):
    folder = made.pictures_project(tmp_path).folder
    names = {path.name for path in folder.iterdir()}
    assert names == {"project.toml", "project.db", "masks", "cache", "models", "simulations"}
    assert open_project(folder).config.model_dump() == open_project(folder).config.model_dump()


def test_volumes_become_slices(tmp_path):
    rng = np.random.default_rng(0)
    voxels = {name: rng.normal(size=(12, 5, 4)).astype(np.float32) for name in ("v1", "v2")}
    masks = {name: rng.integers(0, 3, (12, 5, 4), dtype=np.uint8) for name in voxels}
    for name in voxels:
        made.write_volume(tmp_path / "images" / f"{name}.nii.gz", voxels[name], (3, 2, 0.5))
        made.write_volume(tmp_path / "masks" / f"{name}.nii.gz", masks[name], (3, 2, 0.5))
    given = Import(images=(tmp_path / "images",), masks=tmp_path / "masks", slice_axis=2)
    project = create(tmp_path / "project", given)
    assert len(project.pool) == 24
    assert project.pool.items[0].id == "v1_z00"
    assert project.pool.items[23].id == "v2_z11"
    assert project.classes == ("background", "class 1", "class 2")
    for item in project.pool.items:
        name = item.id[:2]
        np.testing.assert_array_equal(project.cache.read(item)[..., 0], voxels[name][item.z])
        np.testing.assert_array_equal(project.reference(item), masks[name][item.z])
        assert project.spacing(item) == pytest.approx((3, 2, 0.5))
        assert project.is_volume(item)
    assert project.volume_codes().tolist() == [0] * 12 + [1] * 12
    assert len(set(project.pool.group_codes()[project.test])) == 1


def test_a_table_may_name_single_slices(tmp_path):
    made.write_volume(tmp_path / "v.nii.gz", np.zeros((4, 5, 6), np.float32))
    rows = [{"id": f"s{z}", "image": "v.nii.gz", "group": f"g{z}", "z": z} for z in (3, 1)]
    table = write_table(tmp_path / "meta.csv", rows)
    items = create(tmp_path / "project", Import(table=table)).pool.items
    assert [(item.id, item.z) for item in items] == [("s3", 3), ("s1", 1)]


def test_large_pictures_become_regions(tmp_path):
    write_picture(tmp_path / "images" / "large.png", made.grey(40, 70, seed=1))
    write_picture(tmp_path / "images" / "small.png", made.grey(20, 20, seed=2))
    write_picture(tmp_path / "masks" / "large.png", made.mask_of(40, 70, seed=1))
    given = Import(images=(tmp_path / "images",), masks=tmp_path / "masks", region=32)
    project = create(tmp_path / "project", given)
    assert project.pool.items[0].id == "large_y00000_x00000"
    assert project.pool.items[-1].id == "small"
    assert project.has_reference.tolist() == [True] * 6 + [False]
    assert project.facts["region"] == 32
    covered = np.zeros((40, 70), int)
    for item in project.pool.items[:-1]:
        y0, x0, y1, x1 = item.box
        covered[y0:y1, x0:x1] += 1
        part = made.mask_of(40, 70, seed=1)[y0:y1, x0:x1]
        np.testing.assert_array_equal(project.reference(item), part)
        assert project.shape(item) == part.shape
        assert not project.is_volume(item)
    assert (covered == 1).all()
    assert project.reference(project.pool.items[-1]) is None


def test_grey_among_rgb_is_read_as_rgb_and_said(tmp_path):
    write_picture(tmp_path / "images" / "a.png", made.grey())
    write_picture(tmp_path / "images" / "b.png", np.stack([made.grey(seed=1)] * 3, -1))
    said = []
    project = create(tmp_path / "project", Import(images=(tmp_path / "images",)), said.append)
    assert project.channels == 3
    assert any("1 of 2 images are grey and 1 are RGB" in line for line in said)
    assert project.summary()["notes"] == said
    pixels = project.cache.read(project.pool.items[0])
    np.testing.assert_array_equal(pixels, np.stack([made.grey()] * 3, -1))


def test_scribbles_are_kept_apart_from_masks(tmp_path):
    scribble = np.full((6, 8), 255, np.uint8)
    scribble[2] = 1
    write_picture(tmp_path / "images" / "a.png", made.grey())
    write_picture(tmp_path / "scribbles" / "a.png", scribble)
    given = Import(
        images=(tmp_path / "images",), scribbles=tmp_path / "scribbles", classes=("sky", "sea")
    )
    project = create(tmp_path / "project", given)
    item = project.pool.items[0]
    assert project.reference(item) is None
    np.testing.assert_array_equal(project.reference_scribble(item), scribble)
    assert (project.background, project.foreground.tolist()) == (None, [0, 1])


# Classes


def create_with_mask(tmp_path: Path, mask: np.ndarray, classes: tuple[str, ...] = ()):
    write_picture(tmp_path / "images" / "a.png", made.grey(*mask.shape))
    write_picture(tmp_path / "masks" / "a.png", mask)
    said = []
    given = Import(images=(tmp_path / "images",), masks=tmp_path / "masks", classes=classes)
    return create(tmp_path / "project", given, said.append), said


@pytest.mark.parametrize("classes", [(), ("background", "cell")])
def test_white_in_black_and_white_masks_is_foreground(tmp_path, classes):
    project, said = create_with_mask(tmp_path, made.mask_of() * np.uint8(255), classes)
    assert any("255 is read as class 1" in line for line in said)
    np.testing.assert_array_equal(project.reference(project.pool.items[0]), made.mask_of())
    assert project.classes == (classes or ("background", "foreground"))


def test_255_is_unknown_beside_other_classes(tmp_path):
    mask = made.mask_of()
    mask[0, 0] = 255
    project, _ = create_with_mask(tmp_path, mask)
    np.testing.assert_array_equal(project.reference(project.pool.items[0]), mask)


def test_255_is_unknown_where_the_data_set_says_so(tmp_path):
    (tmp_path / "dataset.json").write_text('{"unlabelled_value": 255}')
    mask = made.mask_of() * np.uint8(255)
    project, _ = create_with_mask(tmp_path, mask)
    np.testing.assert_array_equal(project.reference(project.pool.items[0]), mask)


def test_classes_are_named_by_the_numbers_in_masks(tmp_path):
    project, said = create_with_mask(tmp_path, np.array([[0, 1], [3, 3]], np.uint8))
    assert project.classes == ("background", "class 1", "class 2", "class 3")
    assert any("class 3" in line for line in said)


def test_without_masks_and_names_there_are_two_classes(tmp_path):
    write_picture(tmp_path / "images" / "a.png", made.grey())
    said = []
    project = create(tmp_path / "project", Import(images=(tmp_path / "images",)), said.append)
    assert project.classes == ("background", "foreground")
    assert any("--classes" in line for line in said)


def test_another_number_for_unknown_is_read_as_255(tmp_path):
    names = {"background": 0, "cell": 1, "ignore": 2}
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": names}))
    mask = made.mask_of(n_classes=3)
    project, _ = create_with_mask(tmp_path, mask)
    expected = np.where(mask == 2, 255, mask)
    np.testing.assert_array_equal(project.reference(project.pool.items[0]), expected)
    assert project.classes == ("background", "cell")


# The split


def split_table(folder: Path, rows: list[tuple[str, str, str]]) -> Path:
    write_picture(folder / "a.png", made.grey())
    for name, _, _ in rows:
        write_picture(folder / f"{name}.png", made.grey())
    return write_table(
        folder / "meta.csv",
        [{"id": n, "image": f"{n}.png", "group": g, "split": s} for n, g, s in rows],
    )


MIXED = [
    ("a", "p1", "train"),
    ("b", "p1", "test"),
    ("c", "p2", "test"),
    ("d", "p2", "test"),
    ("e", "p2", "train"),
    ("f", "p3", "train"),
]


def test_groups_on_both_sides_go_where_most_of_them_are(tmp_path):
    said = []
    project = create(tmp_path / "project", Import(table=split_table(tmp_path, MIXED)), said.append)
    assert project.pool.ids(project.test) == ["c", "d", "e"]
    assert any(
        line.startswith("the table puts 2 of 3 groups in both")
        and "p1 to train, p2 to test" in line
        for line in said
    )


def test_each_file_can_be_its_own_group(tmp_path):
    said = []
    given = Import(table=split_table(tmp_path, MIXED), group_by="id")
    project = create(tmp_path / "project", given, said.append)
    assert project.pool.ids(project.test) == ["b", "c", "d"]
    assert not any("groups" in line for line in said)


def test_one_group_has_no_test_side(tmp_path):
    rows = [("a", "p", ""), ("b", "p", "")]
    said = []
    project = create(tmp_path / "project", Import(table=split_table(tmp_path, rows)), said.append)
    assert len(project.test) == 0
    assert any("no test side" in line for line in said)


# What cannot be made


def no_such_table(folder):
    return Import(table=folder / "meta.csv"), FormatError, "no such file"


def empty_images(folder):
    (folder / "images").mkdir()
    return Import(images=(folder / "images",)), FormatError, "no image files"


def mixed_channels(folder):
    write_picture(folder / "images" / "rgb.png", np.zeros((6, 8, 3), np.uint8))
    four = np.zeros((6, 8, 4), np.uint8)
    write_tiff(folder / "images" / "four.tif", four, planarconfig="contig")
    return Import(images=(folder / "images",)), GeometryError, r"rgb\.png.*four\.tif"


def mask_of_another_size(folder):
    write_picture(folder / "images" / "a.png", made.grey(6, 8))
    write_picture(folder / "masks" / "a.png", made.mask_of(8, 6))
    return Import(images=(folder / "images",), masks=folder / "masks"), GeometryError, "1 x 8 x 6"


def class_outside_the_list(folder):
    write_picture(folder / "images" / "a.png", made.grey())
    write_picture(folder / "masks" / "a.png", made.mask_of(n_classes=3))
    given = Import(images=(folder / "images",), masks=folder / "masks", classes=("a", "b"))
    return given, FewmasksError, "holds class 2"


def scribble_outside_the_list(folder):
    write_picture(folder / "images" / "a.png", made.grey())
    write_picture(folder / "scribbles" / "a.png", made.mask_of(n_classes=3))
    given = Import(images=(folder / "images",), scribbles=folder / "scribbles", classes=("a", "b"))
    return given, FewmasksError, "holds class 2"


def missing_image(folder):
    table = write_table(folder / "meta.csv", [{"id": "a", "image": "gone.png"}])
    return Import(table=table), FormatError, r"gone\.png"


def the_same_id_twice(folder):
    table = split_table(folder, [("a", "g", "")])
    rows = table.read_text().splitlines()
    table.write_text("\n".join([*rows, rows[1]]))
    return Import(table=table), ConfigError, "already"


def an_id_that_a_slice_has(folder):
    made.write_volume(folder / "v.nii.gz", np.zeros((2, 3, 4), np.float32))
    made.write_volume(folder / "w.nii.gz", np.zeros((1, 3, 4), np.float32))
    rows = [{"id": "v", "image": "v.nii.gz"}, {"id": "v_z1", "image": "w.nii.gz"}]
    return Import(table=write_table(folder / "meta.csv", rows)), ConfigError, "'v_z1' stands"


def a_slice_that_is_not_there(folder):
    made.write_volume(folder / "v.nii.gz", np.zeros((2, 3, 4), np.float32))
    rows = [{"id": "v", "image": "v.nii.gz", "z": 2}]
    table = write_table(folder / "meta.csv", rows)
    return Import(table=table), GeometryError, "the slices are 0 to 1"


def all_in_test(folder):
    return Import(table=split_table(folder, [("a", "g", "test")])), ConfigError, "every group"


def nothing_given(_):
    return Import(), ConfigError, "neither"


def both_given(folder):
    return Import(images=(folder,), table=folder / "meta.csv"), ConfigError, "both"


def masks_beside_a_table(folder):
    return Import(table=folder / "meta.csv", masks=folder), ConfigError, "columns"


def a_test_side_of_all(folder):
    return Import(images=(folder,), test_fraction=1.0), ConfigError, r"1\.0"


def tiny_regions(folder):
    return Import(images=(folder,), region=4), ConfigError, r"\(4\)"


def a_class_twice(folder):
    return Import(images=(folder,), classes=("a", "b", "a")), ConfigError, "'a' twice"


def a_class_without_a_name(folder):
    words = r"an empty name \(background,cell,\); name every class"
    return Import(images=(folder,), classes=("background", "cell", "")), ConfigError, words


@pytest.mark.parametrize(
    "mistake",
    [
        no_such_table, empty_images, mixed_channels, mask_of_another_size, class_outside_the_list,
        scribble_outside_the_list, missing_image, the_same_id_twice, an_id_that_a_slice_has,
        a_slice_that_is_not_there, all_in_test, nothing_given, both_given, masks_beside_a_table,
        a_test_side_of_all, tiny_regions, a_class_twice, a_class_without_a_name,
    ],
)  # fmt: skip
def test_a_mistake_is_named_and_leaves_nothing(tmp_path, mistake):
    (tmp_path / "study").mkdir()
    (tmp_path / "projects").mkdir()
    given, error, words = mistake(tmp_path / "study")
    with pytest.raises(error, match=words):
        create(tmp_path / "projects" / "new", given)
    assert list((tmp_path / "projects").iterdir()) == []


def test_a_folder_that_holds_something_is_left_alone(tmp_path):
    table = made.pictures_table(tmp_path / "study")
    (tmp_path / "project").mkdir()
    kept = tmp_path / "project" / "thesis.txt"
    kept.write_text("years of work")
    with pytest.raises(ProjectError, match="not empty"):
        create(tmp_path / "project", Import(table=table))
    assert kept.read_text() == "years of work"
    assert {path.name for path in tmp_path.iterdir()} == {"study", "project"}


def test_an_empty_folder_is_used(tmp_path):
    (tmp_path / "project").mkdir()
    assert len(made.pictures_project(tmp_path).pool) == 10


def test_names_that_mean_something_elsewhere_are_only_names(tmp_path):
    folder = tmp_path / "what? 100%#1 é"
    assert len(made.pictures_project(folder).pool) == 10
    assert len(open_project(folder / "project").pool) == 10


def test_two_at_once_are_refused(tmp_path):
    given = Import(table=made.pictures_table(tmp_path / "study"))
    heard = []

    def meanwhile(what: str, done: int, total: int) -> None:
        if not heard:
            heard.append((what, done, total))
            with pytest.raises(ProjectError, match="another fewmasks is creating"):
                create(tmp_path / "project", given)

    create(tmp_path / "project", given, progress=meanwhile)
    assert heard == [("opening images", 0, 10)]


@pytest.mark.slow
def test_a_killed_creation_leaves_no_project_and_is_cleared_away(tmp_path):
    table = made.pictures_table(tmp_path / "study")
    program = f"""
import os, signal
from pathlib import Path
from fewmasks.project import Import, create
def die(what, done, total):
    if what == "reading images" and done == 5:
        os.kill(os.getpid(), signal.SIGKILL)
create(Path({str(tmp_path / "project")!r}), Import(table=Path({str(table)!r})), progress=die)
"""
    done = subprocess.run([sys.executable, "-c", program], check=False)
    assert done.returncode == -signal.SIGKILL
    assert not (tmp_path / "project").exists()
    (tmp_path / ".project.unfinished" / "left.txt").write_text("by the killed one")
    project = create(tmp_path / "project", Import(table=table))
    assert not (project.folder / "left.txt").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"project", "study"}


# Real data


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "volumes", "sides"),
    [
        ("hippocampus", 260, (208, 52)),
        ("glas", 0, (12, 3)),
        ("nuclei-dsb2018", 0, (2, 1)),
        ("acdc", 80, (30, 10)),
    ],
)
def test_a_real_study_becomes_a_project(tmp_path, real_data, name, volumes, sides):
    project = create(tmp_path / "project", Import(table=real_data / name / "meta.csv"))
    found = project.summary()
    assert found["volumes"] == volumes
    assert (found["train"]["groups"], found["test"]["groups"]) == sides
    assert found["missing_sources"] == 0
    facts = json.loads((real_data / name / "dataset.json").read_text())["classes"]
    assert list(project.classes) == [v for k, v in facts.items() if k != "255"]
    codes = project.pool.group_codes()
    assert not set(codes[project.train]) & set(codes[project.test])
    for row in (0, len(project.pool) // 2, len(project.pool) - 1):
        item = project.pool.items[row]
        assert project.cache.read(item).shape == (*project.shape(item), project.channels)
        assert project.reference(item).shape == project.shape(item)
