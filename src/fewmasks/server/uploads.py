"""Masks as they arrive over the network: bounded, checked before they are unpacked."""

import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from jaxtyping import UInt8

from fewmasks.io.source import PIXEL_LIMIT
from fewmasks.server.png import GREY, INDEXED, SIGNATURE
from fewmasks.server.refusal import Refusal
from fewmasks.types import UNKNOWN

HEADER = struct.Struct(">IIBBBBB")
ROOM = 64 * 1024
"""For the header, the palette and what else a PNG holds beside pixels."""


def most_bytes(shape: tuple[int, int]) -> int:
    """How long a PNG of class numbers can be: deflate never adds more than a thousandth."""
    height, width = shape
    raw = height * (width + 1)
    return raw + raw // 512 + ROOM


def decode_mask(
    content: bytes, shape: tuple[int, int], n_classes: int, name: str
) -> UInt8[np.ndarray, "y x"]:
    """Class numbers of an uploaded PNG that is whole, 8 bits grey or indexed, and of this size."""
    where = f"mask of {name}"
    _check_header(content, shape, where)
    for _ in _chunks(content, where):
        pass
    mask = _unpack(content, where)
    beyond = (mask >= n_classes) & (mask != UNKNOWN)
    if beyond.any():
        raise Refusal(
            422,
            f"{where}: holds class {mask[beyond].min()}, but the classes are 0 to "
            f"{n_classes - 1}; use these, and {UNKNOWN} for unknown",
        )
    return mask


def _check_header(content: bytes, shape: tuple[int, int], where: str) -> None:
    """Before anything is unpacked, so that nothing of another size ever is."""
    if content[:8] != SIGNATURE or content[8:16] != b"\0\0\0\x0dIHDR" or len(content) < 33:
        raise Refusal(415, f"{where}: is no PNG; send class numbers as an 8-bit PNG")
    width, height, depth, colour, *_ = HEADER.unpack(content[16:29])
    if (height, width) != shape:
        raise Refusal(
            422,
            f"{where}: has {height} x {width} pixels, the item {shape[0]} x {shape[1]}; draw on "
            f"the item's own pixels",
        )
    if depth != 8 or colour not in (GREY, INDEXED):
        raise Refusal(
            415,
            f"{where}: PNG of {depth} bits and colour type {colour}; send class numbers as 8-bit "
            f"grey or indexed",
        )


def _chunks(content: bytes, where: str) -> Iterator[bytes]:
    """Names of the chunks to the last one; each must be whole and hold what its checksum says."""
    at, name = len(SIGNATURE), b""
    while name != b"IEND":
        length = int.from_bytes(content[at : at + 4], "big")
        name, end = content[at + 4 : at + 8], at + 8 + length
        checksum = content[end : end + 4]
        if len(checksum) < 4 or int.from_bytes(checksum, "big") != zlib.crc32(
            content[at + 4 : end]
        ):
            raise Refusal(422, f"{where}: the PNG is cut off or damaged; send it again")
        yield name
        at = end + 4
    if at != len(content):
        raise Refusal(422, f"{where}: {len(content) - at} bytes follow the PNG; send it alone")


def _unpack(content: bytes, where: str) -> UInt8[np.ndarray, "y x"]:
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = PIXEL_LIMIT  # as fewmasks.io.picture sets it
    try:
        with Image.open(io.BytesIO(content), formats=("PNG",)) as image:
            return np.asarray(image).astype(np.uint8)
    except (OSError, SyntaxError, ValueError, zlib.error) as error:
        raise Refusal(422, f"{where}: damaged PNG ({error}); send it again") from None
