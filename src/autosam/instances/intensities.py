"""Mean, deviation and range of the pixels of all instances at once."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.instances.runs import LabelRuns

_PIXELS = 1 << 20
"""Pixels that are converted to float64 at once."""


@dataclass(frozen=True, eq=False)
class Intensities:
    """What one channel holds under each instance.

    Attributes
    ----------
    mean, std : ndarray of float64, shape (n,)
        Over the finite pixels; NaN where there are none. The deviation is that of all pixels, not of a sample.
    low, high : ndarray, shape (n,)
        Lowest and highest value, of the image's type where that is an integer, else as the mean.
    """

    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    low: NDArray[Any]
    high: NDArray[Any]


def measure_intensities(channel: NDArray[Any], runs: LabelRuns) -> Intensities:
    """Measure a channel (H, W) under the instances that the runs belong to."""
    n, whole = len(runs.ids), channel.dtype.kind in "iu"
    number, total, squares = np.zeros(n), np.zeros(n), np.zeros(n)
    limits = np.iinfo(channel.dtype) if whole else None
    low = np.full(n, np.inf if limits is None else limits.max, None if limits is None else channel.dtype)
    high = np.full(n, -np.inf if limits is None else limits.min, None if limits is None else channel.dtype)
    for index, length, values in _blocks(channel, runs):
        begins = np.cumsum(length) - length
        known = np.isfinite(values)
        number += np.bincount(index, np.add.reduceat(known.astype(np.int64), begins), n)
        total += np.bincount(index, np.add.reduceat(np.where(known, values, 0), begins, dtype=np.float64), n)
        np.minimum.at(
            low, index, np.minimum.reduceat(values if whole else np.where(known, values, np.inf), begins)
        )
        np.maximum.at(
            high, index, np.maximum.reduceat(values if whole else np.where(known, values, -np.inf), begins)
        )
    with np.errstate(invalid="ignore"):
        mean = total / number
    # The second pass takes the mean off first: squares of large numbers would lose what they differ in.
    for index, length, values in _blocks(channel, runs):
        begins = np.cumsum(length) - length
        apart = np.where(np.isfinite(values), values - np.repeat(mean[index], length), 0)
        squares += np.bincount(index, np.add.reduceat(apart * apart, begins), n)
    with np.errstate(invalid="ignore"):
        std = np.sqrt(squares / number)
    if not whole:
        low, high = np.where(number > 0, low, np.nan), np.where(number > 0, high, np.nan)
    return Intensities(mean, std, low, high)


def _blocks(channel: NDArray[Any], runs: LabelRuns) -> Any:
    """Give, block by block, the instance and the length of runs, and the pixels in them one after another."""
    length = runs.stops - runs.starts
    top, bottom = (int(runs.rows.min()), int(runs.rows.max()) + 1) if len(length) else (0, 0)
    begins = (runs.rows - top) * channel.shape[1] + runs.starts
    ends = np.cumsum(length)
    flat = np.ascontiguousarray(channel[top:bottom]).ravel()
    edge = 0
    while edge < len(length):
        before = ends[edge] - length[edge]
        # At least one run, and as many as fit.
        stop = max(edge + 1, int(np.searchsorted(ends, before + _PIXELS, side="right")))
        some = slice(edge, stop)
        inside = np.arange(length[some].sum()) - np.repeat(ends[some] - length[some] - before, length[some])
        values = flat[np.repeat(begins[some], length[some]) + inside]
        yield runs.index[some], length[some], values.astype(np.float64) if values.dtype.kind == "b" else values
        edge = stop
