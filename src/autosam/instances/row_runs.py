"""Masks that are one stretch of pixels in each row, as most are: they are seen to be whole without a search."""

import numpy as np
from numpy.typing import NDArray


def single_runs(mask: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]] | None:
    """Give the rows of a mask, (h, w), that have pixels, their first columns and the columns after their last.

    None where a row has several stretches. A mask without such a row has no hole.
    """
    if not mask.size:
        return None
    rows = np.flatnonzero(mask.any(axis=1))
    own = mask[rows]
    first, stop = own.argmax(axis=1), own.shape[1] - own[:, ::-1].argmax(axis=1)
    if np.count_nonzero(own) != (stop - first).sum():
        return None
    return rows, first, stop
