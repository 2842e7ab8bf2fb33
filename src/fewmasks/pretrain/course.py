"""The loop of self-supervision: the same for every method, and it goes on where it was stopped."""

import json
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from lightning_fabric import Fabric
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from fewmasks.config import PretrainConfig
from fewmasks.errors import ConfigError
from fewmasks.io.atomic import atomic
from fewmasks.learn.data import Frames, Reader, remembering
from fewmasks.learn.model import Card, resolve_device, seeded
from fewmasks.learn.starts import Origin, write_start
from fewmasks.learn.train import leave_group, pace, repeatable, sentences_of_processes
from fewmasks.nn.heads import spread
from fewmasks.pretrain.lars import Lars

Report = Callable[[int, int], None]
CHECKPOINT_SECONDS = 60.0
"""A killed training loses at most this much."""
LEAST_SPREAD = 0.05
"""Below it all items look alike; untrained encoders have 0.1 to 0.5, trained ones 0.5 to 1."""
WATCHED_FROM = 0.2
"""Share of the training after which a collapse is an error: at the start all items look alike."""


@dataclass(frozen=True)
class Draw:
    """One batch: positions of items, and what a method wants to know of each."""

    positions: list[int]
    marks: Int64[Tensor, "b m"]
    """A row per item: such as its group and its role there; no columns where nothing is said."""


class Objective(nn.Module):
    """What a method trains: a module whose forward pass is the loss.

    `forward(pixels, marks)` gives the loss and the items' embeddings (b, d), by which a collapse is
    noticed.
    """

    def after_step(self, share: float) -> None:
        """Called after each step with the share of the training that is done."""


@dataclass(frozen=True)
class Course:
    """How one pre-training runs, and where its weights go."""

    config: PretrainConfig
    origin: Origin
    out: Path
    card: Card

    @property
    def checkpoint(self) -> Path:
        """Where an unfinished training is kept."""
        return self.out.with_suffix(".unfinished")


def run(
    course: Course,
    objective: Objective,
    network: nn.Module,
    frames: Frames,
    draws: Iterator[Draw],
    report: Report | None = None,
) -> list[float]:
    """Train the objective and write the network's start weights; returns the loss of every step.

    The randomness of a step follows from the seed and its number alone, so a resumed training ends
    in the weights of an uninterrupted one.
    """
    device, devices = resolve_device(course.card.config.device), course.card.config.devices
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    fabric = Fabric(
        accelerator=device.type,
        devices=devices if device.index is None or devices > 1 else [device.index],
        strategy="ddp_spawn" if devices > 1 else "auto",
        precision="bf16-mixed" if course.card.precision == "bf16" else "32-true",
    )
    if devices == 1:
        return fabric.launch(_optimise, objective, course, network, frames, draws, report)
    # What a process returns vanishes with it, and progress cannot cross over either. Of these only
    # the objective is an argument: Fabric copies arguments for each process.
    plan = list(islice(draws, course.origin.iterations * course.config.accumulate))
    steps = partial(_optimise_apart, course=course, network=network, frames=frames, plan=plan)
    with sentences_of_processes():
        fabric.launch(steps, objective)
    if report is not None:
        report(course.origin.iterations, course.origin.iterations)
    return []


def _optimise_apart(
    fabric: Fabric,
    objective: Objective,
    course: Course,
    network: nn.Module,
    frames: Frames,
    plan: list[Draw],
) -> None:
    """The loop in one of several processes, each with its part of every batch."""
    _optimise(fabric, objective, course, network, frames, iter(plan), None)
    leave_group()


def _optimise(
    fabric: Fabric,
    objective: Objective,
    course: Course,
    network: nn.Module,
    frames: Frames,
    draws: Iterator[Draw],
    report: Report | None,
) -> list[float]:
    config, total = course.config, course.origin.iterations
    # Before the optimiser, whose state must lie where its parameters lie when a training goes on.
    objective.to(fabric.device)
    optimiser = make_optimiser(objective, config)
    losses = _resume(course, objective, optimiser)
    for _ in range(len(losses) * config.accumulate):  # the batches that were seen already
        next(draws)
    wrapped, wrapped_optimiser = fabric.setup(objective, optimiser)
    wrapped.train()
    saved = time.monotonic()
    read = remembering(frames)
    with repeatable(fabric.device), seeded(fabric.device, course.origin.seed):
        for step in range(len(losses), total):
            for group in optimiser.param_groups:
                group["lr"] = config.learning_rate * pace(step, total)
            wrapped_optimiser.zero_grad()
            torch.manual_seed(_step_seed(course.origin.seed, step, fabric.global_rank))
            loss, embedding = _accumulate(fabric, wrapped, read, draws, config.accumulate)
            wrapped_optimiser.step()
            objective.after_step((step + 1) / total)
            losses.append(loss)
            if step >= WATCHED_FROM * total and step % 20 == 0:
                _refuse_collapse(course, embedding, step)
            if report is not None:
                report(step + 1, total)
            if fabric.global_rank == 0 and time.monotonic() - saved > CHECKPOINT_SECONDS:
                _keep(course, objective, optimiser, losses)
                saved = time.monotonic()
    if fabric.global_rank == 0:
        write_start(course.out, network, course.origin)
        course.checkpoint.unlink(missing_ok=True)
    return losses


