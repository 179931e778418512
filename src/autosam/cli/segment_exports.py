"""`autosam segment --export`: exports of new results, and of those that were there before."""

from pathlib import Path
from typing import TYPE_CHECKING

from autosam.cli.console import note

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autosam.pipeline.outputs import AnySource, ImageOutcome
    from autosam.report.exports import ExportFormat, FolderFormat


def open_exports(
    text: str | None, sources: "Sequence[AnySource]", out: Path, *, overwrite: bool
) -> "list[ExportFormat | FolderFormat]":
    """Choose the formats, and refuse to replace files that autosam did not write, before the work starts."""
    from autosam.errors import ConfigError
    from autosam.images.folder_listing import holds_results
    from autosam.report.exports import choose_formats

    if text is None:
        return []
    formats = choose_formats([name.strip() for name in text.split(",") if name.strip()])

    from autosam.pipeline.export_results import planned_files, refuse_foreign
    from autosam.pipeline.outputs import result_name
    from autosam.pipeline.results_folder import open_results

    # autosam segment writes tables anyway.
    formats = [known for known in formats if known.name != "csv"]
    noted = {}
    record = out if holds_results(out) else None
    if record is not None and not overwrite:
        try:
            noted = {labels.name: labels.noted for labels in open_results(out).labels}
        except ConfigError:
            # The batch says so in its own words.
            record = None
    if not overwrite:
        images = {name: noted.get(name, {}) for name in map(result_name, sources)}
        refuse_foreign(dict(planned_files(images, formats, out)), record)
    return formats


def export_rest(
    formats: "Sequence[ExportFormat | FolderFormat]", outcomes: "Sequence[ImageOutcome]", out: Path
) -> list[str]:
    """Write exports of images that were finished before, and files for all images; give what failed."""
    from autosam.images.folder_listing import holds_results
    from autosam.pipeline.export_results import ExportOptions, export_results
    from autosam.pipeline.origin_images import OriginImages
    from autosam.pipeline.outputs import result_name
    from autosam.pipeline.results_folder import open_results
    from autosam.report.exports import FolderFormat

    if not formats or not holds_results(out):
        return []
    # What is there was found to be autosam's own before the work started.
    options = ExportOptions(out, overwrite=True, record=out)
    found = open_results(out).labels
    skipped = {result_name(outcome.source) for outcome in outcomes if outcome.state == "skipped"}
    failures = []
    for known in formats:
        if isinstance(known, FolderFormat):
            rest = found
        else:
            rest = tuple(
                labels for labels in found if labels.name in skipped and not known.path(out, labels.name).exists()
            )
        if rest:
            report = export_results(rest, [known], OriginImages(), options)
            for text in report.notes:
                note(text)
            failures += report.failures
    return failures
