"""Labels from files: whose they are, which pixels, and what is left alone."""

import numpy as np
import pytest
from sqlalchemy import func, select
from tests.makers import write_nifti, write_picture, write_table, write_tiff
from tests.project.made import write_volume
from tests.study import made

from fewmasks.errors import ConfigError, FewmasksError, FormatError, GeometryError, ProjectError
from fewmasks.interop.labels import batched, label_from_files, label_from_reference
from fewmasks.project import Import, create, open_project
from fewmasks.project.readings import pairs
from fewmasks.project.schema import fact, writing
from fewmasks.project.schema import label as label_rows
from fewmasks.types import UNKNOWN, Pick, Round


@pytest.fixture
def pictures(tmp_path):
    """p00 ... p11 of 32 x 32 without references; p05 and p11 are the test side."""
    return bare_pictures(tmp_path)


@pytest.fixture
def volumes(tmp_path):
    """v0 ... v3, three slices each, without references; v3 is the test side."""
    table = made.write_volumes(tmp_path / "study")
    return create(tmp_path / "project", Import(table=without(table, "mask"), classes=made.CLASSES))


def bare_pictures(folder):
    table = made.write_pictures(folder / "study")
    return create(folder / "project", Import(table=without(table, "mask"), classes=made.CLASSES))


def without(table, column):
    lines = [line.split(",") for line in table.read_text().split()]
    place = lines[0].index(column)
    rows = [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]
    return write_table(table, [{k: v for k, v in r.items() if k != lines[0][place]} for r in rows])


def mask(seed=0, shape=(32, 32), values=(0, 1)):
    return np.random.default_rng(seed).choice(np.array(values, np.uint8), shape)


def take(project, path, *items, **options):
    """Labels taken, and what was said."""
    said = []
    count = label_from_files(project, path, items, say=said.append, **options)
    return count, said


def same(project, item, expected):
    np.testing.assert_array_equal(project.label(item).mask, expected)


# Names


@pytest.mark.parametrize(
    "name", ["p03.png", "p03_mask.png", "p03_seg.png", "P03.png", "deep/er/p03.png", "p03.tif"]
)
def test_a_file_is_named_after_its_item(name, pictures, tmp_path):
    write = write_tiff if name.endswith("tif") else write_picture
    write(tmp_path / "in" / name, mask(3))
    assert take(pictures, tmp_path / "in") == (1, [])
    same(pictures, "p03", mask(3))
    (record,) = pictures.labels()
    assert (record.kind, record.seconds, record.by) == ("mask", 0.0, "files")


def test_one_file_may_be_given_alone(pictures, tmp_path):
    file = write_picture(tmp_path / "p00.png", mask())
    assert take(pictures, file, by="ann")[0] == 1
    assert pictures.labels()[0].by == "ann"


def test_ids_with_folders_are_found_in_folders(tmp_path):
    for place in ("a", "b"):
        write_picture(tmp_path / "images" / place / "s1.png", made.blob(1)[0])
        write_picture(tmp_path / "in" / place / "s1.png", mask(ord(place)))
    given = Import(images=(tmp_path / "images",), classes=made.CLASSES, test_fraction=0.0)
    project = create(tmp_path / "project", given)
    assert take(project, tmp_path / "in") == (2, [])
    same(project, "a/s1", mask(ord("a")))
    same(project, "b/s1", mask(ord("b")))
    with pytest.raises(ConfigError, match=r"s1\.png: named like a/s1 and like b/s1"):
        take(project, tmp_path / "in" / "b" / "s1.png")


@pytest.fixture
def patients(tmp_path):
    """p1/01, p1/02, p1/03, p2/01 and p2/02, all of them training items."""
    for number, name in enumerate(("p1/01", "p1/02", "p1/03", "p2/01", "p2/02")):
        write_picture(tmp_path / "images" / f"{name}.png", made.blob(number)[0])
    given = Import(images=(tmp_path / "images",), classes=made.CLASSES, test_fraction=0.0)
    return create(tmp_path / "project", given)


