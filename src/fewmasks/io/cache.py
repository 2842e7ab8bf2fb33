"""Decoded pixels of a project, slice by slice, behind memory maps."""

import hashlib
import json
import mmap
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from math import gcd, prod
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped, UInt8

from fewmasks.errors import FormatError, GeometryError
from fewmasks.io import open_source
from fewmasks.io.atomic import atomic
from fewmasks.io.masks import read_mask
from fewmasks.io.source import Voxels
from fewmasks.types import UNKNOWN, Item

VERSION = 1
"""Of what the folder holds; another number makes every entry be built again."""

MOST_MAPS = 256
MOST_WORKERS = 4
MOST_SAMPLES = 1_000_000
PERCENTILES = 0.5, 99.5
ABANDONED_SECONDS = 3600
HASH_BYTES = 1 << 20


@dataclass(frozen=True)
class Statistics:
    """Intensities of one source, one figure per channel, from about a million of its pixels."""

    low: tuple[float, ...]
    """0.5th percentile; the least value where both percentiles are the same."""
    high: tuple[float, ...]
    """99.5th percentile, and the greatest value."""
    mean: tuple[float, ...]
    """After clipping to low..high."""
    std: tuple[float, ...]
    """After clipping to low..high; 1 where the source is constant."""


@dataclass(frozen=True)
class Stamp:
    """By what a changed source file is known."""

    size: int
    mtime_ns: int
    blake2b: str


@dataclass(frozen=True)
class Record:
    """What the folder knows of one source without touching its pixels."""

    version: int
    stamp: Stamp
    slice_axis: int | None
    unknown: int | None
    shape: tuple[int, int, int, int]
    dtype: str
    offset: int
    """Where pixels begin in the .npy file, in bytes."""
    spacing: tuple[float, float, float]
    statistics: Statistics | None


