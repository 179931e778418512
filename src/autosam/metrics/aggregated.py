"""The aggregated Jaccard index of MoNuSeg, AJI, and its one-to-one variant, AJI+."""

from dataclasses import dataclass
from math import nan

import numpy as np
from numpy.typing import ArrayLike, NDArray

from autosam.metrics.assignment_problem import best_pairs
from autosam.metrics.contingency import ContingencyTable, require_table
from autosam.metrics.pooling import Summed


@dataclass(frozen=True)
class AggregatedJaccard(Summed):
    """Voxels of the intersections and of the unions of all paired objects.

    Attributes
    ----------
    intersection : int
        Σ |T ∩ P| over the pairs.
    union : int
        Σ |T ∪ P| over the pairs, and the voxels of all objects without a pair.
    empty_value : float
        As in `aggregated_jaccard`.
    """

    intersection: int
    union: int
    empty_value: float = nan

    @property
    def score(self) -> float:
        """Intersection over union, 0 to 1."""
        return self.intersection / self.union if self.union else self.empty_value


def aggregated_jaccard(
    pred: ArrayLike | None = None,
    truth: ArrayLike | None = None,
    *,
    table: ContingencyTable | None = None,
    valid: ArrayLike | None = None,
    ignore: int | None = None,
    one_to_one: bool = False,
    empty_value: float = nan,
) -> AggregatedJaccard:
    """Pair objects and add up the voxels of intersections and unions.

    Parameters
    ----------
    pred, truth, table : array_like of integer or bool, equal shapes, or ContingencyTable
        Two label arrays of any dimension, background 0, or their contingency table instead; errors as of
        `contingency_table`.
    valid, ignore : array_like and int, optional
        Which pixels count, as in `contingency_table`.
    one_to_one : bool
        False for AJI: each true object is paired with the prediction of the highest IoU, of equals the largest
        (`ContingencyTable.pred_rank`), and a prediction may be in several pairs, as in MoNuSeg's final script,
        where of equals the lowest id is taken. True for AJI+: each object is in at most one pair, and the sum of
        IoU is as large as can be.
    empty_value : float
        What the score is where both sides are empty. One empty side scores 0.

    References
    ----------
    .. [1] Kumar N et al. (2017). A dataset and a technique for generalized nuclear segmentation for
       computational pathology. IEEE Transactions on Medical Imaging 36, 1550-1560.
       doi:10.1109/TMI.2017.2677499; the organizers' Aggregated_Jaccard_Index script of 2018-07-17.
    .. [2] Graham S et al. (2019). Hover-Net. Medical Image Analysis 58, 101563; ``get_fast_aji`` and
       ``get_fast_aji_plus`` in ``metrics/stats_utils.py`` of vqdang/hover_net.

    Examples
    --------
    >>> import numpy as np
    >>> result = aggregated_jaccard(np.array([1, 1, 1, 0, 2]), np.array([1, 1, 1, 1, 0]))
    >>> result.intersection, result.union  # a pair of 3 / 4, and the voxel of the false object
    (3, 5)
    """
    table = require_table(pred, truth, table, valid=valid, ignore=ignore)
    if one_to_one:
        pairs = best_pairs(table, np.arange(len(table.overlap)), table.overlap / table.union)
    else:
        pairs = _best_of_each_truth(table)
    alone_pred, alone_truth = table.pred_sizes.copy(), table.truth_sizes.copy()
    alone_pred[table.pred_index[pairs]] = 0
    alone_truth[table.truth_index[pairs]] = 0
    return AggregatedJaccard(
        intersection=int(table.overlap[pairs].sum()),
        union=int(table.union[pairs].sum() + alone_pred.sum() + alone_truth.sum()),
        empty_value=empty_value,
    )


def aji(
    pred: ArrayLike | None = None,
    truth: ArrayLike | None = None,
    *,
    table: ContingencyTable | None = None,
    valid: ArrayLike | None = None,
    ignore: int | None = None,
    empty_value: float = nan,
) -> float:
    """Return the aggregated Jaccard index, 0 to 1; see `aggregated_jaccard`.

    Examples
    --------
    >>> import numpy as np
    >>> aji(np.array([1, 1, 0]), np.array([1, 1, 1])) == 2 / 3
    True
    """
    return aggregated_jaccard(pred, truth, table=table, valid=valid, ignore=ignore, empty_value=empty_value).score


def aji_plus(
    pred: ArrayLike | None = None,
    truth: ArrayLike | None = None,
    *,
    table: ContingencyTable | None = None,
    valid: ArrayLike | None = None,
    ignore: int | None = None,
    empty_value: float = nan,
) -> float:
    """Return AJI+, the aggregated Jaccard index of a one-to-one pairing; see `aggregated_jaccard`.

    Examples
    --------
    >>> import numpy as np
    >>> pred, truth = np.array([1, 1, 1]), np.array([1, 1, 2])
    >>> aji_plus(pred, truth) == 2 / 4, aji(pred, truth) == 3 / 6  # AJI: (2 + 1) / (3 + 3)
    (True, True)
    """
    return aggregated_jaccard(
        pred, truth, table=table, valid=valid, ignore=ignore, one_to_one=True, empty_value=empty_value
    ).score


def _best_of_each_truth(table: ContingencyTable) -> NDArray[np.int64]:
    # The last of each truth's pairs wins: the highest IoU, of equals the prediction that goes first.
    order = np.lexsort((-table.pred_rank[table.pred_index], table.overlap / table.union))
    best = np.full(len(table.truth_ids), -1, np.int64)
    best[table.truth_index[order]] = order
    return best[best >= 0]