def test_a_file_of_one_patient_is_no_label_of_another(patients, tmp_path):
    write_picture(tmp_path / "in" / "p2" / "03.png", mask())
    with pytest.raises(FormatError, match="none of its 1 image files is named like an item;"):
        take(patients, tmp_path / "in")
    write_picture(tmp_path / "in" / "p2" / "02.png", mask(2))
    count, said = take(patients, tmp_path / "in")
    assert (count, len(said)) == (1, 1)
    assert said[0].startswith("1 files in")
    assert [record.item for record in patients.labels()] == ["p2/02"]


def test_the_items_that_are_named_get_files_of_their_own_alone(patients, tmp_path):
    write_picture(tmp_path / "in" / "p2" / "01.png", mask(2))
    with pytest.raises(FormatError, match=r"named like an item asked for; name them such as p1/01"):
        take(patients, tmp_path / "in", "p1/01")
    write_picture(tmp_path / "in" / "p1" / "01.png", mask(1))
    assert take(patients, tmp_path / "in", "p1/01") == (1, [])
    same(patients, "p1/01", mask(1))
    assert [record.item for record in patients.labels()] == ["p1/01"]


def test_a_flat_file_that_may_be_of_two_patients_is_refused_unless_neither_is_asked_for(
    patients, tmp_path
):
    write_picture(tmp_path / "in" / "01.png", mask(1))
    write_picture(tmp_path / "in" / "03.png", mask(3))
    with pytest.raises(ConfigError, match=r"01\.png: named like p1/01 and like p2/01"):
        take(patients, tmp_path / "in", "p1/01")
    assert take(patients, tmp_path / "in", "p1/03") == (1, [])
    same(patients, "p1/03", mask(3))


@pytest.mark.parametrize("above", ["masks", "masks/anna", "P1"])
def test_folders_above_those_of_the_id_do_not_matter(above, patients, tmp_path):
    for name in ("p1/01", "p2/01_mask"):
        write_picture(tmp_path / "in" / above / f"{name}.png", mask(len(name)))
    assert take(patients, tmp_path / "in") == (2, [])
    same(patients, "p1/01", mask(5))
    same(patients, "p2/01", mask(10))


def test_files_in_folders_of_a_table_are_known_by_the_names_of_their_images(tmp_path):
    rows = []
    for number, (item, name) in enumerate({"x/a": "01", "y/b": "02", "c": "03"}.items()):
        image = write_picture(tmp_path / f"{name}.png", made.blob(number)[0])
        rows.append({"id": item, "image": image.name, "split": "train"})
    given = Import(table=write_table(tmp_path / "meta.csv", rows), classes=made.CLASSES)
    project = create(tmp_path / "project", given)
    for name in ("deep/x/01", "x/02", "x/03"):
        write_picture(tmp_path / "in" / f"{name}.png", mask())
    count, said = take(project, tmp_path / "in")
    assert (count, len(said)) == (2, 1)
    assert [record.item for record in project.labels()] == ["x/a", "c"]


def test_names_that_nobody_has_are_counted(pictures, tmp_path):
    write_picture(tmp_path / "in" / "p00.png", mask())
    write_picture(tmp_path / "in" / "zebra.png", mask())
    (tmp_path / "in" / "readme.txt").touch()
    count, said = take(pictures, tmp_path / "in")
    assert count == 1
    assert said == [f"1 files in {tmp_path / 'in'} are named like no item and were passed over"]


def test_two_files_of_one_item_are_refused(pictures, tmp_path):
    write_picture(tmp_path / "in" / "a" / "p00.png", mask(0))
    write_picture(tmp_path / "in" / "b" / "p00_mask.png", mask(1))
    with pytest.raises(ConfigError, match="a second mask of p00, after"):
        take(pictures, tmp_path / "in")


