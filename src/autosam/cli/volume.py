"""`autosam volume`: every object of a stack, in 3D."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

from autosam.cli.console import detail, interruptible, note, say
from autosam.cli.interrupts import ending_in_order, leaving_at_once
from autosam.cli.options import (
    Channel,
    ConfigFile,
    Device,
    Model,
    OmeVersionOption,
    Settings,
    ome_version_of,
)
from autosam.cli.progress import progress
from autosam.cli.segment_inputs import length
from autosam.cli.words import count, duration

if TYPE_CHECKING:
    from autosam.cli.progress import Bar
    from autosam.pipeline.batch_workers import ModelChoice
    from autosam.volumes.dry_run import DryRun
    from autosam.volumes.passes import PassResults
    from autosam.volumes.segment_volume import VolumeOptions
    from autosam.volumes.volume_files import VolumeResult
    from autosam.volumes.volume_source import VolumeSource


def volume(
    given: str = typer.Argument(
        ...,
        metavar="VOLUME",
        help="OME-Zarr, Zarr, FILE.h5:/DATASET, a multi-page TIFF, MRC, a folder or a quoted pattern of slices. "
        "A single image is a volume of one slice.",
        show_default=False,
    ),
    out: Path = typer.Option(
        ..., "--output", "--out", "-o", metavar="FILE", help="The labels: NAME.zarr, NAME.tif or NAME.h5."
    ),
    model: Model = "mito",
    config: ConfigFile = None,
    settings: Settings = None,
    device: Device = "auto",
    voxel_size: str | None = typer.Option(
        None, metavar="Z,Y,X", help="Sides of a voxel in nm, or one number for all. [what the file says]"
    ),
    diameter: float | None = typer.Option(
        None,
        parser=length,
        metavar="PIXELS",
        help="Typical diameter of the objects in a slice: zooms slices to what the model was trained on.",
    ),
    roi: str | None = typer.Option(
        None, metavar="Z0:Z1,Y0:Y1,X0:X1", help="Take a part alone, counted from 0, without the ends."
    ),
    axes: str | None = typer.Option(
        None, metavar="zyx", help="Order of the axes of an array that does not name them. [the usual one]"
    ),
    channel: Channel = None,
    time: int | None = typer.Option(None, min=0, metavar="N", help="Take this time point, counted from 0."),
    series: int | None = typer.Option(None, min=0, metavar="N", help="Take this series, counted from 0."),
    level: int = typer.Option(0, min=0, metavar="N", help="Resolution level of pyramids; 0 is the finest."),
    workers: int = typer.Option(
        1, min=1, metavar="N", help="Share the tasks among N processes, each with a copy of the model."
    ),
    scheduler: str | None = typer.Option(
        None, metavar="ADDRESS", help="Send the tasks to a dask cluster, such as tcp://node17:8786."
    ),
    ome_version: OmeVersionOption = "0.5",
    overwrite: bool = typer.Option(False, "--overwrite", help="Replace the results of another run."),
    table: str = typer.Option("csv", "--table", metavar="csv|parquet", help="Format of the table of instances."),
    neuroglancer: bool = typer.Option(
        False, "--neuroglancer", help="Then show volume and instances in a browser, as autosam view does."
    ),
    dry_run: bool = typer.Option(
        False, "--dry-run", help="Say what the run would take, from one tile; nothing is written."
    ),
) -> None:
    """Find every object of a volume, as instances in 3D.

    For -o NAME.zarr there are also NAME_objects.csv, a row for each instance; NAME_slices.parquet; NAME_sheet.png
    to look at; NAME_run.json; and NAME_tasks, from which an interrupted run goes on when the command is repeated.
    """
    with leaving_at_once():
        from autosam.volumes.open_volume import open_volume
        from autosam.volumes.region_of_interest import parse_roi, parse_voxel_size

        version, rows = ome_version_of(ome_version), _table_format(table)
        if neuroglancer:
            from autosam.volumes.view_server import require_viewer

            # Not after hours of work.
            require_viewer()
        _check_output(out, given)
        source = open_volume(
            given,
            voxel_size=None if voxel_size is None else parse_voxel_size(voxel_size),
            axes=axes,
            channel=channel,
            time=time,
            series=series,
            level=level,
        )
        source = source if roi is None else source.cut(parse_roi(roi))
        for text in source.notes:
            note(text)

        from autosam.cli.settings import tell_settings
        from autosam.models.files.file_hash import file_sha256
        from autosam.models.files.zoo import resolve_model
        from autosam.pipeline.model_settings import settings_of_model

        overrides = settings or []
        resolved = settings_of_model(model, config=config, overrides=overrides)
        tell_settings(resolved, f"settings of {model} in this run")

        from autosam.pipeline.batch_workers import ModelChoice
        from autosam.volumes.segment_volume import VolumeOptions

        choice = ModelChoice(model, config, tuple(overrides))
        options = VolumeOptions(device, diameter, workers, scheduler, version, overwrite, rows)
        sha256 = file_sha256(resolve_model(model))
    if dry_run:
        _dry_run(source, choice, options, sha256)
        return
    _run(source, out, choice, options, sha256)
    if neuroglancer:
        from autosam.cli.view import show

        show(str(out), source)


def _dry_run(source: "VolumeSource", choice: "ModelChoice", options: "VolumeOptions", model_sha256: str) -> None:
    """Segment one tile, and tell what all would take."""
    from autosam.volumes.dry_run import try_one_tile

    _tell_dry_run(try_one_tile(source, choice, options, model_sha256=model_sha256))


def _run(
    source: "VolumeSource", out: Path, choice: "ModelChoice", options: "VolumeOptions", model_sha256: str
) -> None:
    """Segment the volume, and tell how far it is and what became of it."""
    from autosam.volumes.segment_volume import segment_source

    then = "the same command goes on where it stopped"
    with interruptible(then), ending_in_order(), progress("volume", 100, "%") as bar:
        shown = _Shown(bar)
        result = segment_source(source, out, choice, options, model_sha256=model_sha256, watch=shown.watch)
    _summarize(result)


def _table_format(text: str) -> Literal["csv", "parquet"]:
    from autosam.errors import ConfigError

    if text not in ("csv", "parquet"):
        raise ConfigError(f"--table is {text!r}; choose csv or parquet.")
    return "parquet" if text == "parquet" else "csv"


def _check_output(out: Path, given: str) -> None:
    from autosam.images.overwriting import refuse_among_slices, refuse_overwriting
    from autosam.volumes.label_output import check_suffix

    check_suffix(out)
    refuse_overwriting(out, [given])
    # Before the slices are listed: labels among them would be taken for one.
    refuse_among_slices(out, given)


class _Shown:
    """Shows how far a run is: the share of all passes, and what was found."""

    def __init__(self, bar: "Bar") -> None:
        self._bar = bar

    def watch(self, results: "PassResults") -> None:
        """Show what was found so far."""
        from autosam.volumes.peak_memory import peak_gb

        peak = peak_gb()
        memory = "" if peak is None else f", {peak:.1f} GB"
        what = f"{results.step} {results.done:,} of {results.total:,}, {count(results.objects, 'object')}{memory}"
        self._bar.update(100 * results.share, what)


def _summarize(result: "VolumeResult") -> None:
    record, files = result.record, result.files
    if result.finished_before:
        say(f"{files.labels} is done already, with {count(result.instances, 'instance')}.")
        return
    unlike, known = record["unlike_tiles"], record["known_tiles"]
    if known and 2 * unlike > known:
        note(
            f"{unlike:,} of {known:,} tiles are unlike what the model was trained on: look at the results, and "
            "train on a few slices of your own"
        )
    holes = record["holes"]
    if holes:
        slices = sorted({hole[0] for hole in holes})
        note(f"{count(len(slices), 'slice')} could not be read, the first is {slices[0]}: {holes[0][2]}")
    detail(f"zoom {record['zoom']:g}, {record['tiles']} tile(s) a slice, {record['tasks']} tasks")
    filled = f", {count(record['filled'], 'gap')} filled" if record["filled"] else ""
    say(
        f"{count(result.instances, 'instance')} of {count(record['objects'], 'object')} in slices{filled}, "
        f"{duration(record['seconds'])}: {files.labels}"
    )


def _tell_dry_run(told: "DryRun") -> None:
    memory = "" if told.worker_gb is None else f", {told.worker_gb:.1f} GB of memory a worker"
    say(
        f"{count(told.slices, 'slice')} × {count(told.tiles, 'tile')}, {count(told.tasks, 'task')}; "
        f"{duration(told.seconds_per_tile)} a tile, so about {duration(told.hours * 3600)}{memory}, "
        f"{told.output_gb:.2g} GB of labels; zoom {told.zoom:g}"
    )
