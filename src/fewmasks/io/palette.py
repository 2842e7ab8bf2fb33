"""Colours of classes in mask files and on screen."""

from collections.abc import Sequence

from fewmasks.types import UNKNOWN

Colour = tuple[int, int, int]

# Black, the seven colours of Okabe and Ito (2008), wine and olive of Tol's muted scheme, lilac and
# brown: told apart with red-green and blue-yellow colour blindness.
PALETTE: tuple[Colour, ...] = (
    (0, 0, 0),
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
    (136, 34, 85),
    (170, 170, 221),
    (153, 153, 51),
    (102, 17, 0),
)
"""Class 0 is black; from class 12 on, the colours after black come again."""

UNKNOWN_COLOUR: Colour = (64, 64, 64)


def colour_table(palette: Sequence[Colour] | None = None) -> tuple[Colour, ...]:
    """256 colours, one per byte; the last is UNKNOWN's."""
    first, *others = palette or PALETTE
    cycled = [others[n % len(others)] if others else first for n in range(UNKNOWN - 1)]
    return (first, *cycled, UNKNOWN_COLOUR)
