"""`autosam segment`: every object of every image, as labels, a picture and a table."""

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from autosam.cli.console import interruptible
from autosam.cli.export import FORMAT_NAMES
from autosam.cli.interrupts import ending_in_order, leaving_at_once
from autosam.cli.options import Channel, ConfigFile, Device, Model, Settings
from autosam.cli.progress import progress
from autosam.cli.report import check_report, report_results
from autosam.cli.segment_exports import export_rest, open_exports
from autosam.cli.segment_inputs import METHODS, find_images, length, open_area, open_prompts, open_truth
from autosam.cli.segment_summary import Shown, show_timings, summarize, tell, telling_failed
from autosam.cli.segment_workers import Chosen, choose_place, open_batch

FORMATS = ("tif", "png", "h5", "zarr")

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from autosam.cli.progress import Bar
    from autosam.pipeline.outputs import ImageOutcome


def segment(
    inputs: list[str] = typer.Argument(
        ...,
        metavar="INPUT...",
        help="Images (TIFF, PNG, OME-Zarr, MRC …), folders, quoted patterns, or FILE.h5:/DATASET. Each page of a "
        "TIFF and each slice of a volume is an image; they are counted from zero.",
    ),
    out: Path = typer.Option(..., "--output", "--out", "-o", metavar="FOLDER", help="Folder for the results."),
    model: Model = "mito",
    config: ConfigFile = None,
    settings: Settings = None,
    device: Device = "auto",
    prompts: str | None = typer.Option(
        None,
        metavar="METHOD|FILE.csv|FOLDER",
        help="distance, centroid, probability or grid: how prompts are predicted. FILE.csv or FOLDER: your "
        "own prompts, in one table or in NAME_prompts.csv for each image.",
    ),
    with_automatic: bool = typer.Option(
        False, "--with-automatic", help="Beside your own prompts: find all other objects, too."
    ),
    save_prompts: bool = typer.Option(
        False, "--save-prompts", help="Also write NAME_prompts.csv, to correct and give to --prompts."
    ),
    channels: str | None = typer.Option(
        None,
        metavar="ENDING,...|all",
        help="Take aligned images for channels of one. _dapi,_gfp: NAME_dapi.tif and NAME_gfp.tif. all: the "
        "channel axis of a file. --set images.combine=input (the default), avg or max combines them.",
    ),
    channel: Channel = None,
    z: int | None = typer.Option(
        None, min=0, metavar="N", help="Take this plane of every stack alone, counted from 0."
    ),
    time: int | None = typer.Option(None, min=0, metavar="N", help="Take this time point alone, counted from 0."),
    series: int | None = typer.Option(
        None, min=0, metavar="N", help="Take this series (position, image) of every file alone, counted from 0."
    ),
    level: int = typer.Option(0, min=0, metavar="N", help="Resolution level of pyramids; 0 is the finest."),
    oracle_mask: str | None = typer.Option(
        None,
        metavar="LABELS",
        help="True labels, paired by name: of SAM's masks for a prompt, keep the one closest to the truth. "
        "This gives an upper bound for every prompt, not a result.",
    ),
    components: bool = typer.Option(
        False,
        "--components",
        help="The labels of --oracle-mask are semantic: their connected components of 50 pixels or more are "
        "the objects.",
    ),
    inside: str | None = typer.Option(
        None,
        metavar="MASK|GEOJSON|FOLDER",
        help="Find and count only objects with more than half their pixels in this area: a mask (nonzero is "
        "inside), annotations of QuPath as GeoJSON, or a folder of either, paired by name.",
    ),
    exclude_border: bool = typer.Option(
        False, "--exclude-border", help="Leave out objects that touch the image's border."
    ),
    max_size: int | None = typer.Option(
        None, min=1, metavar="PIXELS", help="Leave out larger objects; pixels of the image itself."
    ),
    file_format: str = typer.Option("tif", "--format", metavar="|".join(FORMATS), help="Format of the labels."),
    pixel_size: float | None = typer.Option(
        None,
        parser=length,
        metavar="NM",
        help="Side of a pixel in nm. It gives areas in µm², and zooms images to what the model was trained "
        "on. [what the file says]",
    ),
    diameter: float | None = typer.Option(
        None,
        parser=length,
        metavar="PIXELS",
        help="Typical diameter of the objects: zooms images to what the model was trained on.",
    ),
    draw_prompts: bool = typer.Option(False, "--draw-prompts", help="Draw the prompts on the overlays."),
    draw_ids: bool = typer.Option(False, "--draw-ids", help="Write each object's id on the overlays."),
    exports: str | None = typer.Option(
        None,
        "--export",
        metavar="FORMAT,...",
        help=f"Write files for other programs, too: {FORMAT_NAMES}. See autosam export --help.",
    ),
    overwrite: bool = typer.Option(
        False, "--overwrite", help="Segment finished images again, instead of skipping them."
    ),
    workers: int | None = typer.Option(
        None,
        min=1,
        metavar="N",
        help="Share the images among N processes, each with its own copy of the model and its share of the cores.",
    ),
    devices: str | None = typer.Option(
        None, metavar="N,...", help="Share the images among NVIDIA GPUs, with a process for each: 0,1."
    ),
    scheduler: str | None = typer.Option(
        None, metavar="ADDRESS", help="Send the images to a dask cluster, such as tcp://node17:8786."
    ),
    compiled: bool = typer.Option(
        False,
        "--compile",
        help="Compile the networks for this machine before the first image: pays for many images. Short for --set "
        "decode.compile=true.",
    ),
    timings: bool = typer.Option(False, "--timings", help="Print at the end where the time went, by stage."),
    with_report: bool = typer.Option(
        False, "--report", help="Also write report.html, a page to look at: see autosam report --help."
    ),
) -> None:
    """Find every object in images, without clicking.

    For each image the folder gets NAME_labels.tif (one id for each object), NAME_overlay.png and
    NAME_instances.csv, and one autosam_run.json and summary.csv for all. Files that fail are listed at the end.
    An interrupted run goes on where it stopped when the command is repeated, and several runs can share a folder.
    """
    with leaving_at_once():
        from autosam.config import find_config
        from autosam.images.readers import Selection

        _check_format(file_format)
        if scheduler is not None:
            from autosam.cli.whole_paths import whole_if_there, whole_path

            # Workers can have another current folder.
            inputs, out = [whole_path(text) for text in inputs], out.absolute()
            # A bundled model or recipe comes before a folder of its name.
            model = whole_if_there(model) if "." in model else model
            config = whole_if_there(config) if config is not None and "." in config else config
            prompts = whole_if_there(prompts) if prompts is not None and prompts not in METHODS else prompts
            oracle_mask = None if oracle_mask is None else whole_if_there(oracle_mask)
            inside = None if inside is None else whole_if_there(inside)
        selection = Selection(channel, z, time, series, level)
        sources, failures = find_images(inputs, out, channels, selection)
        user_prompts, overrides = open_prompts(prompts, settings or [], sources, with_automatic=with_automatic)
        if config is not None:
            find_config(config)
        truths = open_truth(oracle_mask, sources, components=components)
        formats = open_exports(exports, sources, out, overwrite=overwrite)
        area = open_area(inside, sources)
        if with_report:
            check_report(out)
        overrides = [*_as_settings(exclude_border, max_size, compiled), *overrides]
        place = choose_place(device, workers, devices, scheduler, len(sources))

        # Slow imports only now: a mistyped path is answered at once.
        from autosam.pipeline.export_output import image_exports
        from autosam.pipeline.outputs import BatchOptions

        options = BatchOptions(
            file_format=file_format,
            overwrite=overwrite,
            draw_prompts=draw_prompts,
            draw_ids=draw_ids,
            save_prompts=save_prompts,
            pixel_size_nm=pixel_size,
            diameter=diameter,
            # The same channels have one spelling in the record.
            channels=None if channels is None else ",".join(part.strip() for part in channels.split(",")),
            selection=selection,
            further=image_exports(formats, model),
        )
        begin = open_batch(
            sources,
            out,
            options,
            Chosen(model, config, overrides),
            place=place,
            given={"prompts": user_prompts, "truths": truths, "inside": area},
            refused=_refused_for_large(
                {
                    "--prompts": user_prompts is not None,
                    "--save-prompts": save_prompts,
                    "--oracle-mask": truths is not None,
                    "--inside": area is not None,
                    "--draw-prompts": draw_prompts,
                    "--draw-ids": draw_ids,
                }
            ),
        )
    again = "the same command without --overwrite" if overwrite else "the same command"
    with interruptible(f"{again} goes on where it stopped"), progress("segmenting", len(sources)) as bar:
        outcomes = _run(begin, failures, bar)
        failures = [*failures, *export_rest(formats, outcomes, out)]
    if timings:
        show_timings(outcomes)
    # What became of the images is told whatever becomes of the report.
    reported = not with_report or report_results(out)
    only_user = user_prompts is not None and not with_automatic
    summarize(outcomes, failures, out, only_user=only_user, oracle=truths is not None)
    if not reported:
        raise typer.Exit(2)


