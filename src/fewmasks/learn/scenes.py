"""Whole images of any size: masks for new ones, and which of several models knows them best."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from jaxtyping import Float, Int64, UInt8

from fewmasks.errors import ConfigError, ProjectError
from fewmasks.io import open_source
from fewmasks.io.atomic import atomic
from fewmasks.io.cache import PixelCache
from fewmasks.io.masks import check_grid, check_mask, read_mask
from fewmasks.io.regions import boxes
from fewmasks.io.scan import scan_folders
from fewmasks.learn.model import Model, load_model
from fewmasks.learn.predict import mosaic
from fewmasks.learn.session import Report, newest_model, silent
from fewmasks.metrics import confusion, dice_from_confusion, iou_from_confusion
from fewmasks.project import Project
from fewmasks.types import UNKNOWN, Item, Rows

OVERLAP = 0.25
MOST_OVERLAP = 0.9
Band = tuple[int, int, Float[np.ndarray, "c rows x"]]
"""Slice, first row and class probabilities of a part of an image."""
Shapes = frozenset[tuple[int, int]]
"""Height and width of every kind of item of a project."""


def predict_files(
    project: Project,
    images: Sequence[str | Path],
    out: str | Path,
    with_probabilities: bool = False,
    report: Report = silent,
    overlap: float = OVERLAP,
    model: str | Path | None = None,
) -> list[Path]:
    """Masks for new image files or folders of them, in each image's own geometry and format.

    Sub-folders of a folder of images are sub-folders of `out`. With probabilities, an array
    (class, z, y, x) of float16 lies beside each mask. In a project of regions a picture is looked
    at in windows of their size that overlap by at least the share `overlap`, 0 to 0.9; a pixel has
    the mean of the probabilities. `model` is a file; by default the model trained last.
    """
    _refuse_overlap(overlap)
    entries = scan_folders([Path(image) for image in images]).entries
    axis, out = project.facts["slice_axis"], Path(out)
    targets = [out / f"{entry.id}{open_source(entry.image, axis).mask_suffix}" for entry in entries]
    _refuse_overwriting([entry.image for entry in entries], targets)
    used = newest_model(project) if model is None else _model_of(project, Path(model))
    shapes = _shapes(project)
    for done, (entry, target) in enumerate(zip(entries, targets, strict=True), start=1):
        target.parent.mkdir(parents=True, exist_ok=True)
        _predict_file(project, used, entry.image, target, with_probabilities, overlap, shapes)
        report("predicting", done, len(entries))
    return targets


@dataclass(frozen=True)
class Compared:
    """How well a model finds the foreground of whole scenes; pixels of all scenes together."""

    model: Path
    rank: float
    """Mean of its ranks among the models in the four metrics; 1 is best, equals share a rank."""
    f1: float
    iou: float
    precision: float
    recall: float


def compare(
    project: Project,
    images: Path,
    masks: Path,
    models: Sequence[Path] = (),
    report: Report = silent,
    overlap: float = OVERLAP,
) -> list[Compared]:
    """Models by the mean of their ranks in four metrics on whole scenes, the best first.

    After Goncalves and Lynch, Remote Sensing 2021, 13(18):3562, who choose by metrics of mosaicked
    scenes and not of their patches: pixels are looked at as in `predict_files`, and true and false
    ones counted over all scenes. Each metric is a mean over the foreground classes that the masks
    have; the precision of a class that is never predicted is 0. Without `models`, those that this
    project has trained. Scenes without a mask are left out.
    """
    _refuse_overlap(overlap)
    paths = list(models) or [project.folder / each["path"] for each in project.trainings()]
    if not paths:
        raise ProjectError(
            f"{project.folder}: no trained model; run `fewmasks train {project.folder}`"
        )
    entries = [entry for entry in scan_folders([images], masks).entries if entry.mask is not None]
    loaded = [_model_of(project, path) for path in paths]
    n_classes, shapes = len(project.classes), _shapes(project)
    counts = np.zeros((len(loaded), n_classes, n_classes), np.int64)
    for done, entry in enumerate(entries, start=1):
        assert entry.mask is not None
        truth = _truth(project, entry.mask, entry.image)
        with _decoded(project, entry.image, shapes) as scene:
            for number, model in enumerate(loaded):
                for z, top, probs in scene.bands(model, overlap):
                    known = truth[z, top : top + probs.shape[1]]
                    found = probs.argmax(axis=0).astype(np.uint8)
                    counts[number] += confusion(found, known, n_classes)
        report("comparing models", done, len(entries))
    metrics = np.array([_metrics(of_model, project.foreground) for of_model in counts])
    if np.isnan(metrics).any():
        raise ProjectError(f"{masks}: no mask holds a foreground class; give masks of objects")
    found = [
        Compared(path, rank, *(float(value) for value in of_model))
        for path, rank, of_model in zip(paths, mean_ranks(metrics), metrics, strict=True)
    ]
    return sorted(found, key=lambda each: each.rank)


def mean_ranks(metrics: Float[np.ndarray, "n m"]) -> list[float]:
    """Mean over the columns of each row's rank, from 1 for the largest; equals share their mean.

    >>> mean_ranks(np.array([[0.9, 0.5], [0.8, 0.5], [0.7, 0.6]]))
    [1.75, 2.25, 2.0]
    """
    from scipy.stats import rankdata

    return rankdata(-metrics, axis=0).mean(axis=1).tolist()


def _metrics(counts: Int64[np.ndarray, "c c"], foreground: Rows) -> Float[np.ndarray, "4"]:
    """F1, IoU, precision and recall: means over the foreground classes in the reference."""
    hits, predicted, actual = np.diag(counts), counts.sum(axis=0), counts.sum(axis=1)
    kept = foreground[actual[foreground] > 0]
    if not len(kept):
        return np.full(4, np.nan)
    each = (
        dice_from_confusion(counts),  # that is F1
        iou_from_confusion(counts),
        hits / np.maximum(predicted, 1),
        hits / np.maximum(actual, 1),
    )
    return np.mean([of_class[kept] for of_class in each], axis=1)


def _refuse_overlap(overlap: float) -> None:
    if not 0 <= overlap <= MOST_OVERLAP:
        raise ConfigError(f"--overlap: {overlap:g}, and it must be from 0 to {MOST_OVERLAP:g}")


def _refuse_overwriting(images: Sequence[Path], targets: Sequence[Path]) -> None:
    given = {image.resolve() for image in images}
    for target in targets:
        if target.resolve() in given:
            raise ConfigError(
                f"--out: {target} is one of the images, which its mask would overwrite; "
                f"name another folder"
            )


def _model_of(project: Project, path: Path) -> Model:
    """A model in a file, refused where it knows other classes or channels than the project."""
    model = load_model(path, project.config.learn.device)
    ours = tuple(project.classes), project.channels
    theirs = model.card.classes, model.card.channels
    if ours != theirs:
        raise ProjectError(
            f"{path}: it learnt {', '.join(theirs[0])} from {theirs[1]} channels, {project.folder} "
            f"has {', '.join(ours[0])} and {ours[1]} channels; name a model of its kind"
        )
    return model


def _truth(project: Project, mask: Path, image: Path) -> UInt8[np.ndarray, "z y x"]:
    axis = project.facts["slice_axis"]
    check_grid(mask, image, axis)
    truth = read_mask(mask, axis, project.facts["unknown"])
    if project.facts["white_is_foreground"]:
        truth[truth == UNKNOWN] = 1
    check_mask(truth, mask, len(project.classes), open_source(image, axis).shape)
    return truth


@dataclass(frozen=True)
class _Scene:
    """An image whose pixels lie decoded on disk."""

    cache: PixelCache
    slices: list[Item]
    shape: tuple[int, int, int]
    """Slices, height, width."""
    window: tuple[int, int]
    """What a model sees at once."""

    def bands(self, model: Model, overlap: float) -> Iterator[Band]:
        """What a model says, slice by slice, from top to bottom."""
        return mosaic(model, self.cache, self.slices, self.window, overlap)


@contextmanager
def _decoded(project: Project, path: Path, shapes: Shapes) -> Iterator[_Scene]:
    axis, region = project.facts["slice_axis"], project.facts["region"]
    depth, height, width, _ = open_source(path, axis).shape
    window = (height, width) if region is None else _window(height, width, region, shapes)
    # Decoded pixels are many times the file; they are of no use afterwards.
    with TemporaryDirectory(prefix="predict-", dir=project.folder / "cache") as folder:
        cache = PixelCache(Path(folder), project.channels)
        cache.add(path, axis)
        slices = [Item(f"{path.name}:{z}", str(path), (path.name,), z) for z in range(depth)]
        yield _Scene(cache, slices, (depth, height, width), window)


def _window(height: int, width: int, region: int, shapes: Shapes) -> tuple[int, int]:
    """What holds each region that a picture would be cut into, or each that the models know.

    How a picture is cut depends on its size. Regions of other shapes than the project has may not
    fit into a model's frame, or have another scale in it than those that it learnt from.
    """
    cut = {(y1 - y0, x1 - x0) for y0, x0, y1, x1 in boxes(height, width, region)}
    known = cut if cut <= shapes else shapes
    return max(high for high, _ in known), max(wide for _, wide in known)


def _shapes(project: Project) -> Shapes:
    return frozenset(project.shape(item) for item in project.pool.items)


def _predict_file(
    project: Project,
    model: Model,
    path: Path,
    target: Path,
    with_probabilities: bool,
    overlap: float,
    shapes: Shapes,
) -> None:
    with _decoded(project, path, shapes) as scene:
        mask = np.zeros(scene.shape, np.uint8)
        shape = (len(model.card.classes), *mask.shape)
        kept = np.zeros(shape, np.float16) if with_probabilities else None
        for z, top, probs in scene.bands(model, overlap):
            rows = slice(top, top + probs.shape[1])
            mask[z, rows] = probs.argmax(axis=0)
            if kept is not None:
                kept[:, z, rows] = probs
    open_source(path, project.facts["slice_axis"]).write_like(mask, target)
    if kept is not None:
        with atomic(target.with_name(target.name + ".probabilities.npy")) as file:
            np.lib.format.write_array(file, kept, allow_pickle=False)
