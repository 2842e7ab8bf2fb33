"""Masks of whole files as they arrive over the network: bounded, and checked before unpacked."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from fastapi import Request
from jaxtyping import UInt8
from starlette.datastructures import FormData, UploadFile
from starlette.types import Message

from fewmasks.errors import FewmasksError
from fewmasks.io import open_source
from fewmasks.io.masks import check_grid, read_mask
from fewmasks.io.nifti import Volume
from fewmasks.project import Project
from fewmasks.server.image_files import (
    NOWHERE,
    UNPAINTED,
    ImageFile,
    class_of_number,
    shape_of,
    source_of,
)
from fewmasks.server.refusal import Refusal
from fewmasks.server.shield import MOST_BYTES
from fewmasks.server.uploads import decode_mask
from fewmasks.types import UNKNOWN

MOST_BYTES_A_VOXEL = 8
ROOM = 1 << 20
"""For headers, and for what else comes in a form."""
MOST_FIELDS = 8
MOST_FIELD_BYTES = 64 * 1024
UNKNOWN_NAME = "unknown"
"""A segment of this name says that nobody knows."""


@asynccontextmanager
async def read_form(request: Request, shape: tuple[int, int, int]) -> AsyncIterator[FormData]:
    """The form of a request, no longer than a mask of this shape can make it."""
    most = min(MOST_BYTES, int(np.prod(shape)) * MOST_BYTES_A_VOXEL + ROOM)
    seen = 0

    async def bounded() -> Message:
        nonlocal seen
        message = await request.receive()
        seen += len(message.get("body", b""))
        if seen > most:
            raise Refusal(413, f"label: more than {most} bytes; send a mask of the image's size")
        return message

    counted = Request(request.scope, bounded)
    async with counted.form(
        max_files=1, max_fields=MOST_FIELDS, max_part_size=MOST_FIELD_BYTES
    ) as form:
        yield form


def file_of(form: FormData, name: str) -> tuple[str, bytes]:
    """Name and content of the file in a form."""
    file = form.get(name)
    if not isinstance(file, UploadFile):
        raise Refusal(422, f"{name}: the form holds no file of this name; send one")
    return file.filename or "", file.file.read()


def read_whole(
    project: Project, image: ImageFile, sent: tuple[str, bytes], names: Sequence[str] | None
) -> UInt8[np.ndarray, "z y x"]:
    """Class numbers of an uploaded mask file.

    With `names`, number n is the n-th of them, as 3D Slicer counts its segments; without, numbers
    are those that the server itself gives.
    """
    source = source_of(project, image)
    where = f"label of {image.name}"
    if isinstance(source, Volume):
        numbers = _read_volume(project, image, sent, where)
    else:
        shape = shape_of(project, image)
        numbers = decode_mask(sent[1], shape[1:], UNKNOWN, image.name)[None]
    table = class_of_number(project) if names is None else _by_name(project, names, where)
    classes = table[numbers]
    if (classes == NOWHERE).any():
        number = numbers[classes == NOWHERE].min()
        raise Refusal(
            422,
            f"{where}: holds the number {number}, for which there is no class; use 1 to "
            f"{len(project.foreground) if names is None else len(names)}, and {UNKNOWN} for "
            f"unknown",
        )
    return classes


def _read_volume(
    project: Project, image: ImageFile, sent: tuple[str, bytes], where: str
) -> UInt8[np.ndarray, "z y x"]:
    name, content = sent
    suffix = next((end for end in (".nii.gz", ".nii") if name.lower().endswith(end)), None)
    if suffix is None:
        raise Refusal(
            415, f"{where}: {name[-40:]!r} is no NIfTI file; set the file ending to .nii.gz"
        )
    axis = project.facts["slice_axis"]
    with TemporaryDirectory(prefix="fewmasks-") as folder:
        path = Path(folder) / f"label{suffix}"
        path.write_bytes(content)
        try:
            _refuse_header(open_source(path, axis), shape_of(project, image), where)
            check_grid(path, image.path, axis)
            return read_mask(path, axis)
        except Refusal:
            raise
        except FewmasksError as error:
            raise Refusal(422, f"{where}: {str(error).replace(f'{folder}/', '')}") from None


def _refuse_header(source: Any, shape: tuple[int, int, int], where: str) -> None:
    """Before a pixel is unpacked, so that no file makes us unpack more than the image holds."""
    if source.shape != (*shape, 1):
        size = " x ".join(map(str, source.shape))
        raise Refusal(
            422,
            f"{where}: has {size} voxels, the image {' x '.join(map(str, shape))} x 1 (slices, "
            f"height, width, channels); export it in the geometry of the image",
        )
    offset = float(source.header["vox_offset"])
    if not 0 <= offset <= ROOM:  # also where it is no number
        raise Refusal(422, f"{where}: its voxels begin at byte {offset:g}; export it again")
    if source.header.get_data_dtype().itemsize > MOST_BYTES_A_VOXEL:
        raise Refusal(422, f"{where}: more than {MOST_BYTES_A_VOXEL} bytes a voxel; use integers")


def _by_name(project: Project, names: Sequence[str], where: str) -> UInt8[np.ndarray, "256"]:
    """The class for every number, where number n is the n-th name."""
    known = {name: number for number, name in enumerate(project.classes)}
    known.setdefault(UNKNOWN_NAME, UNKNOWN)
    table = class_of_number(project)
    table[UNPAINTED + 1 : UNKNOWN] = NOWHERE
    if len(names) >= NOWHERE:
        raise Refusal(422, f"{where}: {len(names)} segments; send fewer than {NOWHERE}")
    for number, name in enumerate(names, start=1):
        if name not in known:
            raise Refusal(
                422,
                f"{where}: the segment {name[:80]!r} is no class; name it one of "
                f"{', '.join(project.classes)}, or {UNKNOWN_NAME}",
            )
        table[number] = known[name]
    return table
