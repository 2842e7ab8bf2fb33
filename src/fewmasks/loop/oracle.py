"""Who answers a round: the reference masks, or people."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from jaxtyping import UInt8

from fewmasks.config import CostConfig
from fewmasks.errors import ProjectError
from fewmasks.loop.cost import outline, seconds_of, stated
from fewmasks.loop.scribbles import scribble
from fewmasks.types import Item, Kind, Label

REFERENCE = "reference"
"""By whom the oracle's labels are; the seconds of these are no measurement."""
Reference = Callable[[Item], UInt8[np.ndarray, "y x"] | None]


def scribbles(
    given: Reference, mask: Reference, background: int | None, seed: int = 0
) -> Reference:
    """The scribble that was given with an item, else one drawn in its reference mask.

    A drawn one is the same whenever it is asked for: it follows from the seed and the item's id.
    """

    def answer(item: Item) -> UInt8[np.ndarray, "y x"] | None:
        drawn = given(item)
        truth = mask(item) if drawn is None else None
        if truth is None:
            return drawn
        return scribble(truth, np.random.default_rng([seed, *item.id.encode()]), background)

    return answer


def truth_labels(
    items: Sequence[Item],
    reference: Reference,
    kind: Kind,
    cost: CostConfig,
    background: int | None = None,
) -> Iterator[Label]:
    """The reference masks (or reference scribbles) as an annotator's answers, one by one.

    Each takes the seconds that the settings state for what is drawn in it; a mask's `background`
    is what is left when the rest is drawn.
    """
    blank = [background] if kind == "mask" and background is not None else []
    for item in items:
        mask = reference(item)
        if mask is None:
            raise ProjectError(
                f"{item.id}: no reference {kind} to answer with; simulate needs one for every "
                f"training item (create the project with --{kind}s)"
            )
        pace = stated(kind, cost, is_region=item.box is not None)
        drawn = outline(mask, blank) if pace.per_border or pace.per_part else None
        yield Label(item.id, kind, mask, seconds_of(pace, drawn), by=REFERENCE)
