"""Convex hulls of all instances at once: their pixels, and the largest diameter.

A hull is that of the middles of the four sides of each pixel, as in `skimage.morphology.convex_hull_image`. All
coordinates are doubled, so that they are integers and the answers exact.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.regions.chains import Chain, left_sides

_Ints = NDArray[np.int64]
_PAIRS = 1 << 22
"""Distances that are held in memory at once."""


@dataclass(frozen=True, eq=False)
class RowExtents:
    """First and last column of each instance in each of its rows.

    Attributes
    ----------
    index, rows, left, right : ndarray of int64, shape (E,)
        Sorted by instance, then by row; an instance has a row at most once.
    """

    index: _Ints
    rows: _Ints
    left: _Ints
    right: _Ints


def hull_extents(extents: RowExtents) -> RowExtents:
    """Give the first and last pixel of each row of the convex hulls; rows without a pixel are left out."""
    left, right = _left_sides(extents), _left_sides(_mirrored(extents))
    firsts = np.flatnonzero(np.diff(extents.index, prepend=-1))
    lasts = np.append(firsts[1:], len(extents.index))[: len(firsts)] - 1
    top, height = extents.rows[firsts], extents.rows[lasts] - extents.rows[firsts] + 1
    index = np.repeat(extents.index[firsts], height)
    rows = np.repeat(top, height) + np.arange(height.sum()) - np.repeat(np.cumsum(height) - height, height)
    first, last = _first_column(left, index, rows), -_first_column(right, index, rows)
    kept = first <= last
    return RowExtents(index[kept], rows[kept], first[kept], last[kept])


def feret_diameters(hulls: RowExtents, n: int) -> NDArray[np.float64]:
    """Largest distance between any two points on the outlines of hulls, in pixels.

    Parameters
    ----------
    hulls : RowExtents
        From `hull_extents`; each of the n instances has a row.
    n : int
        Number of instances.
    """
    left, right = _left_sides(hulls), _left_sides(_mirrored(hulls))
    index = np.concatenate([left.index, right.index])
    order = np.argsort(index, kind="stable")
    points = np.stack([np.concatenate([left.y, right.y]), np.concatenate([left.x, -right.x])], axis=1)[order] / 2
    count = np.bincount(index, minlength=n)
    begins = np.cumsum(count) - count
    found = np.zeros(n)
    # Instances with about as many corners are done together; missing corners repeat the last one.
    for size in np.unique(_rounded(count)):
        members = np.flatnonzero(_rounded(count) == size)
        for some in np.array_split(members, max(1, -(-len(members) * size**2 // _PAIRS))):
            take = begins[some, None] + np.minimum(np.arange(size), count[some, None] - 1)
            corners = points[take]
            apart = ((corners[:, :, None] - corners[:, None]) ** 2).sum(axis=-1)
            found[some] = np.sqrt(apart.max(axis=(1, 2)))
    return found


def _rounded(count: _Ints) -> _Ints:
    """Round a number of corners up, so that there are few different ones."""
    step = np.maximum(1, 2 ** (np.log2(np.maximum(count, 1)).astype(np.int64) - 2))
    return -(-count // step) * step


def _mirrored(extents: RowExtents) -> RowExtents:
    return RowExtents(extents.index, extents.rows, -extents.right, -extents.left)


def _left_sides(extents: RowExtents) -> Chain:
    """Find the corners of hulls that lie on their left."""
    # The middles of the upper, left and lower side of the first pixel of each row. The lower side of one row and
    # the upper side of the next lie at one height: the outer of them counts.
    index = np.repeat(extents.index, 3)
    y = (2 * extents.rows[:, None] + (-1, 0, 1)).ravel()
    x = (2 * extents.left[:, None] + (0, -1, 0)).ravel()
    return left_sides(Chain(index, y, x))


def _first_column(chain: Chain, index: _Ints, rows: _Ints) -> NDArray[Any]:
    """Give the first pixel whose center lies on or right of a hull's left side, in each row."""
    if not len(index):
        return index
    span = 2 * int(max(rows.max(), chain.y.max())) + 4
    at = np.searchsorted(chain.index * span + chain.y + 1, index * span + 2 * rows + 1, side="right") - 1
    after = np.minimum(at + 1, len(chain.index) - 1)
    down = chain.y[after] - chain.y[at]
    # Where the row meets the last corner there is no side below it.
    beyond = (chain.index[after] != chain.index[at]) | (down <= 0)
    down = np.where(beyond, 1, down)
    across = np.where(beyond, 0, chain.x[after] - chain.x[at])
    # The exact ceiling of x / 2.
    found: _Ints = -(-(chain.x[at] * down + across * (2 * rows - chain.y[at])) // (2 * down))
    return found
