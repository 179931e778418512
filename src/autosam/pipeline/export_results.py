"""Results that exist, written for other programs."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.errors import InputError, OutputError
from autosam.images import ensure_folder
from autosam.instances import InstanceTable, measure_instances, measure_sizes, read_table
from autosam.pipeline.export_large import large_item
from autosam.pipeline.origin_images import OriginImage, OriginImages, recorded_file
from autosam.pipeline.recorded_files import FileNotes, Noted, is_own
from autosam.pipeline.results_folder import FoundLabels
from autosam.report.exports import ExportFormat, ExportItem, ExportPlane, FolderFormat


@dataclass(frozen=True)
class ExportOptions:
    """What is exported, and where to.

    Attributes
    ----------
    out : Path
        Folder for the files.
    pixel_size_nm : float, optional
        Side of a pixel, in place of what the record or the label file says.
    kind : str, optional
        What the objects are called, in place of the model's name.
    overwrite : bool
        Replace files that autosam's record does not name.
    record : Path, optional
        Folder of results whose run record takes note of the files.
    """

    out: Path
    pixel_size_nm: float | None = None
    kind: str | None = None
    overwrite: bool = False
    record: Path | None = None


@dataclass
class ExportReport:
    """What became of an export.

    Attributes
    ----------
    files : list of Path
        What was written.
    objects : int
        Objects of all images.
    notes : list of str
        What was left out of files that were written, a sentence each.
    failures : list of str
        What was not written and should have been.
    """

    files: list[Path] = field(default_factory=list)
    objects: int = 0
    notes: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def export_results(
    found: Sequence[FoundLabels],
    formats: Sequence[ExportFormat | FolderFormat],
    images: OriginImages,
    options: ExportOptions,
    *,
    progress: Callable[[int], None] | None = None,
) -> ExportReport:
    """Write labels in some formats, image by image.

    A format that cannot be written without the image is left out where the image is not there; others lack
    intensities then. Objects are measured anew, so that a table never contradicts labels that were corrected.

    Parameters
    ----------
    progress : callable, optional
        Called with the number of images that are done.

    Raises
    ------
    OutputError
        If a file exists that autosam did not write, or is one of the labels, before anything is written; or if a
        file cannot be written.
    """
    _check_places(found, formats, options)
    report = ExportReport()
    noting = FileNotes(options.record)

    def items() -> Iterator[ExportItem]:
        for number, labels in enumerate(found, start=1):
            try:
                with _opened(labels, images, formats, options, report) as (item, sources):
                    report.objects += sum(len(plane.table) for plane in item.outlined)
                    noting.add(labels.name, list(_write_each(labels, item, sources, formats, options, report)))
                    if item.large is None:
                        yield item
            except InputError as error:
                report.failures.append(f"{labels.name}: {error}")
            if progress is not None:
                progress(number)

    # A file for all images takes the items while they are made: they need not be in memory together.
    made = items()
    try:
        for known in formats:
            if isinstance(known, FolderFormat):
                path = ensure_folder(options.out) / known.file
                try:
                    known.write(path, made)
                    report.files.append(path)
                except InputError as error:
                    report.failures.append(f"no {known.name}: {error}")
        for _ in made:
            pass
    finally:
        noting.write()
    return report


def _write_each(
    labels: FoundLabels,
    item: ExportItem,
    sources: Collection[Path],
    formats: Sequence[ExportFormat | FolderFormat],
    options: ExportOptions,
    report: ExportReport,
) -> Iterator[Path]:
    for known in formats:
        if item.large is not None and not (isinstance(known, ExportFormat) and known.by_parts):
            report.failures.append(f"{labels.name}: no {known.name}, for which the image is too large")
            continue
        if isinstance(known, FolderFormat):
            continue
        if known.needs_image and any(plane.image is None for plane in item.planes):
            report.failures.append(f"{labels.name}: no {known.name}, which holds the image too")
            continue
        path = known.path(options.out, labels.name)
        if path.resolve() in sources:
            report.failures.append(f"{labels.name}: no {known.name}: {path} is the image itself")
            continue
        ensure_folder(path.parent)
        try:
            known.write(path, item)
        except InputError as error:
            report.failures.append(f"{labels.name}: no {known.name}: {error}")
            continue
        report.files.append(path)
        yield path


def _check_places(
    found: Sequence[FoundLabels], formats: Sequence[ExportFormat | FolderFormat], options: ExportOptions
) -> None:
    inputs = {labels.file.resolve() for labels in found if labels.file is not None}
    places = dict(planned_files({labels.name: labels.noted for labels in found}, formats, options.out))
    for path in places:
        if path.resolve() in inputs:
            raise OutputError(f"{path} holds the labels themselves; choose another folder with --output")
    if not options.overwrite:
        refuse_foreign(places, options.record)


def planned_files(
    images: Mapping[str, Noted], formats: Sequence[ExportFormat | FolderFormat], out: Path
) -> Iterator[tuple[Path, Noted]]:
    """List the files that an export would write, with what a run record says of the files of their images.

    Parameters
    ----------
    images : mapping of str to mapping
        Size and hash of files by path below the folder of the record, for each image by name.
    """
    for known in formats:
        if isinstance(known, FolderFormat):
            yield out / known.file, {}
        else:
            for name, noted in images.items():
                yield known.path(out, name), noted


def refuse_foreign(places: Mapping[Path, Noted], record: Path | None) -> None:
    """Raise an `OutputError` if one of the files is there and is not as autosam wrote it, by the run record."""
    foreign = [path for path, noted in places.items() if path.exists() and not is_own(path, record, noted)]
    if foreign:
        more = f", and so do {len(foreign) - 1} more" if len(foreign) > 1 else ""
        raise OutputError(
            f"{foreign[0]} exists already{more}, and no run record says that autosam wrote it as it is; add "
            "--overwrite to replace what is there, or choose another folder with --output"
        )


@contextmanager
def _opened(
    labels: FoundLabels,
    images: OriginImages,
    formats: Sequence[ExportFormat | FolderFormat],
    options: ExportOptions,
    report: ExportReport,
) -> Iterator[tuple[ExportItem, set[Path]]]:
    """Make the item to export, valid within the ``with`` block; give also the files of its image."""
    if not labels.by_parts:
        yield _item(labels, images, formats, options, report)
        return
    file = None if labels.image is None else recorded_file(labels.image)
    with large_item(
        labels,
        kind=labels.kind if options.kind is None else options.kind,
        pixel_size_nm=labels.pixel_size_nm if options.pixel_size_nm is None else options.pixel_size_nm,
        image_file=file,
    ) as item:
        yield item, set() if file is None else {file.resolve()}


def _item(
    labels: FoundLabels,
    images: OriginImages,
    formats: Sequence[ExportFormat | FolderFormat],
    options: ExportOptions,
    report: ExportReport,
) -> tuple[ExportItem, set[Path]]:
    """Make the item to export; give also the files of its image."""
    array = labels.read()
    volume = array.ndim == 3
    measures = any(isinstance(known, ExportFormat) and known.measures for known in formats)
    origin: OriginImage | None = None
    pixels: NDArray[Any] | None = None
    try:
        origin = images.find(labels, volume=volume)
        # A page of a stack goes into the file that Cellpose reads.
        if measures or origin.file is None:
            pixels = origin.read(array.shape)
    except InputError as error:
        if measures:
            report.notes.append(f"{labels.name}: {str(error).rstrip('.')}; intensities are left out")
    size_nm = labels.pixel_size_nm if options.pixel_size_nm is None else options.pixel_size_nm
    planes = []
    for number, part in enumerate(array if volume else [array]):
        image = None if pixels is None else pixels[number] if volume else pixels
        table = measure_instances(part, image, None, pixel_size_nm=size_nm) if measures else measure_sizes(part)
        planes.append(ExportPlane(part, table, image))
    if labels.table is not None and not volume:
        planes = [replace(planes[0], table=_scored(planes[0].table, labels, report))]
    known_file = None if labels.image is None or volume else recorded_file(labels.image)
    item = ExportItem(
        PurePosixPath(labels.name).name,
        tuple(planes),
        labels.kind if options.kind is None else options.kind,
        volume=volume,
        place=None if origin is None else origin.place,
        pixel_size_nm=size_nm,
        image_file=known_file if origin is None else origin.file,
        folder=PurePosixPath(labels.name).parent,
    )
    return item, set() if origin is None else origin.files


def _scored(measured: InstanceTable, labels: FoundLabels, report: ExportReport) -> InstanceTable:
    """Take the scores of the table in the folder for objects that are as they were."""
    assert labels.table is not None
    try:
        before = read_table(labels.table)
        known = dict(zip(before["label"].tolist(), zip(before["score"], before["area"], strict=True), strict=True))
    except (InputError, KeyError) as error:
        report.notes.append(f"{labels.name}: {labels.table.name} gives no scores: {error}")
        return measured
    scores = np.full(len(measured), np.nan)
    pairs = zip(measured["label"].tolist(), measured["area"].tolist(), strict=True)
    for row, (label, area) in enumerate(pairs):
        score, size = known.get(label, (np.nan, -1))
        scores[row] = score if size == area else np.nan
    changed = int(np.isnan(scores).sum())
    if changed or len(known) != len(measured):
        gone = len(known) - (len(measured) - changed)
        report.notes.append(
            f"{labels.name}: the labels were changed after the table; {changed} objects are new or changed, "
            f"{max(gone, 0)} are gone or changed, and new ones have no score"
        )
    return InstanceTable({**measured.columns, "score": scores})
