"""A cohort of made-up patients from real anatomy: the MNI152 template, deformed and re-lit.

Domain randomisation in the manner of SynthSeg (Billot et al. 2023, arXiv:2107.09559): every
patient has a shape, contrast, bias field and noise of their own. Some carry small lesions, a rare
third class. The images look like T1 scans after contrast agent; they are nobody's.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int64, UInt8

from fewmasks.errors import MissingExtra
from fewmasks.io.atomic import write_text

CLASSES = ("background", "grey matter", "white matter", "lesion")
SPACING_MM = (2.0, 2.0, 6.0)
"""Of the volumes along x, y and z: thick slices, as in the clinic."""
SLICES = 16
LESION_SHARE = 0.5
"""Share of the patients with lesions."""
BRIGHTNESS = {"fluid": 0.25, "grey matter": 0.6, "white matter": 0.9, "lesion": 1.2}
"""Mean brightness per tissue on T1 with contrast agent, before a patient varies it."""


@dataclass(frozen=True)
class Anatomy:
    """The template on its own 2 mm grid, axes x, y, z."""

    brain: Float[np.ndarray, "x y z"]
    """T1 intensity, 0 outside the brain, about 1 inside."""
    grey: Float[np.ndarray, "x y z"]
    white: Float[np.ndarray, "x y z"]


def load_anatomy() -> Anatomy:
    """The MNI152 template and its tissue maps, which nilearn brings along."""
    try:
        from nilearn import datasets
    except ImportError:
        raise MissingExtra.of("nilearn", "demo") from None

    loaders = (
        datasets.load_mni152_template,
        datasets.load_mni152_gm_template,
        datasets.load_mni152_wm_template,
    )
    brain, grey, white = (np.asarray(load(resolution=2).dataobj, np.float32) for load in loaders)
    inside = np.argwhere(brain > 0)
    box = tuple(slice(a, b + 1) for a, b in zip(inside.min(0), inside.max(0), strict=True))
    return Anatomy(brain[box] / brain.max(), grey[box], white[box])


def make_patient(
    anatomy: Anatomy, rng: np.random.Generator
) -> tuple[Float[np.ndarray, "x y z"], UInt8[np.ndarray, "x y z"]]:
    """One patient: T1-like intensities and the mask that belongs to them, `SLICES` thick slices."""
    from scipy.ndimage import map_coordinates

    where = _deformed_grid(anatomy.brain.shape, rng)
    brain, grey, white = (
        map_coordinates(tissue, where, order=1)
        for tissue in (anatomy.brain, anatomy.grey, anatomy.white)
    )
    mask = np.zeros(brain.shape, np.uint8)
    mask[grey > 0.45] = 1
    mask[(white > 0.5) & (white > grey)] = 2
    if rng.random() < LESION_SHARE:
        _plant_lesions(mask, rng)
    return _light(brain, grey, white, mask, rng), mask


def _deformed_grid(
    shape: tuple[int, ...], rng: np.random.Generator
) -> Float[np.ndarray, "axis x y z"]:
    """Template coordinates of a patient's voxels: size, tilt, and a smooth warp of a few voxels."""
    centre = np.array(shape)[:, None, None, None] / 2
    depths = np.linspace(0.2, 0.74, SLICES) * shape[2]
    grid = np.stack(np.meshgrid(np.arange(shape[0]), np.arange(shape[1]), depths, indexing="ij"))
    away = (grid - centre) * rng.uniform(0.92, 1.08, (3, 1, 1, 1))
    angle = rng.uniform(-0.1, 0.1)
    x, y = away[0].copy(), away[1].copy()
    away[0] = np.cos(angle) * x - np.sin(angle) * y
    away[1] = np.sin(angle) * x + np.cos(angle) * y
    warp = np.stack([_smooth(grid.shape[1:], rng, knots=5) for _ in range(3)])
    return away + centre + 3.0 * warp


def _smooth(
    shape: tuple[int, ...], rng: np.random.Generator, knots: int
) -> Float[np.ndarray, "x y z"]:
    """A random field of unit size that varies over a `knots`-th of the volume."""
    from scipy.ndimage import zoom

    coarse = rng.normal(size=(knots, knots, knots))
    return zoom(coarse, [n / knots for n in shape], order=3)[tuple(slice(n) for n in shape)]


def _plant_lesions(mask: UInt8[np.ndarray, "x y z"], rng: np.random.Generator) -> None:
    """One to three blobs in white matter, 6 to 13 mm in radius."""
    white: Int64[np.ndarray, "n axis"] = np.argwhere(mask == 2)
    axes = np.meshgrid(*(np.arange(n) for n in mask.shape), indexing="ij")
    for _ in range(rng.integers(1, 4)):
        centre = white[rng.integers(len(white))]
        radius = rng.uniform(6, 13)
        squash = rng.uniform(0.7, 1.3, 3)
        parts = zip(axes, centre, SPACING_MM, squash, strict=True)
        distance = sum(((axis - c) * mm * s) ** 2 for axis, c, mm, s in parts)
        mask[(distance < radius**2) & (mask > 0)] = 3


def _light(
    brain: Float[np.ndarray, "x y z"],
    grey: Float[np.ndarray, "x y z"],
    white: Float[np.ndarray, "x y z"],
    mask: UInt8[np.ndarray, "x y z"],
    rng: np.random.Generator,
) -> Float[np.ndarray, "x y z"]:
    """Intensities: tissues in this patient's contrast, the template's texture, bias and noise."""
    tone = {name: mean + rng.normal(0, 0.05) for name, mean in BRIGHTNESS.items()}
    inside = np.clip(brain * 4, 0, 1)
    fluid = np.clip(1 - grey - white, 0, 1)
    clean = (
        grey * tone["grey matter"] + white * tone["white matter"] + fluid * tone["fluid"]
    ) * inside
    clean[mask == 3] = tone["lesion"]
    clean += 0.15 * (brain - brain[brain > 0.1].mean()) * inside
    bias = np.exp(0.15 * _smooth(brain.shape, rng, knots=3))
    noise = rng.uniform(0.02, 0.06)
    return np.hypot(
        clean * bias + rng.normal(0, noise, brain.shape), rng.normal(0, noise, brain.shape)
    )


def write_cohort(
    folder: Path, patients: int, seed: int, report: Callable[[str, int, int], None]
) -> Path:
    """Volumes, masks, meta.csv and dataset.json of a cohort; the table comes last."""
    import nibabel as nib

    table = folder / "meta.csv"
    if table.exists():
        return table
    anatomy = load_anatomy()
    affine = np.diag([*SPACING_MM, 1.0])
    rows = ["id,image,mask,group"]
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for number in range(patients):
        name = f"patient{number + 1:02d}"
        scan, mask = make_patient(anatomy, np.random.default_rng([seed, number]))
        stored = np.round(scan * 1000).astype(np.int16)
        nib.save(nib.Nifti1Image(stored, affine), folder / "images" / f"{name}.nii.gz")
        nib.save(nib.Nifti1Image(mask, affine), folder / "masks" / f"{name}.nii.gz")
        rows.append(f"{name},images/{name}.nii.gz,masks/{name}.nii.gz,{name}")
        report("making patients", number + 1, patients)
    about = {"name": "deformed MNI152", "classes": dict(enumerate(CLASSES)), "slice_axis": 2}
    write_text(folder / "dataset.json", json.dumps(about, indent=1))
    write_text(table, "\n".join(rows) + "\n")
    return table
