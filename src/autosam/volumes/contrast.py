"""The intensities of a volume that become 0 and 1: measured in a sample of it, once, smooth along z."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle, product
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from autosam.config import ImagesConfig
from autosam.errors import InputError
from autosam.images.limits import plain_limits, robust_limits
from autosam.images.scaled_image import in_color
from autosam.images.stain_normalization import StainChange
from autosam.volumes.hole import HoleError

SAMPLES = 48
"""Slices that are measured at most."""

SIDE = 2048
"""A slice of more than its square in pixels is measured in ``PIECES`` × ``PIECES`` windows."""

PIECES, PIECE = 4, 512

SLIDE_PIECES, SLIDE_PIECE = 8, 256
"""Of a single slice, which is mostly glass, there are more and smaller windows."""

BLOCK, FLAT = 4, 0.08
"""Where blocks of so many pixels a side differ by less than this share of the range, there is nothing to see."""

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
    stain : StainChange or None
        How stained tissue gets the colors of training images, the same for every tile; see `find_slide_stain`.
    """

    z: tuple[int, ...]
    dark: tuple[float, ...]
    bright: tuple[float, ...]
    invert: bool = False
    stain: StainChange | None = None

    def at(self, z: int) -> tuple[float, float]:
        """Give the limits of a slice."""
        return float(np.interp(z, self.z, self.dark)), float(np.interp(z, self.z, self.bright))

    def picture(self, pixels: NDArray[Any], z: int) -> NDArray[np.uint8]:
        """Give pixels of a slice as the networks see them: `scaled`, in the colors of training images."""
        picture = self.scaled(pixels, z)
        if self.stain is None or is_flat(picture):
            return picture
        changed = self.stain.apply(np.asarray(picture / np.float32(255), np.float32))
        return np.asarray(np.rint(255 * changed), np.uint8)

    def scaled(self, pixels: NDArray[Any], z: int) -> NDArray[np.uint8]:
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
    """Read a slice, or of a large one ``PIECES`` × ``PIECES`` windows from all over it, set side by side.

    Windows that cannot be read are replaced by the others, in turn. If none can be, it is a `HoleError`.
    """
    depth, height, width = slices.shape
    if height * width <= SIDE**2:
        return slices.read(z, (slice(0, height), slice(0, width)))
    count, side = (PIECES, PIECE) if depth > 1 else (SLIDE_PIECES, SLIDE_PIECE)
    rows, cols = (_pieces(length, count, side) for length in (height, width))
    pieces: list[NDArray[Any] | None] = []
    fault: HoleError | None = None
    for window in product(rows, cols):
        try:
            pieces.append(slices.read(z, window))
        except HoleError as error:
            fault = error
            pieces.append(None)
    readable = [piece for piece in pieces if piece is not None]
    if fault is not None and not readable:
        raise fault
    others = cycle(readable)
    whole = [next(others) if piece is None else piece for piece in pieces]
    across = len(cols)
    return np.concatenate(
        [np.concatenate(whole[at : at + across], axis=1) for at in range(0, len(whole), across)], axis=0
    )


def _pieces(length: int, count: int, side: int) -> list[slice]:
    if length <= count * side:
        return [slice(0, length)]
    return [slice(at, at + side) for at in ((length - side) * i // (count - 1) for i in range(count))]


def is_flat(picture: NDArray[np.uint8]) -> bool:
    """Tell whether a picture (h, w, 3) shows nothing: next to no difference between any two of its blocks.

    Blocks of 4 × 4 pixels are compared, so that the noise of glass or resin does not count.
    """
    plane = picture[..., 0] if picture.strides[2] == 0 else picture
    rows, cols = (length // BLOCK * BLOCK for length in plane.shape[:2])
    if not rows or not cols:
        return False
    # Rows first: whole rows are added many times as fast as parts of rows.
    sums = plane[:rows].reshape(rows // BLOCK, BLOCK, -1).sum(axis=1, dtype=np.uint16)
    sums = sums[:, : cols * (1 if plane.ndim == 2 else 3)].reshape(rows // BLOCK, cols // BLOCK, BLOCK, -1)
    means = sums.sum(axis=2, dtype=np.uint16)
    return bool((np.ptp(means, axis=(0, 1)) < FLAT * 255 * BLOCK**2).all())


def middle_windows(slices: Slices, *, count: int, side: int) -> Iterator[tuple[int, tuple[slice, slice]]]:
    """Give the middle of several slices, evenly spread, in windows of at most side × side pixels.

    Of a single slice there are up to ``SLIDE_PIECES``² windows, from its middle outwards.
    """
    depth, height, width = slices.shape
    if depth == 1:
        rows, cols = (_pieces(length, SLIDE_PIECES, min(side, length)) for length in (height, width))
        every = [(row, col) for row in rows for col in cols]
        every.sort(key=lambda at: abs(at[0].start + at[0].stop - height) + abs(at[1].start + at[1].stop - width))
        yield from ((0, window) for window in every)
        return
    top, left = ((length - min(length, side)) // 2 for length in (height, width))
    window = (slice(top, top + min(height, side)), slice(left, left + min(width, side)))
    for z in evenly(depth, count):
        yield z, window
