"""Counts of the voxels that each predicted and each true object share: what every metric here starts from."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from autosam.errors import InputError
from autosam.metrics.label_arrays import take_labels
from autosam.metrics.pair_counts import PairCounts, count_pairs, sums, without_ignored
from autosam.metrics.ties import rank_objects

# Bounds the temporary arrays of one step to some tens of megabytes, whatever the size of the volume.
_STEP_VOXELS = 1 << 22


class Foreground(NamedTuple):
    """Foreground voxels of prediction and truth that count, and those of both; no object is left out here."""

    pred: int
    truth: int
    both: int


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
        All voxels that count, background included.
    foreground : Foreground
        Voxels of the two foregrounds.
    """

    pred_ids: NDArray[np.uint64]
    truth_ids: NDArray[np.uint64]
    pred_sizes: NDArray[np.int64]
    truth_sizes: NDArray[np.int64]
    pred_index: NDArray[np.int64]
    truth_index: NDArray[np.int64]
    overlap: NDArray[np.int64]
    n_voxels: int
    foreground: Foreground

    @property
    def union(self) -> NDArray[np.int64]:
        """Voxels of the union of each overlapping pair, shape (K,)."""
        return self.pred_sizes[self.pred_index] + self.truth_sizes[self.truth_index] - self.overlap

    @property
    def pred_rank(self) -> NDArray[np.int64]:
        """Rank of each predicted object where several are equally good, shape (P,); see `rank_objects`."""
        return self._ranks[0]

    @property
    def truth_rank(self) -> NDArray[np.int64]:
        """Rank of each true object where several are equally good, shape (T,); see `rank_objects`."""
        return self._ranks[1]

    @cached_property
    def _ranks(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        return rank_objects(self.pred_sizes, self.truth_sizes, self.pred_index, self.truth_index, self.overlap)

    @property
    def truth_missed(self) -> NDArray[np.int64]:
        """Voxels of each true object that the prediction calls background, shape (T,)."""
        return self.truth_sizes - sums(self.truth_index, self.overlap, len(self.truth_ids))

    @property
    def pred_spurious(self) -> NDArray[np.int64]:
        """Voxels of each predicted object that the truth calls background, shape (P,)."""
        return self.pred_sizes - sums(self.pred_index, self.overlap, len(self.pred_ids))


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
        self._counted, self._ignored = PairCounts(), PairCounts()

    def update(
        self, pred: ArrayLike, truth: ArrayLike, *, valid: ArrayLike | None = None, ignore: int | None = None
    ) -> None:
        """Add one block; parameters and errors are those of `contingency_table`."""
        predicted, true, counted = take_labels(pred, truth, valid=valid, ignore=ignore)
        flat_pred, flat_truth = predicted.reshape(-1), true.reshape(-1)
        flat_counted = None if counted is None else counted.reshape(-1)
        for start in range(0, flat_pred.size, _STEP_VOXELS):
            step = slice(start, start + _STEP_VOXELS)
            if flat_counted is None:
                self._counted.add(count_pairs(flat_pred[step], flat_truth[step]))
                continue
            for pairs, where, ignored in (
                (self._counted, flat_counted[step], False),
                (self._ignored, ~flat_counted[step], True),
            ):
                if where.any():
                    pairs.add(count_pairs(flat_pred[step][where], flat_truth[step][where], ignored=ignored))

    def table(self) -> ContingencyTable:
        """Return the table of all blocks so far; a table without objects or voxels if there were none."""
        pred, truth, counts = self._counted.total()
        foreground = Foreground(
            *(int(counts[where].sum()) for where in (pred > 0, truth > 0, (pred > 0) & (truth > 0)))
        )
        ignored = self._ignored.total()
        if len(ignored[2]):
            pred, truth, counts = without_ignored((pred, truth, counts), ignored)
        pred_ids, pred_rows = np.unique(pred, return_inverse=True)
        truth_ids, truth_rows = np.unique(truth, return_inverse=True)
        pred_sizes = sums(pred_rows, counts, len(pred_ids))
        truth_sizes = sums(truth_rows, counts, len(truth_ids))
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
            foreground=foreground,
        )


def contingency_table(
    pred: ArrayLike, truth: ArrayLike, *, valid: ArrayLike | None = None, ignore: int | None = None
) -> ContingencyTable:
    """Count the voxels that predicted and true objects share.

    Parameters
    ----------
    pred, truth : array_like of integer, bool or whole numbers, equal shapes
        Label arrays of any dimension; ids from 0, the background, to 2^64 − 1. Memory-mapped arrays are read
        step by step. Lists and anything with ``__array__``, such as a tensor in memory, are converted. Masked
        elements of masked arrays do not count.
    valid : array_like, same shape, optional
        Where labels count: anything but 0. By default everywhere.
    ignore : int, optional
        Id of the truth whose pixels do not count, such as 255 or -1.

    Returns
    -------
    ContingencyTable
        Sizes and sparse overlaps; all arrays are empty where there are no objects.

    Raises
    ------
    InputError
        If the shapes differ, there are no axes, values are no whole numbers, or an id is negative where it counts.

    Notes
    -----
    Pixels that do not count are left out of both sides. A true object with more than half of its voxels among
    them is ignored as a whole, so all its voxels are left out. A prediction with more than half of its voxels
    among those that are left out is neither right nor wrong: its other voxels count as predicted background. This
    is COCO's rule for ignored regions, and the void rule of panoptic quality, for objects; `foreground` counts
    pixels alone.

    Examples
    --------
    >>> import numpy as np
    >>> table = contingency_table(np.array([1, 1, 0, 5]), np.array([2, 2, 2, 0]))
    >>> table.pred_ids.tolist(), table.overlap.tolist(), table.truth_missed.tolist()
    ([1, 5], [2], [1])
    >>> contingency_table([1, 1, 0, 5], [2, 2, 2, 255], ignore=255).pred_ids.tolist()
    [1]
    """
    contingency = Contingency()
    contingency.update(pred, truth, valid=valid, ignore=ignore)
    return contingency.table()


def require_table(
    pred: ArrayLike | None,
    truth: ArrayLike | None,
    table: ContingencyTable | None,
    *,
    valid: ArrayLike | None = None,
    ignore: int | None = None,
) -> ContingencyTable:
    """Return the given table, or that of the two label arrays; every metric takes either.

    Raises
    ------
    InputError
        If there is neither or both, or the arrays do not fit (see `contingency_table`).
    """
    if table is None and pred is not None and truth is not None:
        return contingency_table(pred, truth, valid=valid, ignore=ignore)
    arrays = {"pred": pred, "truth": truth, "valid": valid, "ignore": ignore}
    given = [name for name, value in arrays.items() if value is not None]
    if table is not None and not given:
        return table
    given += ["table"] if table is not None else []
    raise InputError(
        f"a metric got {' and '.join(given) or 'no labels'}: give `pred` and `truth`, or `table` alone"
    )
