"""What is known of each object, as a viewer's table beside a layer of labels."""

from typing import Any

import numpy as np

from autosam.review.corrected_labels import CorrectedLabels


def features_of(scores: Any, corrected: CorrectedLabels | None = None) -> dict[str, Any]:
    """Make the table of a layer of labels, a row for each id from 0 on.

    Parameters
    ----------
    scores : ndarray of float64, shape (n,)
    corrected : CorrectedLabels, optional
        Says who made each object, and by which action.
    """
    made = {} if corrected is None else {one.label: one for one in corrected.origins if one.label}
    rows = [made.get(number) for number in range(len(scores) + 1)]
    return {
        "index": np.arange(len(scores) + 1),
        "score": np.concatenate([[np.nan], scores]),
        "by": [one.by if one else "" for one in rows],
        "action": [one.action if one else "" for one in rows],
    }
