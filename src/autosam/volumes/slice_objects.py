"""Objects: the pixels of instances in single slices, as runs, in columns that can be kept in a file."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from autosam.errors import InputError
from autosam.instances.runs import find_runs

FOUND, FILLED, INTERPOLATED = 0, 1, 2
"""Origins of an object: it was found; SAM was asked again in a gap; its shape is interpolated."""

_TILE_BITS, _NUMBER_BITS = 20, 20
_Z_SHIFT = _TILE_BITS + _NUMBER_BITS
MOST_TILES = 1 << _TILE_BITS
MOST_OBJECTS = 1 << _NUMBER_BITS
"""Of one tile in one slice."""


def make_ids(z: ArrayLike, tile: ArrayLike, number: ArrayLike) -> NDArray[np.uint64]:
    """Make the ids of objects: they rise with the slice, then the tile, then the number.

    Examples
    --------
    >>> [hex(i) for i in make_ids(2, 1, [0, 3])]
    ['0x20000100000', '0x20000100003']
    """
    z, tile, number = (np.asarray(part, np.uint64) for part in (z, tile, number))
    return np.asarray((z << np.uint64(_Z_SHIFT)) | (tile << np.uint64(_NUMBER_BITS)) | number, dtype=np.uint64)


def slices_of(ids: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Read the slices of objects from their ids."""
    return (ids >> np.uint64(_Z_SHIFT)).astype(np.int64)


