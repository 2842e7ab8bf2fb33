"""The precision in which networks run on this machine: tried once, and kept."""

import json
import platform
import time
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from fewmasks.io.atomic import write_text

Chosen = Literal["fp32", "bf16"]
LEAST_TRIALS = 12
LEAST_GAIN = 1.0
"""Processors that know bf16 gain 1.4 times and more on the trial; the others lose half."""


def settled_precision(device: torch.device, folder: Path) -> Chosen:
    """The precision that a trial chose on this kind of machine, the first time it was asked for.

    It is kept in `folder`: models of one project have to agree, and a trial is a measurement.
    """
    if device.type == "cuda":
        return choose_precision(device)
    machine = f"{_processor()}, {platform.system()}, torch {torch.__version__}"
    path = folder / "precision.json"
    settled: dict[str, Chosen] = (
        json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    )
    if machine not in settled:
        settled[machine] = choose_precision(device)
        write_text(path, json.dumps(settled, indent=1))
    return settled[machine]


def _processor() -> str:
    """The processor's name; Linux tells it in a file alone."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def choose_precision(device: torch.device, budget_seconds: float = 0.05) -> Chosen:
    """bf16 where a short trial says that it is faster here, else fp32."""
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    # A layer like those in the middle of the networks, of about a millisecond: most trials of it
    # then run undisturbed even where other processes want the core.
    kernel = torch.full((64, 64, 3, 3), 0.01).to(memory_format=torch.channels_last)
    pixels = torch.ones(1, 64, 32, 32).to(memory_format=torch.channels_last)
    kernel.requires_grad_()
    pixels.requires_grad_()

    def seconds(dtype: torch.dtype) -> float:
        start = time.thread_time()
        with torch.autocast("cpu", dtype=dtype, enabled=dtype is torch.bfloat16):
            output = nn.functional.conv2d(pixels, kernel, padding=1)
            torch.autograd.grad(output.sum(), (pixels, kernel))
        return time.thread_time() - start

    # In turns, the fastest of each, and by the time this thread was given: a busy machine must
    # not decide. The first two calls prepare the kernels and do not count.
    dtypes = (torch.bfloat16, torch.float32)
    for dtype in dtypes:
        seconds(dtype)
    taken = [[seconds(dtype) for dtype in dtypes]]
    while len(taken) < LEAST_TRIALS or sum(map(sum, taken)) < budget_seconds:
        taken.append([seconds(dtype) for dtype in dtypes])
    bf16, fp32 = map(min, zip(*taken, strict=True))
    return "bf16" if fp32 / bf16 > LEAST_GAIN else "fp32"
