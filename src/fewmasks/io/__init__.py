"""Image files in, mask files out: one format a file, listed in `FORMATS`."""

from pathlib import Path

from fewmasks.errors import FormatError
from fewmasks.io import nifti, picture, tiff
from fewmasks.io.source import Format, Source

__all__ = ["FORMATS", "Format", "Source", "format_of", "open_source", "stem_of"]

FORMATS: tuple[Format, ...] = (picture.FORMAT, tiff.FORMAT, nifti.FORMAT)

_BY_SUFFIX = {suffix: each for each in FORMATS for suffix in each.suffixes}
_LONGEST_FIRST = sorted(_BY_SUFFIX, key=len, reverse=True)


def open_source(path: Path, slice_axis: int | None = None) -> Source:
    """Open an image file by its suffix; its pixels are not read.

    `slice_axis` counts in a volume file's own array; pictures have none and ignore it.
    """
    each = format_of(path)
    if each is None:
        known = ", ".join(sorted(_BY_SUFFIX))
        raise FormatError(f"{path}: no format has this suffix; known: {known}")
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "there is no such file"
        raise FormatError(f"{path}: {what}; name an image file")
    return each.open(path, slice_axis)


def format_of(path: Path) -> Format | None:
    """The format with the longest suffix that this name ends in."""
    suffix = _suffix_of(path.name)
    return _BY_SUFFIX[suffix] if suffix else None


def stem_of(name: str) -> str:
    """A file name without the suffix of its format: `scan.nii.gz` is `scan`."""
    return name[: len(name) - len(_suffix_of(name))]


def _suffix_of(name: str) -> str:
    lower = name.lower()
    return next((s for s in _LONGEST_FIRST if lower.endswith(s) and lower != s), "")
