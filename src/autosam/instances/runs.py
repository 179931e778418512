"""Label images as runs: stretches of one id in one row, from which most measurements follow."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class LabelRuns:
    """The stretches of equal ids, in raster order.

    Attributes
    ----------
    ids : ndarray, shape (n,)
        The ids of the instances, rising.
    index : ndarray of int64, shape (R,)
        Position in ``ids`` of the instance that each run belongs to.
    rows, starts, stops : ndarray of int64, shape (R,)
        Row of each run, its first column, and the column after its last.
    """

    ids: NDArray[Any]
    index: _Ints
    rows: _Ints
    starts: _Ints
    stops: _Ints


def find_runs(labels: NDArray[np.integer[Any]]) -> LabelRuns:
    """List the runs of all instances of labels (H, W); background has none.

    Examples
    --------
    >>> runs = find_runs(np.array([[0, 7, 7], [7, 0, 3]]))
    >>> runs.ids.tolist(), runs.index.tolist(), runs.starts.tolist(), runs.stops.tolist()
    ([3, 7], [1, 1, 0], [1, 0, 2], [3, 1, 3])
    """
    width = labels.shape[1]
    flat = np.ascontiguousarray(labels).ravel()
    if not flat.size:
        empty = np.empty(0, np.int64)
        return LabelRuns(np.empty(0, labels.dtype), empty, empty, empty, empty)
    first = np.empty(flat.shape, bool)
    np.not_equal(flat[1:], flat[:-1], out=first[1:])
    first[::width] = True
    begins = np.flatnonzero(first)
    ends = np.append(begins[1:], flat.size)
    values = flat[begins]
    kept = values != 0
    begins, ends = begins[kept], ends[kept]
    ids, index = np.unique(values[kept], return_inverse=True)
    rows = begins // width
    return LabelRuns(ids, index.reshape(-1).astype(np.int64), rows, begins - rows * width, ends - rows * width)
