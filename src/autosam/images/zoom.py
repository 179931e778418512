"""Images at another zoom, and labels and maps on another grid."""

import numpy as np
import PIL.Image
from numpy.typing import NDArray

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

    Bilinear; below 1 with a triangle as wide as the pixels that become one, against aliasing. Values stay within
    the range of the input. A scale of 1 returns the image as it is. A gray image that repeats one plane (a view
    with a stride of 0) stays one.

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
    if image.ndim == 2:
        return _resize(image, shape)
    if image.strides[2] == 0:
        return np.broadcast_to(_resize(image[..., 0], shape)[..., None], (*shape, image.shape[2]))
    resized = np.empty((*shape, image.shape[2]), np.float32)
    for channel in range(image.shape[2]):
        resized[..., channel] = _resize(image[..., channel], shape)
    return resized


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
    """Bring a map of probabilities, (h, w), to another grid, (H, W), as `zoom_image` does."""
    return values if values.shape == shape else _resize(values, shape)


def _resize(plane: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Resize one plane with Pillow: exact to rounding, and many times as fast as a spline of order 1."""
    picture = PIL.Image.fromarray(np.ascontiguousarray(plane))
    # What Pillow gives away is read-only.
    return np.array(picture.resize(shape[::-1], PIL.Image.Resampling.BILINEAR))