class PixelCache:
    """Slices of images and masks, decoded once into uncompressed files.

    A source is known by its path as given, and has one slice axis in one cache folder. Reads
    return copies; pixels are never all in memory. Safe to share between threads, and it may be
    sent to another process.
    """

    def __init__(self, folder: Path, channels: int | None = None, unknown: int = UNKNOWN) -> None:
        """Use this folder, made on the first `add`.

        `channels=3` reads grey sources as three equal channels. `unknown` is the number that
        means "nobody said" in the mask files; it is read as UNKNOWN.
        """
        self.folder = folder
        self.channels = channels
        self.unknown = unknown
        self._maps: OrderedDict[tuple[str, bool], Voxels] = OrderedDict()
        self._records: dict[tuple[str, bool], Record] = {}
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        return PixelCache, (self.folder, self.channels, self.unknown)

    def add(self, path: Path, slice_axis: int | None = None, mask: bool = False) -> None:
        """Decode a file, unless that was done and the file has not changed since."""
        source, unknown = (str(path), mask), self.unknown if mask else None
        known = _read_record(self._file(source, ".json"))
        if known and (known.slice_axis, known.unknown) == (slice_axis, unknown):
            stamp = _unchanged(path, known.stamp)
            if stamp == known.stamp:
                return
            if stamp is not None:
                self._write_record(source, replace(known, stamp=stamp))
                return
        self._forget(source)
        # Before the pixels, so that a file which changes meanwhile is found to have changed.
        stamp = _stamp(path)
        if mask:
            pixels = read_mask(path, slice_axis, self.unknown)[..., None]
            spacing = (1.0, 1.0, 1.0)
        else:
            opened = open_source(path, slice_axis)
            pixels, spacing = np.ascontiguousarray(opened.read()), opened.spacing
        record = Record(
            version=VERSION,
            stamp=stamp,
            slice_axis=slice_axis,
            unknown=unknown,
            shape=(pixels.shape[0], pixels.shape[1], pixels.shape[2], pixels.shape[3]),
            dtype=pixels.dtype.str,
            offset=self._write_pixels(source, pixels),
            spacing=spacing,
            statistics=None if mask else measure(pixels),
        )
        self._write_record(source, record)

    def build(
        self,
        paths: Sequence[Path],
        slice_axis: int | None = None,
        mask: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Add all; what an earlier, perhaps killed, run has done is kept.

        As many files are decoded, and in memory, at once as there are cores, MOST_WORKERS at most.
        """
        self._sweep()
        once = list(dict.fromkeys(paths))
        pool = ThreadPoolExecutor(min(MOST_WORKERS, os.cpu_count() or 1))
        try:
            added = pool.map(lambda path: self.add(path, slice_axis, mask), once)
            for done, _ in enumerate(added, start=1):
                if progress:
                    progress(done, len(once))
        finally:
            pool.shutdown(cancel_futures=True)

    def read(self, item: Item) -> Shaped[np.ndarray, "y x channel"]:
        """Pixels of an item in the type of the file."""
        pixels = self._window(item.source, item, False)
        if self.channels is None or pixels.shape[2] == self.channels:
            return pixels.copy()
        return np.repeat(pixels, self.channels, axis=2)

    def read_mask(self, path: str | Path, item: Item) -> UInt8[np.ndarray, "y x"]:
        """The part of a mask file that belongs to an item."""
        return self._window(str(path), item, True)[..., 0].copy()

    def shape(self, path: str | Path) -> tuple[int, int, int, int]:
        """Sizes along z, y, x and channel, as `read` gives them."""
        z, y, x, channels = self._record((str(path), False)).shape
        return z, y, x, self.channels or channels

    def spacing(self, path: str | Path) -> tuple[float, float, float]:
        """Distance between neighbours along z, y, x."""
        return self._record((str(path), False)).spacing

    def statistics(self, path: str | Path) -> Statistics:
        """Intensities of a source, one figure per channel that `read` gives."""
        record = self._record((str(path), False))
        found = record.statistics
        assert found is not None, "only masks have no statistics"
        if self.channels is None or len(found.low) == self.channels:
            return found
        return Statistics(*(value * self.channels for value in asdict(found).values()))

    def is_valid(self, path: str | Path, mask: bool = False) -> bool:
        """Whether a file is here and unchanged; a file that is gone counts as unchanged."""
        record = _read_record(self._file((str(path), mask), ".json"))
        return record is not None and _is_current(Path(path), record.stamp)

    def _window(self, path: str, item: Item, mask: bool) -> Shaped[np.ndarray, "y x channel"]:
        source = (path, mask)
        with self._lock:
            pixels = self._maps.get(source)
            if pixels is None:
                pixels = self._open(source)
            else:
                self._maps.move_to_end(source)
        if not 0 <= item.z < len(pixels):
            raise GeometryError(
                f"{path}: has no slice {item.z}, which {item.id} names; its slices are 0 to "
                f"{len(pixels) - 1}"
            )
        if item.box is None:
            return pixels[item.z]
        y0, x0, y1, x1 = item.box
        return pixels[item.z, y0:y1, x0:x1]

    def _open(self, source: tuple[str, bool]) -> Voxels:
        record = self._record(source)
        if not _is_current(Path(source[0]), record.stamp):
            self._records.pop(source, None)
            raise FormatError(
                f"{source[0]}: changed since the project was made; run `fewmasks create` again"
            )
        with self._file(source, ".npy").open("rb") as file:
            raw = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        pixels = np.frombuffer(raw, record.dtype, prod(record.shape), record.offset)
        pixels = pixels.reshape(record.shape)
        self._maps[source] = pixels
        while len(self._maps) > MOST_MAPS:
            self._maps.popitem(last=False)
        return pixels

    def _record(self, source: tuple[str, bool]) -> Record:
        record = self._records.get(source)
        if record is None:
            record = _read_record(self._file(source, ".json"))
            if record is None:
                raise FormatError(
                    f"{source[0]}: not in the pixel cache {self.folder}; "
                    f"run `fewmasks create` again"
                )
            self._refuse_channels(source, record)
            self._records[source] = record
        return record

    def _refuse_channels(self, source: tuple[str, bool], record: Record) -> None:
        stored, is_mask = record.shape[3], source[1]
        if not is_mask and self.channels not in (None, stored) and stored != 1:
            raise GeometryError(
                f"{source[0]}: {stored} channels, but the project has {self.channels}; "
                f"convert it, or keep it in a project of its own"
            )

    def _file(self, source: tuple[str, bool], suffix: str) -> Path:
        path, mask = source
        # os.path.realpath, since a source that is gone still has its entry.
        name = f"{os.path.realpath(path)}\0{mask}".encode(errors="surrogateescape")
        return self.folder / (hashlib.blake2b(name, digest_size=16).hexdigest() + suffix)

    def _forget(self, source: tuple[str, bool]) -> None:
        """Drop an entry, its record first: a record stands only beside the pixels it describes."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._lock:
            self._maps.pop(source, None)
            self._records.pop(source, None)
        self._file(source, ".json").unlink(missing_ok=True)

    def _write_pixels(self, source: tuple[str, bool], pixels: Voxels) -> int:
        with atomic(self._file(source, ".npy")) as file:
            np.lib.format.write_array(file, pixels, allow_pickle=False)
            return file.tell() - pixels.nbytes

    def _write_record(self, source: tuple[str, bool], record: Record) -> None:
        with atomic(self._file(source, ".json"), sync=False) as file:
            file.write(json.dumps(asdict(record)).encode())
        with self._lock:
            self._records.pop(source, None)

    def _sweep(self) -> None:
        """Remove what killed runs left half written."""
        if self.folder.is_dir():
            for left in self.folder.glob(".*.tmp"):
                if time.time() - left.stat().st_mtime > ABANDONED_SECONDS:
                    left.unlink(missing_ok=True)


def measure(pixels: Voxels) -> Statistics:
    """Statistics of evenly spread pixels, about a million of them at most."""
    n, channels = prod(pixels.shape[:3]), pixels.shape[3]
    every = -(-n // MOST_SAMPLES)
    # A step that shares a divisor with the width would see some columns only.
    while gcd(every, pixels.shape[1] * pixels.shape[2]) > 1:
        every += 1
    sample = pixels.reshape(n, channels)[::every]
    figures = [_measure(np.ascontiguousarray(sample[:, c])) for c in range(channels)]
    low, high, mean, std = zip(*figures, strict=True)
    return Statistics(low, high, mean, std)


def _measure(values: Shaped[np.ndarray, " n"]) -> tuple[float, float, float, float]:
    if values.dtype.kind in "iu" and values.dtype.itemsize <= 2:
        lowest = int(np.iinfo(values.dtype).min)
        counts = np.bincount(values.astype(np.int32) - lowest)
        levels = np.flatnonzero(counts)
        return _summary((levels + lowest).astype(np.float64), counts[levels])
    ordered = np.sort(values).astype(np.float64)
    return _summary(ordered, np.ones(len(ordered), np.int64))


def _summary(
    levels: Float[np.ndarray, " n"], counts: Shaped[np.ndarray, " n"]
) -> tuple[float, float, float, float]:
    """Percentiles (the value at that rank), then mean and deviation of the clipped values.

    Where both percentiles are one value, all that is to be seen lies beyond them, such as the few
    spots of a fluorescence picture: the least and the greatest value take their place.
    """
    upto = np.cumsum(counts)
    ranks = [round(share / 100 * (upto[-1] - 1)) for share in PERCENTILES]
    low, high = (levels[np.searchsorted(upto, rank, side="right")] for rank in ranks)
    if low == high:
        low, high = levels[0], levels[-1]
    clipped = np.clip(levels, low, high)
    mean = float(np.average(clipped, weights=counts))
    std = float(np.sqrt(np.average((clipped - mean) ** 2, weights=counts)))
    return float(low), float(high), mean, std if low < high else 1.0


def _stamp(path: Path) -> Stamp:
    if not path.is_file():
        raise FormatError(f"{path}: there is no such file; name an image file")
    status = path.stat()
    return Stamp(status.st_size, status.st_mtime_ns, _hash(path))


def _hash(path: Path) -> str:
    digest = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        while block := file.read(HASH_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _unchanged(path: Path, stamp: Stamp) -> Stamp | None:
    """The stamp of a file as it is now if its content is what it was, else None."""
    if not path.is_file():
        return None
    status = path.stat()
    if status.st_size != stamp.size:
        return None
    if status.st_mtime_ns == stamp.mtime_ns:
        return stamp
    same = _hash(path) == stamp.blake2b
    return Stamp(stamp.size, status.st_mtime_ns, stamp.blake2b) if same else None


def _is_current(path: Path, stamp: Stamp) -> bool:
    return not path.exists() or _unchanged(path, stamp) is not None


def _read_record(path: Path) -> Record | None:
    """None where there is no record, or only one that a power cut or another version left."""
    try:
        tree = json.loads(path.read_bytes())
    except (FileNotFoundError, json.JSONDecodeError, UnicodeDecodeError):
        return None
    if not isinstance(tree, dict) or tree.get("version") != VERSION:
        return None
    found = tree["statistics"]
    tree["stamp"] = Stamp(**tree["stamp"])
    tree["shape"], tree["spacing"] = tuple(tree["shape"]), tuple(tree["spacing"])
    tree["statistics"] = found and Statistics(**{key: tuple(n) for key, n in found.items()})
    return Record(**tree)
