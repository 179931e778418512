"""The aggregated Jaccard index of MoNuSeg, AJI, and its one-to-one variant, AJI+."""

from dataclasses import dataclass
from math import nan

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import min_weight_full_bipartite_matching

from autosam.metrics.contingency import ContingencyTable, Labels, require_table
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
    pred: Labels | None = None,
    truth: Labels | None = None,
    *,
    table: ContingencyTable | None = None,
    one_to_one: bool = False,
    empty_value: float = nan,
) -> AggregatedJaccard:
    """Pair objects and add up the voxels of intersections and unions.

    Parameters
    ----------
    pred, truth, table : ndarray of integer or bool, equal shapes, or ContingencyTable
        Two label arrays of any dimension, background 0, or their contingency table instead; errors as of
        `contingency_table`.
    one_to_one : bool
        False for AJI: each true object is paired with the prediction of the highest IoU, of equals the one
        with the lowest id, and a prediction may be in several pairs, as in MoNuSeg's final script. True for
        AJI+: each object is in at most one pair, and the sum of IoU is as large as can be.
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
    table = require_table(pred, truth, table)
    pairs = _best_total(table) if one_to_one else _best_of_each_truth(table)
    alone_pred, alone_truth = table.pred_sizes.copy(), table.truth_sizes.copy()
    alone_pred[table.pred_index[pairs]] = 0
    alone_truth[table.truth_index[pairs]] = 0
    return AggregatedJaccard(
        intersection=int(table.overlap[pairs].sum()),
        union=int(table.union[pairs].sum() + alone_pred.sum() + alone_truth.sum()),
        empty_value=empty_value,
    )


def aji(
    pred: Labels | None = None,
    truth: Labels | None = None,
    *,
    table: ContingencyTable | None = None,
    empty_value: float = nan,
) -> float:
    """Return the aggregated Jaccard index, 0 to 1; see `aggregated_jaccard`.

    Examples
    --------
    >>> import numpy as np
    >>> aji(np.array([1, 1, 0]), np.array([1, 1, 1])) == 2 / 3
    True
    """
    return aggregated_jaccard(pred, truth, table=table, empty_value=empty_value).score


def aji_plus(
    pred: Labels | None = None,
    truth: Labels | None = None,
    *,
    table: ContingencyTable | None = None,
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
    return aggregated_jaccard(pred, truth, table=table, one_to_one=True, empty_value=empty_value).score


def _best_of_each_truth(table: ContingencyTable) -> NDArray[np.int64]:
    # The last of each truth's pairs wins: the highest IoU, of equals the lowest prediction.
    order = np.lexsort((-table.pred_index, table.overlap / table.union))
    best = np.full(len(table.truth_ids), -1, np.int64)
    best[table.truth_index[order]] = order
    return best[best >= 0]


def _best_total(table: ContingencyTable) -> NDArray[np.int64]:
    n_pred, n_truth, n_pairs = len(table.pred_ids), len(table.truth_ids), len(table.overlap)
    if not n_pairs:
        return np.empty(0, np.int64)
    # Each prediction may also stay alone, at a column of its own: so all rows find a place, and the cheapest
    # places, 2 − IoU or 2, are those of the largest sum of IoU. No weight is 0, which would mean "no edge".
    rows = np.concatenate([table.pred_index, np.arange(n_pred)])
    cols = np.concatenate([table.truth_index, n_truth + np.arange(n_pred)])
    cost = np.concatenate([2 - table.overlap / table.union, np.full(n_pred, 2.0)])
    graph = coo_array((cost, (rows, cols)), shape=(n_pred, n_truth + n_pred)).tocsr()
    pred, place = min_weight_full_bipartite_matching(graph)
    partner = np.full(n_pred, -1, np.int64)
    partner[pred] = place
    return np.flatnonzero(partner[table.pred_index] == table.truth_index)