def test_only_the_items_that_are_named(pictures, tmp_path):
    for item in ("p00", "p01", "p02"):
        write_picture(tmp_path / "in" / f"{item}.png", mask())
    assert take(pictures, tmp_path / "in", "p00", "p02")[0] == 2
    assert [record.item for record in pictures.labels()] == ["p00", "p02"]


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        (None, FormatError, "no such file or folder"),
        ("zebra.png", FormatError, "none of its 1 image files is named like an item"),
        ("p00.txt", FormatError, "none of its 0 image files"),
    ],
)
def test_what_holds_no_mask_is_refused(name, error, words, pictures, tmp_path):
    if name:
        (tmp_path / "in").mkdir()
        write_picture(tmp_path / "in" / "x.png", mask()).rename(tmp_path / "in" / name)
    with pytest.raises(error, match=words):
        take(pictures, tmp_path / "in")


def test_an_unknown_item_is_named(pictures, tmp_path):
    write_picture(tmp_path / "p00.png", mask())
    with pytest.raises(ConfigError, match="no item is called 'p77'"):
        take(pictures, tmp_path / "p00.png", "p77")


def test_a_wrong_size_is_named(pictures, tmp_path):
    file = write_picture(tmp_path / "p00.png", mask(shape=(16, 32)))
    with pytest.raises(GeometryError, match=r"p00\.png: 1 x 16 x 32 pixels.* has 1 x 32 x 32"):
        take(pictures, file)


def test_a_class_that_is_none_is_named_and_nothing_is_stored(pictures, tmp_path):
    write_picture(tmp_path / "in" / "p00.png", mask())
    write_picture(tmp_path / "in" / "p01.png", mask(values=(0, 7)))
    with pytest.raises(FewmasksError, match="class number 7 is not in the list"):
        take(pictures, tmp_path / "in")
    assert pictures.labels() == []


# Volumes and regions


@pytest.mark.parametrize("name", ["v1.nii.gz", "v1.nii", "v1_seg.nii.gz"])
def test_a_volume_labels_its_slices(name, volumes, tmp_path):
    voxels = mask(1, (3, 24, 24))
    write_volume(tmp_path / name, voxels, (3.0, 1.0, 0.5))
    assert take(volumes, tmp_path / name) == (3, [])
    for z in range(3):
        same(volumes, f"v1_z{z}", voxels[z])


def test_slices_that_say_nothing_are_no_labels(volumes, tmp_path):
    voxels = mask(1, (3, 24, 24))
    voxels[1] = UNKNOWN
    write_volume(tmp_path / "v1.nii.gz", voxels, (3.0, 1.0, 0.5))
    assert take(volumes, tmp_path / "v1.nii.gz")[0] == 2
    assert volumes.label("v1_z1") is None


def test_a_slice_may_have_a_file_of_its_own(volumes, tmp_path):
    write_picture(tmp_path / "v1_z2.png", mask(5, (24, 24)))
    assert take(volumes, tmp_path / "v1_z2.png")[0] == 1
    same(volumes, "v1_z2", mask(5, (24, 24)))


def test_a_single_slice_does_not_stand_for_a_volume(volumes, tmp_path):
    write_picture(tmp_path / "v1.png", mask(5, (24, 24)))
    with pytest.raises(GeometryError, match="give a mask of the image's own size"):
        take(volumes, tmp_path / "v1.png")