def _check_format(file_format: str) -> None:
    from autosam.errors import ConfigError

    if file_format not in FORMATS:
        raise ConfigError(f"--format {file_format} is unknown; choose one of {', '.join(FORMATS)}")


def _refused_for_large(given: dict[str, bool]) -> list[str]:
    """Name the options that were given and cannot hold for images that are segmented by parts."""
    return [option for option, was_given in given.items() if was_given]


def _as_settings(exclude_border: bool, max_size: int | None, compiled: bool) -> list[str]:
    """Write options as settings, which `--set` comes after."""
    given = {
        "merge.exclude_border=true": exclude_border,
        f"merge.max_size={max_size}": max_size is not None,
        "decode.compile=true": compiled,
    }
    return [setting for setting, wanted in given.items() if wanted]


def _run(
    begin: "Callable[..., Generator[ImageOutcome, None, None]]", failures: list[str], bar: "Bar"
) -> "list[ImageOutcome]":
    """Segment all images, and say on the way what becomes of them."""
    outcomes: list[ImageOutcome] = []
    shown = Shown(bar)
    batch = begin(watch=shown.watch)
    # Closes the record when the command is interrupted.
    with ending_in_order(), closing(batch), telling_failed(outcomes, failures):
        for outcome in batch:
            outcomes.append(outcome)
            shown.ended(outcome)
            tell(outcome)
    return outcomes
