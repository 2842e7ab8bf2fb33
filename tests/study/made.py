"""Tiny studies that a network learns something from in a few steps."""

from pathlib import Path

import numpy as np
from tests.makers import write_picture, write_table
from tests.project.made import write_volume

from fewmasks.config import Config
from fewmasks.project import Import, Project, create
from fewmasks.study.plan import Plan

FAST = ["learn.size=32", "learn.iterations=5", "learn.batch=4", "learn.precision=fp32"]
CLASSES = ("background", "cell")


def fast(project: Project, *settings: str) -> Project:
    """The same project with trainings that take no time."""
    project.config = Config().with_settings([*FAST, *settings])
    return project


def blob(seed: int, side: int = 32) -> tuple[np.ndarray, np.ndarray]:
    """A grey picture with a bright square in noise, and the mask of the square."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((side, side), np.uint8)
    y, x = rng.integers(2, side // 2, 2)
    height, width = rng.integers(side // 4, side // 2, 2)
    mask[y : y + height, x : x + width] = 1
    noise = rng.integers(0, 60, mask.shape, dtype=np.uint8)
    return noise + 150 * mask, mask


def scribble_of(mask: np.ndarray) -> np.ndarray:
    """One line of each class; the rest is unknown."""
    scribble = np.full_like(mask, 255)
    scribble[0] = 0
    row = int(mask.any(axis=1).argmax())
    scribble[row, mask[row] == 1] = 1
    return scribble


def write_pictures(folder: Path, n: int = 12, groups: int = 6) -> Path:
    """images/, masks/, scribbles/ and meta.csv; the last group is the test side."""
    rows = []
    for number in range(n):
        pixels, mask = blob(number)
        name, group = f"p{number:02d}", number % groups
        parts = {"image": pixels, "mask": mask, "scribble": scribble_of(mask)}
        for part, content in parts.items():
            write_picture(folder / f"{part}s" / f"{name}.png", content)
        files = {part: f"{part}s/{name}.png" for part in parts}
        side = "test" if group == groups - 1 else "train"
        rows.append({"id": name, **files, "group": f"g{group}", "split": side})
    return write_table(folder / "meta.csv", rows)


def pictures(folder: Path) -> Project:
    """Twelve pictures of six groups; p05 and p11 are the test side."""
    table = write_pictures(folder / "study")
    return create(folder / "project", Import(table=table, classes=CLASSES))


def write_volumes(folder: Path, n: int = 4, depth: int = 3) -> Path:
    """Volumes with anisotropic voxels; the last one is the test side."""
    rows = []
    for number in range(n):
        slices = [blob(10 * number + z, 24) for z in range(depth)]
        for part, content in zip(("images", "masks"), zip(*slices, strict=True), strict=True):
            write_volume(folder / part / f"v{number}.nii.gz", np.stack(content), (3.0, 1.0, 0.5))
        files = {"image": f"images/v{number}.nii.gz", "mask": f"masks/v{number}.nii.gz"}
        side = "test" if number == n - 1 else "train"
        rows.append({"id": f"v{number}", **files, "group": f"v{number}", "split": side})
    return write_table(folder / "meta.csv", rows)


def volumes(folder: Path) -> Project:
    """Four volumes of three slices; v3 is the test side."""
    table = write_volumes(folder / "study")
    return create(folder / "project", Import(table=table, classes=CLASSES))


def plan_of(*strategies: str, **changes) -> Plan:
    given = {"rounds": 3, "limit": 2, "seeds": 1, "config": Config().with_settings(FAST)}
    return Plan(strategies or ("random", "entropy"), **(given | changes))
