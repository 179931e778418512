"""Crops side by side in one image, so that one call works on all of them."""

from collections.abc import Sequence
from math import isqrt

import numpy as np


def lay_out(shapes: Sequence[tuple[int, ...]]) -> tuple[list[tuple[slice, slice]], tuple[int, int]]:
    """Find places for crops in rows of about one height, with a pixel between them.

    Parameters
    ----------
    shapes : sequence of tuple of int
        Rows and columns of each crop.

    Returns
    -------
    places : list of tuple of slice
        Rows and columns of each crop in the common image.
    shape : tuple of int
        Rows and columns of that image; it is about square.

    Examples
    --------
    >>> lay_out([(2, 2), (3, 2)])
    ([(slice(4, 6, None), slice(0, 2, None)), (slice(0, 3, None), slice(0, 2, None))], (7, 4))
    """
    sizes = np.array(shapes, dtype=np.int64).reshape(-1, 2) + 1
    width = max(int(sizes[:, 1].max(initial=0)), isqrt(int(sizes.prod(axis=1).sum())))
    places = [(slice(0), slice(0))] * len(sizes)
    top = left = bottom = 0
    # The highest first, so that little is left free in a row.
    for index in np.argsort(-sizes[:, 0], kind="stable").tolist():
        rows, cols = sizes[index].tolist()
        if left + cols > width:
            top, left = bottom, 0
        places[index] = (slice(top, top + rows - 1), slice(left, left + cols - 1))
        left, bottom = left + cols, max(bottom, top + rows)
    return places, (bottom, width)
