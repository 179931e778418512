"""Which predicted object is which true object: the optimal one-to-one matching at an IoU threshold."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from autosam.errors import InputError
from autosam.metrics.assignment_problem import best_pairs
from autosam.metrics.contingency import ContingencyTable


@dataclass(frozen=True, eq=False)
class Matches:
    """Pairs of a predicted and a true object, each object in at most one pair, by ascending prediction.

    Attributes
    ----------
    pred_index, truth_index : ndarray of int64, shape (M,)
        Positions in the table's `pred_ids` and `truth_ids`; empty where nothing matches.
    iou : ndarray of float64, shape (M,)
        Intersection over union of each pair, 0 to 1.
    """

    pred_index: NDArray[np.int64]
    truth_index: NDArray[np.int64]
    iou: NDArray[np.float64]


def exact_threshold(threshold: float | Fraction) -> Fraction:
    """Return the fraction that a decimal threshold means: .6 is 3/5, although no float is.

    The nearest fraction with a denominator of at most a million is taken, so that the values of
    ``numpy.arange(.5, 1, .05)``, which drift from the decimals, mean the decimals too.

    Raises
    ------
    InputError
        If the threshold is not above 0 and at most 1.

    Examples
    --------
    >>> exact_threshold(0.55), exact_threshold(0.1 + 0.2)
    (Fraction(11, 20), Fraction(3, 10))
    """
    if not 0 < threshold <= 1:  # also refuses NaN
        raise InputError(f"the IoU threshold is {threshold}: give a number above 0 and at most 1, such as 0.5")
    value = threshold if isinstance(threshold, Fraction) else float(threshold)
    return Fraction(value).limit_denominator(1_000_000)


def match_objects(table: ContingencyTable, threshold: float | Fraction, *, strict: bool = False) -> Matches:
    """Match objects one to one so that as many pairs as possible reach the threshold.

    Of all such matchings the one with the largest sum of IoU is taken, and of several such, that of the objects
    that go first by rank (`ContingencyTable.pred_rank`), whatever the ids. The comparison is between integers, so
    an IoU of exactly 3/5 reaches .6. Memory grows with the number of overlapping pairs.

    Parameters
    ----------
    threshold : float or Fraction
        Smallest IoU of a pair, above 0 and at most 1; see `exact_threshold`.
    strict : bool
        Ask for IoU > threshold instead of IoU >= threshold.

    Returns
    -------
    Matches
        Empty arrays if one side has no objects.

    Raises
    ------
    InputError
        If the threshold is out of range.
    """
    exact = exact_threshold(threshold)
    overlap, union = table.overlap, table.union
    # The denominator is at most 10^6, so int64 holds the products for objects of up to 9 × 10^12 voxels.
    left, right = overlap * exact.denominator, union * exact.numerator
    chosen = np.flatnonzero(left > right if strict else left >= right)
    # Above one half an object has at most one partner. At one half it may be split into two equal halves, and
    # below there are chains of candidates.
    half = Fraction(1, 2)
    if exact < half or (exact == half and not strict):
        # A match is worth 1; all IoUs together are worth at most one half, so they only break ties.
        most = max(1, min(len(table.pred_ids), len(table.truth_ids)))
        chosen = best_pairs(table, chosen, 1 + overlap[chosen] / union[chosen] / (2 * most))
    return Matches(table.pred_index[chosen], table.truth_index[chosen], overlap[chosen] / union[chosen])


def best_ious(table: ContingencyTable) -> NDArray[np.float64]:
    """Return the highest IoU of each true object with any prediction, shape (T,); 0 where it has none."""
    best = np.zeros(len(table.truth_ids))
    np.maximum.at(best, table.truth_index, table.overlap / table.union)
    return best
