"""Statistics of small blocks of pixels: what an image shows, without the noise of single pixels."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

SIDE = 4
"""Side of a block in pixels: larger than a hot pixel, smaller than an object."""

_STRIP = 1 << 18
"""Blocks are made from strips of about this many pixels, so that there is no second copy of a large image."""

Gray = Literal["brightest", "darkest"]


@dataclass(frozen=True, eq=False)
class Blocks:
    """Blocks of ``SIDE`` × ``SIDE`` pixels, each array of float32 and shape (H // SIDE, W // SIDE).

    Attributes
    ----------
    mean, variance, least, most : ndarray
        Of the pixels in a block; the variance is that of a sample. NaN where a pixel is not finite.
    """

    mean: NDArray[np.float32]
    variance: NDArray[np.float32]
    least: NDArray[np.float32]
    most: NDArray[np.float32]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of blocks."""
        return self.mean.shape[0], self.mean.shape[1]

    def part(self, where: tuple[slice, slice]) -> "Blocks":
        """Return some rows and columns."""
        return Blocks(self.mean[where], self.variance[where], self.least[where], self.most[where])

    def mirrored(self) -> "Blocks":
        """Return those of 1 - image."""
        return Blocks(1 - self.mean, self.variance, 1 - self.most, 1 - self.least)


def measure_blocks(image: NDArray[Any], dark: float, span: float, gray: Gray) -> Blocks:
    """Measure the blocks of (image - dark) / span.

    Parameters
    ----------
    image : ndarray, shape (H, W) or (H, W, C)
        Rows and columns beyond the last whole block are left out.
    dark, span : float
        Intensity that becomes 0, and the difference to the one that becomes 1; span > 0.
    gray : {"brightest", "darkest"}
        Which channel stands for a pixel of several.
    """
    rows, columns = image.shape[0] // SIDE, image.shape[1] // SIDE
    mean, variance, least, most = (np.empty((rows, columns), np.float32) for _ in range(4))
    step = max(1, _STRIP // max(1, image.shape[1] * SIDE))
    # Without whole blocks in a row there is nothing to measure, however many rows there are.
    for start in range(0, rows if columns else 0, step):
        part = slice(start, min(start + step, rows))
        strip = image[part.start * SIDE : part.stop * SIDE, : columns * SIDE].astype(np.float64)
        if strip.ndim == 3:
            strip = strip.max(axis=2) if gray == "brightest" else strip.min(axis=2)
        strip[~np.isfinite(strip)] = np.nan
        # Far outside the limits nothing is told apart, and squares must not overflow.
        scaled = np.clip((strip - dark) / span, -1e6, 1e6)
        pixels = scaled.reshape(-1, SIDE, columns, SIDE).transpose(0, 2, 1, 3).reshape(-1, columns, SIDE * SIDE)
        mean[part] = pixels.mean(axis=2)
        variance[part] = pixels.var(axis=2, ddof=1)
        least[part], most[part] = pixels.min(axis=2), pixels.max(axis=2)
    return Blocks(mean, variance, least, most)


def pixel_mask(blocks: NDArray[np.bool_], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Give every pixel of an image the value of its block; pixels beyond the last one take that of the last."""
    rows = np.minimum(np.arange(shape[0]) // SIDE, blocks.shape[0] - 1)
    columns = np.minimum(np.arange(shape[1]) // SIDE, blocks.shape[1] - 1)
    return np.asarray(blocks[rows[:, None], columns[None]])
