"""What a label costs: annotation seconds by kind, as the cost model has it."""

from fewmasks.config import CostConfig
from fewmasks.types import Kind


def seconds_for(kind: Kind, cost: CostConfig) -> float:
    """Seconds one label of this kind takes in simulation (see CostConfig)."""
    if kind == "scribble":
        return cost.seconds_per_mask / cost.scribble_speedup
    return cost.seconds_per_mask


def items_for(minutes: float, kind: Kind, cost: CostConfig) -> int:
    """How many labels of this kind fit into so many minutes."""
    return int(60 * minutes // seconds_for(kind, cost))
