"""Who answers a round: the reference masks, or people."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from jaxtyping import UInt8

from fewmasks.config import CostConfig
from fewmasks.errors import ProjectError
from fewmasks.loop.cost import seconds_for
from fewmasks.types import Item, Kind, Label

Reference = Callable[[Item], UInt8[np.ndarray, "y x"] | None]


def truth_labels(
    items: Sequence[Item], reference: Reference, kind: Kind, cost: CostConfig
) -> Iterator[Label]:
    """The reference masks (or reference scribbles) as an annotator's answers, one by one."""
    for item in items:
        mask = reference(item)
        if mask is None:
            raise ProjectError(
                f"{item.id}: no reference {kind} to answer with; simulate needs one for every "
                f"training item (create the project with --{kind}s)"
            )
        yield Label(item.id, kind, mask, seconds_for(kind, cost), by="reference")
