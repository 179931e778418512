"""Which of equally good objects goes first: a rank that does not depend on ids or on the order of the input."""

import numpy as np
from numpy.typing import NDArray

# Each round looks one object further.
_ROUNDS = 3


def rank_objects(
    pred_sizes: NDArray[np.int64],
    truth_sizes: NDArray[np.int64],
    pred_index: NDArray[np.int64],
    truth_index: NDArray[np.int64],
    overlap: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rank predicted and true objects for the breaking of ties.

    The larger object goes first. Objects of one size are told apart by what they overlap, and by what that
    overlaps (color refinement, Weisfeiler and Leman 1968). Objects that still have one rank are alike, so that
    either may be taken.

    Parameters
    ----------
    pred_sizes, truth_sizes, pred_index, truth_index, overlap
        As in `ContingencyTable`.

    Returns
    -------
    pred_rank, truth_rank : ndarray of int64, shapes (P,) and (T,)
        From 0, the first.
    """
    nothing = np.zeros(len(pred_sizes), np.uint64), np.zeros(len(truth_sizes), np.uint64)
    pred, truth = _rank(-pred_sizes, nothing[0]), _rank(-truth_sizes, nothing[1])
    for _ in range(_ROUNDS):
        pred, truth = (
            _rank(pred, _seen(pred_index, overlap, truth[truth_index], len(pred))),
            _rank(truth, _seen(truth_index, overlap, pred[pred_index], len(truth))),
        )
    return pred, truth


def _seen(
    index: NDArray[np.int64], overlap: NDArray[np.int64], partner: NDArray[np.int64], n: int
) -> NDArray[np.uint64]:
    """Sum up what each object overlaps, in any order, as a hash."""
    code = overlap.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + partner.astype(np.uint64)
    # The mixing of splitmix64; uint64 wraps around.
    code = (code ^ (code >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    code = (code ^ (code >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    total = np.zeros(n, np.uint64)
    np.add.at(total, index, code ^ (code >> np.uint64(31)))
    return total


def _rank(first: NDArray[np.int64], second: NDArray[np.uint64]) -> NDArray[np.int64]:
    order = np.lexsort((second, first))
    steps = (np.diff(first[order]) != 0) | (second[order][1:] != second[order][:-1])
    rank = np.zeros(len(order), np.int64)
    rank[order[1:]] = np.cumsum(steps)
    return rank
