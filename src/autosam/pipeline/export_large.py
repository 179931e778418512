"""Labels that are too large for memory, as an item to export."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import numpy as np

from autosam.errors import InputError
from autosam.images.label_windows import open_label_windows
from autosam.instances import InstanceTable, read_table
from autosam.instances.label_parts import (
    InstanceBoxes,
    find_boxes,
    group_instances,
    join_tables,
    measure_group,
    windows_of,
)
from autosam.pipeline.results_folder import FoundLabels
from autosam.report.exports import ExportItem
from autosam.report.exports.large_plane import LargePlane


@contextmanager
def large_item(
    labels: FoundLabels, *, kind: str, pixel_size_nm: float | None, image_file: Path | None
) -> Iterator[ExportItem]:
    """Open the labels of an image that was segmented by parts; the item is valid within the ``with`` block.

    Measurements are those of the table in the folder, if it belongs to these labels. Otherwise objects are
    measured anew, without scores and intensities.

    Raises
    ------
    InputError
        If the labels cannot be read.
    """
    assert labels.file is not None
    with open_label_windows(labels.file) as opened:
        shape = opened.shape[0], opened.shape[1]
        boxes = InstanceBoxes.join([find_boxes(opened.read, window) for window in windows_of(shape)])
        table = _known_table(labels.table, boxes)
        if table is None:
            groups = [
                measure_group(group, opened.read, None, pixel_size_nm=pixel_size_nm)
                for group in group_instances(boxes)
            ]
            table = join_tables(groups) if groups else InstanceTable({"label": boxes.ids, "area": boxes.areas})
        yield ExportItem(
            PurePosixPath(labels.name).name,
            (),
            kind,
            pixel_size_nm=pixel_size_nm,
            image_file=image_file,
            folder=PurePosixPath(labels.name).parent,
            large=LargePlane(boxes, table, opened.read),
        )


def _known_table(path: Path | None, boxes: InstanceBoxes) -> InstanceTable | None:
    """Read the table of the folder, if it has the instances of the labels."""
    if path is None:
        return None
    try:
        table = read_table(path)
        same = np.array_equal(table["label"], boxes.ids) and np.array_equal(table["area"], boxes.areas)
    except (InputError, KeyError):
        return None
    return table if same else None
