"""The way of a volume: from a stack on disk to instances in 3D."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from autosam import __version__
from autosam.errors import ConfigError, OutputError
from autosam.images.write import ensure_folder, write_json, write_png
from autosam.pipeline.batch_workers import ModelChoice
from autosam.pipeline.claims import Claims
from autosam.pipeline.dask_cluster import DaskCluster
from autosam.volumes.executors import InProcess, Processes, TaskExecutor
from autosam.volumes.job import VolumeJob, short_hash
from autosam.volumes.label_output import LabelOutput, check_suffix, open_output, refuse_full_disk
from autosam.volumes.labelings import Labeling, find_labeling
from autosam.volumes.measure_pass import measure_volume, write_slices_table
from autosam.volumes.object_table import write_object_table
from autosam.volumes.ome_zarr_output import OmeVersion
from autosam.volumes.partition import require_package
from autosam.volumes.passes import PassResults, Watch, label_type, write_levels
from autosam.volumes.prepare import prepare_job
from autosam.volumes.sheet import draw_sheet
from autosam.volumes.source_arrays import spool
from autosam.volumes.volume_files import TableFormat, VolumeFiles, VolumeResult, read_record
from autosam.volumes.volume_grid import TaskPlan, VolumeGrid
from autosam.volumes.volume_source import VolumeSource


@dataclass(frozen=True)
class VolumeOptions:
    """How a volume is done; see `segment_volume`."""

    device: str = "auto"
    diameter: float | None = None
    workers: int = 1
    scheduler: str | None = None
    ome_version: OmeVersion = "0.5"
    overwrite: bool = False
    table: TableFormat = "csv"


def segment_source(
    source: VolumeSource,
    out: Path,
    model: ModelChoice,
    options: VolumeOptions,
    *,
    model_sha256: str,
    watch: Watch | None = None,
) -> VolumeResult:
    """Segment a volume, or go on where an earlier run was interrupted.

    Parameters
    ----------
    model_sha256 : str
        Hash of the model file.
    watch : callable, optional
        Is told after each task what was found so far.

    Raises
    ------
    ConfigError
        If another run writes this output now, or of the executors.
    InputError, ModelError, OutputError
        As of the passes.
    """
    check_suffix(out)
    require_package(model.settings.volume.partition)
    if options.workers > 1 and options.scheduler is not None:
        raise ConfigError("workers and a scheduler exclude each other; the workers of dask are its own")
    # Workers of dask can have another current folder.
    out = out if options.scheduler is None else out.absolute()
    ensure_folder(out.parent)
    files = VolumeFiles(out, options.table)
    tell = watch or (lambda _: None)
    # Absolute: the workers of a cluster can have another working folder.
    folder = files.tasks.absolute()
    volume = model.settings.volume
    grid = VolumeGrid(source.shape, volume.window, volume.overlap)
    tasks = len(TaskPlan(grid, volume.slab, volume.tile))
    with _alone(files), executor_of(options, folder, tasks=tasks) as executor:
        started, begin = datetime.now(UTC).isoformat(timespec="seconds"), time.monotonic()
        source = source if isinstance(executor, InProcess) else spool(source, folder)
        job = prepare_job(
            source,
            model,
            model_sha256=model_sha256,
            device=options.device,
            folder=folder,
            diameter=options.diameter,
        )
        known = _finished(files, _identity(job, options))
        if known is not None and not options.overwrite:
            return VolumeResult(files, known, finished_before=True)
        if not options.overwrite:
            _refuse_others(files, _identity(job, options))
        refuse_full_disk(out, files.tasks, source.shape)
        labeling = find_labeling(job, executor, tell)
        output = _write_output(files, job, options, executor, labeling, tell)
        record = {
            "autosam": __version__,
            "kind": "volume",
            "labels": out.name,
            "identity": _identity(job, options),
            "model": str(model.model),
            "model_sha256": model_sha256,
            "settings": job.settings.model_dump(mode="json"),
            "options": _told(options),
            "started": started,
            "seconds": round(time.monotonic() - begin, 1),
            **_about(source, job, labeling.results),
        }
        write_json(files.record, record)
        output.close()
    return VolumeResult(files, record)


def _write_output(
    files: VolumeFiles,
    job: VolumeJob,
    options: VolumeOptions,
    executor: TaskExecutor,
    labeling: Labeling,
    watch: Watch,
) -> LabelOutput:
    """Write labels, tables and sheet, as far as they are not written; the labels get their name last."""
    output = open_output(
        files.labels,
        shape=job.source.shape,
        dtype=label_type(labeling.results.instances),
        voxel_size=job.source.voxel_size,
        identity=_identity(job, options),
        ome_version=options.ome_version,
        origin=job.source.origin,
        overwrite=options.overwrite,
        work=files.unfinished.absolute(),
    )
    if not output.is_finished:
        write_levels(output.store, labeling.write, executor, labeling.results, watch)
        # That of an earlier run would be taken for one of these files, if this run were killed before its own.
        files.record.unlink(missing_ok=True)
        _write_tables(files, job, output, executor, labeling, watch)
        output.finish()
    return output


def _write_tables(
    files: VolumeFiles,
    job: VolumeJob,
    output: LabelOutput,
    executor: TaskExecutor,
    labeling: Labeling,
    watch: Watch,
) -> None:
    results = labeling.results

    def tell(doing: str, done: int, total: int) -> None:
        results.step, results.done, results.total = doing, done, total
        watch(results)

    table = measure_volume(output.store, labeling.scores(), executor, voxel_size=job.source.voxel_size, tell=tell)
    write_object_table(files.table, table)
    if job.settings.volume.directions == 1:
        write_slices_table(files.slices, job)
    else:
        files.slices.unlink(missing_ok=True)
    title = f"{Path(job.source.name).name}: {results.instances:,} instances"
    write_png(files.sheet, draw_sheet(output.store, job.source, title=title))


def _identity(job: VolumeJob, options: VolumeOptions) -> str:
    """Hash what the output depends on: the labels, and what is said about them."""
    source = job.source
    return short_hash([job.keys["unite"], source.voxel_size, source.origin, options.ome_version, options.table])


def _told(options: VolumeOptions) -> dict[str, Any]:
    told = asdict(options)
    del told["overwrite"]
    return told


def _about(source: VolumeSource, job: VolumeJob, results: PassResults) -> dict[str, Any]:
    unlike, known = results.unlike
    return {
        "source": source.name,
        "fingerprint": source.fingerprint,
        "shape": list(source.shape),
        "origin": list(source.origin),
        "voxel_size_nm": None if source.voxel_size is None else list(source.voxel_size),
        "contrast": asdict(job.contrast),
        "zoom": job.zoom,
        "tiles": len(job.grid.tiles),
        "tasks": len(job.plan),
        "objects": results.objects,
        "filled": results.filled,
        "instances": results.instances,
        "unlike_tiles": unlike,
        "known_tiles": known,
        "holes": results.holes,
        "notes": list(source.notes),
    }


@contextmanager
def _alone(files: VolumeFiles) -> Iterator[None]:
    """Let no second run write into one output."""
    ensure_folder(files.tasks)
    with Claims(files.tasks) as claims:
        holder, _ = claims.take("the volume")
        if holder is not None:
            raise ConfigError(
                f"{files.labels} is being written by {holder}; wait for it, or choose another name with --output"
            )
        yield


def executor_of(options: VolumeOptions, folder: Path, *, tasks: int | None = None) -> TaskExecutor:
    """Give what runs the tasks.

    Parameters
    ----------
    folder : Path
        That of their files.
    tasks : int, optional
        How many a pass has: more processes would have nothing to do.
    """
    if options.scheduler is not None:
        return DaskCluster(options.scheduler, folder)
    workers = options.workers if tasks is None else min(options.workers, tasks)
    return Processes(workers) if workers > 1 else InProcess()


def _finished(files: VolumeFiles, identity: str) -> dict[str, Any] | None:
    """Give the record of an earlier run that has done the same, if its labels are there."""
    record = read_record(files.record)
    same = record is not None and record.get("identity") == identity
    return record if same and files.labels.exists() else None


def _refuse_others(files: VolumeFiles, identity: str) -> None:
    """Refuse to replace what this run would not continue, before hours of work."""
    record = read_record(files.record)
    if record is not None and record.get("identity") != identity:
        # Labels of one stem share the other files, as those of m.zarr and m.tif do.
        labels = files.labels.with_name(str(record.get("labels", files.labels.name)))
        if labels.exists():
            raise OutputError(
                f"{labels} holds the results of another volume, model or settings; choose another name with "
                "--output, or add --overwrite"
            )
    # A run that was killed when the labels had their name has no record yet.
    if files.labels.exists() and not files.unfinished.exists():
        raise OutputError(
            f"{files.labels} exists, and is not what this command would continue; choose another name with "
            "--output, or replace it with --overwrite."
        )
