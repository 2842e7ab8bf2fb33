"""Random slices of a compressed volume: the pixel cache against MONAI and nibabel, in one run.

    python benchmarks/slices.py

Prints slices per second and import time, and fails when a ratio falls below its gate. One
240 x 240 x 128 int16 volume, gzipped, pages warm, best of several; absolute times are for people.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
from monai.transforms import LoadImage

from fewmasks.io.cache import PixelCache
from fewmasks.types import Item

SHAPE = 240, 240, 128
LEAST_SLICES_PER_SECOND = 10_000
LEAST_SPEED_UP = 1000
MOST_IMPORT_SHARE = (
    0.8  # 0.4 of it is decompression with ISA-L; a third is out of reach on one core
)
COPIES = 4
REPEATS = 7


def fabricate(path: Path) -> np.ndarray:
    """A smooth body with noise in a dark surround, which packs about as scans do."""
    rng = np.random.default_rng(0)
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, n) for n in SHAPE), indexing="ij", sparse=True)
    inside = x**2 / 0.6 + y**2 / 0.8 + z**2 < 0.8
    tissue = 600 + 250 * np.sin(5 * x) * np.cos(4 * y + 3 * z)
    noise = rng.normal(0, 8, SHAPE)
    voxels = np.where(inside, tissue + noise, np.abs(noise) / 8).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(voxels, np.diag([-1, -1, 1, 1])), path)
    return voxels


def seconds(work: Callable[[], object], repeats: int = 3) -> float:
    """The shortest of some runs."""
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return min(taken)


def main() -> int:
    """Measure, check that all readers agree, print, compare with the gates."""
    # In memory where possible: how fast this disk syncs is not the question.
    in_memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=in_memory) as folder:
        path = Path(folder) / "volume.nii.gz"
        voxels = fabricate(path)
        return measure(path, voxels)


def measure(path: Path, voxels: np.ndarray) -> int:
    """Print the table; the exit status says whether every gate holds."""
    cache = PixelCache(path.parent / "cache")
    cache.add(path, slice_axis=2)
    order = np.random.default_rng(1).integers(0, SHAPE[2], 10_000).tolist()
    items = [Item(f"slice{z}", str(path), ("volume",), z) for z in range(SHAPE[2])]
    monai = LoadImage(image_only=True)

    for z in (0, 50, 127):  # x and y change places: our slices are rows by columns
        expected = voxels[:, :, z].T
        assert np.array_equal(cache.read(items[z])[..., 0], expected)
        assert np.array_equal(np.asarray(monai(path))[:, :, z].T, expected)

    speeds = {
        "fewmasks PixelCache": len(order) / seconds(lambda: each(cache.read, items, order)),
        "nibabel dataobj": 3 / seconds(lambda: [nibabel_slice(path, z) for z in order[:3]]),
        "MONAI LoadImage": 3 / seconds(lambda: [monai(path)[:, :, z] for z in order[:3]]),
    }
    ours, peer = speeds["fewmasks PixelCache"], speeds["MONAI LoadImage"]
    print(f"{path.stat().st_size / 1e6:.1f} MB gzipped, {voxels.nbytes / 1e6:.1f} MB of voxels")
    for name, speed in speeds.items():
        print(f"{name:22s} {speed:10.1f} slices/s {ours / speed:10.0f}x")

    share = measure_import(path)
    gates = {
        f"at least {LEAST_SLICES_PER_SECOND} slices/s": ours >= LEAST_SLICES_PER_SECOND,
        f"at least {LEAST_SPEED_UP}x MONAI LoadImage": ours / peer >= LEAST_SPEED_UP,
        f"import within {MOST_IMPORT_SHARE} of get_fdata": share <= MOST_IMPORT_SHARE,
    }
    for gate, holds in gates.items():
        print(f"{'holds ' if holds else 'FAILS '} {gate}")
    return 0 if all(gates.values()) else 1


def each(read: Callable[[Item], object], items: list[Item], order: list[int]) -> None:
    """Read in this order, keeping nothing: what is kept would measure the allocator."""
    for z in order:
        read(items[z])


def nibabel_slice(path: Path, z: int) -> np.ndarray:
    """One slice through nibabel's array proxy."""
    return np.asarray(nibabel.load(path).dataobj[:, :, z])


def measure_import(path: Path) -> float:
    """Time per volume of filling a cache, as a share of nibabel's get_fdata; taken in turns."""
    copies = [path.with_name(f"copy{n}.nii.gz") for n in range(COPIES)]
    for copy in copies:
        shutil.copyfile(path, copy)
    folder = path.parent / "import"
    taken: dict[str, list[float]] = {"peer": [], "alone": [], "many": []}
    for _ in range(REPEATS):
        taken["peer"].append(seconds(lambda: nibabel.load(path).get_fdata(), 1))
        taken["alone"].append(seconds(lambda: PixelCache(folder).add(path, 2), 1))
        shutil.rmtree(folder)
        taken["many"].append(seconds(lambda: PixelCache(folder).build(copies, 2), 1) / COPIES)
        shutil.rmtree(folder)
    peer, alone, many = (min(times) for times in taken.values())
    print(f"nibabel get_fdata {peer * 1e3:6.0f} ms a volume")
    print(f"one into cache    {alone * 1e3:6.0f} ms a volume {alone / peer:.2f}")
    print(f"{COPIES} into cache    {many * 1e3:6.0f} ms a volume {many / peer:.2f}")
    return alone / peer


if __name__ == "__main__":
    sys.exit(main())