def test_of_a_volume_only_the_slices_asked_for_are_taken_while_a_round_is_open(volumes, tmp_path):
    """In the others nobody drew anything, and nothing drawn is not background."""
    volumes.add_round(Round(0, "random", 0, (Pick("v1_z1", "why"), Pick("v2_z0", "why"))))
    voxels = mask(1, (3, 24, 24))
    write_volume(tmp_path / "v1.nii.gz", voxels, (3.0, 1.0, 0.5))
    count, said = take(volumes, tmp_path / "v1.nii.gz")
    assert count == 1
    assert said[0].startswith("2 slices or regions were not asked for and left alone")
    same(volumes, "v1_z1", voxels[1])
    # Once more, with nothing open: it may be corrected, and the others are still asked of nobody.
    write_volume(tmp_path / "v1.nii.gz", 1 - voxels, (3.0, 1.0, 0.5))
    count, said = take(volumes, tmp_path / "v1.nii.gz")
    assert count == 1
    assert said[0].startswith("2 slices or regions were not asked for and left alone")
    same(volumes, "v1_z1", 1 - voxels[1])
    assert take(volumes, tmp_path / "v1.nii.gz", "v1_z0", "v1_z2") == (2, [])


def test_a_volume_that_lies_elsewhere_is_refused(volumes, tmp_path):
    write_nifti(tmp_path / "v1.nii.gz", mask(1, (24, 24, 3)), np.diag([0.5, 1, 3, 1]))
    with pytest.raises(GeometryError, match=r"its header puts it up to .* voxels away"):
        take(volumes, tmp_path / "v1.nii.gz")


def test_so_is_a_volume_of_one_slice(tmp_path):
    """Its mask, saved without the affine of the image, would be mirrored."""
    write_volume(tmp_path / "images" / "v.nii.gz", mask(0, (1, 24, 24)))
    given = Import(images=(tmp_path / "images",), classes=made.CLASSES)
    project = create(tmp_path / "project", given)
    write_nifti(tmp_path / "v.nii.gz", mask(1, (24, 24, 1)), np.eye(4))
    with pytest.raises(GeometryError, match=r"its header puts it up to 23 voxels away"):
        take(project, tmp_path / "v.nii.gz")
    assert project.labels() == []
    write_volume(tmp_path / "v.nii.gz", mask(1, (1, 24, 24)))
    assert take(project, tmp_path / "v.nii.gz") == (1, [])
    same(project, "v", mask(1, (24, 24)))


def test_a_mask_of_a_whole_picture_is_cut_into_its_regions(tmp_path):
    write_picture(tmp_path / "images" / "big.png", mask(0, (40, 70)))
    given = Import(images=(tmp_path / "images",), classes=made.CLASSES, region=32)
    project = create(tmp_path / "project", given)
    whole = mask(1, (40, 70))
    write_picture(tmp_path / "in" / "big.png", whole)
    assert take(project, tmp_path / "in")[0] == len(project.pool) == 6
    for item in project.pool.items:
        y0, x0, y1, x1 = item.box
        same(project, item.id, whole[y0:y1, x0:x1])
    one = project.pool.items[3]
    part = mask(9, project.shape(one))
    write_picture(tmp_path / f"{one.id}.png", part)
    take(project, tmp_path / f"{one.id}.png")
    same(project, one.id, part)


# What 255 is


def test_white_is_foreground_where_masks_are_black_and_white(pictures, tmp_path):
    drawn = mask(2)
    write_picture(tmp_path / "in" / "p00.png", 255 * drawn)
    write_picture(tmp_path / "in" / "p01.png", np.zeros_like(drawn))
    count, said = take(pictures, tmp_path / "in")
    assert count == 2
    assert "255 is read as class 1 (cell)" in said[0]
    same(pictures, "p00", drawn)


def test_one_mask_with_class_numbers_makes_255_unknown_in_all(pictures, tmp_path):
    write_picture(tmp_path / "in" / "p00.png", mask(values=(0, 255)))
    write_picture(tmp_path / "in" / "p01.png", mask(values=(0, 1)))
    assert take(pictures, tmp_path / "in") == (2, [])
    same(pictures, "p00", mask(values=(0, 255)))


