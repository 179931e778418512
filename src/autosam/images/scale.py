"""Images at another magnification, and labels back on the original grid."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.transform import resize

from autosam.errors import InputError
from autosam.images.tile import Window

TOLERANCE = 1.25
"""Magnifications up to this, or down to its inverse, are not worth resampling an image for."""

_ROUNDING = 1e-9
"""Shares of a pixel that differ by less are equal."""

LARGEST = 8.0
"""An image is magnified or shrunk by no more than this: what is asked beyond it is a mistake, not a scale."""


def settled(factor: float) -> float:
    """Leave a magnification away that is not worth it.

    Raises
    ------
    InputError
        If it is not from 1 / ``LARGEST`` to ``LARGEST``.

    Examples
    --------
    >>> settled(1.2), settled(1.3), settled(0.5)
    (1.0, 1.3, 0.5)
    """
    if not 1 / LARGEST <= factor <= LARGEST:
        raise InputError(
            f"the image would be magnified {factor:g} times to look as the training images did, wanted "
            f"{1 / LARGEST:g} to {LARGEST:g}; correct its pixel size or the diameter of its objects"
        )
    return 1.0 if 1 / TOLERANCE <= factor <= TOLERANCE else factor


def magnify(image: NDArray[np.float32], scale: float) -> NDArray[np.float32]:
    """Resize an image, so that an object of d pixels has ``scale`` × d.

    Parameters
    ----------
    image : ndarray of float32, shape (H, W) or (H, W, C)
    scale : float
        Above 1 magnifies (bilinear), below 1 shrinks (after a Gaussian filter against aliasing); 1 returns the
        image as it is.

    Returns
    -------
    ndarray of float32, shape (round(scale H), round(scale W)[, C])
        At least one pixel on each side; within the range of the input.

    Raises
    ------
    InputError
        If the scale is not above 0.
    """
    if not scale > 0:
        raise InputError(f"the scale is {scale}; it must be above 0")
    if scale == 1:
        return image
    shape = scaled_shape((image.shape[0], image.shape[1]), scale)
    resized = resize(image, (*shape, *image.shape[2:]), order=1, mode="edge", anti_aliasing=scale < 1)
    return np.asarray(resized, dtype=np.float32)


def scaled_shape(shape: tuple[int, int], scale: float) -> tuple[int, int]:
    """Rows and columns of an image of this shape after `magnify`.

    Examples
    --------
    >>> scaled_shape((256, 3), 0.1)
    (26, 1)
    """
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def resize_nearest(labels: NDArray[np.int32], shape: tuple[int, int]) -> NDArray[np.int32]:
    """Bring labels to another grid without making new ids: every pixel takes the id at its centre.

    Parameters
    ----------
    labels : ndarray of int32, shape (h, w)
    shape : tuple of int
        Rows and columns wanted.

    Returns
    -------
    ndarray of int32, shape `shape`
        An object that covers no pixel's centre is lost.

    Examples
    --------
    >>> resize_nearest(np.array([[1, 2]], dtype=np.int32), (2, 4)).tolist()
    [[1, 1, 2, 2], [1, 1, 2, 2]]
    """
    rows, columns = (
        ((np.arange(wanted) + 0.5) * there / wanted).astype(np.intp)
        for wanted, there in zip(shape, labels.shape, strict=True)
    )
    return np.ascontiguousarray(labels[np.ix_(rows, columns)])


def resize_map(values: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Bring a map of probabilities to another grid, (H, W); bilinear, after a Gaussian filter where it shrinks."""
    if values.shape == shape:
        return values
    smaller = shape[0] < values.shape[0]
    return np.asarray(resize(values, shape, order=1, mode="edge", anti_aliasing=smaller), dtype=np.float32)


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
    return np.clip(shared, 0, 1) / max(step, 1)


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
    """Bring labels to another grid: a pixel is an object's where objects cover half of it, and its who covers most.

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
