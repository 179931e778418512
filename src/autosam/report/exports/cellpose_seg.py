"""Cellpose: NAME_seg.npy, which its GUI opens to look at and correct."""

from pathlib import Path
from typing import Any

import numpy as np

from autosam.errors import InputError
from autosam.images import atomic_path, smallest_unsigned
from autosam.report.exports.export_item import ExportItem
from autosam.report.overlay import PALETTE, find_outlines

_MOST_COLORS = 10_000_000
"""The GUI wants a color for each id up to the highest; it chooses its own where there are none."""


def write_seg(path: Path, item: ExportItem) -> None:
    """Write the dictionary that Cellpose's GUI saves: masks, outlines, colors, and the image that they belong to.

    The GUI reads the image from the file that ``filename`` names. Where no file holds this image and nothing else,
    as with a page of a stack, its pixels are in the file, as ``img``. There are no flows, so that Cellpose cannot
    make other masks from them.

    Raises
    ------
    InputError
        If an id is 2³² or above: the GUI's masks have 32 bits.
    """
    labels = item.labels
    top = int(labels.max(initial=0))
    if top >= 2**32:
        raise InputError(f"{item.name}: the highest id is {top}; Cellpose's masks hold ids below 2³².")
    masks = labels.astype(max(np.dtype(np.uint16), smallest_unsigned(top)))
    planes = masks if item.volume else masks[None]
    outlines = np.stack([np.where(find_outlines(plane), plane, 0) for plane in planes])
    areas = np.concatenate([plane.table["area"] for plane in item.planes])
    content: dict[str, Any] = {
        "masks": masks,
        "outlines": outlines if item.volume else outlines[0],
        "filename": str(item.image_file or path.with_name(f"{item.name}.tif")),
        "flows": [[], [], [], [], [[]]],
        # The diameter of a disc of the median area.
        "est_diam": float(2 * np.sqrt(np.median(areas) / np.pi)) if len(areas) else 30.0,
        "ismanual": np.zeros(len(np.unique(masks[masks > 0])), bool),
        "manual_changes": [],
        "chan_choose": [0, 0],
        "current_channel": 0,
        "model_path": 0,
        "flow_threshold": 0.4,
        "cellprob_threshold": 0.0,
    }
    if top <= _MOST_COLORS:
        content["colors"] = PALETTE[np.arange(top) % len(PALETTE)]
    if item.image_file is None and item.image is not None:
        content["img"] = item.image
    with atomic_path(path) as temporary:
        np.save(temporary, np.array(content, dtype=object), allow_pickle=True)
