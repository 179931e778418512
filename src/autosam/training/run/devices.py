"""Where a run computes: one device or several, in which precision."""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Literal

import torch
from lightning.fabric import Fabric
from lightning.fabric.strategies.ddp import DDPStrategy
from torch import nn

from autosam.errors import AutosamError, ConfigError
from autosam.models.precision import Precision, use_bfloat16
from autosam.training.joint import JointModel

PATIENCE = timedelta(days=1)
"""How long a process waits for the others, which the first one lets wait while it validates."""

GRACE = 5.0
"""Seconds that a process which fails leaves the first one to say so, where that fails alike."""


def make_fabric(device: torch.device, *, devices: int, precision: Precision) -> Fabric:
    """Set Fabric up.

    Parameters
    ----------
    device : torch.device
        One GPU by its number, or the kind of device.
    devices : int
        How many of them; the processes are joined by DistributedDataParallel.
    precision : {"auto", "float32", "bfloat16", "float16"}

    Raises
    ------
    ConfigError
        If the machine has fewer devices, one is named where several are asked for, or float16 is asked of a CPU.
    """
    if precision == "float16" and device.type == "cpu":
        raise ConfigError(
            "training.precision=float16 wants a GPU; on a CPU set training.precision to bfloat16, float32 or auto"
        )
    if devices > 1 and device.index is not None:
        raise ConfigError(f"--device {device} is one device and --devices {devices} are several; give one of them")
    there = torch.cuda.device_count() if device.type == "cuda" else devices
    if devices > there:
        raise ConfigError(f"--devices {devices} were asked for, this machine has {there}; give fewer")
    plugin: Literal["16-mixed", "bf16-mixed", "32-true"] = "32-true"
    if precision == "float16":
        plugin = "16-mixed"
    elif use_bfloat16(device, precision):
        plugin = "bf16-mixed"
    # A GPU is named by its number, a CPU counted.
    chosen: list[int] | int = [device.index] if device.type != "cpu" and device.index is not None else devices
    return Fabric(
        accelerator=device.type,
        devices=chosen,
        # In a batch without prompts, or without points, some of SAM's parameters have no part in the loss.
        strategy=DDPStrategy(find_unused_parameters=True, timeout=PATIENCE) if devices > 1 else "auto",
        precision=plugin,
    )


@contextmanager
def ends_together(fabric: Fabric) -> Iterator[None]:
    """Let no process wait for one that has failed; what fails in all of them, the first one alone tells.

    Parameters
    ----------
    fabric : Fabric
        Launched.
    """
    try:
        yield
    except BaseException:
        if not fabric.is_global_zero:
            time.sleep(GRACE)
        started = getattr(fabric.strategy.launcher, "procs", [])
        others = list(started)
        # Fabric watches this list, and would kill the first process before that could tell what happened.
        started.clear()
        for process in others:
            process.kill()
        for process in others:
            process.wait()
        raise


def prepare(model: JointModel, *, device: torch.device, compiled: bool) -> None:
    """Move the networks to a device, in channels-last memory, and compile their large parts where asked."""
    model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if compiled and model.generator is not None:
        model.generator.compile()
    if compiled and model.sam is not None:
        # Block by block: training runs the encoder step by step.
        for block in model.sam.image_encoder.blocks:
            block.compile()


def clip_gradients(
    fabric: Fabric, optimizer: torch.optim.Optimizer, parts: Sequence[nn.Module | None], limit: float
) -> float:
    """Clip the norm of every part's gradient.

    Parameters
    ----------
    optimizer : Optimizer
        As Fabric set it up.
    parts : sequence of Module
        None stands for one that the model does not have.

    Returns
    -------
    float
        The largest of the norms before; NaN or infinite where a gradient is.
    """
    # Under float16 the gradients are scaled up.
    fabric.strategy.precision.unscale_gradients(getattr(optimizer, "optimizer", optimizer))
    norms = [float(nn.utils.clip_grad_norm_(part.parameters(), limit)) for part in parts if part is not None]
    return float(torch.tensor(norms).max())


def peak_memory(device: torch.device) -> int:
    """Bytes that the run has needed at most, of the GPU or of this process; 0 where the system does not say."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts in kilobytes, macOS in bytes.
    return int(peak) * (1 if sys.platform == "darwin" else 1024)


@contextmanager
def reproducible(seed: int, step: int, device: torch.device) -> Iterator[None]:
    """Seed what some encoders draw from torch's global generators (dropped paths), and put these back."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed * 1_000_003 + step)
        yield


@contextmanager
def memory_advice(batch_size: int) -> Iterator[None]:
    """Say what to set when a GPU's memory does not hold a step."""
    try:
        yield
    except torch.cuda.OutOfMemoryError as error:
        smaller = (
            f"training.batch_size below {batch_size}, with training.accumulate, or " if batch_size > 1 else ""
        )
        raise AutosamError(
            f"the GPU's memory does not hold a training step; in a new run set {smaller}"
            "training.checkpoint_blocks=true, or training.prompts_per_tile to less"
        ) from error


def diverged(what: str, step: int, fabric: Fabric, *, kept: Path | None) -> AutosamError:
    """Say what can be done where a loss or gradient is no number.

    Parameters
    ----------
    what : str
        Which one, and what it is.
    fabric : Fabric
        Its precision may be the cause.
    kept : Path or None
        Folder of the run, where a checkpoint after some step is kept.

    Returns
    -------
    AutosamError
        To be raised.
    """
    lower = "a lower training.learning_rate and training.generator_learning_rate"
    rounded = fabric.strategy.precision.precision != "32-true"
    exact = "--set training.precision=float32, or"
    if kept is None:
        again = f"{exact} {lower}" if rounded else lower
        return AutosamError(f"the {what} at step {step}, before the first checkpoint; start again with {again}")
    resume = f"resume with {exact} " if rounded else ""
    return AutosamError(
        f"the {what} at step {step}; the last checkpoint is kept in {kept}: {resume}start again in another folder "
        f"with {lower}"
    )