def slice_and_tile(ids: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Give a number that objects of one slice and tile have in common, and no others."""
    return ids >> np.uint64(_NUMBER_BITS)


def tiles_of(ids: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Read the tiles of objects from their ids."""
    return ((ids >> np.uint64(_NUMBER_BITS)) & np.uint64(MOST_TILES - 1)).astype(np.int64)


@dataclass(frozen=True, eq=False)
class SliceObjects:
    """Objects in columns, by rising id.

    Attributes
    ----------
    ids : ndarray of uint64, shape (n,)
        Slice, tile and number within both, 24, 20 and 20 bits: the same whatever the tasks are.
    boxes : ndarray of int32, shape (n, 4)
        First row, first column, row after the last, column after the last, in pixels of the volume.
    areas : ndarray of int64, shape (n,)
        Pixels.
    owned : ndarray of int64, shape (n,)
        Those in the core of the tile, which alone become labels; 0 of an object that another tile owns.
    scores : ndarray of float32, shape (n,)
        Confidence, 0 to 1.
    origins : ndarray of uint8, shape (n,)
        ``FOUND``, ``FILLED`` or ``INTERPOLATED``.
    starts : ndarray of int64, shape (n + 1,)
        Where the runs of each object begin in ``runs``.
    runs : ndarray of uint32, shape (R,)
        Each mask in its box, in raster order: pixels of background, of the object, of background, and so on. The
        background after the last pixel of the object is left out.
    """

    ids: NDArray[np.uint64]
    boxes: NDArray[np.int32]
    areas: NDArray[np.int64]
    owned: NDArray[np.int64]
    scores: NDArray[np.float32]
    origins: NDArray[np.uint8]
    starts: NDArray[np.int64]
    runs: NDArray[np.uint32]

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def empty(cls) -> "SliceObjects":
        """Give no object."""
        return cls(
            np.zeros(0, np.uint64),
            np.zeros((0, 4), np.int32),
            np.zeros(0, np.int64),
            np.zeros(0, np.int64),
            np.zeros(0, np.float32),
            np.zeros(0, np.uint8),
            np.zeros(1, np.int64),
            np.zeros(0, np.uint32),
        )

    @classmethod
    def concatenate(cls, parts: Sequence["SliceObjects"]) -> "SliceObjects":
        """Join objects of disjoint ids; the result is sorted."""
        parts = [part for part in parts if len(part)]
        if not parts:
            return cls.empty()
        if len(parts) == 1:
            return parts[0]
        offsets = np.cumsum([0, *(len(part.runs) for part in parts[:-1])])
        whole = cls(
            np.concatenate([part.ids for part in parts]),
            np.concatenate([part.boxes for part in parts]),
            np.concatenate([part.areas for part in parts]),
            np.concatenate([part.owned for part in parts]),
            np.concatenate([part.scores for part in parts]),
            np.concatenate([part.origins for part in parts]),
            np.concatenate(
                [np.zeros(1, np.int64), *(part.starts[1:] + at for part, at in zip(parts, offsets, strict=True))]
            ),
            np.concatenate([part.runs for part in parts]),
        )
        if (whole.ids[1:] > whole.ids[:-1]).all():
            return whole
        return whole.take(np.argsort(whole.ids, kind="stable"))

    def take(self, index: ArrayLike | range) -> "SliceObjects":
        """Take some objects, by positions in the order given, or by a mask."""
        given = np.asarray(index)
        chosen = np.flatnonzero(given) if given.dtype == bool else given.astype(np.int64)
        lengths = np.diff(self.starts)[chosen]
        starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
        # The place of every run: that of the object's first, and its own number among them.
        places = np.repeat(self.starts[chosen] - starts[:-1], lengths) + np.arange(starts[-1])
        return SliceObjects(
            self.ids[chosen],
            self.boxes[chosen],
            self.areas[chosen],
            self.owned[chosen],
            self.scores[chosen],
            self.origins[chosen],
            starts,
            self.runs[places],
        )

    @property
    def z(self) -> NDArray[np.int64]:
        """Slice of each object."""
        return slices_of(self.ids)

    @property
    def tiles(self) -> NDArray[np.int64]:
        """Tile of each object."""
        return tiles_of(self.ids)

    @property
    def numbers(self) -> NDArray[np.int64]:
        """Number of each object in its slice and tile."""
        return (self.ids & np.uint64(MOST_OBJECTS - 1)).astype(np.int64)

    def of(self, z: int, tile: int) -> "SliceObjects":
        """Give the objects of one slice and tile."""
        first, stop = (int(i) for i in np.searchsorted(self.ids, _span(z, tile)))
        return self.take(range(first, stop))

    def mask(self, index: int) -> NDArray[np.bool_]:
        """Draw one object in its box, (h, w)."""
        top, left, bottom, right = (int(side) for side in self.boxes[index])
        mask = np.zeros((bottom - top) * (right - left), dtype=bool)
        runs = self.runs[self.starts[index] : self.starts[index + 1]]
        drawn = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
        mask[: len(drawn)] = drawn
        return mask.reshape(bottom - top, right - left)

    def place(self, index: int) -> tuple[slice, slice]:
        """Give rows and columns of an object's box in the volume."""
        top, left, bottom, right = (int(side) for side in self.boxes[index])
        return slice(top, bottom), slice(left, right)

    def by_tile(self) -> Iterator[tuple[int, int, "SliceObjects"]]:
        """Give slice, tile and objects of each tile of a slice that has some."""
        keys = slice_and_tile(self.ids)
        begins = np.flatnonzero(np.diff(keys, prepend=np.uint64(np.iinfo(np.uint64).max)))
        for first, stop in zip(begins, np.append(begins, len(self))[1:], strict=True):
            part = self.take(range(int(first), int(stop)))
            yield int(part.z[0]), int(part.tiles[0]), part


def _span(z: int, tile: int) -> NDArray[np.uint64]:
    first = (z << _Z_SHIFT) | (tile << _NUMBER_BITS)
    return np.array([first, first + MOST_OBJECTS], np.uint64)


def objects_of_labels(
    labels: NDArray[np.integer[Any]],
    *,
    z: int,
    tile: int,
    corner: tuple[int, int] = (0, 0),
    core: tuple[slice, slice] | None = None,
    scores: ArrayLike = 1.0,
    origin: int = FOUND,
    first_number: int = 0,
) -> SliceObjects:
    """Make objects of labels, in order of their ids.

    Parameters
    ----------
    labels : ndarray of integers, shape (h, w)
        0 for background; ids need not be consecutive.
    corner : tuple of int
        Row and column of the volume of the first pixel.
    core : tuple of slice, optional
        Rows and columns of the volume that the tile owns; by default all of the labels.
    scores : float or array_like, shape (n,)
        In order of id, for ids that have pixels.
    first_number : int
        Number of the first object.

    Raises
    ------
    InputError
        If there are more than ``MOST_OBJECTS``.
    """
    found = find_runs(labels)
    n = len(found.ids)
    if not n:
        return SliceObjects.empty()
    if first_number + n > MOST_OBJECTS:
        raise InputError(
            f"slice {z} has {first_number + n:,} objects in one window; wanted at most {MOST_OBJECTS:,}: cut it, "
            "or set a smaller volume.window."
        )
    # Runs in order of their object; a stable sort keeps them in raster order within it.
    order = np.argsort(found.index, kind="stable")
    index, rows = found.index[order], found.rows[order]
    begins, stops = found.starts[order], found.stops[order]
    counts = np.bincount(index, minlength=n)
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(2 * counts)])
    first = starts[:-1] // 2
    left, right = np.minimum.reduceat(begins, first), np.maximum.reduceat(stops, first)
    top, bottom = rows[first], rows[first + counts - 1] + 1
    flat = (rows - top[index]) * (right - left)[index] + begins - left[index]
    lengths = stops - begins
    ends = flat + lengths
    before = np.concatenate([np.zeros(1, np.int64), ends[:-1]])
    before[first] = 0
    runs = np.stack([flat - before, lengths], axis=1).astype(np.uint32).ravel()
    areas = np.add.reduceat(lengths, first)
    owned = areas
    if core is not None:
        (first_row, last_row), (first_col, last_col) = ((part.start, part.stop) for part in core)
        inside = (rows + corner[0] >= first_row) & (rows + corner[0] < last_row)
        width = np.minimum(stops + corner[1], last_col) - np.maximum(begins + corner[1], first_col)
        owned = np.add.reduceat(np.where(inside, np.maximum(width, 0), 0), first)
    return SliceObjects(
        make_ids(z, tile, first_number + np.arange(n)),
        (np.stack([top, left, bottom, right], axis=1) + np.array([*corner, *corner])).astype(np.int32),
        areas,
        owned,
        np.broadcast_to(np.asarray(scores, np.float32), (n,)).copy(),
        np.full(n, origin, np.uint8),
        starts,
        runs,
    )


def paint(
    objects: SliceObjects,
    numbers: NDArray[np.integer[Any]],
    out: NDArray[np.integer[Any]],
    *,
    corner: tuple[int, int],
) -> None:
    """Paint objects of one slice into a part of it, in place; what lies outside is cut off.

    Parameters
    ----------
    numbers : ndarray of integers, shape (n,)
        The value of each object; one of 0 is not painted. Of objects that share a pixel, the last has it.
    out : ndarray of integers, shape (h, w)
    corner : tuple of int
        Row and column of the volume of its first pixel.
    """
    top, left = corner
    for index in np.flatnonzero(numbers):
        rows, cols = objects.place(int(index))
        first_row, last_row = max(rows.start - top, 0), min(rows.stop - top, out.shape[0])
        first_col, last_col = max(cols.start - left, 0), min(cols.stop - left, out.shape[1])
        if first_row >= last_row or first_col >= last_col:
            continue
        mask = objects.mask(int(index))[
            first_row + top - rows.start : last_row + top - rows.start,
            first_col + left - cols.start : last_col + left - cols.start,
        ]
        out[first_row:last_row, first_col:last_col][mask] = numbers[index]
