"""What the browser sees is what the cache holds."""

from pathlib import Path

import numpy as np
import pytest
from tests.makers import write_nifti, write_png, write_table, write_tiff
from tests.server import made

from fewmasks.project import Import, Project, create
from fewmasks.server import pictures, tools
from fewmasks.server.refusal import Refusal
from fewmasks.types import UNKNOWN, Label

CLASSES = ("background", "cell", "nucleus")


def project_of(folder: Path, *files: Path, classes: tuple[str, ...] = CLASSES) -> Project:
    rows = [
        {"id": path.stem.split(".")[0], "image": path.name, "group": path.name, "split": side}
        for path, side in zip(files, ("train", "test", *["train"] * len(files)), strict=False)
    ]
    table = write_table(files[0].parent / "meta.csv", rows)
    return create(folder / "project", Import(table=table, classes=classes))


@pytest.mark.parametrize(
    ("kind", "channels"), [(np.uint8, 1), (np.uint16, 1), (np.uint8, 3), (np.uint16, 3)]
)
def test_pixels_are_those_of_the_cache(tmp_path, kind, channels):
    rng = np.random.default_rng(0)
    top = np.iinfo(kind).max
    shape = (9, 7) if channels == 1 else (9, 7, 3)
    stored = rng.integers(0, top, shape, dtype=kind, endpoint=True)
    stored.flat[:2] = 0, top
    files = [write_png(tmp_path / f"{name}.png", stored) for name in "ab"]
    project = project_of(tmp_path, *files)
    tab = made.page(project)
    told = tab.get("items/a").json()
    cached = project.cache.read(project.pool.items[0])
    answer = tab.get("items/a/image.png")
    if kind == np.uint16 and channels == 3:
        assert (told["bits"], told["channels"]) == (8, 3)
        levels = made.pixels(answer).astype(float)
        error = levels * told["scale"]["slope"] + told["scale"]["intercept"] - cached
        inside = (levels > 0) & (levels < 255)
        assert np.abs(error[inside]).max() <= told["scale"]["slope"] / 2 + 1e-6
        return
    assert (told["bits"], told["channels"]) == (8 * kind().itemsize, channels)
    assert told["scale"] == {"slope": 1.0, "intercept": 0.0}
    np.testing.assert_array_equal(made.pixels(answer), cached.squeeze())
    assert (told["height"], told["width"]) == (9, 7)


def test_the_browser_asks_again_and_gets_nothing_twice(tmp_path):
    project = made.asking(tmp_path)
    tab = made.page(project)
    answer = tab.get("items/p0/image.png")
    assert answer.headers["cache-control"] == "private, no-cache"
    tag = {"If-None-Match": answer.headers["etag"]}
    again = tab.get("items/p0/image.png", headers=tag)
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == answer.headers["etag"]
    assert tab.get("items/p1/image.png", headers=tag).status_code == 200


