"""Counts of the voxels that each predicted and each true object share: what every metric here starts from."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autosam.errors import InputError

Labels = NDArray[np.integer] | NDArray[np.bool_]
_Counts = tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.int64]]

# Bounds the temporary arrays of one step to some tens of megabytes, whatever the size of the volume.
_STEP_VOXELS = 1 << 22
# Rows that may wait before equal pairs of ids are added up.
_WAITING_ROWS = 1 << 20


@dataclass(frozen=True, eq=False)
class ContingencyTable:
    """The objects of two label arrays and the voxels that they share, without a dense table.

    Attributes
    ----------
    pred_ids, truth_ids : ndarray of uint64, shapes (P,) and (T,)
        Ids of the objects, ascending; the background, 0, is not an object.
    pred_sizes, truth_sizes : ndarray of int64, shapes (P,) and (T,)
        Voxels of each object.
    pred_index, truth_index : ndarray of int64, shape (K,)
        Positions, in the arrays above, of the K pairs of objects that share voxels; by prediction, then by
        truth.
    overlap : ndarray of int64, shape (K,)
        Voxels that each pair shares, at least 1.
    n_voxels : int
        All voxels, background included.
    """

    pred_ids: NDArray[np.uint64]
    truth_ids: NDArray[np.uint64]
    pred_sizes: NDArray[np.int64]
    truth_sizes: NDArray[np.int64]
    pred_index: NDArray[np.int64]
    truth_index: NDArray[np.int64]
    overlap: NDArray[np.int64]
    n_voxels: int

    @property
    def union(self) -> NDArray[np.int64]:
        """Voxels of the union of each overlapping pair, shape (K,)."""
        return self.pred_sizes[self.pred_index] + self.truth_sizes[self.truth_index] - self.overlap

    @property
    def truth_missed(self) -> NDArray[np.int64]:
        """Voxels of each true object that the prediction calls background, shape (T,)."""
        return self.truth_sizes - _sums(self.truth_index, self.overlap, len(self.truth_ids))

    @property
    def pred_spurious(self) -> NDArray[np.int64]:
        """Voxels of each predicted object that the truth calls background, shape (P,)."""
        return self.pred_sizes - _sums(self.pred_index, self.overlap, len(self.pred_ids))


class Contingency:
    """A contingency table that is filled block by block.

    The blocks may come in any order and size; an object may lie in many of them. Memory grows with the number
    of overlapping pairs, never with the number of voxels or with the ids.

    Examples
    --------
    >>> import numpy as np
    >>> contingency = Contingency()
    >>> contingency.update(np.array([[0, 7], [7, 7]]), np.array([[0, 0], [3, 3]]))
    >>> contingency.update(np.array([[7, 9]]), np.array([[3, 3]]))
    >>> table = contingency.table()
    >>> table.pred_ids.tolist(), table.pred_sizes.tolist()
    ([7, 9], [4, 1])
    >>> table.truth_sizes.tolist(), table.overlap.tolist(), table.n_voxels
    ([4], [3, 1], 6)
    """

    def __init__(self) -> None:
        self._rows: list[_Counts] = []
        self._waiting = 0

    def update(self, pred: Labels, truth: Labels) -> None:
        """Add one block; parameters and errors are those of `contingency_table`."""
        check_shapes(pred.shape, truth.shape)
        for name, labels in (("prediction", pred), ("truth", truth)):
            if labels.dtype.kind not in "uib":
                raise InputError(
                    f"the {name} has dtype {labels.dtype}: labels are integer ids with background 0; "
                    "convert probabilities to instances first"
                )
        flat_pred: Labels = pred.reshape(-1)
        flat_truth: Labels = truth.reshape(-1)
        for start in range(0, pred.size, _STEP_VOXELS):
            stop = start + _STEP_VOXELS
            rows = _count(flat_pred[start:stop], flat_truth[start:stop])
            self._rows.append(rows)
            self._waiting += len(rows[2])
            if self._waiting > _WAITING_ROWS:
                self._compact()

    def table(self) -> ContingencyTable:
        """Return the table of all blocks so far; a table without objects or voxels if there were none."""
        self._compact()
        pred, truth, counts = self._rows[0]
        pred_ids, pred_rows = np.unique(pred, return_inverse=True)
        truth_ids, truth_rows = np.unique(truth, return_inverse=True)
        pred_sizes = _sums(pred_rows, counts, len(pred_ids))
        truth_sizes = _sums(truth_rows, counts, len(truth_ids))
        # The background has the smallest id there is, so it can only come first.
        pred_first, truth_first = int(0 in pred_ids[:1]), int(0 in truth_ids[:1])
        both = (pred != 0) & (truth != 0)
        return ContingencyTable(
            pred_ids=pred_ids[pred_first:],
            truth_ids=truth_ids[truth_first:],
            pred_sizes=pred_sizes[pred_first:],
            truth_sizes=truth_sizes[truth_first:],
            pred_index=(pred_rows[both] - pred_first).astype(np.int64),
            truth_index=(truth_rows[both] - truth_first).astype(np.int64),
            overlap=counts[both],
            n_voxels=int(counts.sum()),
        )

    def _compact(self) -> None:
        empty = (np.empty(0, np.uint64), np.empty(0, np.uint64), np.empty(0, np.int64))
        pred, truth, counts = (np.concatenate(columns) for columns in zip(empty, *self._rows, strict=True))
        self._rows = [_add_equal_pairs(pred, truth, counts)]
        # What is summed up no longer waits: counting it again would compact a large table at every block.
        self._waiting = 0


def contingency_table(pred: Labels, truth: Labels) -> ContingencyTable:
    """Count the voxels that predicted and true objects share.

    Parameters
    ----------
    pred, truth : ndarray of integer or bool, equal shapes
        Label arrays of any dimension; ids from 0, the background, to 2^64 − 1. Memory-mapped arrays are read
        step by step.

    Returns
    -------
    ContingencyTable
        Sizes and sparse overlaps; all arrays are empty where there are no objects.

    Raises
    ------
    InputError
        If the shapes differ, a dtype is not integer, or an id is negative.

    Examples
    --------
    >>> import numpy as np
    >>> table = contingency_table(np.array([1, 1, 0, 5]), np.array([2, 2, 2, 0]))
    >>> table.pred_ids.tolist(), table.overlap.tolist(), table.truth_missed.tolist()
    ([1, 5], [2], [1])
    """
    contingency = Contingency()
    contingency.update(pred, truth)
    return contingency.table()


def check_shapes(pred: tuple[int, ...], truth: tuple[int, ...]) -> None:
    """Raise an `InputError` if a prediction and a truth have different shapes."""
    if pred != truth:
        raise InputError(
            f"the prediction has shape {pred} and the truth {truth}: both must cover "
            "the same pixels; crop or segment again at the truth's size"
        )


def require_table(pred: Labels | None, truth: Labels | None, table: ContingencyTable | None) -> ContingencyTable:
    """Return the given table, or that of the two label arrays; every metric takes either.

    Raises
    ------
    InputError
        If there is neither or both, or the arrays do not fit (see `contingency_table`).
    """
    if table is not None and pred is None and truth is None:
        return table
    if table is None and pred is not None and truth is not None:
        return contingency_table(pred, truth)
    given = [n for n, v in (("pred", pred), ("truth", truth), ("table", table)) if v is not None]
    raise InputError(
        f"a metric got {' and '.join(given) or 'no labels'}: give `pred` and `truth`, or `table` alone"
    )


def _count(pred: Labels, truth: Labels) -> _Counts:
    # Labels come in runs: only the runs are sorted, about a hundredth of the pixels.
    starts = _run_starts(pred, truth)
    lengths = np.diff(starts, append=pred.size)
    return _add_equal_pairs(
        _as_ids(pred[starts], "prediction"), _as_ids(truth[starts], "truth"), lengths.astype(np.int64)
    )


def _as_ids(labels: Labels, name: str) -> NDArray[np.uint64]:
    if labels.dtype.kind == "i" and (labels < 0).any():
        raise InputError(
            f"the {name} holds the negative id {labels.min()}: ids are 0, the background, and up; "
            "set ignored pixels to 0 in both arrays or cast to the unsigned type that was meant"
        )
    return labels.astype(np.uint64)


def _add_equal_pairs(pred: NDArray[np.uint64], truth: NDArray[np.uint64], counts: NDArray[np.int64]) -> _Counts:
    if not len(counts):
        return pred, truth, counts
    order = np.lexsort((truth, pred))
    pred, truth, counts = pred[order], truth[order], counts[order]
    starts = _run_starts(pred, truth)
    return pred[starts], truth[starts], np.add.reduceat(counts, starts)


def _run_starts(pred: Labels | NDArray[np.uint64], truth: Labels | NDArray[np.uint64]) -> NDArray[np.int64]:
    return np.concatenate(([0], np.flatnonzero((pred[1:] != pred[:-1]) | (truth[1:] != truth[:-1])) + 1))


def _sums(index: NDArray[np.int64], counts: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    sums = np.zeros(n, np.int64)
    # Not np.bincount: its weights are float64 and lose units beyond 2^53.
    np.add.at(sums, index, counts)
    return sums
