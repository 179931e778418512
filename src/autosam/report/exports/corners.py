"""Where the outlines of labels turn, and which corners follow each other."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

_ROWS = 1024
"""Rows of the image that are looked at at once."""
_CORNERS = 1 << 20
"""Corners whose rings are followed at once."""
_FEW = 1000
"""Rings that are followed one after another rather than all a step at a time."""

_Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Corners:
    """Corners of outlines, sorted by object, row and column.

    Where two diagonal pixels of an object meet, it has two corners: one around each.

    Attributes
    ----------
    index : ndarray of int64, shape (n,)
        Position of the object among the ids of the labels.
    row, col : ndarray of int64, shape (n,)
        (0, 0) is the upper left corner of the first pixel.
    right, down : ndarray of bool, shape (n,)
        To which side its two edges leave; else left and up.
    """

    index: _Ints
    row: _Ints
    col: _Ints
    right: NDArray[np.bool_]
    down: NDArray[np.bool_]

    def __getitem__(self, key: Any) -> "Corners":
        return Corners(*(getattr(self, field.name)[key] for field in fields(self)))


@dataclass(frozen=True, eq=False)
class Rings:
    """Closed outlines, sorted by object.

    Each starts at its uppermost, then leftmost corner and goes right from there.

    Attributes
    ----------
    points_xy : ndarray of int64, shape (n, 2)
        Corners of all rings, one ring after another.
    begins, ends : ndarray of int64, shape (m,)
        Where each ring lies in them.
    index : ndarray of int64, shape (m,)
        Object of each ring.
    simple : ndarray of bool, shape (m,)
        Whether it visits no corner twice.
    """

    points_xy: _Ints
    begins: _Ints
    ends: _Ints
    index: _Ints
    simple: NDArray[np.bool_]


def find_corners(labels: NDArray[np.integer[Any]], ids: NDArray[Any]) -> Corners:
    """Find the corners of all objects of labels (H, W); `ids` are theirs, rising."""
    parts = []
    height, width = labels.shape
    for top in range(0, height + 1, _ROWS):
        bottom = min(top + _ROWS, height + 1)
        # Corner (r, c) has the pixels (r - 1, c - 1) to (r, c) around it.
        part = np.zeros((bottom - top + 1, width + 2), labels.dtype)
        first, last = max(0, top - 1), min(height, bottom)
        part[first - top + 1 : last - top + 1, 1:-1] = labels[first:last]
        for down in (False, True):
            for right in (False, True):
                pixel, beside, below, across = (
                    part[int(d) : part.shape[0] - 1 + int(d), int(r) : part.shape[1] - 1 + int(r)]
                    for d, r in ((down, right), (down, not right), (not down, right), (not down, not right))
                )
                # A convex corner around the pixel, or a concave one around a pixel that it lacks. The edges
                # of both lie on the sides of that pixel.
                convex = (pixel != 0) & (pixel != beside) & (pixel != below)
                concave = (beside != 0) & (beside == below) & (beside == across) & (beside != pixel)
                for kind, owners in ((convex, pixel), (concave, beside)):
                    row, col = np.nonzero(kind)
                    index = np.searchsorted(ids, owners[row, col]).astype(np.int64)
                    side = np.ones(len(row), bool)
                    parts.append(Corners(index, row + top, col, side & right, side & down))
    found = Corners(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Corners)))
    place = (found.index * (height + 1) + found.row) * (width + 1) + found.col
    return found[np.argsort(place * 2 + found.right)]


def follow(corners: Corners, n: int) -> Iterator[tuple[int, int, Rings]]:
    """Follow the outlines, some objects at a time.

    Parameters
    ----------
    n : int
        Number of objects.

    Yields
    ------
    first, last : int
        These objects, without the last one.
    rings : Rings
        Theirs, at least one each.
    """
    ends = np.searchsorted(corners.index, np.arange(1, n + 1))
    first = begin = 0
    while first < n:
        # As many objects as fit, at least one.
        last = max(first + 1, int(np.searchsorted(ends, begin + _CORNERS, side="right")))
        end = int(ends[last - 1])
        yield first, last, _rings(corners[begin:end])
        first, begin = last, end


def _rings(corners: Corners) -> Rings:
    ring, rank = _walk(corners)
    # Rings of one object follow each other; the ring that starts first in the image comes first.
    start = rank == 0
    order = np.argsort(ring[start])
    index = corners.index[start][order]
    places = np.empty(len(index), np.int64)
    sequence = np.argsort(index, kind="stable")
    places[sequence] = np.arange(len(index))
    index, ring = index[sequence], places[ring]
    length = np.bincount(ring, minlength=len(index))
    ends = np.cumsum(length)
    points = np.empty((len(ring), 2), np.int64)
    at = (ends - length)[ring] + rank
    points[at, 0], points[at, 1] = corners.col, corners.row
    simple = np.ones(len(index), bool)
    # The two corners around diagonal pixels are neighbors here.
    twice = (np.diff(corners.index) == 0) & (np.diff(corners.row) == 0) & (np.diff(corners.col) == 0)
    simple[ring[1:][twice & (np.diff(ring) == 0)]] = False
    return Rings(points, ends - length, ends, index, simple)


def _walk(corners: Corners) -> tuple[_Ints, _Ints]:
    """Give the number of each corner's ring, and its own place on the ring from the first corner on."""
    # Corners of an object in one row are joined two by two, and so are those in one column.
    rows, cols = int(corners.row.max()) + 1, int(corners.col.max()) + 1
    key = (((corners.index - corners.index[0]) * cols + corners.col) * rows + corners.row) * 2 + corners.down
    order = np.argsort(key)
    along_col = np.empty(len(order), np.int64)
    along_col[order[::2]], along_col[order[1::2]] = order[1::2], order[::2]

    ring, rank = np.full(len(order), -1), np.zeros(len(order), np.int64)
    unseen = np.arange(len(order))
    count = 0
    while True:
        # One ring of each object at a time: that of its first corner that no ring has yet.
        starts = unseen[np.flatnonzero(np.diff(corners.index[unseen], prepend=-1))]
        if len(starts) < _FEW:
            break
        at, number, step = starts, count + np.arange(len(starts)), 0
        count += len(starts)
        while len(at):
            for side in (at, at ^ 1):
                ring[side], rank[side] = number, step
                step += 1
            at = along_col[at ^ 1]
            going = ring[at] < 0
            at, number = at[going], number[going]
        unseen = unseen[ring[unseen] < 0]
    _walk_one_by_one(unseen, along_col, ring, rank, count)
    return ring, rank


def _walk_one_by_one(unseen: _Ints, along_col: _Ints, ring: _Ints, rank: _Ints, count: int) -> None:
    if not len(unseen):
        return
    follower = along_col.tolist()
    seen = bytearray((ring >= 0).astype(np.uint8).tobytes())
    for start in unseen.tolist():
        if seen[start]:
            continue
        path = []
        at = start
        while not seen[at]:
            seen[at] = seen[at ^ 1] = 1
            path += [at, at ^ 1]
            at = follower[at ^ 1]
        ring[path], rank[path] = count, np.arange(len(path))
        count += 1