def ct(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(-1024, 3000, (7, 6, 4)).astype(np.int16)


def volumes(folder: Path) -> Project:
    affine = np.diag([-0.5, -0.75, 2.0, 1.0])
    files = [write_nifti(folder / f"{name}.nii.gz", ct(n), affine) for n, name in enumerate("ab")]
    return project_of(folder, *files)


def test_signed_slices_keep_every_level(tmp_path):
    project = volumes(tmp_path)
    tab = made.page(project)
    assert tab.get("project").json()["is_volume"] is True
    items = project.pool.items[:4]
    for n, item in enumerate(items):
        told = tab.get(tab.item(item.id)).json()
        shown = made.pixels(tab.get(tab.item(item.id, "/image.png"))).astype(float)
        scale = told["scale"]
        values = project.cache.read(item)[..., 0]
        np.testing.assert_array_equal(shown * scale["slope"] + scale["intercept"], values)
        assert (told["previous"], told["next"]) == (
            items[n - 1].id if n else None, items[n + 1].id if n < 3 else None
        )  # fmt: skip
        assert (told["z"], told["spacing"]) == (item.z, [2.0, 0.75, 0.5])
        low = told["window"]["low"] + scale["intercept"]
        high = told["window"]["high"] + scale["intercept"]
        assert -1024 <= low < high <= 3000


def test_fractions_and_what_is_no_number_are_shown(tmp_path):
    pixels = np.linspace(-1, 1, 48, dtype=np.float32).reshape(6, 8)
    files = [write_tiff(tmp_path / f"{name}.tif", pixels) for name in "ab"]
    project = project_of(tmp_path, *files)
    tab = made.page(project)
    told = tab.get("items/a").json()
    shown = made.pixels(tab.get("items/a/image.png"))
    assert shown.dtype == np.uint16
    error = shown * told["scale"]["slope"] + told["scale"]["intercept"] - pixels
    assert np.abs(error).max() <= told["scale"]["slope"]
    scale = pictures.Scale(0.5, 0.0, 16, 1)
    odd = np.array([[[np.nan], [np.inf], [-np.inf], [3.0]]], dtype=np.float32)
    assert pictures.levels(odd, scale).ravel().tolist() == [0, 65535, 0, 6]


def test_a_constant_picture_has_a_window(tmp_path):
    files = [write_png(tmp_path / f"{name}.png", np.full((6, 8), 9, np.uint8)) for name in "ab"]
    window = made.page(project_of(tmp_path, *files)).get("items/a").json()["window"]
    assert window == {"low": 9.0, "high": 10.0}


def two_halves() -> np.ndarray:
    """Dark on the left, bright on the right, with noise."""
    pixels = np.random.default_rng(0).integers(0, 20, (32, 40), dtype=np.uint8)
    pixels[:, 22:] += 180
    return pixels


@pytest.mark.slow
@pytest.mark.parametrize("times", [1, 20])
def test_the_random_walker_stops_at_the_edge(tmp_path, times):
    pixels = np.kron(two_halves(), np.ones((times, times), np.uint8))
    project = project_of(tmp_path, *[write_png(tmp_path / f"{n}.png", pixels) for n in "ab"])
    tab = made.page(project)
    scribble = np.full(pixels.shape, UNKNOWN, np.uint8)
    made.refused(tab.send("POST", "items/a/tools/random-walker", content=made.png(scribble)), 422)
    scribble[3, 3], scribble[-2, -2] = 0, 2
    found = made.pixels(tab.send("POST", "items/a/tools/random-walker", content=made.png(scribble)))
    truth = np.where(np.arange(pixels.shape[1]) >= 22 * times, 2, 0)
    assert (found == truth).mean() > 0.97
    assert set(np.unique(found)) == {0, 2}
    assert project.labels() == []


@pytest.mark.slow
def test_the_random_walker_on_a_constant_picture_goes_to_the_nearest(tmp_path):
    pixels = np.full((20, 30), 7, np.uint8)
    project = project_of(tmp_path, *[write_png(tmp_path / f"{n}.png", pixels) for n in "ab"])
    scribble = np.full(pixels.shape, UNKNOWN, np.uint8)
    scribble[2:18, 5], scribble[2:18, 24] = 1, 2
    found = tools.random_walk(project, 0, scribble)
    assert (found[2:18] == np.where(np.arange(30) < 15, 1, 2)).mean() > 0.95


@pytest.mark.slow
@pytest.mark.parametrize("times", [1, 40])
@pytest.mark.parametrize("colours", [1, 3])
def test_borders_drawn_roughly_snap_to_the_edge(tmp_path, times, colours):
    pixels = np.kron(two_halves(), np.ones((times, times), np.uint8))
    pixels = np.stack([pixels, *[255 - pixels] * (colours - 1)], axis=-1).squeeze()
    project = project_of(tmp_path, *[write_png(tmp_path / f"{n}.png", pixels) for n in "ab"])
    tab = made.page(project)
    height, width = 32 * times, 40 * times
    columns = np.arange(width)
    truth = np.tile(np.where(columns >= 22 * times, 2, 0), (height, 1))
    wavy = 22 * times + 2 * np.sin(np.arange(height)[:, None] / 3)  # as a hand errs
    drawn = np.where(columns >= wavy, 2, 0).astype(np.uint8)
    drawn[:2, :9] = 1  # a part too thin to have an inside
    drawn[-4:, -9:] = UNKNOWN

    def ask(mask: np.ndarray):
        return tab.send("POST", "items/a/tools/snap", content=made.png(mask))

    found = made.pixels(ask(drawn))
    middle = np.s_[4:-4, width // 4 : -9]
    assert (drawn[middle] != truth[middle]).sum() > height / 2
    assert set(np.flatnonzero((found != truth)[middle].any(axis=0)) + width // 4) <= {
        22 * times - 1,
        22 * times,
    }
    assert len(np.unique(found[middle], axis=0)) <= 2
    assert (found[:2, :9] == 1).all()
    assert ((found == UNKNOWN) == (drawn == UNKNOWN)).all()
    scribble = np.full(drawn.shape, UNKNOWN, np.uint8)
    scribble[3, 3], scribble[-2, -2] = 0, 2
    made.refused(ask(scribble), 422, "no two classes meet")
    assert project.labels() == []


@pytest.mark.slow
def test_a_picture_of_one_row_snaps_as_well(tmp_path):
    pixels = np.repeat(np.array([[10, 200]], np.uint8), 12, axis=1)
    project = project_of(tmp_path, *[write_png(tmp_path / f"{n}.png", pixels) for n in "ab"])
    drawn = np.where(np.arange(24) < 11, 0, 2).astype(np.uint8)[None]
    found = tools.snap(project, 0, drawn)
    assert found.shape == drawn.shape
    assert set(np.flatnonzero(found != np.where(np.arange(24) < 12, 0, 2))) <= {11, 12}


def square(height: int, width: int, top: int) -> np.ndarray:
    mask = np.zeros((height, width), np.uint8)
    mask[top : top + 2, 1:4] = 2
    return mask


@pytest.mark.slow
def test_a_slice_between_labelled_slices(tmp_path):
    project = volumes(tmp_path)
    tab = made.page(project)
    items = project.pool.items[:4]
    height, width = project.shape(items[0])

    def ask(n: int):
        return tab.send("POST", tab.item(items[n].id, "/tools/interpolate"))

    made.refused(ask(1), 409, "no labelled slice")
    first, last = square(height, width, 0), square(height, width, 2)
    project.add_labels([Label(items[0].id, "mask", first, 1.0, "x")])
    made.refused(ask(1), 409, "above it")
    project.add_labels([Label(items[2].id, "mask", last, 1.0, "x")])
    between = made.pixels(ask(1))
    assert (between != square(height, width, 1)).sum() <= 1
    project.add_labels([Label(items[2].id, "mask", first, 1.0, "x")])
    np.testing.assert_array_equal(made.pixels(ask(1)), first)
    with pytest.raises(Refusal):
        tools.interpolate(project, 3)
    made.refused(ask(0), 409, "below it")
    project.add_labels([Label(items[2].id, "scribble", last, 1.0, "x")])
    made.refused(ask(1), 409)


@pytest.mark.slow
@pytest.mark.parametrize("times", [1, 40])
def test_a_watershed_outlines_what_is_bright_or_dark(tmp_path, times):
    y, x = np.mgrid[:60, :80]
    disc = np.hypot(y - 30, x - 40) < 18
    pixels = (60 + 120 * np.kron(disc, np.ones((times, times)))).astype(np.uint8)
    bright = write_png(tmp_path / "a.png", pixels)
    dark = write_png(tmp_path / "b.png", 255 - pixels)
    project = project_of(tmp_path, bright, dark, classes=("background", "floe"))
    tab = made.page(project)
    for name, words in (("a", ""), ("b", "?dark=true")):
        found = made.pixels(tab.send("POST", f"items/{name}/tools/watershed{words}"))
        truth = np.kron(disc, np.ones((times, times))) > 0
        assert found.shape == truth.shape
        assert ((found == 1) & truth).sum() / ((found == 1) | truth).sum() > 0.9
        assert set(np.unique(found)) == {0, 1}
    assert project.labels() == []


def test_where_a_watershed_finds_nothing_or_is_of_no_use_it_says_so(tmp_path):
    flat = write_png(tmp_path / "a.png", np.full((20, 30), 7, np.uint8))
    other = write_png(tmp_path / "b.png", two_halves())
    tab = made.page(project_of(tmp_path / "one", flat, other, classes=("background", "floe")))
    made.refused(tab.send("POST", "items/a/tools/watershed"), 422, "nothing bright stands out")
    tab = made.page(project_of(tmp_path / "more", flat, other))
    made.refused(tab.send("POST", "items/a/tools/watershed"), 409, "one class before a background")
