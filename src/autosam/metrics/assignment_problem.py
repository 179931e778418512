"""The assignment problem on the few pairs that overlap: at most one partner for each object, the largest total."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components, min_weight_full_bipartite_matching

from autosam.metrics.contingency import ContingencyTable

# A larger group is solved sparsely: two million entries are 16 MB and little work.
_DENSE_ENTRIES = 1 << 21


def best_pairs(
    table: ContingencyTable, candidates: NDArray[np.int64], gain: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Choose pairs so that no object is in two of them and the sum of their gains is the largest.

    Each connected group of pairs is solved alone, and a large one sparsely, so that memory grows with the number
    of pairs.

    Parameters
    ----------
    candidates : ndarray of int64, shape (K,)
        Positions of the pairs in the table.
    gain : ndarray of float64, shape (K,)
        Above 0.

    Returns
    -------
    ndarray of int64, shape (M,)
        Positions of the pairs that are kept, ascending. The solver sees objects in the order of their ranks
        (`ContingencyTable.pred_rank`), so which of several best choices it makes does not depend on ids.
    """
    if not len(candidates):
        return candidates
    rows = _places(table.pred_rank)[table.pred_index[candidates]]
    cols = _places(table.truth_rank)[table.truth_index[candidates]]
    n_rows, n = len(table.pred_ids), len(table.pred_ids) + len(table.truth_ids)
    graph = coo_array((np.ones(len(rows), np.int8), (rows, cols + n_rows)), shape=(n, n))
    group = connected_components(graph, directed=False)[1][rows]
    order = np.lexsort((cols, rows, group))
    kept = []
    for members in np.split(order, np.flatnonzero(np.diff(group[order])) + 1):
        if len(members) == 1:
            kept.append(members)
            continue
        own_rows, own_cols = (np.unique(side[members], return_inverse=True)[1] for side in (rows, cols))
        dense = (int(own_rows.max()) + 1) * (int(own_cols.max()) + 1) <= _DENSE_ENTRIES
        solve = _densely if dense else _sparsely
        kept.append(members[solve(own_rows, own_cols, gain[members])])
    return np.sort(candidates[np.concatenate(kept)])


def _places(rank: NDArray[np.int64]) -> NDArray[np.int64]:
    """Give every object a place of its own, in the order of ranks."""
    place = np.empty(len(rank), np.int64)
    place[np.argsort(rank, kind="stable")] = np.arange(len(rank))
    return place


def _densely(rows: NDArray[np.int64], cols: NDArray[np.int64], gain: NDArray[np.float64]) -> NDArray[np.bool_]:
    table = np.zeros((int(rows.max()) + 1, int(cols.max()) + 1))
    table[rows, cols] = gain
    taken = np.zeros(table.shape, bool)
    taken[linear_sum_assignment(table, maximize=True)] = True
    return taken[rows, cols]


def _sparsely(rows: NDArray[np.int64], cols: NDArray[np.int64], gain: NDArray[np.float64]) -> NDArray[np.bool_]:
    n_rows, n_cols = int(rows.max()) + 1, int(cols.max()) + 1
    alone = np.arange(n_rows)
    # Each row may also stay alone, at a column of its own, so all rows find a place. No cost is 0, which would
    # mean "no edge".
    most = float(gain.max()) + 1
    cost = np.concatenate([most - gain, np.full(n_rows, most)])
    ends = np.concatenate([rows, alone]), np.concatenate([cols, n_cols + alone])
    matrix = coo_array((cost, ends), shape=(n_rows, n_cols + n_rows)).tocsr()
    row, place = min_weight_full_bipartite_matching(matrix)
    partner = np.empty(n_rows, np.int64)
    partner[row] = place
    return np.asarray(partner[rows] == cols)
