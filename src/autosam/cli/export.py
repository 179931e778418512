"""`autosam export`: results for ImageJ, QuPath, Cellpose, and what reads COCO or OME-Zarr."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from autosam.cli.console import error, interruptible, note, say
from autosam.cli.progress import progress
from autosam.cli.segment_inputs import length
from autosam.cli.words import count

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from autosam.evaluation.label_refs import LabelRef
    from autosam.pipeline.results_folder import FoundLabels

FORMAT_NAMES = "roi,geojson,coco,ome-zarr,ome-zarr-0.4,seg-npy,csv"


def export(
    results: str = typer.Argument(
        ..., metavar="RESULTS", help="A folder that autosam segment wrote, or label files of others."
    ),
    to: str = typer.Option(
        ..., "--to", metavar="FORMAT,...", help=f"One or more of {FORMAT_NAMES}.", show_default=False
    ),
    out: Path | None = typer.Option(
        None, "--output", "--out", "-o", metavar="FOLDER", help="Folder for the exports. [beside the labels]"
    ),
    images: str | None = typer.Option(
        None,
        "--images",
        metavar="PLACE",
        help="The images of the labels, by name: a file or a folder. [those that the run record names]",
    ),
    pixel_size: float | None = typer.Option(
        None,
        "--pixel-size",
        parser=length,
        metavar="NM",
        help="Side of a pixel in nm. [what the run record or the label file says]",
    ),
    kind: str | None = typer.Option(
        None, "--class", metavar="NAME", help="What the objects are called. [the name of the model]"
    ),
    overwrite: bool = typer.Option(
        False, "--overwrite", help="Replace files that autosam did not write, or that were changed since."
    ),
) -> None:
    """Write results for other programs.

    roi: NAME_rois.zip for ImageJ. geojson: NAME.geojson for QuPath. coco: coco_instances.json for all images.
    ome-zarr: NAME.ome.zarr, the image with the labels. seg-npy: NAME_seg.npy for Cellpose's window.
    csv: NAME_instances.csv, the measurements.
    """
    from autosam.report.exports import choose_formats

    formats = choose_formats([name.strip() for name in to.split(",") if name.strip()])
    found, record = _find(results)

    from autosam.pipeline.export_results import ExportOptions, export_results
    from autosam.pipeline.origin_images import OriginImages

    place = out or record or _beside(results, found)
    options = ExportOptions(place, pixel_size, kind, overwrite=overwrite, record=record)
    origins = OriginImages(images)
    with interruptible("nothing is half written"), progress("exporting", len(found)) as bar:
        report = export_results(found, formats, origins, options, progress=lambda done: bar.update(done, ""))
    for text in report.notes:
        note(text)
    say(f"{count(len(report.files), 'file')} written for {count(report.objects, 'object')}, in {place}.")
    if report.failures:
        error("\n  ".join([f"{count(len(report.failures), 'export')} failed:", *report.failures]))
        raise typer.Exit(1)


def _find(results: str) -> "tuple[list[FoundLabels], Path | None]":
    """Find labels, and the folder of the run record if there is one."""
    from autosam.errors import InputError
    from autosam.images.folder_listing import holds_results
    from autosam.pipeline.results_folder import open_results

    place = Path(results)
    if place.is_dir() and holds_results(place):
        opened = open_results(place)
        for text in opened.notes:
            note(text)
        if not opened.labels:
            raise InputError(f"{results} holds no labels that its run record names; segment the images first")
        return list(opened.labels), place
    if place.exists() and holds_results(place.parent):
        # One label file of such a folder.
        named = [labels for labels in open_results(place.parent).labels if labels.file == place]
        if named:
            return named, place.parent
    return _labels_of_others(results), None


def _labels_of_others(results: str) -> "list[FoundLabels]":
    """Find labels that autosam evaluate reads, too."""
    from functools import partial

    from autosam.evaluation.find_labels import find_labels
    from autosam.images.image_source import split_dataset
    from autosam.pipeline.results_folder import FoundLabels, label_pixel_size

    source = find_labels(results)
    for text in source.notes:
        note(text)
    found = []
    for name, labels in source.volumes.items():
        file = split_dataset(labels)[0] if isinstance(labels, str) else None
        size = None if file is None else label_pixel_size(file)
        found.append(FoundLabels(name, partial(_read, labels), file, pixel_size_nm=size))
    return found


def _read(labels: "LabelRef") -> "NDArray[Any]":
    from autosam.evaluation.volumes import read_instances

    array = read_instances(labels)
    inside = array[..., :-1] != 0
    same = (array[..., 1:] == array[..., :-1])[inside]
    if same.size > 100 and same.mean() < 0.5:
        note(f"{labels} looks like an image, not labels: most neighboring pixels have different numbers")
    return array


def _beside(results: str, found: "list[FoundLabels]") -> Path:
    """Give the folder that the labels of others lie in."""
    place = Path(results)
    if place.is_dir() and place.suffix.lower() != ".zarr":
        return place
    return next((labels.file.parent for labels in found if labels.file is not None), place.parent)
