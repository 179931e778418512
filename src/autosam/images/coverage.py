"""Labels and masks on another grid: objects get the pixels of which they cover half."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from autosam.images.tile import Window

_ROUNDING = 1e-9
"""Coverages that differ by less are equal."""


def coverage_weights(there: int, wanted: int, *, first: int, count: int) -> tuple[int, NDArray[np.float64]]:
    """Give the weights by which pixels along one axis contribute to the pixels of another grid.

    Parameters
    ----------
    there, wanted : int
        Pixels along the axis of the first and of the second grid.
    first, count : int
        Range of pixels on the first grid.

    Returns
    -------
    start : int
        First pixel of the second grid that they reach.
    weights : ndarray of float64, shape (n, count)
        Of the n pixels from there that they reach, perhaps none. Where the second grid is coarser, its coverage by
        each pixel of the first; where it is finer, linear interpolation at its centers, with the edge repeated.
        The weights of all pixels of the first grid sum to 1.
    """
    step = there / wanted
    # One more at both ends than they can reach.
    start, stop = max(0, int((first - 1) / step) - 1), min(wanted, int((first + count + 1) / step) + 2)
    centers = (np.arange(start, stop) + 0.5) * step - 0.5
    if step < 1:
        centers = np.clip(centers, 0, there - 1)
    distance = np.abs(centers[:, None] - np.arange(first, first + count))
    # Intervals of lengths `step` and 1 overlap by how much nearer their centers are than half of both lengths.
    weights = np.clip((max(step, 1) + 1) / 2 - distance, 0, 1) / max(step, 1)
    reached = np.flatnonzero(weights.any(axis=1))
    return (start + int(reached[0]) if reached.size else start), weights[reached]


def mask_coverage(
    mask: NDArray[np.bool_], corner: tuple[int, int], grid: tuple[int, int], shape: tuple[int, int]
) -> tuple[Window, NDArray[np.float64]]:
    """Measure how much of each pixel of another grid a mask covers, 0 to 1.

    The mask, (h, w), is part of an image with its first pixel at `corner`, row and column; `grid` and `shape` are
    rows and columns of the image on the first and on the second grid. The result is the window of the second grid
    that the mask reaches, and the coverage of its pixels, (height, width). The window is empty where the mask lies
    between the centers of a finer grid's pixels.
    """
    (row, rows), (col, cols) = (
        coverage_weights(there, wanted, first=first, count=count)
        for there, wanted, first, count in zip(grid, shape, corner, mask.shape, strict=True)
    )
    return Window(row, col, len(rows), len(cols)), rows @ mask @ cols.T


def half_covered(covered: NDArray[np.float64], foreground: NDArray[np.float32] | None) -> NDArray[np.bool_]:
    """Tell which pixels objects cover by half.

    Those of exactly half count where ``foreground``, a map of the same shape, is .5 or more, or is not given.
    """
    if foreground is None:
        return covered >= 0.5 - _ROUNDING
    return covered >= np.where(foreground >= 0.5, 0.5 - _ROUNDING, 0.5 + _ROUNDING)


def resize_labels(
    labels: NDArray[np.int32], shape: tuple[int, int], *, foreground: NDArray[np.float32] | None = None
) -> NDArray[np.int32]:
    """Bring labels to another grid: where objects cover half of a pixel, it goes to the one that covers most.

    An object that covers most of no pixel is lost; of two with equal coverage the lower id wins.

    Parameters
    ----------
    labels : ndarray of int32, shape (h, w)
        0 for background.
    shape : tuple of int
        Rows and columns wanted.
    foreground : ndarray of float32, shape `shape`, optional
        Probability that a pixel belongs to an object, for pixels of exactly half coverage: see `half_covered`.

    Examples
    --------
    >>> resize_labels(np.array([[1, 1, 1, 2, 2, 0, 0, 0]] * 2, dtype=np.int32), (1, 4)).tolist()
    [[1, 1, 2, 0]]
    """
    if labels.shape == shape:
        return labels
    grid = (labels.shape[0], labels.shape[1])
    covered, most = np.zeros(shape), np.zeros(shape)
    owner = np.zeros(shape, dtype=np.int32)
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is None:
            continue
        at, own = mask_coverage(labels[box] == number, (box[0].start, box[1].start), grid, shape)
        window = np.s_[at.row : at.row + at.height, at.col : at.col + at.width]
        covered[window] += own
        better = own > most[window] + _ROUNDING
        most[window][better] = own[better]
        owner[window][better] = number
    return np.where(half_covered(covered, foreground), owner, 0).astype(np.int32)
