"""Exports as further files of each image that a batch segments."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from autosam.pipeline.origin_images import OriginImage
from autosam.pipeline.outputs import AnySource, SegmentedImage
from autosam.report.exports import ExportFormat, ExportItem, ExportPlane, FolderFormat
from autosam.report.exports.large_plane import LargePlane


@dataclass(frozen=True)
class ExportOutput:
    """An export of each image, for `BatchOptions.further`.

    Attributes
    ----------
    known : ExportFormat
        The format.
    kind : str
        What the objects are called.
    """

    known: ExportFormat
    kind: str

    @property
    def ending(self) -> str:
        """What follows the name of the image."""
        return self.known.ending

    def write(self, path: Path, segmented: SegmentedImage) -> None:
        """Write the file under a temporary name, and rename it when it is whole; errors as of the format."""
        plane = ExportPlane(segmented.result.labels, segmented.table, segmented.image)
        item = self._item(path, segmented.source, segmented.pixel_size_nm)
        self.known.write(path, replace(item, planes=(plane,)))

    def write_large(self, path: Path, source: AnySource, plane: LargePlane, pixel_size_nm: float | None) -> None:
        """Write the file of an image whose labels are read by parts, in a format that can (``by_parts``)."""
        self.known.write(path, replace(self._item(path, source, pixel_size_nm), large=plane))

    def _item(self, path: Path, source: AnySource, pixel_size_nm: float | None) -> ExportItem:
        origin = OriginImage((source,))
        return ExportItem(
            path.name.removesuffix(self.ending),
            (),
            self.kind,
            place=origin.place,
            pixel_size_nm=pixel_size_nm,
            image_file=origin.file,
            folder=PurePosixPath(source.folder),
        )


def image_exports(formats: Sequence[ExportFormat | FolderFormat], model: str) -> tuple[ExportOutput, ...]:
    """Give the exports that are written for each image; ``NAME_instances.csv`` is written anyway.

    Objects are called as the model, without folder and suffix.
    """
    return tuple(
        ExportOutput(known, Path(model).stem)
        for known in formats
        if isinstance(known, ExportFormat) and known.name != "csv"
    )
