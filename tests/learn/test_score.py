"""Scores are those of whole volumes, or of all pictures together."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.learn.made import quick
from tests.makers import write_table
from tests.project.made import pictures_project, write_volume

from fewmasks.learn.model import Model
from fewmasks.learn.predict import predict
from fewmasks.learn.score import score
from fewmasks.learn.train import fit, prepare
from fewmasks.metrics import confusion, dice, dice_from_confusion, hausdorff95, score_volumes
from fewmasks.project import Import, Project, create
from fewmasks.types import Label, Rows

pytestmark = pytest.mark.slow

CLASSES = ("background", "organ")
SPACING = (4.0, 1.0, 2.0)


def volumes(folder: Path, n: int = 3) -> Project:
    """Volumes of six slices with a bright box, named out of order; two are in test."""
    rng = np.random.default_rng(0)
    rows = []
    for number in range(n):
        mask = np.zeros((6, 20, 24), np.uint8)
        mask[1:5, 4 + number : 14, 5 : 17 - number] = 1
        shown = mask.copy()
        shown[3:] *= number < 2  # in the last volume the box cannot be seen in two slices
        voxels = (100 * shown + rng.normal(50, 10, mask.shape)).astype(np.int16)
        write_volume(folder / f"v{number}.nii.gz", voxels, SPACING)
        write_volume(folder / f"m{number}.nii.gz", mask, SPACING)
        split = "test" if number else "train"
        rows += [
            {
                "id": f"v{number}-{(5 * z + 2) % 6}",
                "image": f"v{number}.nii.gz", "mask": f"m{number}.nii.gz",
                "z": z, "group": f"g{number}", "split": split,
            }
            for z in range(6)
        ]  # fmt: skip
    return create(
        folder / "project", Import(table=write_table(folder / "meta.csv", rows), classes=CLASSES)
    )


def trained(project: Project) -> Model:
    items = project.pool.at(project.train)
    labels = [
        Label(item.id, "mask", project.reference(item), 1.0, "test")  # type: ignore[arg-type]
        for item in items
    ]
    config = quick(iterations=20)
    card = prepare(project.cache, project.pool.items, project.classes, config)
    return fit(card, project.cache, items, labels, seed=0, ensemble=False)


@pytest.fixture(scope="module")
def scans(tmp_path_factory) -> tuple[Project, Model]:
    project = volumes(tmp_path_factory.mktemp("scans"))
    return project, trained(project)


def stacked(project: Project, model: Model, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Prediction and reference of one volume, slice by slice in order."""
    items = [item for item in project.pool.items if item.source.endswith(name)]
    items.sort(key=lambda item: item.z)
    assert [item.z for item in items] == list(range(6))
    truth = np.stack([project.reference(item) for item in items])
    return np.stack(list(predict(model, project.cache, items))), truth


def test_volumes_are_stacked_and_scored_one_by_one(scans):
    project, model = scans
    found = score(model, project, project.test)
    pairs = [stacked(project, model, f"v{n}.nii.gz") for n in (1, 2)]
    dices = np.mean([dice(pred, truth, 2) for pred, truth in pairs], axis=0)
    distances = [hausdorff95(pred, truth, 2, SPACING)[1] for pred, truth in pairs]
    assert 0 < found.dice < 1
    assert found.dice == pytest.approx(dices[1])
    assert found.per_class["background"] == pytest.approx(dices[0])
    assert found.hd95 == pytest.approx(np.nanmean(distances))


def test_the_order_of_rows_does_not_matter(scans):
    project, model = scans
    rows = np.random.default_rng(0).permutation(project.test)
    assert score(model, project, rows) == score(model, project, project.test)


def test_slices_without_a_reference_are_unknown_in_their_volume(scans, monkeypatch):
    project, model = scans
    hidden = {"v1-0", "v2-2"}  # slices 2 and 0
    known = type(project).reference
    monkeypatch.setattr(
        type(project),
        "reference",
        lambda self, item: None if item.id in hidden else known(self, item),
    )
    found = score(model, project, project.test)
    monkeypatch.undo()
    expected = []
    for name, z in (("v1.nii.gz", 2), ("v2.nii.gz", 0)):
        pred, truth = stacked(project, model, name)
        truth = truth.copy()
        truth[z] = 255
        expected.append(dice(pred, truth, 2)[1])
    assert found.dice == pytest.approx(np.mean(expected))


DRIFT_SPACING = (5.0, 1.0, 1.0)
DRIFT = 12, 40, 36
"""A volume whose box drifts from slice to slice, and cannot be seen in the last four."""


