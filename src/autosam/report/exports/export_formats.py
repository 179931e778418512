"""The formats that results are exported to, by the name that users type."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from autosam.errors import ConfigError
from autosam.instances.instance_table import InstanceTable, write_table
from autosam.report.exports.cellpose_seg import write_seg
from autosam.report.exports.coco_json import write_coco
from autosam.report.exports.export_item import ExportItem
from autosam.report.exports.imagej_rois import write_rois
from autosam.report.exports.qupath_geojson import write_geojson


@dataclass(frozen=True)
class ExportFormat:
    """A format that is written for each image.

    Attributes
    ----------
    name : str
        What users type.
    ending : str
        What follows the name of the image.
    write : callable
        Writes one item to a path, whole or not at all.
    needs_image : bool
        Whether it cannot be written without the pixels.
    measures : bool
        Whether it holds measurements; others do with areas and boxes (`measure_sizes`).
    by_parts : bool
        Whether it can be written of labels that are too large for memory (`LargePlane`).
    """

    name: str
    ending: str
    write: Callable[[Path, ExportItem], None]
    needs_image: bool = False
    measures: bool = False
    by_parts: bool = False

    def path(self, out: Path, name: str) -> Path:
        """Name the file of an image whose results are called `name`."""
        return out / f"{name}{self.ending}"


@dataclass(frozen=True)
class FolderFormat:
    """A format with one file for all images of a folder; ``file`` is its name. It does without measurements."""

    name: str
    file: str
    write: Callable[[Path, Iterable[ExportItem]], None]


def write_tables(path: Path, item: ExportItem) -> None:
    """Write the measurements; for a volume those of each slice, with the column ``slice`` first."""
    tables = [plane.table for plane in item.outlined]
    if not item.volume:
        write_table(path, tables[0])
        return
    columns = {"slice": np.repeat(np.arange(len(tables)), [len(table) for table in tables])}
    # Where every slice has the same pixels, they have the same columns.
    columns |= {name: np.concatenate([table[name] for table in tables]) for name in tables[0].columns}
    write_table(path, InstanceTable(columns))


def _write_ome_zarr(path: Path, item: ExportItem, *, version: Literal["0.4", "0.5"]) -> None:
    # With zarr, a slow import.
    from autosam.report.exports.ome_zarr_labels import write_ome_zarr

    write_ome_zarr(path, item, version=version)


FORMATS: tuple[ExportFormat | FolderFormat, ...] = (
    ExportFormat("roi", "_rois.zip", write_rois, by_parts=True),
    ExportFormat("geojson", ".geojson", write_geojson, measures=True, by_parts=True),
    FolderFormat("coco", "coco_instances.json", write_coco),
    ExportFormat(
        "ome-zarr", ".ome.zarr", partial(_write_ome_zarr, version="0.5"), needs_image=True, measures=True
    ),
    ExportFormat(
        "ome-zarr-0.4", ".ome.zarr", partial(_write_ome_zarr, version="0.4"), needs_image=True, measures=True
    ),
    ExportFormat("seg-npy", "_seg.npy", write_seg),
    ExportFormat("csv", "_instances.csv", write_tables, measures=True, by_parts=True),
)


def choose_formats(names: Sequence[str]) -> list[ExportFormat | FolderFormat]:
    """Find formats by name, each once, in the order given.

    Raises
    ------
    ConfigError
        If there is none, a name is unknown, or two formats would write the same file.
    """
    known = {found.name: found for found in FORMATS}
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise ConfigError(
            f"no export format {', '.join(map(repr, unknown)) or 'was named'}; choose among {', '.join(known)}"
        )
    chosen = [known[name] for name in dict.fromkeys(names)]
    if {"ome-zarr", "ome-zarr-0.4"} <= set(names):
        raise ConfigError("ome-zarr and ome-zarr-0.4 would write the same files; choose one of them")
    return chosen
