"""Whole images: new ones get masks in their own geometry, and models are ranked by known ones."""

import json
import shutil
from dataclasses import replace

import nibabel
import numpy as np
import pytest
from hypothesis import given as over
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tests.makers import write_picture, write_tiff
from tests.project.made import write_volume
from tests.study import made
from typer.testing import CliRunner

from fewmasks.cli.main import app
from fewmasks.errors import ConfigError, FewmasksError, FormatError, GeometryError, ProjectError
from fewmasks.interop.labels import label_from_reference
from fewmasks.learn import data, scenes, session
from fewmasks.learn.model import load_model, save_model
from fewmasks.learn.predict import predict
from fewmasks.metrics import dice, iou
from fewmasks.project import Import, create, open_project

pytestmark = pytest.mark.slow


def predicted(project, *images, out, **options):
    return scenes.predict_files(project, images, out, **options)


def in_memory(project) -> dict[str, np.ndarray]:
    """The prediction for each item, without files between."""
    items = project.pool.items
    masks = predict(session.newest_model(project), project.cache, items)
    return {item.id: mask for item, mask in zip(items, masks, strict=True)}


def read_picture(path):
    from PIL import Image

    return np.asarray(Image.open(path))


def test_predicting_needs_a_model(tmp_path):
    fresh = made.fast(made.pictures(tmp_path))
    with pytest.raises(ProjectError, match="no trained model; run `fewmasks train"):
        predicted(fresh, tmp_path / "study" / "images", out=tmp_path / "out")


def test_a_picture_gets_a_mask_of_its_name(trained, trained_once, tmp_path):
    images = trained_once.folder.parent / "study" / "images"
    written = predicted(trained, images, out=tmp_path / "out")
    assert [path.name for path in written] == [f"p{k:02d}.png" for k in range(12)]
    expected = in_memory(trained)
    for path in written:
        np.testing.assert_array_equal(read_picture(path), expected[path.stem])
    assert not list((trained.folder / "cache").glob("predict-*"))


def test_sub_folders_stay_apart(trained, tmp_path):
    for place in ("a", "b"):
        write_picture(tmp_path / "in" / place / "x.png", made.blob(ord(place))[0])
    written = predicted(trained, tmp_path / "in", out=tmp_path / "out")
    assert [str(path.relative_to(tmp_path / "out")) for path in written] == ["a/x.png", "b/x.png"]


def test_probabilities_lie_beside_the_masks(trained, tmp_path):
    write_picture(tmp_path / "x.png", made.blob(77)[0])
    (mask,) = predicted(trained, tmp_path / "x.png", out=tmp_path / "out", with_probabilities=True)
    probs = np.load(mask.with_name("x.png.probabilities.npy"), allow_pickle=False)
    assert (probs.shape, probs.dtype) == ((2, 1, 32, 32), np.float16)
    np.testing.assert_allclose(probs.astype(float).sum(axis=0), 1, atol=1e-2)
    clear = np.abs(probs[0, 0] - probs[1, 0]) > 0.01
    np.testing.assert_array_equal(probs.argmax(axis=0)[0][clear], read_picture(mask)[clear])


def test_a_tiff_stays_a_tiff(trained, tmp_path):
    import tifffile

    write_tiff(tmp_path / "x.tif", made.blob(7)[0])
    write_picture(tmp_path / "y.png", made.blob(7)[0])
    tiff, png = predicted(trained, tmp_path / "x.tif", tmp_path / "y.png", out=tmp_path / "out")
    assert (tiff.name, png.name) == ("x.tif", "y.png")
    np.testing.assert_array_equal(tifffile.imread(tiff), read_picture(png))


def test_an_image_is_never_overwritten(trained, tmp_path):
    image = write_picture(tmp_path / "in" / "x.png", made.blob(7)[0])
    before = image.read_bytes()
    for out in (tmp_path / "in", tmp_path / "in" / ".." / "in"):
        with pytest.raises(ConfigError, match="one of the images, which its mask would overwrite"):
            predicted(trained, tmp_path / "in", out=out)
    assert image.read_bytes() == before
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["x.png"]


def test_another_number_of_channels_is_refused(trained, tmp_path):
    write_picture(tmp_path / "x.png", np.zeros((32, 32, 3), np.uint8))
    with pytest.raises(GeometryError, match=r"x\.png: 3 channels, but the project has 1"):
        predicted(trained, tmp_path / "x.png", out=tmp_path / "out")


