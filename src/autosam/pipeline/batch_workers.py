"""A batch of images in several processes: on shares of the cores, or on several GPUs."""

import os
from collections.abc import Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import torch

from autosam.config import Config
from autosam.errors import ConfigError
from autosam.pipeline.batch import Made, run_batch
from autosam.pipeline.bookkeeping import Watch
from autosam.pipeline.image_steps import ImageSteps
from autosam.pipeline.inside import InsideSource
from autosam.pipeline.model_settings import settings_of_model
from autosam.pipeline.one_image import TruthSource
from autosam.pipeline.outputs import PLAIN, AnySource, BatchOptions, ImageOutcome
from autosam.pipeline.run_options import recorded_options
from autosam.pipeline.segmenter import Segmenter
from autosam.pipeline.workers import Workers
from autosam.prompts.user_prompts import PromptTables

WORKER_GB = 1.2
"""Memory of a process in GB (10^9 bytes), measured with the bundled models on images of 1024 × 1024 pixels."""


@dataclass(frozen=True)
class ModelChoice:
    """A model with settings, to be loaded in another process; see `Segmenter.from_model`."""

    model: str | Path
    config: str | Path | None = None
    overrides: tuple[str, ...] = ()

    @cached_property
    def settings(self) -> Config:
        """The resolved settings, from the header of the model file.

        Raises
        ------
        ModelError, ConfigError
            As of `Segmenter.from_model`.
        """
        return settings_of_model(str(self.model), config=self.config, overrides=self.overrides)

    def load(self, device: str) -> Segmenter:
        """Load the networks."""
        return Segmenter.from_model(self.model, config=self.config, overrides=self.overrides, device=device)


def segment_with_workers(
    sources: Sequence[AnySource],
    model: ModelChoice,
    out: Path,
    options: BatchOptions = PLAIN,
    *,
    devices: Sequence[str],
    prompts: PromptTables | None = None,
    truths: TruthSource | None = None,
    inside: InsideSource | None = None,
    model_sha256: str = "",
    watch: Watch | None = None,
) -> Generator[ImageOutcome, None, None]:
    """Segment images in several processes, with the results, the record and the order of `segment_batch`.

    A process that dies loses the image that it had in work, and another takes its place. The files are those of
    one process with as many threads as each of these has (`threads_each`).

    Parameters
    ----------
    devices : sequence of str
        That of each process: ``["cpu"] * 4``, or ``["cuda:0", "cuda:1"]``.
    sources, out, options, prompts, truths, inside, model_sha256, watch
        As of `segment_batch`. Prompts, truths and areas are sent to the processes, so that what reads them must
        be a function of a module or the like, as that of `open_prompt_tables`.

    Yields
    ------
    ImageOutcome
        As `segment_batch` does.

    Raises
    ------
    AutosamError
        As of `segment_batch` and `Segmenter.from_model`.
    WorkersLostError
        If the processes end before they are ready.
    """
    made = Made(model.settings, str(model.model), model_sha256, recorded_options(options, prompts, truths, inside))
    setups = [partial(_steps, model, device, out, options, prompts, truths, inside) for device in devices]
    workers = Workers(setups, threads=threads_each(len(devices)))
    yield from run_batch(sources, out, options, made, workers, watch or (lambda *_: None))


def threads_each(workers: int) -> int:
    """Give the threads of each of several processes: its share of the cores, or fewer by ``OMP_NUM_THREADS``."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    share = max(1, cores // workers)
    return min(share, int(wanted)) if wanted.isdecimal() and int(wanted) else share


def check_room(devices: Sequence[str]) -> None:
    """Refuse processes that this machine has no GPU or no memory for; memory that is not known refuses nothing.

    Raises
    ------
    ConfigError
        With the number that there is room for.
    """
    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    numbers = {device: device.removeprefix("cuda:") for device in devices if device.startswith("cuda:")}
    gone = [device for device, number in numbers.items() if number.isdecimal() and int(number) >= there]
    if gone:
        has = f"the GPUs 0 to {there - 1}" if there > 1 else "the GPU 0 alone" if there else "no NVIDIA GPU"
        raise ConfigError(f"there is no {', '.join(gone)}: this machine has {has}, as far as torch can use it")
    free = free_gb()
    if free is not None and len(devices) * WORKER_GB > free:
        raise ConfigError(
            f"{len(devices)} processes need about {len(devices) * WORKER_GB:.1f} GB of memory, {WORKER_GB} GB "
            f"each, and {free:.1f} GB are free; use --workers {max(1, int(free / WORKER_GB))}"
        )


def free_gb() -> float | None:
    """Give the memory that new processes can have in GB (10^9 bytes); None where the system does not tell."""
    with suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024 / 1e9
    with suppress(OSError, ValueError, AttributeError):
        pages = os.sysconf("SC_AVPHYS_PAGES")
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e9 if pages > 0 else None
    return None


def _steps(
    model: ModelChoice,
    device: str,
    out: Path,
    options: BatchOptions,
    prompts: PromptTables | None,
    truths: TruthSource | None,
    inside: InsideSource | None,
) -> ImageSteps:
    """Load the model in a worker."""
    return ImageSteps(model.load(device), out, options, prompts, truths, inside)
