import json
import os
from pathlib import Path

import numpy as np
import pytest
from tests.makers import write_png, write_table

from fewmasks.errors import ConfigError, FormatError
from fewmasks.io.scan import Entry, scan_folders, scan_table

DOT = np.zeros((2, 2), np.uint8)


def touch(folder: Path, *names: str) -> list[Path]:
    return [write_png(folder / name, DOT) for name in names]


def table(folder: Path, *rows: dict[str, object]) -> Path:
    """A table with these rows; the files they name are made."""
    for row in rows:
        touch(folder, *(str(row[c]) for c in ("image", "mask", "scribble") if row.get(c)))
    return write_table(folder / "meta.csv", rows)


def facts(folder: Path, **tree: object) -> None:
    (folder / "dataset.json").write_text(json.dumps(tree))


def row(n: int, **cells: object) -> dict[str, object]:
    return {"id": f"case{n}", "image": f"images/{n}.png"} | cells


def test_a_table_with_every_column(tmp_path: Path):
    path = table(
        tmp_path,
        row(1, mask="masks/1.png", scribble="", group="p1", phase="ED", split="train", z="3"),
        row(2, mask="", scribble="s/2.png", group="", phase="", split="testA", z=""),
    )
    listing = scan_table(path)
    assert listing.entries == (
        Entry("case1", tmp_path / "images/1.png", tmp_path / "masks/1.png", None,
              ("p1", "ED"), "train", 3),
        Entry("case2", tmp_path / "images/2.png", None, tmp_path / "s/2.png",
              ("case2",), "test", None),
    )  # fmt: skip
    assert listing.said == ("1 of 2 rows have no mask", "1 of 2 rows have no scribble")


def test_a_table_with_two_columns(tmp_path: Path):
    entry = scan_table(table(tmp_path, row(1))).entries[0]
    assert (entry.group, entry.split, entry.z, entry.mask) == (("case1",), None, None, None)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_what_spreadsheets_write(delimiter: str, tmp_path: Path):
    touch(tmp_path, "a b.png")
    text = delimiter.join(("id", "image", "note")) + "\r\n"
    text += delimiter.join(('"one\r\ntwo"', "a b.png", "é")) + "\r\n" + delimiter * 2 + "\r\n"
    (tmp_path / "t.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    (entry,) = scan_table(tmp_path / "t.csv").entries
    assert (entry.id, entry.image.name) == ("one\ntwo", "a b.png")


@pytest.mark.parametrize(
    ("cells", "expected"),
    [(("train", "val", "test"), ("train", "train", "test")), (("", "", ""), (None, None, None)),
     (("Training", "valid", "testB"), ("train", "train", "test"))],
)  # fmt: skip
def test_splits(cells: tuple[str, ...], expected: tuple[object, ...], tmp_path: Path):
    listing = scan_table(table(tmp_path, *(row(n, split=cell) for n, cell in enumerate(cells))))
    assert tuple(entry.split for entry in listing.entries) == expected


def test_columns_x_y_z_are_the_size_of_a_volume(tmp_path: Path):
    listing = scan_table(table(tmp_path, row(1, x=35, y=51, z=35)))
    assert listing.entries[0].z is None
    assert "z names no slice" in listing.said[0]


def test_single_slices_of_one_file(tmp_path: Path):
    one = {"image": "images/1.png"}
    listing = scan_table(table(tmp_path, row(1, z=0), row(2, z=1) | one))
    assert [(entry.id, entry.z) for entry in listing.entries] == [("case1", 0), ("case2", 1)]


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([{"id": "a", "file": "b"}], r"no column image \(found: id, file\)"),
        ([row(1), row(1, image="images/2.png")], "line 3: the id case1 stands in line 2"),
        ([row(1), row(2, image="images/1.png")], "line 3: the image .*1.png stands in line 2"),
        ([row(1, split="train"), row(2, split="hold")], "line 3: the split is 'hold'; write"),
        ([row(1, split="train"), row(2, split="")], "line 3: the split is ''; write"),
        ([row(1, z="two")], "line 2: the slice z is 'two'; write a whole number"),
        ([row(1, z="-1")], "line 2: the slice z is '-1'"),
        ([row(1) | {"id": ""}], "line 2: the cell id is empty"),
    ],
)
def test_a_mistake_in_a_table_is_named_with_its_line(
    rows: list[dict[str, object]], sentence: str, tmp_path: Path
):
    with pytest.raises(ConfigError, match=rf"meta\.csv.*{sentence}"):
        scan_table(table(tmp_path, *rows))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", r"no column id and none image \(found: nothing\)"),
        (b"id,image\n", "no rows below the column names"),
        (b"id,image\n,\n", "no rows below the column names"),
        (b"id,image\na,b.png,c\n", "line 2: 3 cells, but 2 columns"),
        (b"id,image,id\na,b.png,c\n", "two columns are called 'id'"),
    ],
)
def test_a_table_without_sense(content: bytes, sentence: str, tmp_path: Path):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(ConfigError, match=rf"t\.csv.*{sentence}"):
        scan_table(tmp_path / "t.csv")


