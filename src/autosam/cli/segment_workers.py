"""`autosam segment`: in which processes the images are segmented, and with which model."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autosam.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from autosam.pipeline.batch_workers import ModelChoice
    from autosam.pipeline.outputs import AnySource, BatchOptions, ImageOutcome


@dataclass(frozen=True)
class Chosen:
    """The model and the settings of a run, as they were given."""

    model: str
    config: str | None
    overrides: "Sequence[str]"


@dataclass(frozen=True)
class Place:
    """Where images are segmented.

    Attributes
    ----------
    devices : tuple of str
        That of each process for whole images; one where they are segmented in this process.
    workers : int
        Processes for the parts of large images.
    scheduler : str or None
        Address of a dask scheduler, for both.
    """

    devices: tuple[str, ...]
    workers: int = 1
    scheduler: str | None = None


def choose_place(
    device: str, workers: int | None, devices: str | None, scheduler: str | None, images: int
) -> Place:
    """Choose where so many images are segmented; errors as of `choose_processes`, or for two places."""
    if scheduler is not None:
        other = "--workers" if workers is not None else "--devices" if devices is not None else None
        if other is not None:
            raise ConfigError(f"--scheduler and {other} exclude each other; the workers of dask are its own")
        return Place((device,), scheduler=scheduler)
    processes = choose_processes(device, workers, devices, images) or [device]
    return Place(tuple(processes), workers or len(processes))


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
    place: Place,
    given: dict[str, Any],
    refused: "Sequence[str]",
) -> "Callable[..., Generator[ImageOutcome, None, None]]":
    """Load the model here for one device, or see that there is room for the processes that load it themselves.

    Images of more than ``tiles.in_memory`` pixels come last, and are segmented by parts; `refused` names the
    options that cannot hold for them.
    """
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
    from autosam.pipeline.batch_workers import ModelChoice

    choice = ModelChoice(model, config, tuple(overrides))
    whole = [source for source in sources if _pixels(source) <= resolved.tiles.in_memory]
    large = [source for source in sources if _pixels(source) > resolved.tiles.in_memory]
    if resolved.decode.compile:
        _tell_compiling(place.devices[0])
    parts = []
    if whole:
        parts.append(_whole_images(whole, out, options, choice, place, sha256, given))
    if large:
        from autosam.volumes.large_images import segment_large_images
        from autosam.volumes.segment_volume import VolumeOptions

        how = VolumeOptions(place.devices[0], workers=place.workers, scheduler=place.scheduler)
        call = partial(segment_large_images, large, choice, out, options, how, model_sha256=sha256)
        parts.append(partial(call, refused=refused, given=given))
    return partial(_one_after_another, parts)


def _one_after_another(
    parts: "Sequence[Callable[..., Generator[ImageOutcome, None, None]]]", *, watch: Any
) -> "Generator[ImageOutcome, None, None]":
    for begin in parts:
        yield from begin(watch=watch)


def _pixels(source: "AnySource") -> int:
    """Give the number of an image's pixels; 0 where listing did not tell it."""
    rows, columns = source.sources[0].shape or (0, 0)
    return rows * columns


def _whole_images(
    sources: "Sequence[AnySource]",
    out: Path,
    options: "BatchOptions",
    choice: "ModelChoice",
    place: Place,
    sha256: str,
    given: dict[str, Any],
) -> "Callable[..., Generator[ImageOutcome, None, None]]":
    from autosam.pipeline.batch import segment_batch
    from autosam.pipeline.batch_workers import check_room, segment_with_workers

    if place.scheduler is not None:
        from autosam.pipeline.cluster_images import segment_on_cluster
        from autosam.pipeline.dask_cluster import DaskCluster

        # The folder of results is made when the work begins.
        there = next(folder for folder in (out, *out.parents) if folder.is_dir())
        cluster = DaskCluster(place.scheduler, there)
        on_cluster = partial(segment_on_cluster, sources, choice, out, options, cluster=cluster)
        return partial(on_cluster, device=place.devices[0], model_sha256=sha256, **given)
    if len(place.devices) == 1:
        segmenter = choice.load(place.devices[0])
        return partial(segment_batch, sources, segmenter, out, options, model_sha256=sha256, **given)
    check_room(place.devices)
    call = partial(segment_with_workers, sources, choice, out, options, devices=place.devices)
    return partial(call, model_sha256=sha256, **given)


def _tell_compiling(device: str) -> None:
    """Say why the first image is long in coming, where there is a compiler; all devices are of one kind."""
    from autosam.cli.console import news
    from autosam.models.compiling import check_compiler
    from autosam.models.precision import choose_device

    check_compiler(choose_device(device).type if device == "auto" else device.partition(":")[0])
    news("compiling the networks before the first image: minutes the first time, less when repeated")
