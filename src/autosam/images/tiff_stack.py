"""Volumes in TIFF, of which parts are read: a strip or a tile at a time."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from autosam.images.array_parts import read_part
from autosam.images.byte_cache import ByteCache
from autosam.images.formats import UnsupportedError
from autosam.images.mapped_file import MappedArray
from autosam.images.tiff import check_colors, finish_plane, read_series_image, refuse_absent
from autosam.images.tiff_pages import page_chunks, pages_are_planes, read_page_part
from autosam.images.tiff_series import at_level, is_color, layout_of, open_tiff, palette_of, samples_of

CACHE_BYTES = 64 << 20
"""Of decoded strips and tiles of the last page, or of the last plane where it is read whole."""
_LETTERS = {"Y": "y", "X": "x", "S": "c", "C": "c", "T": "t", "Z": "z"}


class TiffStack:
    """A series of a TIFF as a volume, open until it is closed.

    Parameters
    ----------
    series : int, optional
        Number of the series; None for the only one.
    level : int
        Of a resolution pyramid, 0 for the finest.
    axes : str, optional
        A letter of ``tzcyx`` for each axis longer than 1, instead of what the file says.

    Attributes
    ----------
    axes : str
        A letter for each axis of length above 1, and for rows and columns.
    shape : tuple of int
        Of these axes.
    named : bool
        The file, or who opened it, says what its axes are.
    color, palette : bool
        Each pixel has red, green and blue; it has an index into a palette.
    channels : int
        1 for colors.
    undeclared : bool
        As of `StoredImage`.
    dtype : numpy.dtype
        Of what is read, in native byte order.
    chunks : tuple of int
        Slices, rows and columns that are stored together.

    Raises
    ------
    InputError
        If the file is damaged, has several series and none is named, or axes that do not fit.
    """

    def __init__(self, path: Path, *, series: int | None = None, level: int = 0, axes: str = "") -> None:
        self._path = path
        self._cache = ByteCache(CACHE_BYTES)
        self._closing = ExitStack()
        found = self._closing.enter_context(open_tiff(path))
        try:
            self.number = _number(found, series)
            self.finest = found[self.number]
            self.series = at_level(self.finest, level)
            self._describe(axes)
        except BaseException:
            self._closing.close()
            raise

    def _describe(self, given: str) -> None:
        check_colors(self.series)
        self._stored, self.shape = layout_of(self.series)
        self.axes = given or _letters(self._stored, self.shape)
        if len(self.axes) != len(self.shape):
            raise UnsupportedError(
                f"it has {len(self.shape)} axes longer than 1, of shape {self.shape}; {given!r} does not fit"
            )
        self.named = bool(given) or set(self._stored) <= set(_LETTERS)
        self.color = is_color(self.series)
        samples = len(samples_of(self.series))
        self.channels = 1 if self.color else samples if "S" in self._stored else self.length("c")
        self.undeclared = not given and "C" not in self._stored and samples not in (1, 3)
        key = self.series.keyframe
        palette = palette_of(key)
        self.palette = palette is not None
        stored = np.dtype(self.series.dtype if palette is None else palette.dtype).newbyteorder("=")
        self.dtype = np.dtype(np.uint8) if stored.kind == "b" else stored
        self._mapped = self._map()
        # Floating point numbers of which 0 is white are turned around within the range of their plane.
        whole = key.photometric == tifffile.PHOTOMETRIC.MINISWHITE and stored.kind == "f"
        self._in_pages = not whole and pages_are_planes(self.series, self._stored, self.shape)
        self._in_one_run = not whole and self._mapped is not None
        others = [
            stored
            for stored, letter in zip(self._stored, self.axes, strict=True)
            if letter != _LETTERS.get(stored, "z")
        ]
        self._renamed = bool(others)
        # Rows and columns of pages are no rows and columns of slices.
        self._turned = bool(set(others) & set(key.axes))
        plain = self._in_one_run and key.photometric == tifffile.PHOTOMETRIC.MINISBLACK
        if (self._turned and not plain) or (self._renamed and not (self._in_pages or self._in_one_run)):
            raise UnsupportedError(
                f"its axes {self._stored} cannot be read as {self.axes!r}, as it is compressed or no plain gray; "
                "save it without compression, or in the order zyx"
            )

    @property
    def chunks(self) -> tuple[int, int, int]:
        """Slices, rows and columns that are stored together."""
        if self._turned:
            # All slices lie between one another.
            return self.length("z"), 1, self.length("x")
        if not self._in_pages:
            return 1, 1 if self._in_one_run else self.length("y"), self.length("x")
        return (1, *page_chunks(self.series.keyframe))

    def length(self, axis: str) -> int:
        """Give the length of an axis; 1 where there is none."""
        return self.shape[self.axes.index(axis)] if axis in self.axes else 1

    def read(
        self,
        slices: slice,
        rows: slice,
        cols: slice,
        *,
        time: int = 0,
        channel: int | None = None,
        as_stored: bool = False,
    ) -> NDArray[Any]:
        """Read a part of some slices, as stored in the file or as `read_tiff` gives it.

        Parameters
        ----------
        slices, rows, cols : slice
            With both ends.
        channel : int, optional
            The one to take alone; None takes all, which are colors or a single one.

        Returns
        -------
        ndarray, shape (D, H, W) or (D, H, W, 3)
        """
        if self._turned:
            return read_part(
                self._mapped, self.axes, slices=slices, rows=rows, cols=cols, time=time, channel=channel or 0
            )
        planes = []
        for z in range(slices.start, slices.stop):
            at = {"z": z, "t": time, "c": channel or 0}
            plane = self._plane_part(at, rows, cols, channel, as_stored=as_stored)
            planes.append(plane.view(np.uint8) if plane.dtype.kind == "b" else plane)
        return np.stack(planes)

    def close(self) -> None:
        """Close the file."""
        self._closing.close()

    def _plane_part(
        self, at: dict[str, int], rows: slice, cols: slice, channel: int | None, *, as_stored: bool
    ) -> NDArray[Any]:
        outer = [(axis, n) for axis, n in zip(self.axes, self.shape, strict=True) if axis in "zt"]
        index = _ravel(outer, at)
        if not self._renamed:
            refuse_absent(self.series, index)
        if self._in_pages:
            inside = self.series.keyframe.axes
            pages = [
                (axis, n)
                for axis, stored, n in zip(self.axes, self._stored, self.shape, strict=True)
                if stored not in inside
            ]
            number = _ravel(pages, at)
            page = self.series.pages[number]
            if page is None:
                raise ValueError(f"its page {number} is missing")
            part = read_page_part(self._path, page, rows, cols, cache=self._cache)
        elif self._in_one_run:
            z = slice(at["z"], at["z"] + 1)
            # Samples may be transparency, which is left out later.
            one = None if "S" in self._stored else at["c"]
            part = read_part(self._mapped, self.axes, slices=z, rows=rows, cols=cols, time=at["t"], channel=one)[0]
        else:
            version = (index, channel, as_stored)
            plane = self._cache.get(
                "plane", version, lambda: read_series_image(self.series, index, channel, as_stored=as_stored)
            )
            return plane[rows, cols]
        return finish_plane(part, self.series, channel, as_stored=as_stored)

    def _map(self) -> MappedArray | None:
        offset, file = self.series.dataoffset, self.series.parent
        if offset is None or file is None:
            return None
        dtype = np.dtype(self.series.dtype).newbyteorder(file.byteorder)
        return MappedArray(self._path, dtype.str, offset, self.shape)


def _number(found: list[tifffile.TiffPageSeries], wanted: int | None) -> int:
    if wanted is None and len(found) > 1:
        shapes = ", ".join(str(tuple(series.shape)) for series in found[:5])
        raise UnsupportedError(
            f"it holds {len(found)} series of images, of shapes {shapes}; wanted slices of one size: name a "
            "series with --series"
        )
    number = wanted or 0
    if not 0 <= number < len(found):
        raise UnsupportedError(f"it holds {len(found)} series, counted from 0; series {number} was asked for")
    return number


def _letters(stored: str, shape: tuple[int, ...]) -> str:
    """Name axes as a volume has them; an axis of unknown meaning counts slices where there is no other."""
    unknown = [axis for axis in stored if axis not in _LETTERS]
    if len(unknown) > 1 or (unknown and "Z" in stored):
        raise UnsupportedError(
            f"its axes are {stored} of lengths {shape}; wanted Z, Y and X, and T or C: say what they are with "
            "--axes"
        )
    return "".join(_LETTERS.get(axis, "z") for axis in stored)


def _ravel(axes: list[tuple[str, int]], at: dict[str, int]) -> int:
    number = 0
    for axis, length in axes:
        if not 0 <= at[axis] < length:
            raise UnsupportedError(
                f"its axis {axis} has {length} places, counted from 0; {at[axis]} was asked for"
            )
        number = number * length + at[axis]
    return number
