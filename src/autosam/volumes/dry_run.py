"""What a run over a volume would take, from one of its tiles."""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from autosam.pipeline.batch_workers import ModelChoice
from autosam.volumes.directions import TURNS, check_directions
from autosam.volumes.job import VolumeJob
from autosam.volumes.label_output import expected_bytes
from autosam.volumes.peak_memory import peak_gb
from autosam.volumes.prepare import prepare_job
from autosam.volumes.segment_pass import loaded_model, segment_tile
from autosam.volumes.segment_volume import VolumeOptions
from autosam.volumes.volume_grid import TaskPlan
from autosam.volumes.volume_source import VolumeSource


@dataclass(frozen=True)
class DryRun:
    """What a run would take.

    Attributes
    ----------
    slices, tiles : int
        Slices of the volume, and tiles of each.
    tasks : int
        Of one pass, in all directions.
    seconds_per_tile : float
        Measured in the middle of the volume.
    hours : float
        Of all tiles in all directions, by as many workers as were asked for; workers that share cores take longer.
    worker_gb : float or None
        Highest memory of this process in GB (10^9 bytes), which did what a worker does; None where the system does
        not tell.
    output_gb : float
        Expected size of the labels.
    zoom : float
    """

    slices: int
    tiles: int
    tasks: int
    seconds_per_tile: float
    hours: float
    worker_gb: float | None
    output_gb: float
    zoom: float


def try_one_tile(source: VolumeSource, model: ModelChoice, options: VolumeOptions, *, model_sha256: str) -> DryRun:
    """Prepare a volume, and segment the tile in its middle; nothing is written.

    Raises
    ------
    AutosamError
        As of `segment_source`.
    """
    with TemporaryDirectory() as folder:
        job = prepare_job(
            source,
            model,
            model_sha256=model_sha256,
            device=options.device,
            folder=Path(folder),
            diameter=options.diameter,
        )
    plans = _plans(job)
    loaded_model(model, options.device)
    down, right = job.grid.counts
    tile = job.grid.tiles[down // 2 * right + right // 2]
    began = time.perf_counter()
    segment_tile(job, source.shape[0] // 2, tile)
    took = time.perf_counter() - began
    tiles = sum(plan.grid.shape[0] * len(plan.grid.tiles) for plan in plans)
    return DryRun(
        slices=source.shape[0],
        tiles=len(job.grid.tiles),
        tasks=sum(len(plan) for plan in plans),
        seconds_per_tile=took,
        hours=took * tiles / max(options.workers, 1) / 3600,
        worker_gb=peak_gb(),
        output_gb=expected_bytes(source.shape) / 1e9,
        zoom=job.zoom,
    )


def _plans(job: VolumeJob) -> list[TaskPlan]:
    """Give the tasks of each direction in which the volume is to be seen."""
    if job.settings.volume.directions == 1:
        return [job.plan]
    check_directions(job)
    sides = [dict(zip(turn, job.source.shape, strict=True)) for turn in TURNS]
    grids = [replace(job.grid, shape=(side["z"], side["y"], side["x"])) for side in sides]
    return [replace(job.plan, grid=grid) for grid in grids]
