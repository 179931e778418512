"""Intensities of any type to the range 0 to 1 of the networks, by percentiles of the whole image."""

import math
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from autosam.config import ImagesConfig
from autosam.errors import InputError

# Rows are processed in strips of about this many values, so that there is no float64 copy of a large image.
_STRIP = 1 << 20


def normalize(
    image: NDArray[Any], *, low: float, high: float, non_finite: Literal["error", "background"]
) -> NDArray[np.float32]:
    """Scale an image so that its low percentile becomes 0 and its high one 1, and clip the rest.

    The percentiles are those of the whole image, over all channels together, so that colors keep their ratios.

    Parameters
    ----------
    image : ndarray, shape (H, W) or (H, W, 3)
        Integers or floating point numbers of any range.
    low, high : float
        Percentiles, 0 <= low < high <= 100, linearly interpolated as `numpy.percentile` does. Where both fall
        on one intensity (few bright spots on an even background), the lowest and highest intensity are used.
    non_finite : {"error", "background"}
        Refuse NaN and infinity, or set them to the low percentile, which becomes 0.

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
    >>> normalize(np.array([[0, 5, 10]], np.uint8), low=0, high=100, non_finite="error")[0, :, 0].tolist()
    [0.0, 0.5, 1.0]
    """
    if 0 in image.shape or image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] != 3):
        raise InputError(f"the image has shape {image.shape}; wanted (H, W) or (H, W, 3), not empty.")
    if image.dtype.kind not in "biuf":
        raise InputError(f"the image holds {image.dtype} values; wanted integers or floating point numbers.")
    if not 0 <= low < high <= 100:
        raise InputError(f"percentiles are {low} and {high}; wanted 0 <= low < high <= 100.")
    if image.dtype == bool:
        image = image.view(np.uint8)

    finite = _finite_values(image, non_finite)
    dark, bright = _percentiles(finite, low, high) if finite.size else (0.0, 0.0)
    if finite.size and dark == bright:
        dark, bright = float(finite.min()), float(finite.max())
    span = bright - dark
    if not math.isfinite(span):
        raise InputError(
            f"intensities range from {dark:g} to {bright:g}; wanted a range below 1e308: check the file."
        )

    zoomed = np.zeros(image.shape, np.float32)
    if span > 0:
        for rows in _strips(image):
            strip = image[rows].astype(np.float64)
            if image.dtype.kind == "f" and non_finite == "background":
                strip[~np.isfinite(strip)] = dark
            zoomed[rows] = (np.clip(strip, dark, bright) - dark) / span
    if zoomed.ndim == 3:
        return zoomed
    return np.broadcast_to(zoomed[:, :, None], (*zoomed.shape, 3))


def normalize_for_display(image: NDArray[Any]) -> NDArray[np.float32]:
    """Normalize an image by the default percentiles, (H, W) or (H, W, 3); NaN and infinity are background."""
    settings = ImagesConfig()
    return normalize(image, low=settings.low, high=settings.high, non_finite="background")


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
    for rows in _strips(image):
        strip = image[rows]
        if not ((strip >= 0) & (strip <= 1)).all():
            raise InputError(
                f"intensities range from {image.min():g} to {image.max():g}; wanted 0 to 1: normalize."
            )
        rounded[rows] = np.rint(strip * strip.dtype.type(255))
    return rounded


def _strips(image: NDArray[Any]) -> Iterator[slice]:
    step = max(1, _STRIP // max(1, math.prod(image.shape[1:])))
    return (slice(start, start + step) for start in range(0, image.shape[0], step))


def _finite_values(image: NDArray[Any], non_finite: str) -> NDArray[Any]:
    """Return the image itself where all values are finite, else its finite values in one dimension."""
    if image.dtype.kind != "f":
        return image
    finite = np.isfinite(image)
    if finite.all():
        return image
    if non_finite == "error":
        pixels = finite if image.ndim == 2 else finite.all(axis=2)
        raise InputError(
            f"{np.count_nonzero(~pixels)} of {pixels.size} pixels are NaN or infinite; wanted finite ones: "
            "repair the image, or treat them as background with --set images.non_finite=background."
        )
    return np.asarray(image[finite])


def _percentiles(values: NDArray[Any], low: float, high: float) -> tuple[float, float]:
    if values.dtype in (np.uint8, np.uint16):
        counts = np.zeros(1 << (8 * values.dtype.itemsize), np.int64)
        for rows in _strips(values):
            counts += np.bincount(values[rows].ravel(), minlength=counts.size)
        return _histogram_percentile(counts, low), _histogram_percentile(counts, high)
    if values.dtype == np.float16:
        # Interpolated in float16, percentiles would be coarse, and their difference could overflow.
        values = values.astype(np.float32)
    # Where this overflows, the caller finds a span that is not finite.
    with np.errstate(over="ignore", invalid="ignore"):
        dark, bright = np.percentile(values, [low, high])
    return float(dark), float(bright)


def _histogram_percentile(counts: NDArray[np.int64], percent: float) -> float:
    """Compute `numpy.percentile` of the values that a histogram counts, equal to the last bit."""
    upto = np.cumsum(counts)
    position = percent / 100 * (int(upto[-1]) - 1)
    below = math.floor(position)
    fraction = position - below
    # The value at sorted position p is the first one that more than p values do not exceed.
    first, second = (int(v) for v in np.searchsorted(upto, [below, math.ceil(position)], side="right"))
    if fraction < 0.5:
        return first + (second - first) * fraction
    return second - (second - first) * (1 - fraction)
