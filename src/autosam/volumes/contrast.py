"""The intensities of a volume that become 0 and 1: measured in a sample of it, once, smooth along z."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from autosam.config import ImagesConfig
from autosam.errors import InputError
from autosam.images.limits import plain_limits, robust_limits
from autosam.images.scaled_image import in_color

SAMPLES = 48
"""Slices that are measured at most."""

SIDE = 2048
"""A slice of more than its square in pixels is measured in ``PIECES`` × ``PIECES`` windows."""

PIECES, PIECE = 4, 512

SMOOTH = 9
"""Measured slices that one limit is the median of: single bad slices have no say, and drift over a stack has."""


class Slices(Protocol):
    """A volume that is read in parts."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(Z, Y, X)."""

    def read(self, z: int, window: tuple[slice, slice]) -> NDArray[Any]:
        """Give (h, w) or (h, w, 3)."""


@dataclass(frozen=True)
class Contrast:
    """Two limits for every slice, linear between those that were measured.

    Attributes
    ----------
    z : tuple of int
        Slices that were measured, rising; at least one.
    dark, bright : tuple of float
        Intensities that become 0 and 1 there.
    invert : bool
        Dark becomes bright then.
    """

    z: tuple[int, ...]
    dark: tuple[float, ...]
    bright: tuple[float, ...]
    invert: bool = False

    def at(self, z: int) -> tuple[float, float]:
        """Give the limits of a slice."""
        return float(np.interp(z, self.z, self.dark)), float(np.interp(z, self.z, self.bright))

    def picture(self, pixels: NDArray[Any], z: int) -> NDArray[np.uint8]:
        """Scale pixels of a slice to 0 to 255; what is not finite counts as dark.

        Parameters
        ----------
        pixels : ndarray, shape (h, w) or (h, w, 3)
            As stored.

        Returns
        -------
        ndarray of uint8, shape (h, w, 3)
            A gray one is a read-only view that repeats one plane.
        """
        dark, bright = self.at(z)
        if pixels.dtype in (np.uint8, np.uint16):
            every = np.arange(1 << (8 * pixels.dtype.itemsize))
            return in_color(self._scaled(every, dark, bright)[pixels])
        return in_color(self._scaled(pixels, dark, bright))

    def _scaled(self, values: NDArray[Any], dark: float, bright: float) -> NDArray[np.uint8]:
        if not bright > dark:
            return np.zeros(values.shape, np.uint8)
        values = np.where(np.isfinite(values), values, dark).astype(np.float64)
        scaled = (np.clip(values, dark, bright) - dark) / (bright - dark)
        return np.asarray(np.rint(255 * (1 - scaled if self.invert else scaled)), np.uint8)


def measure_contrast(slices: Slices, settings: ImagesConfig) -> Contrast:
    """Measure the limits of a volume.

    Each of up to ``SAMPLES`` slices is measured as a 2D image is (``images.limits``, ``low``, ``high``), and each
    limit is then the median of ``SMOOTH`` measured neighbors. So no block has limits of its own, and a slow drift
    of contrast over the stack is followed. Slices without contrast, and unreadable ones, have no say.

    Raises
    ------
    InputError
        If no slice can be read.
    """
    measure = robust_limits if settings.limits == "robust" else plain_limits
    measured: list[tuple[int, float, float]] = []
    fault: InputError | None = None
    read = 0
    for z in evenly(slices.shape[0], SAMPLES):
        try:
            sample = slice_sample(slices, z)
        except InputError as error:
            fault = error
            continue
        read += 1
        limits = measure(sample, settings.low, settings.high)
        if limits.span > 0 and np.isfinite(limits.span):
            measured.append((z, limits.dark, limits.bright))
    if not read:
        raise fault or InputError(f"the volume has shape {slices.shape}; wanted at least one voxel")
    if not measured:
        return Contrast((0,), (0.0,), (0.0,), settings.invert)
    dark, bright = (
        tuple(median_filter([limits[end] for limits in measured], SMOOTH, mode="nearest").tolist())
        for end in (1, 2)
    )
    return Contrast(tuple(z for z, _, _ in measured), dark, bright, settings.invert)


def evenly(count: int, most: int) -> list[int]:
    """Choose up to so many numbers of 0 .. count - 1, evenly spread and the middle of their stretches.

    Examples
    --------
    >>> evenly(3, 5), evenly(10, 2)
    ([0, 1, 2], [2, 7])
    """
    chosen = min(count, most)
    return [(2 * i + 1) * count // (2 * chosen) for i in range(chosen)]


def slice_sample(slices: Slices, z: int) -> NDArray[Any]:
    """Read a slice, or of a large one ``PIECES`` × ``PIECES`` windows from all over it, set side by side."""
    _, height, width = slices.shape
    if height * width <= SIDE**2:
        return slices.read(z, (slice(0, height), slice(0, width)))
    rows, cols = (_pieces(length) for length in (height, width))
    return np.concatenate([np.concatenate([slices.read(z, (r, c)) for c in cols], axis=1) for r in rows], axis=0)


def _pieces(length: int) -> list[slice]:
    if length <= PIECES * PIECE:
        return [slice(0, length)]
    return [slice(at, at + PIECE) for at in ((length - PIECE) * i // (PIECES - 1) for i in range(PIECES))]


def middle_windows(slices: Slices, *, count: int, side: int) -> Iterator[tuple[int, tuple[slice, slice]]]:
    """Give the middle of several slices, evenly spread, in windows of at most side × side pixels."""
    _, height, width = slices.shape
    rows, cols = ((length - min(length, side)) // 2 for length in (height, width))
    window = (slice(rows, rows + min(height, side)), slice(cols, cols + min(width, side)))
    for z in evenly(slices.shape[0], count):
        yield z, window
