"""Palettes of TIFF, PNG and BMP: lookup tables over gray values, or the colors of a picture."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_TURNS = 12
"""How often the channels of a lookup table turn from rising to falling or back, in all; jet does so 5 times."""
_FEW = 64
"""A palette of fewer colors has few turns by chance, so that its brightness must rise or fall throughout."""
_DARK = 0.5
"""The darkest color of a lookup table has at most this share of the brightest one's luminance."""
_FALLS = -0.9
"""Correlation of index and luminance below which a lookup table goes from bright to dark."""


def gray_lookup(palette: NDArray[np.uint8]) -> NDArray[np.unsignedinteger[Any]] | None:
    """Give the gray value of every index of a palette, or None where the palette holds the colors of a picture.

    A palette of grays gives these. A smooth ramp of colors (shades of one hue, viridis, hot, fire) only displays
    the indices, so that they are the gray values. They are inverted where the ramp goes from bright to dark.

    Parameters
    ----------
    palette : ndarray of uint8, shape (N, 3)
        Red, green and blue of every index; N is at most 65,536.

    Examples
    --------
    >>> levels = np.arange(256, dtype=np.uint8)
    >>> green = np.stack([0 * levels, levels, 0 * levels], axis=1)
    >>> gray_lookup(green)[[0, 7, 255]].tolist(), gray_lookup(green[::-1])[[0, 7, 255]].tolist()
    ([0, 7, 255], [255, 248, 0])
    """
    colors = palette.astype(np.int64)
    if (np.ptp(colors, axis=1) == 0).all():
        return palette[:, 0].copy()
    # What a file does not use is black, at the end.
    used = np.flatnonzero(colors.any(axis=1))
    colors = colors[: used[-1] + 1]
    luminance = colors @ (299, 587, 114)
    steps = np.diff(luminance)
    few = len(colors) < _FEW
    if few and not ((steps >= 0).all() or (steps <= 0).all()):
        return None
    if luminance.min() >= _DARK * luminance.max() or _turns(colors) > (_TURNS // 4 if few else _TURNS):
        return None
    indices: NDArray[np.unsignedinteger[Any]] = np.arange(len(palette), dtype=np.min_scalar_type(len(palette) - 1))
    falls = np.corrcoef(np.arange(len(colors)), luminance)[0, 1] < _FALLS
    return indices[::-1].copy() if falls else indices


def _turns(colors: NDArray[np.int64]) -> int:
    """Count over the channels how often steps change their sign; steps of 1 can come from rounding."""
    steps = np.diff(colors, axis=0).T
    return sum(int((np.diff(np.sign(channel[np.abs(channel) > 1])) != 0).sum()) for channel in steps)
