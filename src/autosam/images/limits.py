"""The two intensities of an image that become 0 and 1."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from autosam.images.blocks import SIDE, Blocks, measure_blocks, pixel_mask
from autosam.images.margins import GAP, find_rest
from autosam.images.outliers import FAR, FAR_BELOW, FEWEST, limit_beyond_outliers

# Rows are processed in strips of about this many values, so that there is no float64 copy of a large image.
_STRIP = 1 << 20

MOST_CUT = 2.0
"""See `robust_limits`."""


class Limits(NamedTuple):
    """The intensities that become 0 and 1; equal for a constant image."""

    dark: float
    bright: float

    @property
    def span(self) -> float:
        """Difference of the two; infinite where it is no finite number of float64."""
        return self.bright - self.dark


def plain_limits(image: NDArray[Any], low: float, high: float) -> Limits:
    """Take the percentiles of all finite pixels; the lowest and highest intensity where both fall on one.

    0 and 0 where no pixel is finite.
    """
    finite = finite_values(image)
    if not finite.size:
        return Limits(0.0, 0.0)
    limits = Limits(*percentiles(finite, low, high))
    return limits if limits.span else Limits(float(finite.min()), float(finite.max()))


def robust_limits(image: NDArray[Any], low: float, high: float) -> Limits:
    """Take the plain limits, unless margins, specks or a small share of objects spoil them.

    A margin is left out of the percentiles (`margins`). Then either limit is moved where specks or too few objects
    have made the percentile a bad one (`outliers`), unless it cuts off more than ``MOST_CUT`` percent: somebody
    will have wanted that. Most images keep their plain limits, bit for bit.
    """
    image = _without_thin_frame(image, low, high)
    limits = plain_limits(image, low, high)
    if not 0 < limits.span < math.inf:
        return limits
    bright = measure_blocks(image, limits.dark, limits.span, "brightest")
    if bright.mean.size < FEWEST:
        return limits
    rest = find_rest(bright)
    if rest is None:
        rest = ~np.isnan(bright.mean)
    else:
        within = Limits(*percentiles(finite_values(image[pixel_mask(rest, image.shape)]), low, high))
        if within.span > 0:
            limits = within
            bright = measure_blocks(image, limits.dark, limits.span, "brightest")
            rest = rest & ~np.isnan(bright.mean)
    return _moved(image, limits, bright, rest, movable=(low <= MOST_CUT, high >= 100 - MOST_CUT))


def _without_thin_frame(image: NDArray[Any], low: float, high: float) -> NDArray[Any]:
    """Leave out a frame that is thinner than two blocks, of one intensity far from all others, if there is one."""
    frame = image[0, 0]
    edges = [0, 0, 0, 0]
    if min(image.shape[:2]) < 8 * SIDE:
        return image
    for side in range(4):
        turned = np.rot90(image, side)
        while edges[side] < 2 * SIDE and (turned[edges[side]] == frame).all():
            edges[side] += 1
    top, right, bottom, left = edges
    inner = image[top : image.shape[0] - bottom, left : image.shape[1] - right]
    if not any(edges):
        return image
    limits = plain_limits(inner, low, high)
    far = GAP * limits.span
    outside = (frame < limits.dark - far) | (frame > limits.bright + far)
    return inner if 0 < limits.span < math.inf and np.all(outside) else image


def _moved(
    image: NDArray[Any], limits: Limits, bright: Blocks, rest: NDArray[np.bool_], *, movable: tuple[bool, bool]
) -> Limits:
    """Move either limit where outliers have spoiled it and it is movable."""
    steps = 0.0 if image.dtype.kind == "f" else 1 / limits.span
    darkest = bright if image.ndim == 2 else measure_blocks(image, limits.dark, limits.span, "darkest")
    colored = image.ndim == 3
    upper = lower = None
    if movable[1]:
        upper = limit_beyond_outliers(bright, rest, far=math.inf if colored else FAR, steps=steps)
    if movable[0]:
        far = math.inf if colored else FAR_BELOW
        lower = limit_beyond_outliers(darkest.mirrored(), rest, far=far, steps=steps)
    if upper is None and lower is None:
        return limits
    top = limits.bright if upper is None else limits.dark + upper * limits.span
    bottom = limits.dark if lower is None else limits.bright - lower * limits.span
    return Limits(bottom, top) if bottom < top else limits


def finite_values(image: NDArray[Any]) -> NDArray[Any]:
    """Return the image itself where all values are finite, else its finite values in one dimension."""
    if image.dtype.kind != "f":
        return image
    finite = np.isfinite(image)
    return image if finite.all() else np.asarray(image[finite])


def percentiles(values: NDArray[Any], low: float, high: float) -> tuple[float, float]:
    """Compute two percentiles as `numpy.percentile` does, linearly interpolated."""
    if values.dtype in (np.uint8, np.uint16):
        counts = np.zeros(1 << (8 * values.dtype.itemsize), np.int64)
        for rows in strips(values):
            counts += np.bincount(values[rows].ravel(), minlength=counts.size)
        return _histogram_percentile(counts, low), _histogram_percentile(counts, high)
    if values.dtype == np.float16:
        # Interpolated in float16, percentiles would be coarse, and their difference could overflow.
        values = values.astype(np.float32)
    # Where this overflows, the span is not finite.
    with np.errstate(over="ignore", invalid="ignore"):
        dark, bright = np.percentile(values, [low, high])
    return float(dark), float(bright)


def strips(image: NDArray[Any]) -> Iterator[slice]:
    """Cut an image into slices of rows that are small enough to be copied as float64."""
    step = max(1, _STRIP // max(1, math.prod(image.shape[1:])))
    return (slice(start, start + step) for start in range(0, image.shape[0], step))


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