def test_black_and_white_among_three_classes_is_said_to_hold_none(tmp_path):
    table = without(made.write_pictures(tmp_path / "study"), "mask")
    classes = ("background", "cell", "nucleus")
    project = create(tmp_path / "project", Import(table=table, classes=classes))
    write_picture(tmp_path / "in" / "p00.png", mask(values=(0, 255)))
    assert take(project, tmp_path / "in")[1] == [
        "beside 0 the masks hold only 255, which is read as unknown, so no pixel is cell or "
        "nucleus; where it stands for a class, write its number and label once more"
    ]
    same(project, "p00", mask(values=(0, 255)))


def test_in_scribbles_255_is_always_unknown(pictures, tmp_path):
    write_picture(tmp_path / "in" / "p00.png", mask(values=(0, 255)))
    assert take(pictures, tmp_path / "in", kind="scribble") == (1, [])
    same(pictures, "p00", mask(values=(0, 255)))
    assert pictures.labels()[0].kind == "scribble"


@pytest.mark.parametrize(
    ("held", "is_white", "is_unknown"),
    [((0, 255), True, False), ((0, 1), False, False), ((0, 1, 255), False, True)],
)
def test_label_files_are_read_as_the_reference_masks_are(held, is_white, is_unknown, tmp_path):
    """Where these never hold 255 it is no unknown pixel, but what other programs write for 1."""
    folder = tmp_path / "study"
    made.write_pictures(folder)
    for number in range(12):
        write_picture(folder / "masks" / f"p{number:02d}.png", mask(number, values=held))
    table = folder / "meta.csv"
    project = create(tmp_path / "project", Import(table=table, classes=made.CLASSES))
    assert project.facts["white_is_foreground"] is is_white
    assert project.facts["white_is_unknown"] is is_unknown
    write_picture(tmp_path / "p00.png", mask(values=(0, 255)))
    _, said = take(project, tmp_path / "p00.png")
    assert len(said) == 1
    assert ("which is read as unknown" in said[0]) is is_unknown
    same(project, "p00", mask(values=(0, 255)) if is_unknown else mask())


def test_in_projects_that_noted_nothing_255_stays_unknown_which_is_said(tmp_path):
    project = made.pictures(tmp_path)
    with writing(project.engine).begin() as connection:
        connection.execute(fact.delete().where(fact.c.name == "white_is_unknown"))
    project = open_project(project.folder)
    write_picture(tmp_path / "in" / "p00.png", mask(values=(0, 255)))
    _, said = take(project, tmp_path / "in")
    assert said == [
        "beside 0 the masks hold only 255, which is read as unknown, so no pixel is cell; "
        "where it stands for cell, write 1 and label once more"
    ]
    same(project, "p00", mask(values=(0, 255)))
    write_picture(tmp_path / "in" / "p00.png", mask())
    assert take(project, tmp_path / "in")[0] == 1
    same(project, "p00", mask())


def test_a_number_for_unknown_that_was_given_is_never_class_1(tmp_path):
    write_picture(tmp_path / "images" / "a.png", made.blob(0)[0])
    (tmp_path / "dataset.json").write_text(
        '{"classes": {"0": "background", "1": "cell"}, "unlabelled_value": 4}'
    )
    project = create(tmp_path / "project", Import(images=(tmp_path / "images",)))
    write_picture(tmp_path / "in" / "a.png", mask(values=(0, 4)))
    _, said = take(project, tmp_path / "in")
    assert "hold only 4 or 255, which is read as unknown" in said[0]
    same(project, "a", mask(values=(0, 255)))


def test_another_number_for_unknown_is_that_of_the_project(tmp_path):
    write_picture(tmp_path / "images" / "a.png", made.blob(0)[0])
    (tmp_path / "dataset.json").write_text(
        '{"classes": {"0": "background", "1": "cell"}, "unlabelled_value": 4}'
    )
    project = create(tmp_path / "project", Import(images=(tmp_path / "images",)))
    write_picture(tmp_path / "in" / "a.png", mask(values=(0, 1, 4)))
    take(project, tmp_path / "in")
    drawn = mask(values=(0, 1, 4))
    same(project, "a", np.where(drawn == 4, UNKNOWN, drawn))


