"""Label Studio's brush strokes: the four channels of a picture, run by run, packed to bits.

The format is that of @thi.ng/rle-pack (https://thi.ng/rle-pack). 32 bits say how many values
follow, 5 how long one is, and 4 times 4 how long the four kinds of counts are, each less one. Then
blocks: one bit for "all equal", two for the kind of count, the count less one, and one value or all
of them.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool

from fewmasks.errors import FormatError

CHANNELS = 4
ALPHA = 3
"""The channel that counts: what is not transparent is painted."""
VALUE_BITS = 8
COUNT_BITS = (3, 4, 8, 16)
"""Of what is written: short runs take short counts."""
OPAQUE = 255


def encode_brush(painted: Bool[np.ndarray, "y x"]) -> list[int]:
    """The bytes of a stroke that paints these pixels."""
    values = painted.ravel()
    starts = np.flatnonzero(np.diff(values, prepend=~values[:1]))
    counts = np.diff(starts, append=values.size) * CHANNELS
    bits = [f"{values.size * CHANNELS:032b}", f"{VALUE_BITS - 1:05b}"]
    bits += [f"{width - 1:04b}" for width in COUNT_BITS]
    for start, count in zip(starts.tolist(), counts.tolist(), strict=True):
        value = OPAQUE if values[start] else 0
        for length in _pieces(count):
            kind = next(n for n, width in enumerate(COUNT_BITS) if length <= 1 << width)
            bits.append(f"1{kind:02b}{length - 1:0{COUNT_BITS[kind]}b}{value:0{VALUE_BITS}b}")
    zeros_and_ones = np.frombuffer("".join(bits).encode(), np.uint8) - ord("0")
    return np.packbits(zeros_and_ones).tolist()


def decode_brush(
    packed: Sequence[int], shape: tuple[int, int], where: str
) -> Bool[np.ndarray, "y x"]:
    """The pixels that a stroke paints; refused where it is not of this shape, before unpacking."""
    bits = np.unpackbits(np.array(packed, np.uint8))
    text = (bits + ord("0")).tobytes().decode()
    expected = shape[0] * shape[1] * CHANNELS
    head = 32 + 5 + 4 * len(COUNT_BITS)
    if len(text) < head or (told := int(text[:32], 2)) != expected:
        size = "nothing" if len(text) < head else f"{told} values"
        raise FormatError(
            f"{where}: the brush holds {size}, not the {expected} of {shape[0]} x {shape[1]} "
            f"pixels; export the annotations again"
        )
    width = int(text[32:37], 2) + 1
    if width > VALUE_BITS:
        raise FormatError(f"{where}: brush values of {width} bits; export the annotations again")
    counts = [int(text[at : at + 4], 2) + 1 for at in range(37, head, 4)]
    values = np.zeros(expected, np.uint8)
    at, done = head, 0
    while done < expected:
        kind = int(text[at + 1 : at + 3] or "0", 2)
        begin = at + 3 + counts[kind]
        until = done + 1 + int(text[at + 3 : begin] or "0", 2)
        is_run = text[at : at + 1] == "1"
        end = begin + width * (1 if is_run else until - done)
        if end > len(text) or until > expected:
            raise FormatError(f"{where}: the brush is cut off or damaged; export it again")
        words = bits[begin:end].reshape(-1, width)
        values[done:until] = words @ (1 << np.arange(width - 1, -1, -1))
        at, done = end, until
    return values.reshape(*shape, CHANNELS)[..., ALPHA] > 0


def _pieces(count: int) -> list[int]:
    """A count as ones that fit the longest kind."""
    most = 1 << COUNT_BITS[-1]
    return [most] * (count // most) + ([count % most] if count % most else [])
