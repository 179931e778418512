"""Labels without the pixels and objects that do not count, for what is no metric: pictures."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from autosam.metrics.contingency import ContingencyTable, contingency_table
from autosam.metrics.label_arrays import take_labels


def clear_ignored(
    pred: ArrayLike, truth: ArrayLike, *, valid: ArrayLike | None = None, ignore: int | None = None
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Set to background what does not count in a prediction and its truth.

    Parameters
    ----------
    pred, truth, valid, ignore
        As in `contingency_table`, which states the rules; errors are its errors too.

    Returns
    -------
    pred, truth : ndarray of integer or bool
        The arrays that came where every pixel counts.
    """
    predicted, true, counted = take_labels(pred, truth, valid=valid, ignore=ignore)
    if counted is None:
        return predicted, true
    table: ContingencyTable = contingency_table(predicted, true, valid=counted)
    true = np.where(counted, true, 0)
    kept_truth = np.isin(true.astype(np.uint64), table.truth_ids)
    counted = counted & (kept_truth | (true == 0))
    predicted = np.where(counted, predicted, 0)
    kept_pred = np.isin(predicted.astype(np.uint64), table.pred_ids)
    return np.where(kept_pred, predicted, 0), np.where(kept_truth, true, 0)