# The test side


def test_masks_of_test_items_audit_the_model_where_nothing_else_does(pictures, tmp_path):
    for item in ("p00", "p05"):
        write_picture(tmp_path / "in" / f"{item}.png", mask())
    count, said = take(pictures, tmp_path / "in")
    assert (count, len(said)) == (2, 1)
    assert said[0] == "1 masks of test items score the model; they are never trained on"
    assert pictures.pool.ids(pictures.audited) == ["p05"]
    assert pictures.pool.ids(pictures.labelled) == ["p00"]


def test_masks_of_test_items_that_have_references_are_left_alone(tmp_path):
    project = made.pictures(tmp_path)
    for item in ("p00", "p05"):
        write_picture(tmp_path / "in" / f"{item}.png", mask())
    count, said = take(project, tmp_path / "in")
    assert count == 1
    assert said[0].startswith("1 masks of test items were left alone")
    assert project.audited.tolist() == []
    with pytest.raises(ProjectError, match="only masks of test items"):
        take(project, tmp_path / "in", "p05")


# References as labels


def test_the_reference_masks_become_labels(tmp_path):
    project = made.pictures(tmp_path)
    assert label_from_reference(project, ["p03"]) == 1
    same(project, "p03", made.blob(3)[1])
    (record,) = project.labels()
    assert (record.by, record.seconds) == ("reference", 60.0)
    assert label_from_reference(project) == 9
    assert len(project.labelled) == len(project.train)
    with pytest.raises(ProjectError, match="no unlabelled training item has a reference mask"):
        label_from_reference(project)


def test_reference_masks_of_test_items_are_not_given_away(tmp_path):
    project = made.pictures(tmp_path)
    with pytest.raises(ProjectError, match="p05: lies on the test side"):
        label_from_reference(project, ["p00", "p05"])
    assert project.labels() == []


def test_no_reference_no_label(pictures):
    with pytest.raises(ProjectError, match="p00: has no reference mask"):
        label_from_reference(pictures, ["p00"])
    with pytest.raises(ProjectError, match="no unlabelled training item has a reference mask"):
        label_from_reference(pictures)


# Storing


def test_a_label_answers_the_round_that_asked_for_it(pictures, tmp_path):
    pictures.add_round(Round(0, "random", 0, (Pick("p00", "why"), Pick("p05", "why", True))))
    for item in ("p00", "p01", "p05"):
        write_picture(tmp_path / "in" / f"{item}.png", mask())
    take(pictures, tmp_path / "in")
    assert {r.item: r.round for r in pictures.labels()} == {"p00": 0, "p01": None, "p05": 0}
    assert pictures.open_picks() == []


def test_the_same_files_again_change_nothing(pictures, tmp_path):
    write_picture(tmp_path / "in" / "p00.png", mask())
    take(pictures, tmp_path / "in")
    before = pictures.labels()
    take(pictures, tmp_path / "in")
    assert pictures.labels() == before


def test_what_is_said_to_hold_holds(pictures, tmp_path):
    """Also where the same files lost their place meanwhile."""
    for by, drawn in (("anna", mask(1)), ("bob", mask(2))):
        write_picture(tmp_path / by / "p00.png", drawn)
        take(pictures, tmp_path / by, by=by)
    _, said = take(pictures, tmp_path / "anna", by="anna")
    assert said == ["1 took the place of an earlier label, which stays as history"]
    same(pictures, "p00", mask(1))
    assert pictures.labels()[0].by == "anna"
    assert take(pictures, tmp_path / "anna", by="anna") == (1, [])


