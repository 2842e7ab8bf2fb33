"""Train a segmentation model on partial labels, always from the same start."""

import logging
import math
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from lightning_fabric import Fabric
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.multiprocessing.spawn import ProcessRaisedException

from fewmasks import errors
from fewmasks.config import LearnConfig
from fewmasks.errors import ConfigError, GeometryError, ProjectError
from fewmasks.io.cache import PixelCache
from fewmasks.learn.data import (
    Frames,
    Labelled,
    frame_shape,
    item_shape,
    load_labelled,
    measure_intensity,
)
from fewmasks.learn.model import Card, Model, build, resolve_device, seeded
from fewmasks.learn.precision import settled_precision
from fewmasks.learn.starts import load_start
from fewmasks.learn.weak.material import Material, gather_material
from fewmasks.learn.weak.step import Learning, others, weak_loss
from fewmasks.nn.augment import augment
from fewmasks.nn.losses import partial_loss
from fewmasks.nn.segmenter import STRIDES
from fewmasks.nn.two_decoders import TwoDecoders
from fewmasks.project import Project
from fewmasks.types import UNKNOWN, Item, Label

Report = Callable[[int, int], None]
"""Called with (steps done, steps in all)."""

State = dict[str, Tensor]
WARM_UP = 0.05
FIRST_SNAPSHOT = 0.6
"""Snapshots are taken evenly from this share of the training to its end."""


def planned_iterations(n_labels: int, config: LearnConfig) -> int:
    """Training steps for so many labels: proportional, within a floor and a ceiling."""
    if config.iterations is not None:
        return config.iterations
    wanted = round(config.iterations_per_label * n_labels)
    return min(max(wanted, config.iterations_floor), config.iterations_ceiling)


def prepare_project(project: Project, config: LearnConfig) -> Card:
    """What all models of a project share; of the test side only the size is looked at."""
    train = project.pool.at(project.train)
    return prepare(project.cache, project.pool.items, project.classes, config, train)


def prepare(
    images: PixelCache,
    items: Sequence[Item],
    classes: Sequence[str],
    config: LearnConfig,
    measured: Sequence[Item] | None = None,
) -> Card:
    """All that the models of one pool share: frame, intensities, channels, precision.

    Intensities are those of the items to be `measured`, by default of all.
    """
    if not items:
        raise ProjectError("train: the project has no items; create it from images")
    device = resolve_device(config.device)
    if (precision := config.precision) == "auto":
        precision = settled_precision(device, images.folder)
    return Card(
        classes=tuple(classes),
        channels=images.shape(items[0].source)[3],
        frame=frame_shape(
            {item_shape(images, item) for item in items}, config.size, STRIDES[config.network]
        ),
        intensity=measure_intensity(images, measured or items, config.normalise),
        config=config,
        precision=precision,
    )


@dataclass(frozen=True)
class Course:
    """How one training runs."""

    config: LearnConfig
    iterations: int
    snapshots: tuple[int, ...]
    """Steps after which the weights are kept."""
    seed: int


def fit(
    card: Card,
    images: PixelCache,
    items: Sequence[Item],
    labels: Iterable[Label],
    seed: int,
    start: Path | None = None,
    ensemble: bool = True,
    report: Report | None = None,
) -> Model:
    """Train on these items and their labels (in the same order), from scratch or from `start`.

    Items after those of the labels are unlabelled, and looked at only where settings ask for
    guesses about them. Equal arguments on the same kind of CPU and number of threads give equal
    weights. Without `ensemble` only the network that predicts is trained.
    """
    config = card.config
    device = resolve_device(config.device)
    frames = Frames(images, items, card.frame, config.size, card.intensity)
    _refuse_small_batch(card)
    labelled = load_labelled(frames, labels)
    _refuse_unlearnable(labelled, card.classes)
    unlabelled = replace(frames, items=items[len(labelled) :])
    material = gather_material(labelled, unlabelled, card.classes, config, seed)
    iterations = planned_iterations(len(labelled), config)
    members = config.members if ensemble else 1
    snapshots: tuple[int, ...] = (iterations,)
    if config.ensemble == "snapshots" and members > 1:
        marks = np.linspace(FIRST_SNAPSHOT, 1.0, members) * iterations
        snapshots = tuple(int(mark) for mark in marks.round())
    course = Course(config, iterations, snapshots, seed)
    states = _run(card, material, course, start, report)
    extra: list[State] = []
    if config.ensemble == "bootstrap" and members > 1:
        for m in range(1, members + 1):
            drawn = replace(material, labelled=_resample(material.labelled, seed, m))
            extra += _run(card, drawn, replace(course, seed=seed + m), start, report)[-1:]
    network = build(card)
    network.load_state_dict(states[-1])
    kept = extra if config.ensemble == "bootstrap" else states
    card = replace(
        card,
        n_labels=len(labelled),
        iterations=iterations,
        seed=seed,
        guessed=dict(material.used),
    )
    return Model(card, network.to(device).eval(), tuple(kept) if len(kept) > 1 else (), device)