def test_regions_are_stitched_without_a_seam(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        pixels = rng.integers(0, 256, (40, 64), dtype=np.uint8)
        write_picture(tmp_path / "images" / f"{name}.png", pixels)
        write_picture(tmp_path / "masks" / f"{name}.png", (pixels > 128).astype(np.uint8))
    given = Import(
        images=(tmp_path / "images",), masks=tmp_path / "masks", classes=made.CLASSES,
        region=32, test_fraction=0.5,
    )  # fmt: skip
    project = made.fast(create(tmp_path / "project", given))
    label_from_reference(project)
    session.train(project)
    expected = in_memory(project)
    for path in predicted(project, tmp_path / "images", out=tmp_path / "out", overlap=0.0):
        stitched = np.full((40, 64), 9, np.uint8)
        for item in project.pool.items:
            if item.source.endswith(path.name):
                y0, x0, y1, x1 = item.box
                stitched[y0:y1, x0:x1] = expected[item.id]
        np.testing.assert_array_equal(read_picture(path), stitched)
    with pytest.raises(ConfigError, match=r"--overlap: 1, and it must be from 0 to 0\.9"):
        predicted(project, tmp_path / "images", out=tmp_path / "out", overlap=1.0)


def trained_on_regions(folder, shapes, region, size):
    """A project of regions of pictures of these shapes, with a model."""
    rng = np.random.default_rng(0)
    for number, shape in enumerate(shapes):
        pixels = rng.integers(0, 256, shape, dtype=np.uint8)
        write_picture(folder / "images" / f"{number}.png", pixels)
        write_picture(folder / "masks" / f"{number}.png", (pixels > 128).astype(np.uint8))
    given = Import(
        images=(folder / "images",), masks=folder / "masks", classes=made.CLASSES,
        region=region, test_fraction=0.5,
    )  # fmt: skip
    project = made.fast(create(folder / "project", given), f"learn.size={size}")
    label_from_reference(project)
    session.train(project)
    return project


SIZES = [(50, 50), (70, 70), (128, 128), (33, 70), (40, 40), (12, 20)]


@pytest.mark.parametrize("size", [128, 16])
@pytest.mark.parametrize("shape", [(60, 60), (25, 100)])
def test_pictures_of_any_size_are_seen_in_windows_of_the_training_size(
    shape, size, tmp_path, monkeypatch
):
    """Regions are 30 x 30 or 25 x 50; what is cut off a window does not change its scale."""
    project = trained_on_regions(tmp_path, [shape] * 2, 50, size)
    y0, x0, y1, x1 = project.pool.items[0].box
    scale = min(1.0, size / max(y1 - y0, x1 - x0))
    seen = []
    to_frame = data.to_frame

    def watched(pixels, frame, longest):
        seen.append((pixels.shape[1:], data.scaled_shape(pixels.shape[1:], longest)))
        return to_frame(pixels, frame, longest)

    monkeypatch.setattr(data, "to_frame", watched)
    for height, width in [*SIZES, shape]:
        image = tmp_path / "new" / f"{height}x{width}.png"
        write_picture(image, np.zeros((height, width), np.uint8))
        write_picture(tmp_path / "truth" / image.name, np.ones((height, width), np.uint8))
        seen.clear()
        (written,) = predicted(project, image, out=tmp_path / "out")
        assert read_picture(written).shape == (height, width)
        assert {window for window, _ in seen} == {(min(y1 - y0, height), min(x1 - x0, width))}
        for window, scaled in seen:
            np.testing.assert_allclose(scaled, np.multiply(window, scale), atol=1)
    (found,) = scenes.compare(project, tmp_path / "new", tmp_path / "truth")
    assert found.rank == 1


def test_pictures_like_those_of_the_project_are_seen_as_its_own_items_are(tmp_path):
    """Of the small picture there is one item, of the large one four that are smaller than it."""
    project = trained_on_regions(tmp_path, [(60, 60), (50, 50), (60, 60), (50, 50)], 50, 16)
    expected = in_memory(project)
    for path in predicted(project, tmp_path / "images", out=tmp_path / "out", overlap=0.0):
        stitched = np.full(read_picture(path).shape, 9, np.uint8)
        for item in project.pool.items:
            if item.source.endswith(path.name):
                y0, x0, y1, x1 = item.box or (0, 0, *stitched.shape)
                stitched[y0:y1, x0:x1] = expected[item.id]
        np.testing.assert_array_equal(read_picture(path), stitched)


@pytest.fixture(scope="module")
def trained_on_volumes(tmp_path_factory):
    project = made.fast(made.volumes(tmp_path_factory.mktemp("volumes")))
    label_from_reference(project)
    session.train(project)
    return project


def test_a_volume_keeps_its_geometry(trained_on_volumes, tmp_path):
    project = trained_on_volumes
    image = project.folder.parent / "study" / "images" / "v1.nii.gz"
    (written,) = predicted(project, image, out=tmp_path / "out")
    given, found = nibabel.load(image), nibabel.load(written)
    assert written.name == "v1.nii.gz"
    assert found.shape == given.shape
    np.testing.assert_array_equal(found.affine, given.affine)
    expected = in_memory(project)
    for z in range(3):
        np.testing.assert_array_equal(np.asarray(found.dataobj)[..., z].T, expected[f"v1_z{z}"])


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, 1, -1)])
def test_a_volume_stored_otherwise_is_predicted_the_same(axes, signs, trained_on_volumes, tmp_path):
    """The same head with other axes and directions in the file: the mask lies on it as before."""
    project = trained_on_volumes
    voxels = np.stack([made.blob(50 + z, 24)[0] for z in range(3)])
    plain = write_volume(tmp_path / "plain.nii.gz", voxels, (3.0, 1.0, 0.5))
    image = nibabel.load(plain)
    turned = image.as_reoriented(
        np.column_stack([np.argsort(axes), np.array(signs)[list(np.argsort(axes))]])
    )
    nibabel.save(turned, tmp_path / "turned.nii.gz")
    one, other = predicted(project, plain, tmp_path / "turned.nii.gz", out=tmp_path / "out")
    found = nibabel.load(other)
    np.testing.assert_array_equal(found.affine, turned.affine)
    back = nibabel.as_closest_canonical(found)
    straight = nibabel.as_closest_canonical(nibabel.load(one))
    np.testing.assert_array_equal(np.asarray(back.dataobj), np.asarray(straight.dataobj))