@pytest.fixture(scope="module")
def drifting(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("drifting")
    mask = np.zeros(DRIFT, np.uint8)
    for z in range(1, 12):
        mask[z, 2 + 2 * z : 14 + 2 * z, 4 + z : 20 + z] = 1
    shown = mask.copy()
    shown[8:] = 0
    shown[5, :, 12:18] = 0
    for name in ("v", "o"):
        write_volume(folder / f"{name}.nii.gz", (100 * shown).astype(np.int16), DRIFT_SPACING)
    write_volume(folder / "m.nii.gz", mask, DRIFT_SPACING)
    return folder


def listing(folder: Path, zs: Sequence[int], region: int | None = None) -> Project:
    """These slices of the drifting volume, as a table lists them."""
    files = {"image": "v.nii.gz", "mask": "m.nii.gz"}
    rows = [{"id": f"s{z}", **files, "z": z, "group": "g", "split": "test"} for z in zs]
    other = {
        "id": "other",
        "image": "o.nii.gz",
        "mask": "m.nii.gz",
        "z": 0,
        "group": "h",
        "split": "train",
    }
    name = f"{'-'.join(map(str, zs))}-{region}"
    table = write_table(folder / f"{name}.csv", [*rows, other])
    return create(folder / name, Import(table=table, classes=CLASSES, region=region))


def bright(project: Project) -> Model:
    """A model that calls bright pixels organ."""
    card = prepare(project.cache, project.pool.items, project.classes, quick(size=64))
    return Model(card, Threshold(), (), torch.device("cpu"))


def in_place(project: Project, model: Model, rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    """Prediction and reference in the whole volume, unknown where no item is."""
    pred, truth = np.zeros(DRIFT, np.uint8), np.full(DRIFT, 255, np.uint8)
    items = project.pool.at(rows)
    for item, mask in zip(items, predict(model, project.cache, items), strict=True):
        y0, x0, y1, x1 = item.box or (0, 0, *DRIFT[1:])
        pred[item.z, y0:y1, x0:x1] = mask
        truth[item.z, y0:y1, x0:x1] = project.reference(item)
    return pred, truth


def assert_scored_in_place(project: Project, rows: Rows) -> None:
    model = bright(project)
    found, (pred, truth) = score(model, project, rows), in_place(project, model, rows)
    assert 0 < found.dice < 1
    assert found.dice == dice(pred, truth, 2)[1]
    assert found.hd95 == hausdorff95(pred, truth, 2, DRIFT_SPACING)[1]


@pytest.mark.parametrize("zs", [range(12), range(1, 12), (3, 5, 11), (2, 4, 8), (4, 5, 6), (5,)])
def test_slices_are_scored_in_their_places_in_the_volume(zs, drifting):
    project = listing(drifting, zs)
    assert_scored_in_place(project, project.test)


def test_a_slice_far_from_all_others_is_far_away(drifting):
    """The organ of slice 10 is found in slice 4 at the nearest, and slices are 5 mm apart."""
    project = listing(drifting, (3, 4, 10))
    assert score(bright(project), project, project.test).hd95 >= 30


@pytest.mark.parametrize("region", [20, 16])
def test_regions_of_slices_are_scored_in_their_places_too(region, drifting):
    project = listing(drifting, (3, 5, 6, 9), region)
    assert_scored_in_place(project, project.test)
    assert_scored_in_place(project, project.test[1::2])


def test_only_the_part_that_is_scored_is_in_memory(drifting, monkeypatch):
    project = listing(drifting, (3, 4, 9), region=20)
    items = project.pool.items
    rows = [r for r in project.test if items[r].z < 9 and items[r].box == (0, 0, 20, 18)]
    shapes = []

    def seen(cases, *names):
        kept = list(cases)
        shapes.extend(truth.shape for _, _, truth, _ in kept)
        return score_volumes(kept, *names)

    monkeypatch.setattr("fewmasks.learn.score.score_volumes", seen)
    score(bright(project), project, np.array(rows))
    assert shapes == [(2 + 2, 20 + 1, 18 + 1)]  # and a margin inside the volume


def test_pictures_are_scored_as_one_data_set(tmp_path):
    project = pictures_project(tmp_path)
    model = trained(project)
    found = score(model, project, project.train)
    items = project.pool.at(project.train)
    masks = predict(model, project.cache, items)
    counts = sum(
        confusion(mask, project.reference(item), 2) for mask, item in zip(masks, items, strict=True)
    )
    assert found.dice == pytest.approx(dice_from_confusion(counts)[1])
    assert found.per_class == pytest.approx(
        dict(zip(project.classes, dice_from_confusion(counts), strict=True))
    )


def test_it_reports_every_item(scans):
    project, model = scans
    heard: list[tuple[int, int]] = []
    score(model, project, project.test, lambda done, of: heard.append((done, of)))
    assert heard[-1] == (12, 12)


def test_a_perfect_model_scores_one(scans):
    """Here the model is the reference itself, painted into the pixels."""
    project, model = scans
    sure = replace(model, network=Threshold())
    rows = np.array([r for r in project.test if project.pool.items[r].id.startswith("v1")])
    assert score(sure, project, rows).dice > 0.97


class Threshold(torch.nn.Module):
    """A network that calls bright pixels organ."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return torch.cat([0.5 - pixels, pixels - 0.5], dim=1)
