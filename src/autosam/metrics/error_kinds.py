"""What went wrong with each object: missed, spurious, split or merged."""

from dataclasses import dataclass
from enum import IntEnum
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from autosam.metrics.contingency import ContingencyTable
from autosam.metrics.matching import match_objects


class ErrorKind(IntEnum):
    """What became of an object."""

    HIT = 0
    MISSED = 1
    SPURIOUS = 2
    SPLIT = 3
    MERGED = 4


@dataclass(frozen=True, eq=False)
class ErrorKinds:
    """The kind of every object, in the order of the table's ids; empty arrays without objects.

    Attributes
    ----------
    truth : ndarray of int8, shape (T,)
        `ErrorKind.HIT`, MISSED, SPLIT or MERGED.
    pred : ndarray of int8, shape (P,)
        `ErrorKind.HIT`, SPURIOUS, SPLIT or MERGED.
    """

    truth: NDArray[np.int8]
    pred: NDArray[np.int8]

    def count(self, kind: ErrorKind) -> int:
        """Count the true objects of a kind; of `ErrorKind.SPURIOUS`, the predicted ones."""
        return int(((self.pred if kind == ErrorKind.SPURIOUS else self.truth) == kind).sum())


def classify_errors(table: ContingencyTable, *, threshold: float | Fraction = Fraction(1, 2)) -> ErrorKinds:
    """Say of every object whether it was found, and if not, why.

    A pair of the one-to-one matching at the IoU threshold is a hit. A true object is *broken* where two or more
    predictions lie in it with more than half of their voxels; a prediction is a *merger* where it holds more
    than half of two or more true objects. Of the objects without a match,

    * merged are the mergers, and the true objects that one of them holds;
    * split are the broken true objects, and the predictions that are pieces of one;
    * missed and spurious are the other true and predicted objects.

    Merged goes before split. A large piece may match the broken object, and one of the merged may match the
    merger: these two are then hits.

    Raises
    ------
    InputError
        If the threshold is not above 0 and at most 1.

    Examples
    --------
    >>> import numpy as np
    >>> from autosam.metrics import contingency_table
    >>> kinds = classify_errors(contingency_table(np.array([1, 1, 2, 3]), np.array([7, 7, 7, 0])))
    >>> [ErrorKind(kind).name for kind in kinds.pred]
    ['HIT', 'SPLIT', 'SPURIOUS']
    """
    piece = 2 * table.overlap > table.pred_sizes[table.pred_index]
    held = 2 * table.overlap > table.truth_sizes[table.truth_index]
    broken = np.bincount(table.truth_index[piece], minlength=len(table.truth_ids)) > 1
    merger = np.bincount(table.pred_index[held], minlength=len(table.pred_ids)) > 1

    truth = np.full(len(table.truth_ids), ErrorKind.MISSED, np.int8)
    pred = np.full(len(table.pred_ids), ErrorKind.SPURIOUS, np.int8)
    truth[broken] = ErrorKind.SPLIT
    pred[table.pred_index[piece & broken[table.truth_index]]] = ErrorKind.SPLIT
    truth[table.truth_index[held & merger[table.pred_index]]] = ErrorKind.MERGED
    pred[merger] = ErrorKind.MERGED
    matches = match_objects(table, threshold)
    truth[matches.truth_index] = pred[matches.pred_index] = ErrorKind.HIT
    return ErrorKinds(truth, pred)
