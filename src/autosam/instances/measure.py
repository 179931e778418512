"""Measurements of every instance, equal to those of `skimage.measure.regionprops_table`."""

from math import pi
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.errors import InputError
from autosam.instances.hulls import RowExtents, feret_diameters, hull_extents
from autosam.instances.instance_table import InstanceTable
from autosam.instances.intensities import measure_intensities
from autosam.instances.perimeters import find_perimeters
from autosam.instances.runs import LabelRuns, find_runs

SHAPE_COLUMNS = (
    "label",
    "score",
    "area",
    "area_um2",
    "centroid-0",
    "centroid-1",
    "bbox-0",
    "bbox-1",
    "bbox-2",
    "bbox-3",
    "perimeter",
    "perimeter_um",
    "circularity",
    "axis_major_length",
    "axis_major_length_um",
    "axis_minor_length",
    "axis_minor_length_um",
    "eccentricity",
    "orientation",
    "feret_diameter_max",
    "feret_diameter_max_um",
    "solidity",
)
INTENSITY_COLUMNS = ("intensity_mean", "intensity_std", "intensity_min", "intensity_max")
"""For an image of several channels, each with ``-0``, ``-1``, … after its name."""


def measure_instances(
    labels: NDArray[np.integer[Any]],
    image: NDArray[Any] | None,
    scores: NDArray[np.floating[Any]] | None,
    *,
    pixel_size_nm: float | None = None,
) -> InstanceTable:
    """Measure every instance in labels.

    Names and definitions are those of `skimage.measure.regionprops_table`. There are also ``score``, lengths and
    areas in µm, and ``circularity``, 4 π area / perimeter². Intensities leave out NaN and infinity.

    Parameters
    ----------
    labels : ndarray of integers, shape (H, W)
        Ids, 0 for background.
    image : ndarray, shape (H, W) or (H, W, C), or None
        The image as read, before normalization. Without one, intensities are unknown.
    scores : ndarray, shape (n,), or None
        Score of id i at i - 1; ids reach up to n then. Without them, scores are unknown.
    pixel_size_nm : float, optional
        Side of a pixel in nanometers. Without it, values in µm are unknown.

    Returns
    -------
    InstanceTable
        By id; ids without a pixel have no row. Unknown values are NaN.

    Raises
    ------
    InputError
        If shapes do not fit, an id has no score or is negative, or the pixel size is not positive.
    """
    _check(labels, image, scores, pixel_size_nm)
    runs = find_runs(labels)
    um = np.nan if pixel_size_nm is None else pixel_size_nm / 1000
    perimeter = find_perimeters(labels, runs.ids)
    known = np.nan if scores is None else scores[runs.ids.astype(np.int64) - 1]
    # What is held of many instances is their table; the rest is that of a group.
    groups = [{**_shapes(group), **_intensities(image, group)} for group in runs.parts()]
    columns = {name: np.concatenate([group[name] for group in groups]) for name in groups[0]}
    columns["score"] = np.broadcast_to(np.asarray(known, np.float64), runs.ids.shape)
    columns["perimeter"] = perimeter
    with np.errstate(divide="ignore", invalid="ignore"):
        columns["circularity"] = np.where(perimeter > 0, 4 * pi * columns["area"] / perimeter**2, np.nan)
    columns["area_um2"] = columns["area"] * um**2
    for name in ("perimeter", "axis_major_length", "axis_minor_length", "feret_diameter_max"):
        columns[f"{name}_um"] = columns[name] * um
    last = [name for name in columns if name.startswith("intensity_")]
    return InstanceTable({name: columns[name] for name in (*SHAPE_COLUMNS, *last)})


def _intensities(image: NDArray[Any] | None, runs: LabelRuns) -> dict[str, NDArray[Any]]:
    if image is None:
        return {name: np.full(len(runs.ids), np.nan) for name in INTENSITY_COLUMNS}
    columns: dict[str, NDArray[Any]] = {}
    for number, channel in enumerate([image] if image.ndim == 2 else np.moveaxis(image, -1, 0)):
        found = measure_intensities(channel, runs)
        ending = "" if image.ndim == 2 else f"-{number}"
        values = (found.mean, found.std, found.low, found.high)
        columns |= {name + ending: value for name, value in zip(INTENSITY_COLUMNS, values, strict=True)}
    return columns


def measure_sizes(labels: NDArray[np.integer[Any]]) -> InstanceTable:
    """Measure what takes no time: ``label``, ``area`` and the box; ``score`` is not known.

    Parameters
    ----------
    labels : ndarray of integers, shape (H, W)
        Ids, 0 for background.
    """
    _check(labels, None, None, None)
    runs = find_runs(labels)
    area = np.bincount(runs.index, runs.stops - runs.starts, len(runs.ids)).astype(np.int64)
    unknown = np.full(len(runs.ids), np.nan)
    return InstanceTable({"label": runs.ids, "score": unknown, "area": area, **_boxes(runs)})