def _refuse_small_batch(card: Card) -> None:
    """Batch norm needs two values of a channel to have a spread, even in the deepest map."""
    config, stride = card.config, STRIDES[card.config.network]
    deepest = math.prod(card.frame) // stride**2
    if config.batch // config.devices * deepest < 2:
        raise ConfigError(
            f"learn.batch: {config.batch} is too small for frames of {card.frame[0]} x "
            f"{card.frame[1]} pixels on {config.devices} devices; set learn.batch="
            f"{config.devices * max(1, math.ceil(2 / deepest))}"
        )


def _refuse_unlearnable(labelled: Labelled, classes: Sequence[str]) -> None:
    known = labelled.masks != UNKNOWN
    if not known.any():
        raise ProjectError("train: no pixel is labelled; label an item first")
    strangers = (known & (labelled.masks >= len(classes))).flatten(1).any(dim=1)
    if strangers.any():
        item = labelled.frames.items[int(strangers.int().argmax())]
        raise GeometryError(
            f"{item.id}: its label has a class beyond the {len(classes)} of the project; "
            f"correct the label, or add the class"
        )


def _resample(labelled: Labelled, seed: int, member: int) -> Labelled:
    """A bootstrap: as many items, drawn with replacement (Yang et al. 2017)."""
    n = len(labelled)
    drawn = np.random.default_rng([seed, member]).integers(0, n, n)
    frames = replace(labelled.frames, items=[labelled.frames.items[i] for i in drawn])
    rows = torch.from_numpy(drawn)
    pixels, guesses = labelled.preloaded, labelled.guesses
    return Labelled(
        frames,
        labelled.masks[rows],
        None if pixels is None else pixels[rows],
        tuple(labelled.kinds[i] for i in drawn),
        None if guesses is None else guesses[rows],
    )


def _run(
    card: Card, material: Material, course: Course, start: Path | None, report: Report | None
) -> list[State]:
    """One training in the process, or in `devices` of them."""
    device = resolve_device(course.config.device)
    devices = course.config.devices
    # It tells every training at which precision it runs; the model's card says so too.
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    fabric = Fabric(
        accelerator=device.type,
        devices=devices if device.index is None or devices > 1 else [device.index],
        strategy="ddp_spawn" if devices > 1 else "auto",
        precision="bf16-mixed" if card.precision == "bf16" else "32-true",
    )
    network = build(card, course.seed)
    if start is not None:
        load_start(network, start)
    if course.config.recipe == "dmpls":
        network = TwoDecoders(network, like=build(card, course.seed + 1))
    if devices == 1:
        return fabric.launch(_optimise, network, material, course, report)
    with tempfile.TemporaryDirectory() as folder:
        # Of these only the network is an argument: Fabric copies arguments for each process.
        steps = partial(_optimise_apart, material=material, course=course, folder=Path(folder))
        with sentences_of_processes():
            fabric.launch(steps, network)
        states = [load_file(path) for path in sorted(Path(folder).iterdir())]
    if report is not None:
        report(course.iterations, course.iterations)
    return states


def _optimise_apart(
    fabric: Fabric, network: nn.Module, material: Material, course: Course, folder: Path
) -> None:
    """The training loop in one of several processes; what it returned would vanish with it.

    Nor can a report reach the process that shows progress: that one hears of the end.
    """
    states = _optimise(fabric, network, material, course, None)
    if fabric.global_rank == 0:
        for number, state in enumerate(states):
            tensors = {name: tensor.contiguous() for name, tensor in state.items()}
            save_file(tensors, folder / f"{number:04d}.safetensors")
    leave_group()


@contextmanager
def sentences_of_processes() -> Iterator[None]:
    """What a user can fix is one of our errors here, too, when another process raised it.

    torch hands over its traceback as text, in whose last line the sentence stands.
    """
    try:
        yield
    except ProcessRaisedException as error:
        found = re.search(r"^fewmasks\.errors\.(\w+): (.+)$", str(error), re.MULTILINE)
        if found is None:
            raise
        kind: type[errors.FewmasksError] = getattr(errors, found[1])
        raise kind(found[2]) from None


def leave_group() -> None:
    """End what ties one of several processes to the others, whose part is done too.

    Threads of gloo that still hold tensors when Python ends abort the process, now and then
    (pytorch/pytorch#179291).
    """
    torch.distributed.destroy_process_group()


