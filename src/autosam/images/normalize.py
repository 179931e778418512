"""Intensities of any type to the range 0 to 1 of the networks, by two limits of the whole image."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.config import ImagesConfig
from autosam.errors import InputError
from autosam.images.limits import Limits, finite_values, plain_limits, robust_limits, strips
from autosam.images.local_limits import LocalLimits, find_local_limits, is_uneven
from autosam.images.lookup_table import undo_lookup_table
from autosam.images.scaled_image import ScaledImage, in_color


def normalize(image: NDArray[Any], settings: ImagesConfig) -> NDArray[np.float32]:
    """Scale an image so that one intensity becomes 0 and a higher one 1, and clip the rest.

    The two limits are those of the whole image, over all channels together, so that colors keep their ratios. With
    ``local``, they change smoothly over the image.

    Parameters
    ----------
    image : ndarray, shape (H, W) or (H, W, 3)
        Integers or floating point numbers of any range. With ``lookup_tables``, an RGB image in the colors of a
        lookup table counts as the gray image that it was (`undo_lookup_table`).
    settings : ImagesConfig
        ``low`` and ``high``: percentiles, linearly interpolated as `numpy.percentile` does. Where both fall on one
        intensity (few bright spots on an even background), the lowest and highest intensity are used.
        ``limits``: ``plain`` takes the percentiles of all pixels; ``robust`` leaves margins out, and moves a limit
        that specks or a small share of objects have spoiled (`robust_limits`). Most images are alike under both.
        ``non_finite``: NaN and infinity are refused, or become 0. ``invert`` makes dark bright and bright dark.

    Returns
    -------
    ndarray of float32, shape (H, W, 3)
        Between 0 and 1; zeros for a constant image. A gray image is a read-only view that repeats one (H, W)
        plane: copy before writing into it.

    Raises
    ------
    InputError
        If the shape or the percentiles do not fit, or the image holds NaN or infinity and these are refused.

    Examples
    --------
    >>> normalize(np.array([[0, 5, 10]], np.uint8), ImagesConfig(low=0, high=100))[0, :, 0].tolist()
    [0.0, 0.5, 1.0]
    """
    scaled = scale(image, settings)
    return scaled if isinstance(scaled, np.ndarray) else scaled[:]


def scale(image: NDArray[Any], settings: ImagesConfig) -> NDArray[np.float32] | ScaledImage:
    """Do as `normalize` does; integers of 8 and 16 bits with one pair of limits are scaled where they are read."""
    low, high, non_finite = settings.low, settings.high, settings.non_finite
    image = _checked(image, low, high, non_finite)
    gray = undo_lookup_table(image) if settings.lookup_tables and image.ndim == 3 else None
    image = image if gray is None else gray
    limits = (robust_limits if settings.limits == "robust" else plain_limits)(image, low, high)
    if not math.isfinite(limits.span):
        raise InputError(
            f"intensities range from {limits.dark:g} to {limits.bright:g}; wanted a range below 1e308: check the "
            "file."
        )
    local = _local_limits(image, limits, settings) if limits.span > 0 else None
    if local is None and image.dtype in (np.uint8, np.uint16):
        # Each value that there can be is scaled once.
        every = np.arange(1 << (8 * image.dtype.itemsize), dtype=image.dtype)
        return ScaledImage(image, _scale(every[:, None], limits, None, invert=settings.invert)[:, 0])
    return in_color(_scale(image, limits, local, invert=settings.invert))


def _scale(image: NDArray[Any], limits: Limits, local: LocalLimits | None, *, invert: bool) -> NDArray[np.float32]:
    """Scale intensities to 0 to 1; zeros where the limits are one."""
    scaled = np.zeros(image.shape, np.float32)
    if not limits.span > 0:
        return scaled
    for rows in strips(image):
        strip = image[rows].astype(np.float64)
        missing = ~np.isfinite(strip)
        strip[missing] = limits.dark
        if local is None:
            strip = (np.clip(strip, limits.dark, limits.bright) - limits.dark) / limits.span
        else:
            strip = local.scale(strip, np.arange(image.shape[0])[rows])
        strip[missing] = 0
        if invert:
            strip = np.where(missing, 0, 1 - strip)
        scaled[rows] = strip
    return scaled


def _local_limits(image: NDArray[Any], limits: Limits, settings: ImagesConfig) -> LocalLimits | None:
    """Measure local limits where the settings want them, or where the image does; None otherwise."""
    window = settings.local_window
    if settings.local == "never" or (settings.local == "auto" and not is_uneven(image, limits, window=window)):
        return None
    find = robust_limits if settings.limits == "robust" else plain_limits
    return find_local_limits(
        image, limits, window=window, measure=lambda part: find(part, settings.low, settings.high)
    )


def normalize_for_display(image: NDArray[Any]) -> NDArray[np.float32]:
    """Normalize an image by the default settings, (H, W) or (H, W, 3); NaN and infinity are background."""
    return normalize(image, ImagesConfig(non_finite="background"))


def to_uint8(image: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """Round intensities between 0 and 1, of any shape, to whole numbers between 0 and 255 (half to even).

    Raises
    ------
    InputError
        If a value lies outside 0 to 1 or is NaN.

    Examples
    --------
    >>> to_uint8(np.array([0.0, 0.5, 1.0])).tolist()
    [0, 128, 255]
    """
    rounded = np.empty(image.shape, np.uint8)
    for rows in strips(image):
        strip = image[rows]
        if not ((strip >= 0) & (strip <= 1)).all():
            raise InputError(
                f"intensities range from {image.min():g} to {image.max():g}; wanted 0 to 1: normalize."
            )
        rounded[rows] = np.rint(strip * strip.dtype.type(255))
    return rounded


def _checked(image: NDArray[Any], low: float, high: float, non_finite: str) -> NDArray[Any]:
    """Return the image, with bool as uint8, or say what is wrong."""
    if 0 in image.shape or image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] != 3):
        raise InputError(f"the image has shape {image.shape}; wanted (H, W) or (H, W, 3), not empty.")
    if image.dtype.kind not in "biuf":
        raise InputError(f"the image holds {image.dtype} values; wanted integers or floating point numbers.")
    if not 0 <= low < high <= 100:
        raise InputError(f"percentiles are {low} and {high}; wanted 0 <= low < high <= 100.")
    if non_finite == "error" and finite_values(image).size < image.size:
        finite = np.isfinite(image)
        pixels = finite if image.ndim == 2 else finite.all(axis=2)
        raise InputError(
            f"{np.count_nonzero(~pixels)} of {pixels.size} pixels are NaN or infinite; wanted finite ones: "
            "repair the image, or treat them as background with --set images.non_finite=background."
        )
    return image.view(np.uint8) if image.dtype == bool else image
