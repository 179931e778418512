"""The table of instances: one row of measurements for each."""

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.measure import regionprops

from autosam.errors import InputError
from autosam.images.write import write_text


@dataclass(frozen=True)
class Measurement:
    """One instance; the attributes are the columns of the table, in order.

    Attributes
    ----------
    score : float
        Confidence, 0 to 1.
    centroid_row, centroid_col : float
        In pixels; 0 is the center of the first pixel.
    row_min, col_min, row_max, col_max : int
        Bounding box; the last row and column belong to it.
    area_um2 : float or None
        In µm²; None where the pixel size is not known.
    perimeter_px : float
        Length of the outline through the centers of border pixels (`skimage.measure.perimeter`,
        4-neighborhood); 0 for a single pixel.
    eccentricity : float
        Of the ellipse with the same second moments: 0 for a circle or a single pixel, towards 1 for a line.
    mean_intensity : float or None
        Mean over the finite pixels and channels of the original image; None where there are none.
    """

    id: int
    score: float
    centroid_row: float
    centroid_col: float
    row_min: int
    col_min: int
    row_max: int
    col_max: int
    area_px: int
    area_um2: float | None
    perimeter_px: float
    eccentricity: float
    mean_intensity: float | None


def measure_instances(
    labels: NDArray[np.integer[Any]],
    image: NDArray[Any],
    scores: NDArray[np.floating[Any]],
    *,
    pixel_size_nm: float | None = None,
) -> list[Measurement]:
    """Measure every instance in labels.

    Parameters
    ----------
    labels : ndarray of integers, shape (H, W)
        Ids from 1 to the number of scores, 0 for background.
    image : ndarray, shape (H, W) or (H, W, C)
        The image as read, before normalization.
    scores : ndarray, shape (n,)
        Score of id i at i - 1.
    pixel_size_nm : float, optional
        Side of a pixel in nanometers.

    Returns
    -------
    list of Measurement
        By id; ids without a pixel have no row.

    Raises
    ------
    InputError
        If shapes do not fit, an id has no score or is negative, or the pixel size is not positive.
    """
    if labels.ndim != 2 or image.shape[:2] != labels.shape:
        raise InputError(
            f"labels {labels.shape} and image {image.shape}; wanted (H, W) and the same rows and columns."
        )
    if labels.dtype.kind not in "iu":
        raise InputError(f"labels are {labels.dtype}; wanted integers.")
    if pixel_size_nm is not None and not pixel_size_nm > 0:
        raise InputError(f"the pixel size is {pixel_size_nm} nm; wanted a positive number.")
    if labels.size and (labels.min() < 0 or labels.max() > len(scores)):
        raise InputError(
            f"ids reach from {labels.min()} to {labels.max()}; there are {len(scores)} scores, for ids 1 on."
        )
    if not labels.any():
        return []

    um2 = None if pixel_size_nm is None else (pixel_size_nm / 1000) ** 2
    rows = []
    # Ids are no larger than the number of scores, so int64 holds them; regionprops refuses uint64.
    for region in regionprops(labels.astype(np.int64, copy=False)):
        row_min, col_min, row_stop, col_stop = (int(v) for v in region.bbox)
        pixels = image[region.slice][region.image]
        finite = pixels[np.isfinite(pixels)] if pixels.dtype.kind == "f" else pixels
        area = int(region.area)
        rows.append(
            Measurement(
                id=int(region.label),
                score=float(scores[region.label - 1]),
                centroid_row=float(region.centroid[0]),
                centroid_col=float(region.centroid[1]),
                row_min=row_min,
                col_min=col_min,
                row_max=row_stop - 1,
                col_max=col_stop - 1,
                area_px=area,
                area_um2=None if um2 is None else area * um2,
                perimeter_px=float(region.perimeter),
                eccentricity=float(region.eccentricity),
                mean_intensity=float(finite.mean(dtype=np.float64)) if finite.size else None,
            )
        )
    return rows


def write_table(path: str | Path, rows: Iterable[Measurement]) -> None:
    """Write measurements as CSV: a header, then a line for each; an unknown value is an empty cell.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    columns = [column.name for column in fields(Measurement)]
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(columns)
    table.writerows([_cell(getattr(row, column)) for column in columns] for row in rows)
    write_text(path, text.getvalue())


def _cell(value: float | None) -> str:
    if value is None:
        return ""
    # Nine digits tell float32 values apart and hide rounding noise of float64.
    return f"{value:.9g}" if isinstance(value, float) else str(value)
