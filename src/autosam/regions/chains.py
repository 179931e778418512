"""Convex hulls of many objects at once, in whole numbers: a chain of corners on the left and one on the right.

A right side is the left side of the mirrored object: its columns are negative.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Chain:
    """Points on one side of objects.

    Attributes
    ----------
    index, y, x : ndarray of int64, shape (C,)
        The object of each point, its row and its column; sorted by object, then from top to bottom.
    """

    index: _Ints
    y: _Ints
    x: _Ints

    def mirrored(self) -> "Chain":
        """Return the points with left and right swapped."""
        return Chain(self.index, self.y, -self.x)


def left_sides(points: Chain) -> Chain:
    """Find the corners of the left sides of convex hulls, the outermost of the top and the bottom among them.

    Points of one object at one height stand next to each other, in any order.
    """
    index, y, x = points.index, points.y, points.x
    begins = np.flatnonzero((np.diff(y, prepend=y[:1] - 1) != 0) | (np.diff(index, prepend=-1) != 0))
    if not len(begins):
        return points
    index, y, x = index[begins], y[begins], np.minimum.reduceat(x, begins)
    while True:
        # A corner right of the line from the one above it to the one below is none. Whatever is taken out in one
        # step lies inside the hull of what is left.
        inner = np.zeros(len(index), bool)
        inner[1:-1] = (index[:-2] == index[2:]) & (
            (x[1:-1] - x[:-2]) * (y[2:] - y[:-2]) >= (x[2:] - x[:-2]) * (y[1:-1] - y[:-2])
        )
        if not inner.any():
            return Chain(index, y, x)
        index, y, x = index[~inner], y[~inner], x[~inner]


def enclosed_areas(left: Chain, right: Chain, n: int) -> NDArray[np.float64]:
    """Give the areas, (n,), between the left sides and the mirrored right sides of n objects; 0 without points."""
    twice = np.zeros(n)
    for side in (left, right):
        same = side.index[1:] == side.index[:-1]
        strips = (side.x[1:] + side.x[:-1]) * (side.y[1:] - side.y[:-1])
        twice -= np.bincount(side.index[1:][same], weights=strips[same], minlength=n)
    return twice / 2
