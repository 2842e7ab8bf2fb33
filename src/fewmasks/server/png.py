"""PNG for the way to the browser: packed ten times faster than by the usual writers.

ISA-L packs, and every row takes one filter: the difference to its left neighbour for pictures,
none for class numbers. The files are as long as those of zlib's fastest level.
"""

import struct
import zlib

import numpy as np
from isal import isal_zlib
from jaxtyping import UInt, UInt8

from fewmasks.io.palette import colour_table

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, COLOUR, INDEXED = 0, 2, 3
AS_IT_IS, FROM_THE_LEFT = 0, 1


def picture_png(pixels: UInt[np.ndarray, "y x channel"]) -> bytes:
    """Grey of 8 or 16 bits, or colour of three channels."""
    height, width, channels = pixels.shape
    # Most significant byte first, as in the file; then bytes are all there is.
    rows = pixels.astype(pixels.dtype.newbyteorder(">"), order="C").view(np.uint8)
    rows = rows.reshape(height, -1)
    step = pixels.itemsize * channels
    lines = _lines(rows, FROM_THE_LEFT)
    np.subtract(rows[:, step:], rows[:, :-step], out=lines[:, 1 + step :])  # modulo 256, as it says
    header = _header(height, width, 8 * pixels.itemsize, COLOUR if channels == 3 else GREY)
    return SIGNATURE + header + _data(lines) + _chunk(b"IEND", b"")


def indexed_png(mask: UInt8[np.ndarray, "y x"]) -> bytes:
    """Class numbers, with the colours of the classes."""
    colours = bytes(level for colour in colour_table() for level in colour)
    height, width = mask.shape
    header = _header(height, width, 8, INDEXED) + _chunk(b"PLTE", colours)
    return SIGNATURE + header + _data(_lines(mask, AS_IT_IS)) + _chunk(b"IEND", b"")


def _header(height: int, width: int, bits: int, kind: int) -> bytes:
    return _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0))


def _lines(rows: UInt8[np.ndarray, "y b"], filter_: int) -> UInt8[np.ndarray, "y line"]:
    """The number of the filter before each row."""
    lines = np.empty((rows.shape[0], rows.shape[1] + 1), np.uint8)
    lines[:, 0] = filter_
    lines[:, 1:] = rows
    return lines


def _data(lines: UInt8[np.ndarray, "y line"]) -> bytes:
    return _chunk(b"IDAT", isal_zlib.compress(lines.data, 1))


def _chunk(name: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(content, zlib.crc32(name))
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)