def test_files_of_a_table_that_are_not_there(tmp_path: Path):
    path = table(tmp_path, *(row(n, mask=f"m/{n}.png") for n in range(5)))
    for n in range(1, 5):
        (tmp_path / f"m/{n}.png").unlink()
    sentence = r"4 files are not there: m/1\.png \(line 3\), .*m/3\.png \(line 5\), \.\.\.;"
    with pytest.raises(FormatError, match=sentence):
        scan_table(path)
    with pytest.raises(FormatError, match=r"none\.csv: there is no such file"):
        scan_table(tmp_path / "none.csv")
    (tmp_path / "t.csv").write_bytes("id,image\né,b.png".encode("latin-1"))
    with pytest.raises(FormatError, match=r"t\.csv: not UTF-8 \(byte 9\)"):
        scan_table(tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("tree", "classes", "unknown"),
    [
        ({"classes": {"0": "back", "1": "gland"}, "unlabelled_value": 255}, ("back", "gland"), 255),
        ({"classes": {"0": "a", "1": "b", "255": "unlabelled"}}, ("a", "b"), None),
        ({"classes": ["a", "b"]}, ("a", "b"), None),
        ({"labels": {"background": 0, "liver": 1}}, ("background", "liver"), None),
        ({"labels": {"0": "background", "1": "liver"}}, ("background", "liver"), None),
        ({"labels": {"b": 1, "a": "0", "ignore": 2}}, ("a", "b"), 2),
        ({"name": "nothing"}, None, None),
    ],
)
def test_class_names(tree: dict[str, object], classes: object, unknown: int | None, tmp_path: Path):
    path = table(tmp_path, row(1))
    facts(tmp_path, slice_axis=1, **tree)
    listing = scan_table(path)
    assert (listing.classes, listing.unknown, listing.slice_axis) == (classes, unknown, 1)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "not JSON"),
        ("[]", "not a JSON object"),
        ('{"slice_axis": 3}', "slice_axis is 3; write 0, 1 or 2"),
        ('{"unlabelled_value": "x"}', "unlabelled_value is 'x'"),
        ('{"classes": {"0": "a", "2": "b"}}', r"numbered \[0, 2\]; number them 0, 1, 2"),
        ('{"labels": {"a": 0, "whole": [1, 2]}}', r"class 'whole' is \[1, 2\].*no regions"),
        ('{"classes": {"0": "a", "1": "a"}}', "two classes are called 'a'"),
        ('{"classes": ["a", ""]}', "class 1 has an empty name; give it one"),
        ('{"labels": {"a": 0, " ": 1}}', "class 1 has an empty name; give it one"),
        ('{"classes": 3}', "classes are 3; write them as"),
    ],
)
def test_a_mistake_in_the_facts(content: str, sentence: str, tmp_path: Path):
    path = table(tmp_path, row(1))
    (tmp_path / "dataset.json").write_text(content)
    with pytest.raises(ConfigError, match=rf"dataset\.json: .*{sentence}"):
        scan_table(path)


def test_flat_folders_in_natural_order(tmp_path: Path):
    touch(tmp_path / "images", "s10.png", "s2.png", "s1.tif", ".hidden.png", "readme.txt")
    touch(tmp_path / "masks", "s1.png", "s2_mask.png", "s10_seg.png", "other.png")
    listing = scan_folders([tmp_path / "images"], tmp_path / "masks")
    assert [entry.id for entry in listing.entries] == ["s1", "s2", "s10"]
    assert [entry.mask.name for entry in listing.entries if entry.mask] == [
        "s1.png", "s2_mask.png", "s10_seg.png",
    ]  # fmt: skip
    assert [entry.group for entry in listing.entries] == [("s1",), ("s2",), ("s10",)]
    assert listing.said == (
        "passed over, of kinds that are not read: 1 .txt",
        f"1 files in {tmp_path / 'masks'} belong to no image",
    )


def test_sub_folders_are_groups(tmp_path: Path):
    touch(tmp_path / "images", "p1/a.png", "p1/b.png", "p2/ED/a.png", "c.png")
    touch(tmp_path / "masks", "p1/a.png", "p2/ED/a_label.png")
    listing = scan_folders([tmp_path / "images"], tmp_path / "masks")
    found = {entry.id: (entry.group, entry.mask is not None) for entry in listing.entries}
    assert found == {
        "c": (("c",), False),
        "p1/a": (("p1",), True),
        "p1/b": (("p1",), False),
        "p2/ED/a": (("p2", "ED"), True),
    }
    assert listing.said == ("2 of 4 images have no mask",)


def test_several_folders_and_single_files(tmp_path: Path):
    touch(tmp_path, "day1/a.png", "day2/a.png", "day2/b.png", "m/day1/a.png", "m/b.png", "x.png")
    listing = scan_folders(
        [tmp_path / "day1", tmp_path / "day2", tmp_path / "x.png"], tmp_path / "m"
    )
    found = {entry.id: entry.mask and entry.mask.relative_to(tmp_path) for entry in listing.entries}
    assert found == {
        "day1/a": Path("m/day1/a.png"), "day2/a": None, "day2/b": Path("m/b.png"), "x": None,
    }  # fmt: skip


