"""Label images as runs: stretches of one id in one row, from which most measurements follow."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.regions.numbering import flat_runs

_Ints = NDArray[np.int64]


_MOST = 1 << 18
"""Runs that are looked at at once, which bounds the memory."""


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

    def parts(self) -> Iterator["LabelRuns"]:
        """Give the instances in groups, by id, each with all its runs; one group where they are few."""
        ends = np.cumsum(np.bincount(self.index, minlength=len(self.ids)))
        first = 0
        while first < len(self.ids) or first == 0:
            before = ends[first - 1] if first else 0
            # At least one instance, and as many as fit.
            stop = max(first + 1, int(np.searchsorted(ends, before + _MOST, side="right")))
            yield self._part(first, stop)
            first = stop

    def _part(self, first: int, stop: int) -> "LabelRuns":
        if first == 0 and stop >= len(self.ids):
            return self
        own = np.flatnonzero((self.index >= first) & (self.index < stop))
        return LabelRuns(
            self.ids[first:stop], self.index[own] - first, self.rows[own], self.starts[own], self.stops[own]
        )


def find_runs(labels: NDArray[np.integer[Any]]) -> LabelRuns:
    """List the runs of all instances of labels (H, W); background has none.

    Examples
    --------
    >>> runs = find_runs(np.array([[0, 7, 7], [7, 0, 3]]))
    >>> runs.ids.tolist(), runs.index.tolist(), runs.starts.tolist(), runs.stops.tolist()
    ([3, 7], [1, 1, 0], [1, 0, 2], [3, 1, 3])
    """
    found = list(flat_runs(labels))
    values = np.concatenate([np.empty(0, labels.dtype), *(ids for _, _, ids in found)])
    begins = np.concatenate([np.empty(0, np.int64), *(begin for begin, _, _ in found)])
    lengths = np.concatenate([np.empty(0, np.int64), *(length for _, length, _ in found)])
    del found
    ids, index = np.unique(values, return_inverse=True)
    rows, starts = np.divmod(begins, max(labels.shape[1], 1))
    return LabelRuns(ids, index.reshape(-1).astype(np.int64, copy=False), rows, starts, starts + lengths)
