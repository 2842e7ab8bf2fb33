"""Label Studio's strokes against their definition, and labels that go out and come back."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.makers import write_picture, write_table
from tests.project import made

from fewmasks.cli.main import app, run
from fewmasks.errors import ConfigError, FormatError, ProjectError
from fewmasks.interop.brush import decode_brush, encode_brush
from fewmasks.interop.export import EXPORTS, export
from fewmasks.interop.label_studio import interface, shown
from fewmasks.interop.labels import label_from_files
from fewmasks.io.masks import read_mask
from fewmasks.project import Import, Project, create
from fewmasks.types import UNKNOWN, Label, Pick, Round

HEAD = 53
SHAPE = (6, 8)


def by_definition(packed: list[int]) -> list[int]:
    """Bit by bit, as the format is described."""
    bits = "".join(f"{byte:08b}" for byte in packed)
    at = 0

    def read(width: int) -> int:
        nonlocal at
        at += width
        return int(bits[at - width : at], 2)

    total = read(32)
    width = read(5) + 1
    counts = [read(4) + 1 for _ in range(4)]
    values: list[int] = []
    while len(values) < total:
        is_run = read(1)
        count = read(counts[read(2)]) + 1
        values += [read(width)] * count if is_run else [read(width) for _ in range(count)]
    return values


def pack(values: list[int], is_run: list[bool], width: int = 8) -> list[int]:
    """Written with blocks of any kind, as other writers may do."""
    bits = f"{len(values):032b}{width - 1:05b}" + "".join(f"{n - 1:04b}" for n in (2, 5, 9, 12))
    at = 0
    for repeats in is_run:
        count = 1
        if repeats:
            while at + count < len(values) and count < 32 and values[at + count] == values[at]:
                count += 1
        else:
            count = min(3, len(values) - at)
        if at < len(values):
            words = values[at : at + (1 if repeats else count)]
            bits += f"{int(repeats)}01{count - 1:05b}"
            bits += "".join(f"{each:0{width}b}" for each in words)
        at += count
    bits += "0" * (-len(bits) % 8)
    return [int(bits[n : n + 8], 2) for n in range(0, len(bits), 8)]


masks = st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32)).map(
    lambda drawn: np.random.default_rng(drawn[2]).random(drawn[:2]) < drawn[2] % 5 / 4
)


@settings(deadline=None)
@given(masks)
def test_what_is_written_reads_back_by_the_definition(mask):
    packed = encode_brush(mask)
    assert all(0 <= byte <= 255 for byte in packed)
    channels = np.array(by_definition(packed)).reshape(*mask.shape, 4)
    assert np.array_equal(channels[..., 3] > 0, mask)
    assert np.array_equal(decode_brush(packed, mask.shape, "x"), mask)


@settings(deadline=None)
@given(masks, st.lists(st.booleans(), min_size=9, max_size=9), st.sampled_from([8, 3, 1]))
def test_what_others_write_reads_as_the_definition_says(mask, kinds, width):
    most = (1 << width) - 1
    values = [(n + x) & most for n, x in enumerate(np.repeat(mask.ravel(), 4).tolist())]
    packed = pack(values, kinds * 400, width)
    assert by_definition(packed) == values
    alpha = np.array(values).reshape(*mask.shape, 4)[..., 3] > 0
    assert np.array_equal(decode_brush(packed, mask.shape, "x"), alpha)


def test_long_runs_are_cut_into_pieces():
    mask = np.zeros((300, 300), bool)
    mask[0, 0] = True
    packed = encode_brush(mask)
    assert len(packed) < 30
    assert np.array_equal(decode_brush(packed, mask.shape, "x"), mask)


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=60), st.sampled_from([b"", bytes([0, 0, 0, 192, 59, 188, 255])]))
def test_damaged_strokes_are_refused_in_one_sentence(noise, head):
    with pytest.raises(FormatError, match=r"^p0: "):  # 192 values of noise do not come about
        decode_brush([*head, *noise], SHAPE, "p0")


def test_a_stroke_of_another_size_is_refused_before_it_is_unpacked():
    packed = encode_brush(np.ones(SHAPE, bool))
    with pytest.raises(FormatError, match="not the 4000000000000"):
        decode_brush(packed, (10**6, 10**6), "p0")
    bomb = [255, 255, 255, 255, *packed[4:]]
    with pytest.raises(FormatError, match="4294967295 values"):
        decode_brush(bomb, SHAPE, "p0")
    with pytest.raises(FormatError, match="cut off"):
        decode_brush(packed[:-1], SHAPE, "p0")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return labelled(tmp_path / "first")


def labelled(folder: Path, classes: tuple[str, ...] = ("background", "cell")) -> Project:
    """Ten pictures: two with labels, one that is asked for."""
    project = create(folder / "project", Import(table=table(folder), classes=classes))
    first, second = made.mask_of(seed=1), made.mask_of(seed=2)
    first[0], second[:3] = UNKNOWN, UNKNOWN
    project.add_labels([Label("a/p0", "mask", first, 30.0, "ann")])
    project.add_labels([Label("a/p1", "scribble", second, 5.0, "ann")])
    project.add_round(Round(0, "random", 0, (Pick("a/p2", "why"),)))
    return project


def table(folder: Path) -> Path:
    rows = []
    for number in range(5):
        write_picture(folder / f"{number}.png", made.grey(seed=number))
        side = "test" if number == 4 else "train"
        row = {"id": f"a/p{number}", "image": f"{number}.png", "group": f"g{number}"}
        rows.append(row | {"split": side})
    return write_table(folder / "meta.csv", rows)


def fresh(folder: Path, classes: tuple[str, ...] = ("background", "cell")) -> Project:
    return create(folder / "project", Import(table=table(folder), classes=classes))


@pytest.mark.parametrize("classes", [("background", "cell"), ("land", "sea")])
@pytest.mark.parametrize("name", EXPORTS)
def test_labels_that_go_out_come_back_as_they_were(tmp_path, classes, name):
    project = labelled(tmp_path / "first", classes)
    export(project, name, tmp_path / "out")
    again = fresh(tmp_path / "second", classes)
    path = tmp_path / "out" / ("tasks.json" if name == "label-studio" else "")
    assert label_from_files(again, path) == 2
    for item in ("a/p0", "a/p1"):
        assert np.array_equal(again.label(item).mask, project.label(item).mask), item
    if name == "label-studio":
        assert again.label("a/p0").seconds == 30.0  # Label Studio measures


@pytest.mark.parametrize("kind", ["mask", "scribble"])
def test_labels_that_come_back_unchanged_are_no_new_ones(tmp_path, kind):
    """Neither by another hand nor, the background lost, as scribbles."""
    project = labelled(tmp_path / "first", ("background", "cell"))
    before = project.labels()
    export(project, "label-studio", tmp_path / "out")
    heard: list[str] = []
    path = tmp_path / "out" / "tasks.json"
    assert label_from_files(project, path, kind=kind, by="studio", say=heard.append) == 0
    assert heard == ["2 annotations are labels of this project as they were, and stay so"]
    assert project.labels() == before


def test_masks_hold_unknown_as_255(project, tmp_path):
    assert export(project, "png", tmp_path / "out") == 2
    mask = read_mask(tmp_path / "out" / "a" / "p0.png")[0]
    assert (mask[0] == UNKNOWN).all()
    assert np.array_equal(mask, project.label("a/p0").mask)


def test_tasks_hold_pictures_strokes_and_what_is_open(project, tmp_path):
    assert export(project, "label-studio", tmp_path / "out") == 3
    tasks = json.loads((tmp_path / "out" / "tasks.json").read_text())
    assert [task["data"]["item"] for task in tasks] == ["a/p0", "a/p1", "a/p2"]
    assert "annotations" not in tasks[2]
    names = [each["value"]["brushlabels"] for each in tasks[0]["annotations"][0]["result"]]
    assert names == [["cell"], ["unknown"]]  # the background is what is left
    assert tasks[0]["data"]["image"] == "/data/local-files/?d=pictures/a%252Fp0.png"
    picture = read_mask(tmp_path / "out" / "pictures" / "a%2Fp0.png")[0]
    assert np.array_equal(picture, made.grey(seed=0))
    wanted = interface(project)
    assert (tmp_path / "out" / "interface.xml").read_text() == wanted
    assert 'value="cell"' in wanted
    assert 'value="unknown"' in wanted
    assert 'value="background"' not in wanted


def test_deep_pixels_are_shown_between_black_and_white(tmp_path):
    pixels = np.linspace(0, 60_000, 48).reshape(SHAPE).astype(np.uint16)
    write_picture(tmp_path / "d.png", pixels)
    project = create(tmp_path / "project", Import(images=(tmp_path / "d.png",)))
    seen = shown(project, project.pool.items[0])
    assert (seen.dtype, seen.min(), seen.max()) == (np.uint8, 0, 255)
    assert (np.diff(seen.ravel().astype(int)) >= 0).all()


def task(**more: object) -> dict:
    return {"data": {"item": "a/p0", "image": "x"}, "annotations": [{"result": []} | more]}


def stroke(name: str = "cell", shape: tuple[int, int] = SHAPE, **more: object) -> dict:
    painted = np.zeros(shape, bool)
    painted[0] = True
    value = {"format": "rle", "rle": encode_brush(painted), "brushlabels": [name]}
    size = {"original_height": shape[0], "original_width": shape[1]}
    return {"type": "brushlabels", "value": value, **size, **more}


def take(project: Project, folder: Path, tasks: object, **options) -> tuple[int, list[str]]:
    said: list[str] = []
    path = folder / "given.json"
    path.write_text(tasks if isinstance(tasks, str) else json.dumps(tasks))
    return label_from_files(project, path, say=said.append, **options), said


def test_later_strokes_lie_over_earlier_ones_and_the_last_annotation_holds(tmp_path):
    project = fresh(tmp_path)
    over = [stroke(), stroke("unknown"), {"type": "choices", "value": {"choices": ["good"]}}]
    tasks = [task(result=[stroke()])]
    tasks[0]["annotations"] += [
        {"result": over, "lead_time": 12.5}, {"result": [], "was_cancelled": True}
    ]  # fmt: skip
    count, said = take(project, tmp_path, [*tasks, {"data": {"image": "elsewhere.png"}}])
    assert count == 1
    assert said == [
        "1 tasks are no items of this project and were passed over",
        "1 tasks have several annotations, of which the last was taken",
    ]
    found = project.label("a/p0")
    assert (found.mask[0] == UNKNOWN).all()
    assert (found.mask[1:] == 0).all()
    assert found.seconds == 12.5


def test_annotations_of_a_second_person_are_second_readings(tmp_path):
    project = fresh(tmp_path)
    project.add_round(Round(0, "random", 0, (Pick("a/p0", "why", readings=2),)))
    assert take(project, tmp_path, [task(result=[stroke()])], by="anna") == (1, [])
    count, said = take(project, tmp_path, [task(result=[])], by="bob")
    assert count == 1
    assert said == ["1 taken as second readings: compared with the first, never trained on"]
    found = project.label("a/p0")
    assert (found.by, found.mask.any()) == ("anna", True)


def test_a_second_reader_finds_no_first_reading_in_the_task(tmp_path):
    project = fresh(tmp_path)
    picks = (Pick("a/p0", "why", readings=2), Pick("a/p1", "why"))
    project.add_round(Round(0, "random", 0, picks))
    for item in ("a/p0", "a/p1"):
        project.add_labels([Label(item, "mask", made.mask_of(seed=1), 1.0, "anna")], 0)

    def annotated() -> list[str]:
        export(project, "label-studio", tmp_path / "out")
        tasks = json.loads((tmp_path / "out" / "tasks.json").read_text())
        return [each["data"]["item"] for each in tasks if "annotations" in each]

    assert annotated() == ["a/p1"]
    take(project, tmp_path, [task(result=[])], by="bob")
    assert annotated() == ["a/p0", "a/p1"]


def test_in_a_scribble_what_is_unpainted_is_unknown(tmp_path):
    project = fresh(tmp_path)
    take(project, tmp_path, [task(result=[stroke("background")])], kind="scribble")
    mask = project.label("a/p0").mask
    assert (mask[0] == 0).all()
    assert (mask[1:] == UNKNOWN).all()


def test_tasks_are_known_by_the_name_of_their_picture(tmp_path):
    project = fresh(tmp_path)
    given = task(result=[stroke()])
    for image in ("/data/upload/1/0a1b2c3d-a%252Fp1.png", "/data/local-files/?d=x/a%252Fp2.png"):
        given["data"] = {"image": image}
        assert take(project, tmp_path, [given])[0] == 1
    assert [each.item for each in project.labels()] == ["a/p1", "a/p2"]


HOSTILE = {
    "no json": ("{", "as JSON"),
    "no list": ({"tasks": []}, "list"),
    "no tasks": ([], "none is an annotated item"),
    "no data": ([{"id": 1}], "data"),
    "another item": ([{"data": {"item": "../../x"}, "annotations": [{}]}], "none is"),
    "cancelled": ([task(was_cancelled=True)], "none is an annotated item"),
    "polygon": ([task(result=[{"type": "polygonlabels"}])], "use brushes"),
    "size": ([task(result=[stroke(shape=(8, 6))])], "8 x 6 pixels"),
    "lies": ([task(result=[stroke(shape=(8, 6)) | {"original_height": 6, "original_width": 8}
                           | {"value": stroke(shape=(9, 9))["value"]}])], "the brush holds"),
    "turned": ([task(result=[stroke(image_rotation=90)])], "turned by 90"),
    "name": ([task(result=[stroke("liver")])], "'liver'"),
    "no rle": ([task(result=[stroke() | {"value": {"brushlabels": ["cell"]}}])], "rle"),
    "bytes": ([task(result=[stroke() | {"value": {"rle": [999], "brushlabels": ["cell"]}}])],
              "rle"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_tasks(tmp_path, name):
    tasks, words = HOSTILE[name]
    project = fresh(tmp_path)
    with pytest.raises(FormatError, match=words) as refused:
        take(project, tmp_path, tasks)
    assert "\n" not in str(refused.value)
    assert project.labels() == []


def test_exports_that_cannot_be(tmp_path):
    project = fresh(tmp_path)
    with pytest.raises(ConfigError, match="no format 'tga'"):
        export(project, "tga", tmp_path / "out")
    with pytest.raises(ProjectError, match="no labels yet"):
        export(project, "png", tmp_path / "out")


def test_the_command(project, tmp_path, capsys):
    out = tmp_path / "out"
    assert run(app, ["export", str(project.folder), "--format", "png", "--out", str(out)]) == 0
    assert f"2 items written to {out}" in capsys.readouterr().out
    assert run(app, ["export", str(project.folder), "--format", "tga", "--out", str(out)]) == 2
    assert "png, label-studio" in capsys.readouterr().err
