"""Labels and masks on another grid: a pixel is an object's where objects cover half of it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from autosam.images.tile import Window

_ROUNDING = 1e-9
"""Shares of a pixel that differ by less are equal."""


def coverage_weights(there: int, wanted: int) -> NDArray[np.float64]:
    """Weights with which the pixels along one side of an image make those of another grid.

    Parameters
    ----------
    there, wanted : int
        Pixels along the side of the first and of the second grid.

    Returns
    -------
    ndarray of float64, shape (wanted, there)
        Rows sum to 1. Where the second grid is coarser, how much of its pixel each of the first one's covers;
        where it is finer, linear interpolation at the pixel's centre, which repeats the edge beyond the last one.
    """
    step = there / wanted
    centers = (np.arange(wanted) + 0.5) * step - 0.5
    if step < 1:
        centers = np.clip(centers, 0, there - 1)
    distance = np.abs(centers[:, None] - np.arange(there))
    # Two intervals of lengths `step` and 1 share what their centres are nearer than half of both.
    shared = (max(step, 1) + 1) / 2 - distance
    return np.asarray(np.clip(shared, 0, 1) / max(step, 1), dtype=np.float64)


def mask_coverage(
    mask: NDArray[np.bool_], corner: tuple[int, int], weights: Sequence[NDArray[np.float64]]
) -> tuple[Window, NDArray[np.float64]] | None:
    """Say how much of the pixels of another grid a mask covers.

    Parameters
    ----------
    mask : ndarray of bool, shape (h, w)
        A part of an image.
    corner : tuple of int
        Row and column in the image of its first pixel.
    weights : two of ndarray
        Those of the image's rows and columns, see `coverage_weights`.

    Returns
    -------
    window : Window
        The part of the other grid that its pixels reach.
    covered : ndarray of float64, shape (height, width) of the window
        0 to 1.
    None where they reach no pixel of the other grid, as between the centres that linear interpolation asks.
    """
    parts = [side[:, at : at + size] for side, at, size in zip(weights, corner, mask.shape, strict=True)]
    rows, cols = (np.flatnonzero(part.any(axis=1)) for part in parts)
    if not (rows.size and cols.size):
        return None
    window = Window(int(rows[0]), int(cols[0]), len(rows), len(cols))
    return window, parts[0][rows] @ mask @ parts[1][cols].T


def half_covered(covered: NDArray[np.float64], foreground: NDArray[np.float32] | None) -> NDArray[np.bool_]:
    """Tell which pixels objects cover by half; where it is exactly half, those that probably are foreground.

    Without ``foreground``, a map of probabilities of the same shape, all of them are.
    """
    if foreground is None:
        return covered >= 0.5 - _ROUNDING
    return covered >= np.where(foreground >= 0.5, 0.5 - _ROUNDING, 0.5 + _ROUNDING)


def resize_labels(
    labels: NDArray[np.int32], shape: tuple[int, int], *, foreground: NDArray[np.float32] | None = None
) -> NDArray[np.int32]:
    """Bring labels to another grid: where objects cover half of a pixel, it goes to the one that covers most.

    Parameters
    ----------
    labels : ndarray of int32, shape (h, w)
        0 for background.
    shape : tuple of int
        Rows and columns wanted.
    foreground : ndarray of float32, shape `shape`, optional
        Probability, 0 to 1, that a pixel belongs to an object: where objects cover exactly half, as on straight
        edges between two of four pixels, .5 and more says that it is theirs. Without it, it always is.

    Returns
    -------
    ndarray of int32, shape `shape`
        An object that covers most of no pixel is lost; of two that cover the same the lower id wins.

    Examples
    --------
    >>> resize_labels(np.array([[1, 1, 1, 2, 2, 0, 0, 0]] * 2, dtype=np.int32), (1, 4)).tolist()
    [[1, 1, 2, 0]]
    """
    if labels.shape == shape:
        return labels
    weights = [coverage_weights(there, wanted) for there, wanted in zip(labels.shape, shape, strict=True)]
    covered, most = np.zeros(shape), np.zeros(shape)
    owner = np.zeros(shape, dtype=np.int32)
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is None:
            continue
        found = mask_coverage(labels[box] == number, (box[0].start, box[1].start), weights)
        if found is None:
            continue
        at, own = found
        window = np.s_[at.row : at.row + at.height, at.col : at.col + at.width]
        covered[window] += own
        better = own > most[window] + _ROUNDING
        most[window][better] = own[better]
        owner[window][better] = number
    return np.where(half_covered(covered, foreground), owner, 0).astype(np.int32)
