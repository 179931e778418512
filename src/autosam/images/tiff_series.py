"""The series of a TIFF: the file opened, and what the axes and values of each mean."""

import logging
import math
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from autosam.images.array_layout import looks_like_color
from autosam.images.formats import UnsupportedError, reading
from autosam.images.ome_tiff import own_xml
from autosam.images.palettes import gray_lookup

_ALPHA = (tifffile.EXTRASAMPLE.ASSOCALPHA, tifffile.EXTRASAMPLE.UNASSALPHA)
_COLORS = (
    tifffile.PHOTOMETRIC.RGB,
    tifffile.PHOTOMETRIC.YCBCR,
    tifffile.PHOTOMETRIC.CIELAB,
    tifffile.PHOTOMETRIC.ICCLAB,
    tifffile.PHOTOMETRIC.ITULAB,
)


class _CutShort(logging.Filter):
    """Catches tifffile's warning that the chain of pages leads outside the file, which it only logs."""

    found = False

    def __init__(self) -> None:
        super().__init__()
        self._thread = threading.get_ident()

    def filter(self, record: logging.LogRecord) -> bool:
        """Hold warnings back; what matters in them, such as absent planes, is found again where it is read."""
        if record.thread != self._thread:
            # Of another file, which another thread reads.
            return True
        self.found = self.found or "invalid page offset" in record.getMessage()
        return False


@contextmanager
def open_tiff(path: Path) -> Iterator[list[tifffile.TiffPageSeries]]:
    """Give the series of a file without thumbnails and lower levels of a pyramid."""
    with reading(path), ExitStack() as stack:
        with _watching() as watch:
            file = stack.enter_context(tifffile.TiffFile(path))
            xml = file.ome_metadata
            own = own_xml(file, path) if xml else None
            if xml and own != xml:
                # A part of a set: tifffile alone would read all its files.
                file = stack.enter_context(tifffile.TiffFile(path, omexml=own, is_ome=None if own else False))
            found = list(file.series)
        if watch.found:
            # tifffile would return the pages that are left.
            raise ValueError("the file ends before its last page")
        series = [s for s in found if not s.keyframe.is_reduced] or found
        if not series:
            raise UnsupportedError("no page; wanted at least one image")
        yield series


@contextmanager
def _watching() -> Iterator[_CutShort]:
    watch = _CutShort()
    logger = logging.getLogger("tifffile")
    logger.addFilter(watch)
    try:
        yield watch
    finally:
        logger.removeFilter(watch)


def at_level(series: tifffile.TiffPageSeries, level: int) -> tifffile.TiffPageSeries:
    """Give the same series at a level of its pyramid, 0 for the finest; refuse a missing one."""
    levels = series.levels
    if level >= len(levels):
        has = f"has the levels 0 to {len(levels) - 1}" if len(levels) > 1 else "has no resolution levels"
        raise UnsupportedError(f"it {has}; level {level} was asked for")
    return levels[level]


def layout_of(series: tifffile.TiffPageSeries) -> tuple[str, tuple[int, ...]]:
    """Axes and shape without axes of length 1 (rows and columns stay); the channels are `S` or `C`."""
    axes, shape = str(series.axes), tuple(int(n) for n in series.shape)
    if 0 in shape or not {"Y", "X"} <= set(axes):
        # tifffile loses the names of the axes of an empty image.
        raise UnsupportedError(f"no pixels (shape {shape}, axes {axes}); wanted at least 1 row and 1 column")
    if axes.endswith("YX") and set(axes[:-2]) & set("QI") and looks_like_color(shape):
        # (H, W, 3) written without a word about color: H pages of W rows and 3 columns.
        axes = axes[:-3] + "YXS"
    keep = [i for i, axis in enumerate(axes) if axis in "YX" or shape[i] > 1]
    return "".join(axes[i] for i in keep), tuple(shape[i] for i in keep)


def images_in(series: tifffile.TiffPageSeries) -> int:
    """Count the images of a series: all planes, each with its channels."""
    axes, shape = layout_of(series)
    return math.prod(n for axis, n in zip(axes, shape, strict=True) if axis not in "YXSC")


def samples_of(series: tifffile.TiffPageSeries) -> list[int]:
    """List the samples of a pixel that are no declared transparency; [0] where pixels have one value."""
    axes, shape = layout_of(series)
    samples = dict(zip(axes, shape, strict=True)).get("S", 1)
    extra = tuple(series.keyframe.extrasamples)
    alpha = {samples - len(extra) + i for i, kind in enumerate(extra) if kind in _ALPHA}
    return [number for number in range(samples) if number not in alpha] or [0]


def is_color(series: tifffile.TiffPageSeries) -> bool:
    """Tell whether the samples of a pixel are red, green and blue."""
    key = series.keyframe
    palette = palette_of(key)
    if palette is not None:
        return palette.ndim == 2
    if len(samples_of(series)) != 3:
        return False
    # Three bytes of which nothing is said are a picture that was written without a word about color.
    return key.photometric in _COLORS or series.dtype == np.uint8


def palette_of(key: tifffile.TiffPage) -> NDArray[np.unsignedinteger[Any]] | None:
    """Give what every index stands for: the palette's colors, (N, 3), or grays, (N,); None without a palette."""
    if key.photometric != tifffile.PHOTOMETRIC.PALETTE or key.colormap is None:
        return None
    # A TIFF's palette is 16 bits deep; 8-bit programs fill it with v × 257 or v × 256.
    colormap = np.asarray(key.colormap)
    if colormap.shape[1] > 256 and (colormap == colormap[0]).all():
        return np.asarray(colormap[0])
    colors = np.ascontiguousarray((colormap >> 8).astype(np.uint8).T)
    grays = gray_lookup(colors)
    return colors if grays is None else grays
