"""Limits of intensities that differ from place to place, for images of uneven illumination.

They belong to the whole image and change smoothly, so there are no seams, also not between tiles.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from autosam.images.blocks import SIDE, measure_blocks
from autosam.images.limits import Limits
from autosam.images.outliers import is_textured, shows_something

TIMES = 3.4
"""From this ratio of contrasts, of the tenth brightest and the tenth dimmest part, an illumination is uneven.
Electron micrographs have up to 1.8, crowded nuclei up to 3.1."""

TEXTURED = 0.9
"""Share of the parts that must be textured. Objects on a background may be dim themselves."""

FEWEST = 9
"""Parts without which an illumination is not known."""

LEAST = 0.002
"""Smallest distance of local limits, as a share of the global one: what is darker still is noise."""


@dataclass(frozen=True, eq=False)
class LocalLimits:
    """Limits on a grid of places, linear in between.

    Attributes
    ----------
    rows, columns : ndarray, shape (m,) and (n,)
        Pixels at the places, increasing.
    dark, span : ndarray, shape (m, n)
        Intensity that becomes 0 there, and the distance to the one that becomes 1.
    """

    rows: NDArray[np.float64]
    columns: NDArray[np.float64]
    dark: NDArray[np.float64]
    span: NDArray[np.float64]

    def scale(self, strip: NDArray[np.float64], rows: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
        """Scale whole rows of pixels, (h, W) or (h, W, 3), whose numbers are `rows`, to 0 to 1."""
        along, across = _weights(self.rows, rows), _weights(self.columns, np.arange(strip.shape[1]))
        dark, span = along @ self.dark @ across.T, along @ self.span @ across.T
        if strip.ndim == 3:
            dark, span = dark[..., None], span[..., None]
        return np.clip((strip - dark) / span, 0, 1)


def find_local_limits(
    image: NDArray[Any], limits: Limits, *, window: int, measure: Callable[[NDArray[Any]], Limits]
) -> LocalLimits | None:
    """Measure the limits of windows around places that are half a window apart, and smooth them.

    Parameters
    ----------
    image : ndarray, shape (H, W) or (H, W, 3)
    limits : Limits
        Of the whole image, with a span above 0.
    window : int
        Side of a window in pixels.
    measure : callable
        Gives the limits of the pixels in a window.

    Returns
    -------
    LocalLimits or None
        Windows that show nothing take the limits of the nearest ones that do. None where no window does.
    """
    starts = [_starts(length, window) for length in image.shape[:2]]
    dark, span = (np.full((len(starts[0]), len(starts[1])), np.nan) for _ in range(2))
    for i, row in enumerate(starts[0]):
        for j, column in enumerate(starts[1]):
            part = image[row : row + window, column : column + window]
            if _shows_something(part, image, limits):
                found = measure(part)
                dark[i, j], span[i, j] = found.dark, max(found.span, LEAST * limits.span)
    if np.isnan(span).all():
        return None
    nearest = ndimage.distance_transform_edt(np.isnan(span), return_distances=False, return_indices=True)
    dark, span = (
        ndimage.gaussian_filter(field[tuple(nearest)], 0.7, mode="nearest") for field in (dark, np.log(span))
    )
    middles = [at + (min(window, length) - 1) / 2 for at, length in zip(starts, image.shape[:2], strict=True)]
    return LocalLimits(middles[0], middles[1], dark, np.exp(span))


def is_uneven(image: NDArray[Any], limits: Limits, *, window: int) -> bool:
    """Tell whether the contrast of a gray, textured image differs so much that one pair of limits cannot fit."""
    side = max(1, window // SIDE)
    if (
        image.ndim != 2
        or min(image.shape) < window
        or (image.shape[0] // window) * (image.shape[1] // window) < FEWEST
    ):
        return False
    blocks, steps = measure_blocks(image, limits.dark, limits.span, "brightest"), _steps(image, limits)
    spans, count = [], 0
    for row in range(0, blocks.shape[0] - side + 1, side):
        for column in range(0, blocks.shape[1] - side + 1, side):
            part = blocks.part(np.s_[row : row + side, column : column + side])
            count += 1
            if is_textured(part, ~np.isnan(part.mean), steps=steps):
                low, high = np.nanpercentile(part.mean, [2, 98])
                spans.append(float(high - low))
    if len(spans) < max(FEWEST, TEXTURED * count):
        return False
    dim, bright = np.percentile(spans, [10, 90])
    return bool(bright > TIMES * dim)


def _shows_something(part: NDArray[Any], whole: NDArray[Any], limits: Limits) -> bool:
    blocks = measure_blocks(part, limits.dark, limits.span, "brightest")
    return shows_something(blocks, ~np.isnan(blocks.mean), steps=_steps(whole, limits))


def _steps(image: NDArray[Any], limits: Limits) -> float:
    return 0.0 if image.dtype.kind == "f" else 1 / limits.span


def _starts(length: int, window: int) -> NDArray[np.int64]:
    """Give the first pixels of windows that reach from one end to the other, about half a window apart."""
    last = max(0, length - window)
    return np.unique(np.round(np.linspace(0, last, 1 + -(-last // max(1, window // 2)))).astype(np.int64))


def _weights(places: NDArray[np.float64], pixels: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    """Return the weights of every place for linear interpolation at pixels: (pixels, places)."""
    return np.stack([np.interp(pixels, places, unit) for unit in np.eye(len(places))], axis=1)