def test_files_of_a_second_person_are_second_readings_where_two_are_asked(pictures, tmp_path):
    picks = (Pick("p00", "why", readings=2), Pick("p01", "why"))
    pictures.add_round(Round(0, "random", 0, picks))
    for by, drawn in (("anna", mask(1)), ("bob", mask(2)), ("late", mask(3))):
        for item in ("p00", "p01"):
            write_picture(tmp_path / by / f"{item}.png", drawn)
    assert take(pictures, tmp_path / "anna", by="anna") == (2, [])
    for _ in range(2):  # and what is given once more changes nothing
        count, said = take(pictures, tmp_path / "bob", by="bob")
        assert count == 2
        assert said[-1] == "1 taken as second readings: compared with the first, never trained on"
        same(pictures, "p00", mask(1))
        same(pictures, "p01", mask(2))
        assert take(pictures, tmp_path / "anna", "p00", by="anna") == (1, [])
        with pictures.engine.begin() as connection:
            (pair,) = pairs(connection)
            assert connection.scalar(select(func.count()).select_from(label_rows)) == 4
        assert (pair.first.by, pair.second.by) == ("anna", "bob")
        np.testing.assert_array_equal(pictures.mask(pair.second.file), mask(2))
    take(pictures, tmp_path / "late", "p00", by="bob")
    same(pictures, "p00", mask(1))
    with pictures.engine.begin() as connection:
        np.testing.assert_array_equal(pictures.mask(pairs(connection)[0].second.file), mask(3))


def test_one_s_own_correction_is_no_second_reading(pictures, tmp_path):
    pictures.add_round(Round(0, "random", 0, (Pick("p00", "why", readings=2),)))
    for seed in (1, 2):
        write_picture(tmp_path / "in" / "p00.png", mask(seed))
        _, said = take(pictures, tmp_path / "in", by="anna")
    assert said == ["1 took the place of an earlier label, which stays as history"]
    same(pictures, "p00", mask(2))
    with pictures.engine.begin() as connection:
        assert pairs(connection) == []


def test_of_a_volume_the_slices_that_want_a_second_reading_are_asked_for(volumes, tmp_path):
    picks = (Pick("v1_z1", "why", readings=2), Pick("v1_z2", "why"))
    volumes.add_round(Round(0, "random", 0, picks))
    for by, seed in (("anna", 1), ("bob", 2)):
        write_volume(tmp_path / by / "v1.nii.gz", mask(seed, (3, 24, 24)), (3.0, 1.0, 0.5))
    assert take(volumes, tmp_path / "anna", by="anna")[0] == 2
    assert take(volumes, tmp_path / "bob", by="bob")[0] == 1
    same(volumes, "v1_z1", mask(1, (3, 24, 24))[1])
    assert {record.by for record in volumes.labels()} == {"anna"}


def test_reference_masks_hold_where_a_second_reading_is_wanted(tmp_path):
    project = made.pictures(tmp_path)
    project.add_round(Round(0, "random", 0, (Pick("p00", "why", readings=2),)))
    write_picture(tmp_path / "p00.png", mask(1))
    take(project, tmp_path / "p00.png", by="anna")
    label_from_reference(project, ["p00"])
    same(project, "p00", made.blob(0)[1])


def test_replaced_labels_are_counted_and_repeated_ones_are_not(pictures, tmp_path):
    write_picture(tmp_path / "in" / "p00.png", mask())
    write_picture(tmp_path / "in" / "p01.png", mask())
    heard: list[str] = []
    for _ in range(2):
        label_from_files(pictures, tmp_path / "in", by="anna", say=heard.append)
    assert heard == []
    write_picture(tmp_path / "in" / "p01.png", 1 - mask())
    label_from_files(pictures, tmp_path / "in", by="ben", say=heard.append)
    assert heard == ["1 took the place of an earlier label, which stays as history"]
    assert pictures.label("p01").by == "ben"


def test_blocks_hold_every_label_once():
    assert [len(block) for block in batched(iter(range(10)), 4)] == [4, 4, 2]
    assert list(batched(iter(()), 4)) == []
