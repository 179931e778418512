"""`autosam segment`: in which processes the images are segmented, and with which model."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autosam.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from autosam.pipeline.outputs import AnySource, BatchOptions, ImageOutcome


@dataclass(frozen=True)
class Chosen:
    """The model and the settings of a run, as they were given."""

    model: str
    config: str | None
    overrides: "Sequence[str]"


def choose_processes(device: str, workers: int | None, devices: str | None, images: int) -> list[str]:
    """Give the device of each process; none where the images are segmented in this one.

    Raises
    ------
    ConfigError
        If the options exclude each other, or GPUs are no numbers.
    """
    if devices is None:
        # More than there are images would have nothing to do.
        number = min(workers or 1, images)
        return [device] * number if number > 1 else []
    if workers is not None or device != "auto":
        other = "--workers" if workers is not None else "--device"
        raise ConfigError(
            f"--devices and {other} exclude each other; --devices alone starts a process for each GPU"
        )
    numbers = [part.strip() for part in devices.split(",")]
    if not all(part.isdecimal() for part in numbers) or len({int(part) for part in numbers}) < len(numbers):
        raise ConfigError(
            f"--devices {devices} is no list of GPUs; wanted their numbers, each once, as --devices 0,1"
        )
    return [f"cuda:{int(part)}" for part in numbers]


def open_batch(
    sources: "Sequence[AnySource]",
    out: Path,
    options: "BatchOptions",
    chosen: Chosen,
    *,
    devices: "Sequence[str]",
    given: dict[str, Any],
) -> "Callable[..., Generator[ImageOutcome, None, None]]":
    """Load the model here for one device, or see that there is room for the processes that load it themselves."""
    from autosam.cli.settings import tell_settings
    from autosam.models.files.file_hash import file_sha256
    from autosam.models.files.zoo import resolve_model
    from autosam.pipeline.model_settings import settings_of_model
    from autosam.pipeline.run_options import refuse_other_results

    model, config, overrides = chosen.model, chosen.config, chosen.overrides
    resolved = settings_of_model(model, config=config, overrides=overrides)
    tell_settings(resolved, f"settings of {model} in this run")
    sha256 = file_sha256(resolve_model(model))
    refuse_other_results(out, resolved, options, model=model, model_sha256=sha256, **given)

    # Torch only now: whatever is wrong is answered at once.
    from autosam.pipeline.batch import segment_batch
    from autosam.pipeline.batch_workers import ModelChoice, check_room, segment_with_workers
    from autosam.pipeline.segmenter import Segmenter

    if resolved.decode.compile:
        _tell_compiling(devices[0])
    if len(devices) == 1:
        segmenter = Segmenter.from_model(model, config=config, overrides=overrides, device=devices[0])
        return partial(segment_batch, sources, segmenter, out, options, model_sha256=sha256, **given)
    check_room(devices)
    choice = ModelChoice(model, config, tuple(overrides))
    return partial(
        segment_with_workers, sources, choice, out, options, devices=devices, model_sha256=sha256, **given
    )


def _tell_compiling(device: str) -> None:
    """Say why the first image is long in coming, where there is a compiler; all devices are of one kind."""
    from autosam.cli.console import news
    from autosam.models.compiling import check_compiler
    from autosam.models.precision import choose_device

    check_compiler(choose_device(device).type if device == "auto" else device.partition(":")[0])
    news("compiling the networks before the first image: minutes the first time, less when repeated")
