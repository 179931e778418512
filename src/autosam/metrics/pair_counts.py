"""How many voxels each pair of ids shares, added up step by step."""

import numpy as np
from numpy.typing import NDArray

from autosam.errors import InputError
from autosam.metrics.label_arrays import Labels

Rows = tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.int64]]
"""Ids of predictions and truths, and the voxels of each pair; ids may be 0."""

# Rows that may wait before equal pairs of ids are added up.
_WAITING_ROWS = 1 << 20


class PairCounts:
    """Voxels of pairs of ids. Memory grows with the number of pairs, never with that of voxels."""

    def __init__(self) -> None:
        self._rows: list[Rows] = []
        self._waiting = 0

    def add(self, rows: Rows) -> None:
        """Add the pairs of one step."""
        self._rows.append(rows)
        self._waiting += len(rows[2])
        if self._waiting > _WAITING_ROWS:
            self.total()

    def total(self) -> Rows:
        """Return all pairs so far, each once, by prediction and then by truth."""
        if not self._rows:
            return np.empty(0, np.uint64), np.empty(0, np.uint64), np.empty(0, np.int64)
        pred, truth, counts = (np.concatenate(columns) for columns in zip(*self._rows, strict=True))
        self._rows = [add_equal_pairs(pred, truth, counts)]
        # What is summed up no longer waits: counting it again would compact a large table at every block.
        self._waiting = 0
        return self._rows[0]


def count_pairs(pred: Labels, truth: Labels, *, ignored: bool = False) -> Rows:
    """Count the pairs of ids of two flat arrays; a negative id is refused, or 0 where the pixels are ignored."""
    # Labels come in runs: only the runs are sorted, about a hundredth of the pixels.
    starts = _run_starts(pred, truth)
    lengths = np.diff(starts, append=pred.size)
    return add_equal_pairs(
        _as_ids(pred[starts], "prediction", ignored),
        _as_ids(truth[starts], "truth", ignored),
        lengths.astype(np.int64),
    )


def add_equal_pairs(pred: NDArray[np.uint64], truth: NDArray[np.uint64], counts: NDArray[np.int64]) -> Rows:
    """Sort pairs by prediction and then by truth, and add up the voxels of equal ones."""
    if not len(counts):
        return pred, truth, counts
    order = np.lexsort((truth, pred))
    pred, truth, counts = pred[order], truth[order], counts[order]
    starts = _run_starts(pred, truth)
    return pred[starts], truth[starts], np.add.reduceat(counts, starts)


def sums(index: NDArray[np.int64], counts: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """Add up the counts of each index from 0 to n - 1, exactly."""
    found = np.zeros(n, np.int64)
    # Not np.bincount: its weights are float64 and lose units beyond 2^53.
    np.add.at(found, index, counts)
    return found


def without_ignored(counted: Rows, ignored: Rows) -> Rows:
    """Leave out objects that lie mostly in ignored pixels.

    A true object with more than half of its voxels in ignored pixels is ignored as a whole: its other voxels are
    then ignored pixels too. A prediction with more than half of its voxels in all ignored pixels is left out: its
    other voxels become background of the prediction.

    Parameters
    ----------
    counted, ignored : Rows
        Pairs of the pixels that count, and of the others.
    """
    pred, truth, counts = counted
    lost = np.isin(truth, _mostly(ignored[1], ignored[2], truth, counts))
    elsewhere = np.concatenate([ignored[0], pred[lost]]), np.concatenate([ignored[2], counts[lost]])
    pred, truth, counts = pred[~lost], truth[~lost], counts[~lost]
    left_out = np.isin(pred, _mostly(*elsewhere, pred, counts))
    return add_equal_pairs(np.where(left_out, np.uint64(0), pred), truth, counts)


def _mostly(
    ids: NDArray[np.uint64],
    counts: NDArray[np.int64],
    other_ids: NDArray[np.uint64],
    other_counts: NDArray[np.int64],
) -> NDArray[np.uint64]:
    """List the objects that have more voxels in the first pixels than in the others."""
    found, index = np.unique(np.concatenate([ids, other_ids]), return_inverse=True)
    more = sums(index, np.concatenate([counts, -other_counts]), len(found)) > 0
    return found[more & (found > 0)]


def _as_ids(labels: Labels, name: str, ignored: bool) -> NDArray[np.uint64]:
    if labels.dtype.kind == "i" and (labels < 0).any():
        if ignored:
            return np.maximum(labels, 0).astype(np.uint64)
        raise InputError(
            f"the {name} holds the negative id {labels.min()}: ids are 0, the background, and up; "
            "give pixels that do not count as valid= or ignore=, or cast to the unsigned type that was meant"
        )
    return labels.astype(np.uint64)


def _run_starts(pred: Labels | NDArray[np.uint64], truth: Labels | NDArray[np.uint64]) -> NDArray[np.int64]:
    return np.concatenate(([0], np.flatnonzero((pred[1:] != pred[:-1]) | (truth[1:] != truth[:-1])) + 1))
