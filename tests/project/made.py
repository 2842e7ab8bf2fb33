"""Small studies on disk, to make projects of."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tests.makers import write_nifti, write_picture, write_table

from fewmasks.project import Import, Project, create
from fewmasks.types import Label


def write_volume(path: Path, voxels: np.ndarray, spacing_mm: Sequence[float] = (1, 1, 1)) -> Path:
    """A NIfTI file in left-posterior-superior order, so that its array is `voxels` as z, y, x."""
    z, y, x = spacing_mm
    return write_nifti(path, voxels.transpose(2, 1, 0), np.diag([-x, -y, z, 1.0]))


def grey(height: int = 6, width: int = 8, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)


def mask_of(height: int = 6, width: int = 8, seed: int = 0, n_classes: int = 2) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, n_classes, (height, width), dtype=np.uint8)


def pictures_table(folder: Path, n: int = 10, groups: int = 5) -> Path:
    """Grey pictures with masks of two classes; the last group is the test side."""
    rows = []
    for number in range(n):
        write_picture(folder / "images" / f"p{number}.png", grey(seed=number))
        write_picture(folder / "masks" / f"p{number}.png", mask_of(seed=number))
        group = number % groups
        rows.append(
            {
                "id": f"p{number}",
                "image": f"images/p{number}.png",
                "mask": f"masks/p{number}.png",
                "group": f"g{group}",
                "split": "test" if group == groups - 1 else "train",
            }
        )
    return write_table(folder / "meta.csv", rows)


def pictures_project(folder: Path, n: int = 10, groups: int = 5) -> Project:
    table = pictures_table(folder / "study", n, groups)
    return create(folder / "project", Import(table=table, classes=("background", "cell")))


def label(item: str, seed: int = 0, seconds: float = 30.0, by: str = "ann") -> Label:
    return Label(item, "mask", mask_of(seed=seed), seconds, by)
