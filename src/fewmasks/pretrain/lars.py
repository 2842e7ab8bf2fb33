"""LARS: each layer's step in proportion to its weights, for large batches."""

from collections.abc import Callable, Iterable
from typing import Any

import torch


class Lars(torch.optim.Optimizer):
    """Momentum SGD whose rate per layer is trust * |w| / (|g| + decay * |w|).

    You, Gitman and Ginsburg, Large Batch Training of Convolutional Networks, 2017,
    arXiv:1708.03888, algorithm 1. Groups with `adapt=False` (biases and norms) take the plain rate.
    """

    def __init__(
        self,
        groups: Iterable[dict[str, Any]],
        lr: float,
        momentum: float = 0.9,
        trust: float = 1e-3,
    ) -> None:
        defaults = {"lr": lr, "momentum": momentum, "trust": trust, "adapt": True}
        super().__init__(groups, {**defaults, "weight_decay": 0.0})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One step of every parameter that has a gradient."""
        del closure
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                step = parameter.grad.add(parameter, alpha=group["weight_decay"])
                if group["adapt"]:
                    step = step.mul(_trust_ratio(parameter, step, group["trust"]))
                state = self.state[parameter]
                if "velocity" not in state:
                    state["velocity"] = torch.zeros_like(parameter)
                velocity = state["velocity"].mul_(group["momentum"]).add_(step)
                parameter.sub_(velocity, alpha=group["lr"])


def _trust_ratio(parameter: torch.Tensor, step: torch.Tensor, trust: float) -> torch.Tensor:
    weights, change = parameter.norm(), step.norm()
    ratio = trust * weights / change
    return torch.where((weights > 0) & (change > 0), ratio, torch.ones_like(ratio))