# Comparing


@pytest.fixture(scope="module")
def regions(tmp_path_factory):
    """A project of regions of 24 pixels with three models, and three scenes that none has seen."""
    folder = tmp_path_factory.mktemp("regions")
    for name, seeds in (("scenes", range(4)), ("unseen", range(4, 7))):
        for seed in seeds:
            pixels, mask = made.blob(seed, 60)
            write_picture(folder / name / "images" / f"{seed}.png", pixels)
            write_picture(folder / name / "masks" / f"{seed}.png", mask)
    given = Import(
        images=(folder / "scenes" / "images",), masks=folder / "scenes" / "masks",
        classes=made.CLASSES, region=24, test_fraction=0.25,
    )  # fmt: skip
    project = create(folder / "project", given)
    label_from_reference(project)
    for iterations in (2, 60, 8):
        made.fast(project, f"learn.iterations={iterations}")
        session.train(project)
    return project, folder / "unseen" / "images", folder / "unseen" / "masks"


def test_models_are_ranked_by_four_metrics_of_whole_scenes(regions, tmp_path):
    project, images, masks = regions
    found = scenes.compare(project, images, masks)
    assert [each.rank for each in found] == sorted(each.rank for each in found)
    assert sum(each.rank for each in found) == pytest.approx(1 + 2 + 3)
    assert found[0].model.name == "model-0001.safetensors"
    truth = np.stack([read_picture(path) for path in sorted(masks.iterdir())])
    for each in found:
        out = tmp_path / each.model.stem
        written = scenes.predict_files(project, [images], out, model=each.model)
        pred = np.stack([read_picture(path) for path in sorted(written)])
        hit = ((pred == 1) & (truth == 1)).sum()
        assert each.f1 == pytest.approx(dice(pred, truth, 2)[1])
        assert each.iou == pytest.approx(iou(pred, truth, 2)[1])
        assert each.precision == pytest.approx(hit / max(1, (pred == 1).sum()))
        assert each.recall == pytest.approx(hit / (truth == 1).sum())


def test_models_named_are_the_ones_compared(regions, tmp_path):
    project, images, masks = regions
    one = project.folder / project.trainings()[0]["path"]
    (alone,) = scenes.compare(project, images, masks, [one])
    assert (alone.model, alone.rank) == (one, 1.0)
    twice = scenes.compare(project, images, masks, [one, one])
    assert [each.rank for each in twice] == [1.5, 1.5]
    with pytest.raises(ProjectError, match=r"none\.safetensors: no trained model"):
        scenes.compare(project, images, masks, [tmp_path / "none.safetensors"])
    model = load_model(one)
    other = replace(model, card=replace(model.card, classes=("sky", "cloud")))
    save_model(other, tmp_path / "other.safetensors")
    with pytest.raises(ProjectError, match=r"it learnt sky, cloud from 1 channels, .* has"):
        scenes.compare(project, images, masks, [tmp_path / "other.safetensors"])


