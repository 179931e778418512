"""Make one object of several that lie side by side."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

WIDEST_GAP = 16
"""Pixels from one object to the next at most; what lies farther apart is no neighbor."""
BAND = 1.5
"""Pixels by which the way between two objects over a filled pixel may be longer than the shortest."""

_EIGHT = np.ones((3, 3), bool)


def join_objects(mask: NDArray[np.bool_], free: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
    """Fill the gaps between parts of an object, where they are narrowest.

    Parameters
    ----------
    mask : ndarray of bool, shape (H, W)
        The parts.
    free : ndarray of bool, shape (H, W)
        Pixels that nobody else has.

    Returns
    -------
    ndarray of bool, shape (H, W), or None
        The parts and what was filled between them, one 8-connected piece; None where they are too far apart, or
        others lie between.

    Examples
    --------
    >>> parts = np.array([[1, 1, 0, 1, 1]], bool)
    >>> join_objects(parts, ~parts).astype(int).tolist()
    [[1, 1, 1, 1, 1]]
    """
    rows, cols = ndimage.find_objects(mask.astype(np.uint8))[0]
    inner, open_ = mask[rows, cols].copy(), free[rows, cols]
    pieces, number = ndimage.label(inner, structure=_EIGHT)
    while number > 1:
        first = pieces == 1
        to_first = ndimage.distance_transform_edt(~first)
        to_others = ndimage.distance_transform_edt(first | ~inner)
        gap = to_others[first].min()
        if gap > WIDEST_GAP:
            return None
        inner |= open_ & (to_first + to_others <= gap + BAND)
        before = number
        pieces, number = ndimage.label(inner, structure=_EIGHT)
        if number >= before:
            return None
    joined = mask.copy()
    joined[rows, cols] = inner
    return joined