def _check(
    labels: NDArray[np.integer[Any]],
    image: NDArray[Any] | None,
    scores: NDArray[np.floating[Any]] | None,
    pixel_size_nm: float | None,
) -> None:
    if labels.ndim != 2 or (image is not None and (image.ndim not in (2, 3) or image.shape[:2] != labels.shape)):
        there = "no image" if image is None else f"image {image.shape}"
        raise InputError(f"labels {labels.shape} and {there}; wanted (H, W) and the same rows and columns.")
    if labels.dtype.kind not in "iu":
        raise InputError(f"labels are {labels.dtype}; wanted integers.")
    if pixel_size_nm is not None and not pixel_size_nm > 0:
        raise InputError(f"the pixel size is {pixel_size_nm} nm; wanted a positive number.")
    if labels.size and labels.min() < 0:
        raise InputError(f"the lowest id is {labels.min()}; wanted 0 for background and ids above.")
    if labels.size and scores is not None and labels.max() > len(scores):
        raise InputError(
            f"ids reach up to {labels.max()}; there are {len(scores)} scores, one for each id from 1 on."
        )


def _shapes(runs: LabelRuns) -> dict[str, NDArray[Any]]:
    """Measure everything that follows from the runs alone, in pixels."""
    n, index = len(runs.ids), runs.index
    length = runs.stops - runs.starts
    area = np.bincount(index, length, n)

    def total(values: NDArray[Any]) -> NDArray[np.float64]:
        return np.bincount(index, values, n).astype(np.float64, copy=False)

    # Whole numbers below 2^53: exact.
    centroid_row = total(length * runs.rows) / area
    centroid_col = total(length * (runs.starts + runs.stops - 1)) / 2 / area
    # Second moments about whole pixels near the centroid, moved to the centroid itself.
    near_row, near_col = np.rint(centroid_row).astype(np.int64), np.rint(centroid_col).astype(np.int64)
    row, start, stop = runs.rows - near_row[index], runs.starts - near_col[index], runs.stops - near_col[index] - 1
    sum_row, sum_col = total(length * row), total(length * (start + stop)) / 2
    # Σ c² from start to stop.
    squares = _squares(stop) - _squares(start - 1)
    rows = (total(length * row**2) - sum_row**2 / area) / area
    cols = (total(squares) - sum_col**2 / area) / area
    mixed = (total(row * length * (start + stop)) / 2 - sum_row * sum_col / area) / area
    columns = {"label": runs.ids, "area": area.astype(np.int64)}
    columns |= {"centroid-0": centroid_row, "centroid-1": centroid_col}
    columns |= _boxes(runs) | _axes(rows, cols, mixed)
    hulls = hull_extents(_extents(runs))
    hull_area = np.bincount(hulls.index, hulls.right - hulls.left + 1, n)
    return columns | {
        "feret_diameter_max": feret_diameters(hulls, n),
        "solidity": area / hull_area,
    }


def _squares(n: NDArray[np.int64]) -> NDArray[np.int64]:
    """Add up squares from 0 to n; for a negative n, those that the sum lacks."""
    return n * (n + 1) * (2 * n + 1) // 6


def _boxes(runs: LabelRuns) -> dict[str, NDArray[Any]]:
    """Give the boxes; their ends are the first row and column outside, as in scikit-image."""
    n, largest = len(runs.ids), np.iinfo(np.int64).max
    box = {f"bbox-{i}": np.full(n, largest if i < 2 else 0, np.int64) for i in range(4)}
    np.minimum.at(box["bbox-0"], runs.index, runs.rows)
    np.minimum.at(box["bbox-1"], runs.index, runs.starts)
    np.maximum.at(box["bbox-2"], runs.index, runs.rows + 1)
    np.maximum.at(box["bbox-3"], runs.index, runs.stops)
    return dict(box)


def _axes(
    rows: NDArray[np.float64], cols: NDArray[np.float64], mixed: NDArray[np.float64]
) -> dict[str, NDArray[Any]]:
    """Give the ellipse with the same second moments; `mixed` is that of rows with columns."""
    middle, half = (rows + cols) / 2, np.hypot((rows - cols) / 2, mixed)
    large, small = middle + half, np.maximum(middle - half, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        eccentricity = np.where(large > 0, np.sqrt(1 - small / large), 0)
    orientation = np.where(
        rows == cols, np.where(mixed > 0, pi / 4, -pi / 4), np.arctan2(2 * mixed, rows - cols) / 2
    )
    return {
        "axis_major_length": 4 * np.sqrt(large),
        "axis_minor_length": 4 * np.sqrt(small),
        "eccentricity": eccentricity,
        "orientation": orientation,
    }


def _extents(runs: LabelRuns) -> RowExtents:
    """Find the first and last column of each instance in each of its rows."""
    # Runs are in raster order, which a stable sort keeps within an instance.
    order = np.argsort(runs.index, kind="stable")
    index, rows = runs.index[order], runs.rows[order]
    new = (np.diff(index, prepend=-1) != 0) | (np.diff(rows, prepend=-1) != 0)
    begins = np.flatnonzero(new)
    ends = np.append(begins[1:], len(order))[: len(begins)] - 1
    return RowExtents(index[begins], rows[begins], runs.starts[order][begins], runs.stops[order][ends] - 1)
