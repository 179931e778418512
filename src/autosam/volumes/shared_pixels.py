"""Pixels that the objects of two slices, or of two tiles, share: counted on their runs, without an image."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autosam.volumes.slice_objects import SliceObjects

_Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class SharedPixels:
    """Pairs of objects that share pixels, by their first, then their second object.

    Attributes
    ----------
    first, second : ndarray of int64, shape (k,)
        Positions of the two objects.
    pixels : ndarray of int64, shape (k,)
        Pixels that they share, at least 1; slices lie upon each other.
    """

    first: _Ints
    second: _Ints
    pixels: _Ints

    @classmethod
    def concatenate(cls, parts: Sequence["SharedPixels"]) -> "SharedPixels":
        """Join pairs, in their order."""
        nothing = np.zeros(0, np.int64)
        return cls(
            np.concatenate([nothing, *(part.first for part in parts)]),
            np.concatenate([nothing, *(part.second for part in parts)]),
            np.concatenate([nothing, *(part.pixels for part in parts)]),
        )

    def take(self, kept: NDArray[np.bool_]) -> "SharedPixels":
        """Take some pairs, by a mask."""
        return SharedPixels(self.first[kept], self.second[kept], self.pixels[kept])


@dataclass(frozen=True, eq=False)
class RowStretches:
    """Stretches of pixels in rows, by rising row and column.

    Attributes
    ----------
    index : ndarray of int64, shape (R,)
        Position of the object of each stretch.
    starts, stops : ndarray of int64, shape (R,)
        Where it begins, and the place after its end, in the raster of a slice of 2³² columns.
    """

    index: _Ints
    starts: _Ints
    stops: _Ints

    def of(self, wanted: NDArray[np.bool_]) -> "RowStretches":
        """Take those of some objects, by a mask of shape (n,)."""
        kept = wanted[self.index]
        return RowStretches(self.index[kept], self.starts[kept], self.stops[kept])


def row_stretches(objects: SliceObjects) -> RowStretches:
    """List the stretches of objects of one slice, in raster order."""
    ends = np.cumsum(objects.runs, dtype=np.int64)
    before = np.concatenate([np.zeros(1, np.int64), ends])[objects.starts[:-1]]
    counts = np.diff(objects.starts) // 2
    index = np.repeat(np.arange(len(objects)), counts)
    # Every second run of an object is its own pixels.
    places = np.repeat(objects.starts[:-1] - 2 * (np.cumsum(counts) - counts), counts) + 2 * np.arange(len(index))
    begins, stops = ends[places] - before[index], ends[places + 1] - before[index]
    top, left, _, right = (side.astype(np.int64) for side in objects.boxes.T)
    width = (right - left)[index]
    # A run can go on in the next row of its box.
    rows = begins // width
    parts = (stops - 1) // width - rows + 1
    part = np.arange(parts.sum()) - np.repeat(np.cumsum(parts) - parts, parts)
    index, width, rows = np.repeat(index, parts), np.repeat(width, parts), np.repeat(rows, parts) + part
    first = np.maximum(np.repeat(begins, parts), rows * width) - rows * width
    last = np.minimum(np.repeat(stops, parts), (rows + 1) * width) - rows * width
    raster = ((top[index] + rows) << 32) + left[index]
    order = np.argsort(raster + first, kind="stable")
    return RowStretches(index[order], (raster + first)[order], (raster + last)[order])


def count_shared(first: RowStretches, second: RowStretches) -> SharedPixels:
    """Count the pixels that pairs of objects share.

    Objects may overlap others of their own slice.

    Examples
    --------
    >>> import numpy as np
    >>> from autosam.volumes.slice_objects import objects_of_labels
    >>> one = row_stretches(objects_of_labels(np.array([[1, 1, 0, 2]]), z=0, tile=0))
    >>> other = row_stretches(objects_of_labels(np.array([[0, 5, 5, 5]]), z=1, tile=0))
    >>> shared = count_shared(one, other)
    >>> shared.first.tolist(), shared.second.tolist(), shared.pixels.tolist()
    ([0, 1], [0, 0], [1, 1])
    """
    if not (len(first.index) and len(second.index)):
        return SharedPixels.concatenate([])
    # The farthest stop so far rises even where objects overlap, so both ends can be searched.
    reached = np.maximum.accumulate(second.stops)
    begin = np.searchsorted(reached, first.starts, side="right")
    end = np.maximum(np.searchsorted(second.starts, first.stops, side="left"), begin)
    counts = end - begin
    of_first = np.repeat(np.arange(len(counts)), counts)
    of_second = np.repeat(begin - (np.cumsum(counts) - counts), counts) + np.arange(len(of_first))
    pixels = np.minimum(first.stops[of_first], second.stops[of_second]) - np.maximum(
        first.starts[of_first], second.starts[of_second]
    )
    shared = pixels > 0
    base = int(second.index.max()) + 1
    keys = first.index[of_first[shared]] * base + second.index[of_second[shared]]
    pairs, place = np.unique(keys, return_inverse=True)
    totals = np.zeros(len(pairs), np.int64)
    np.add.at(totals, place, pixels[shared])
    return SharedPixels(pairs // base, pairs % base, totals)