def test_unknown_pixels_and_scenes_without_a_mask_count_nothing(regions, tmp_path):
    project, images, masks = regions
    one = [project.folder / project.trainings()[1]["path"]]
    cut = shutil.copytree(masks, tmp_path / "masks")
    (cut / "6.png").unlink()
    mask = read_picture(cut / "5.png").copy()
    mask[:] = 255
    write_picture(cut / "5.png", mask)
    (some,) = scenes.compare(project, images, cut, one)
    only = tmp_path / "only"
    write_picture(only / "4.png", read_picture(images / "4.png"))
    (single,) = scenes.compare(project, only, masks, one)
    assert (some.f1, some.recall) == (single.f1, single.recall)


def test_a_data_set_of_its_own_unknown_number_has_it_in_scenes_too(regions, tmp_path):
    project, images, masks = regions
    one = [project.folder / project.trainings()[1]["path"]]
    ours, theirs = (tmp_path / name for name in ("ours", "theirs"))
    for path in sorted(masks.iterdir()):
        mask = read_picture(path).copy()
        for folder, unknown in ((ours, 255), (theirs, 9)):
            mask[:30] = unknown
            write_picture(folder / path.name, mask)
    with pytest.raises(FormatError, match="holds class 9"):
        scenes.compare(project, images, theirs, one)
    elsewhere = open_project(shutil.copytree(project.folder, tmp_path / "elsewhere"))
    elsewhere.facts["unknown"] = 9
    assert scenes.compare(elsewhere, images, theirs, one) == scenes.compare(
        project, images, ours, one
    )


def test_scenes_that_say_nothing_are_refused(regions, tmp_path):
    project, images, masks = regions
    empty, beyond, small = (shutil.copytree(masks, tmp_path / name) for name in "abc")
    for path in empty.iterdir():
        write_picture(path, np.zeros((60, 60), np.uint8))
    with pytest.raises(ProjectError, match="no mask holds a foreground class"):
        scenes.compare(project, images, empty)
    write_picture(beyond / "4.png", np.full((60, 60), 7, np.uint8))
    with pytest.raises(FormatError, match=r"4\.png: holds class 7"):
        scenes.compare(project, images, beyond)
    write_picture(small / "4.png", np.zeros((9, 9), np.uint8))
    with pytest.raises(GeometryError, match="the mask is 1 x 9 x 9, its image 1 x 60 x 60"):
        scenes.compare(project, images, small)
    write_picture(tmp_path / "others" / "x.png", np.zeros((60, 60), np.uint8))
    with pytest.raises(FewmasksError, match="none of its 1 image files is called like one of"):
        scenes.compare(project, images, tmp_path / "others")
    (tmp_path / "nothing").mkdir()
    with pytest.raises(FewmasksError, match="nothing"):
        scenes.compare(project, images, tmp_path / "nothing")
    with pytest.raises(ConfigError, match=r"--overlap: -1"):
        scenes.compare(project, images, masks, overlap=-1.0)


def test_the_command_names_the_best_and_predict_takes_it(regions, tmp_path):
    project, images, masks = regions
    words = ["compare", str(project.folder), "--images", str(images), "--masks", str(masks)]
    said = CliRunner().invoke(app, words)
    assert said.exit_code == 0, said.output
    assert said.stdout.splitlines()[1].endswith("model-0001.safetensors")
    spaced = shutil.copytree(project.folder / "models", tmp_path / "two words")
    words_of_best = CliRunner().invoke(app, [*words, *map(str, spaced.glob("*.safetensors"))])
    assert f"--model '{spaced / 'model-0001.safetensors'}'" in words_of_best.stdout
    best = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)[0]
    assert best["model"].endswith("model-0001.safetensors")
    words = ["predict", str(project.folder), "--images", str(images), "--out", str(tmp_path)]
    assert CliRunner().invoke(app, [*words, "--model", best["model"]]).exit_code == 0
    assert len(list(tmp_path.glob("*.png"))) == 3


@over(arrays(float, st.tuples(st.integers(1, 6), st.just(4)), elements=st.floats(0, 1)))
def test_mean_ranks_are_those_of_counting(metrics):
    found = scenes.mean_ranks(metrics)
    better = (metrics[None] > metrics[:, None]).sum(axis=1)
    equal = (metrics[None] == metrics[:, None]).sum(axis=1) - 1
    np.testing.assert_allclose(found, (1 + better + equal / 2).mean(axis=1))
    assert sum(found) == pytest.approx(sum(range(1, len(metrics) + 1)))