def _optimise(
    fabric: Fabric, network: nn.Module, material: Material, course: Course, report: Report | None
) -> list[State]:
    """The training loop; returns the weights at every snapshot, on the CPU.

    Of several processes each takes its share of every batch. Batch statistics and losses are
    those of a share, so the weights are close to those of one process, not equal.
    """
    config = course.config
    optimiser = torch.optim.AdamW(
        network.parameters(),
        lr=config.learning_rate,
        weight_decay=config.weight_decay,
        fused=True,  # one pass over each tensor, and a third of the time, on CPUs too
    )
    wrapped, optimiser = fabric.setup(network, optimiser)
    wrapped.train()
    material = material.to(fabric.device)
    order = batches(material.labelled.masks, config, torch.Generator().manual_seed(course.seed))
    share = slice(fabric.global_rank, None, fabric.world_size)
    learning = Learning(
        fabric, wrapped, network, config, _generator(course.seed, fabric.global_rank)
    )
    joining = others(material, config, torch.Generator().manual_seed(course.seed))
    is_plain = material.is_plain and not isinstance(network, TwoDecoders)
    predictor = network.main if isinstance(network, TwoDecoders) else network
    states = []
    with seeded(fabric.device, course.seed), repeatable(fabric.device):
        for step in range(course.iterations):
            optimiser.param_groups[0]["lr"] = config.learning_rate * pace(step, course.iterations)
            positions = next(order)[share]
            power = rarity(step, course.iterations)
            if is_plain:
                loss = _loss(learning, material.labelled, positions, power)
            else:
                guessed, unlabelled = (part[share] for part in next(joining))
                loss = weak_loss(learning, material, positions, guessed, unlabelled, power)
            optimiser.zero_grad()
            fabric.backward(loss)
            optimiser.step()
            if step + 1 in course.snapshots:
                states.append(_copy(predictor.state_dict()))
            if report is not None:
                report(step + 1, course.iterations)
    return states


def _loss(
    learning: Learning, labelled: Labelled, positions: Sequence[int], rarity: float
) -> Float[Tensor, ""]:
    """The loss of labels alone."""
    pixels, masks = (tensor.to(learning.fabric.device) for tensor in labelled.batch(positions))
    pixels, masks = augment(pixels, masks, learning.config, learning.generator)
    logits = learning.wrapped(pixels.contiguous(memory_format=torch.channels_last))
    return partial_loss(logits, masks.long(), rarity=rarity)


def _generator(seed: int, rank: int) -> torch.Generator:
    """Random numbers of one process for augmentation."""
    word = np.random.SeedSequence([seed, rank]).generate_state(1)
    return torch.Generator().manual_seed(int(word[0]))


@contextmanager
def repeatable(device: torch.device) -> Iterator[None]:
    """On a GPU, only kernels that give the same result every time."""
    if device.type != "cuda":
        yield
        return
    before = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
    try:
        yield
    finally:
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = before


def pace(step: int, iterations: int) -> float:
    """Share of the learning rate at a step: a linear start, then half a cosine down to zero."""
    warm = max(1.0, WARM_UP * iterations)
    return min(1.0, (step + 1) / warm) * 0.5 * (1 + math.cos(math.pi * step / iterations))


def rarity(step: int, iterations: int) -> float:
    """How much more rare classes weigh in a step: at first by the root of their size, last not.

    A class that is never predicted has no gradient of Dice, so it must be found early; weights to
    the end would predict too much of it (docs/decisions/0015).
    """
    return 0.5 * (1 - step / iterations)


def batches(
    masks: UInt8[Tensor, "n y x"], config: LearnConfig, generator: torch.Generator
) -> Iterator[list[int]]:
    """Positions of labelled items, batch by batch, for ever.

    Most come once per epoch; a share, `learn.balance`, is drawn among the items that hold a class
    drawn at random, as nnU-Net oversamples foreground (Isensee et al. 2021): a class in one mask
    of thirty is otherwise forgotten.
    """
    numbers = [number for number in torch.unique(masks).tolist() if number != UNKNOWN]
    holders = [(masks == number).flatten(1).any(dim=1).nonzero()[:, 0] for number in numbers]
    order = _endless_order(len(masks), generator)
    balanced = round(config.balance * config.batch)

    def draw(n: int) -> int:
        return int(torch.randint(n, (), generator=generator))

    while True:
        chosen = [holders[draw(len(holders))] for _ in range(balanced)]
        rare = [int(rows[draw(len(rows))]) for rows in chosen]
        yield [next(order) for _ in range(config.batch - balanced)] + rare


def _endless_order(n: int, generator: torch.Generator) -> Iterator[int]:
    """Positions of labelled items, each once per epoch, for ever."""
    while True:
        yield from torch.randperm(n, generator=generator).tolist()


def _copy(state: Mapping[str, Tensor]) -> State:
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in state.items()}