def test_masks_and_scribbles_beside_their_images(tmp_path: Path):
    touch(tmp_path, "a.png", "a_mask.png", "b.png", "b_mask.png", "b_scribble.png")
    a, b = scan_folders([tmp_path], tmp_path, tmp_path).entries
    assert (a.id, a.mask, a.scribble) == ("a", tmp_path / "a_mask.png", None)
    assert (b.id, b.scribble) == ("b", tmp_path / "b_scribble.png")


def test_masks_in_a_folder_among_the_images(tmp_path: Path):
    touch(tmp_path, "p1/a.png", "masks/p1/a.png")
    (entry,) = scan_folders([tmp_path], tmp_path / "masks").entries
    assert entry.mask == tmp_path / "masks/p1/a.png"


def test_nnunet_folders(tmp_path: Path):
    touch(tmp_path / "imagesTr", "liver_1_0000.png", "liver_2_0000.png", "liver_3_0000.png")
    touch(tmp_path / "labelsTr", "liver_1.png", "liver_2.png")
    facts(tmp_path, labels={"background": 0, "liver": 1, "ignore": 2})
    listing = scan_folders([tmp_path / "imagesTr"], tmp_path / "labelsTr")
    assert [(entry.id, entry.mask is not None) for entry in listing.entries] == [
        ("liver_1", True), ("liver_2", True), ("liver_3", False),
    ]  # fmt: skip
    assert (listing.classes, listing.unknown) == (("background", "liver"), 2)
    touch(tmp_path / "imagesTr", "liver_1_0001.png")
    with pytest.raises(ConfigError, match="liver_1: 2 channel files of one case"):
        scan_folders([tmp_path / "imagesTr"], tmp_path / "labelsTr")


def test_frames_of_a_video_are_not_channels(tmp_path: Path):
    touch(tmp_path / "images", "clip_0000.png", "clip_0001.png")
    touch(tmp_path / "masks", "clip_0000.png", "clip_0001.png")
    listing = scan_folders([tmp_path / "images"], tmp_path / "masks")
    assert [entry.id for entry in listing.entries] == ["clip_0000", "clip_0001"]


def test_a_name_that_is_not_utf_8_is_named_printably(tmp_path: Path):
    touch(tmp_path / "images", "a.png")
    touch(tmp_path / "masks", "a.png")
    for folder in ("images", "masks"):
        odd = Path(os.fsdecode(os.fsencode(tmp_path / folder) + b"/caf\xe9.png"))
        try:
            odd.write_bytes(b"")
        except OSError:
            pytest.skip("this file system takes UTF-8 alone")
        with pytest.raises(FormatError, match=r"/caf\\xe9\.png: the name is not UTF-8") as caught:
            scan_folders([tmp_path / "images"], tmp_path / "masks")
        assert str(caught.value).isprintable()
        odd.rename(odd.with_name(os.fsdecode(b"caf\xe9.txt")))  # is no image, so nobody asks


def test_a_table_in_a_folder_whose_name_is_not_utf_8_is_refused(tmp_path: Path):
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    with pytest.raises(FormatError, match=r"/caf\\xe9/meta\.csv: the name is not UTF-8"):
        scan_table(folder / "meta.csv")


@pytest.mark.parametrize(("before", "line"), [("", 1), ("id,image\na,a.png\n", 3)])
def test_a_cell_that_is_too_long_is_named_with_its_line(before: str, line: int, tmp_path: Path):
    (tmp_path / "t.csv").write_text(f"{before}{'x' * 200_000},b.png\n")
    with pytest.raises(FormatError, match=rf"t\.csv, line {line}: .*limit.*; shorten that cell"):
        scan_table(tmp_path / "t.csv")


def test_mistakes_in_folders(tmp_path: Path):
    images = tmp_path / "images"
    with pytest.raises(FormatError, match=r"images: there is no such file or folder"):
        scan_folders([images])
    images.mkdir()
    (images / "a.txt").touch()
    with pytest.raises(FormatError, match=r"images: no image files \(1 \.txt\); known: .*\.hdr$"):
        scan_folders([images])
    touch(images, "b.DCM", "c.dcm", "IM0001")
    kinds = r"2 \.dcm, 1 \.txt, 1 without suffix"
    with pytest.raises(FormatError, match=rf"\({kinds}\); known: .*; dcm2niix makes NIfTI"):
        scan_folders([images])
    touch(images, "a.png")
    with pytest.raises(FormatError, match=r"masks: there is no such folder"):
        scan_folders([images], tmp_path / "masks")
    touch(tmp_path / "masks", "b.png", "c.png")
    with pytest.raises(ConfigError, match="none of its 2 image files is called like one of the 1"):
        scan_folders([images], tmp_path / "masks")
    touch(tmp_path / "masks", "a.png", "a_mask.png")
    with pytest.raises(ConfigError, match=r"a second mask of a, after .*a\.png; remove one"):
        scan_folders([images], tmp_path / "masks")
    touch(images, "a.tif")
    with pytest.raises(ConfigError, match=r"called 'a' like .*; rename one of the two"):
        scan_folders([images])
