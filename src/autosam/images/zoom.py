"""Images at another zoom, and labels and maps on another grid."""

import numpy as np
from numpy.typing import NDArray
from skimage.transform import resize

from autosam.errors import InputError

TOLERANCE = 1.25
"""Zooms up to this, or down to its inverse, are not worth resampling an image."""

LARGEST = 8.0
"""Zooms beyond this, or below its inverse, are refused as mistakes."""


def settled(factor: float, tolerance: float = TOLERANCE) -> float:
    """Give a zoom, or 1 where it is within a tolerance of it and not worth resampling.

    Raises
    ------
    InputError
        If it is not from 1 / ``LARGEST`` to ``LARGEST``.

    Examples
    --------
    >>> settled(1.2), settled(1.2, tolerance=1.1), settled(0.5)
    (1.0, 1.2, 0.5)
    """
    if not 1 / LARGEST <= factor <= LARGEST:
        raise InputError(
            f"the image would be zoomed {factor:g} times to look as the training images did, wanted "
            f"{1 / LARGEST:g} to {LARGEST:g}; correct its pixel size or the diameter of its objects"
        )
    return 1.0 if 1 / tolerance <= factor <= tolerance else factor


def zoom_image(image: NDArray[np.float32], scale: float) -> NDArray[np.float32]:
    """Resize an image, (H, W[, C]), so that an object of d pixels has ``scale`` × d; see `zoomed_shape`.

    Bilinear, below 1 after a Gaussian filter against aliasing; values stay within the range of the input. A scale
    of 1 returns the image as it is.

    Raises
    ------
    InputError
        If the scale is not above 0.
    """
    if not scale > 0:
        raise InputError(f"the scale is {scale}; it must be above 0")
    if scale == 1:
        return image
    shape = zoomed_shape((image.shape[0], image.shape[1]), scale)
    resized = resize(image, (*shape, *image.shape[2:]), order=1, mode="edge", anti_aliasing=scale < 1)
    return np.asarray(resized, dtype=np.float32)


def zoomed_shape(shape: tuple[int, int], scale: float) -> tuple[int, int]:
    """Give rows and columns of an image of this shape after `zoom_image`, at least one each.

    Examples
    --------
    >>> zoomed_shape((256, 3), 0.1)
    (26, 1)
    """
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def resize_nearest(labels: NDArray[np.int32], shape: tuple[int, int]) -> NDArray[np.int32]:
    """Bring labels, (h, w), to another grid: every pixel takes the id at its center.

    An object that covers no pixel's center is lost.

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