def _accumulate(
    fabric: Fabric, wrapped: nn.Module, read: Reader, draws: Iterator[Draw], count: int
) -> tuple[float, Float[Tensor, "b d"]]:
    """Gradients of the mean loss of `count` batches; of several processes each takes its part."""
    total = 0.0
    for _ in range(count):
        draw = next(draws)
        share = len(draw.positions) // fabric.world_size
        mine = slice(fabric.global_rank * share, (fabric.global_rank + 1) * share)
        pixels = read(draw.positions[mine]).to(fabric.device)
        pixels = pixels.contiguous(memory_format=torch.channels_last)
        loss, embedding = wrapped(pixels, draw.marks[mine].to(fabric.device))
        fabric.backward(loss / count)
        total += float(loss.detach()) / count
    return total, embedding.detach()


def _step_seed(seed: int, step: int, rank: int) -> int:
    return int(np.random.SeedSequence([seed, step, rank]).generate_state(1)[0])


def make_optimiser(objective: Objective, config: PretrainConfig) -> torch.optim.Optimizer:
    """AdamW or LARS; biases and the parameters of norms, all of one dimension, do not decay."""
    trained = [p for p in objective.parameters() if p.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0, "adapt": False},
    ]
    if config.optimiser == "lars":
        return Lars(groups, lr=config.learning_rate)
    for group in groups:
        group.pop("adapt", None)
    return torch.optim.AdamW(groups, lr=config.learning_rate, fused=True)


def _refuse_collapse(course: Course, embedding: Float[Tensor, "b d"], step: int) -> None:
    found = spread(embedding)
    if not found > LEAST_SPREAD:  # NaN too
        raise ConfigError(
            f"pretrain {course.origin.method}: at step {step} all items have the same embedding "
            f"(spread {found:.3f} of 1); lower pretrain.learning_rate, raise pretrain.batch, or "
            f"choose other pretrain.views"
        )


def _keep(
    course: Course, objective: Objective, optimiser: torch.optim.Optimizer, losses: list[float]
) -> None:
    """Keep all that a later process needs to go on, without pickle."""
    tensors = {f"objective.{name}": t for name, t in objective.state_dict().items()}
    for number, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{number}.{key}": t for key, t in state.items()}
    tensors["losses"] = torch.tensor(losses, dtype=torch.float64)
    course.checkpoint.parent.mkdir(parents=True, exist_ok=True)
    plain = {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}
    with atomic(course.checkpoint) as file:
        file.write(save(plain, {"course": _description(course)}))


def _resume(course: Course, objective: Objective, optimiser: torch.optim.Optimizer) -> list[float]:
    """Load what an equal course left unfinished; the losses of the steps it had done."""
    if not course.checkpoint.exists():
        return []
    try:
        with safe_open(course.checkpoint, "pt") as file:
            if (file.metadata() or {}).get("course") != _description(course):
                return []  # other settings: what was done then is of no use
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError:
        raise ConfigError(
            f"{course.checkpoint}: damaged; delete it and run the same command again"
        ) from None
    losses = tensors.pop("losses").tolist()
    trained = [p for group in optimiser.param_groups for p in group["params"]]
    states: dict[int, dict[str, Tensor]] = {}
    weights = {}
    for name, tensor in tensors.items():
        kind, _, rest = name.partition(".")
        if kind == "objective":
            weights[rest] = tensor
            continue
        number, _, key = rest.partition(".")
        # Laid out as its parameter is, channels-last: fused kernels walk through memory blindly.
        like = trained[int(number)]
        laid_out = torch.empty_like(like).copy_(tensor) if tensor.shape == like.shape else tensor
        states.setdefault(int(number), {})[key] = laid_out
    objective.load_state_dict(weights)
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": states, "param_groups": groups})
    return losses


def _description(course: Course) -> str:
    """What must be equal for an unfinished training to be gone on with."""
    return json.dumps(
        {
            "config": course.config.model_dump(),
            "origin": asdict(course.origin),
            "card": {**asdict(course.card), "config": course.card.config.model_dump()},
        },
        sort_keys=True,
    )
