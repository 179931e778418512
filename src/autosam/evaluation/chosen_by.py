"""The score that models and thresholds are chosen by."""

from math import isnan

from autosam.config import Metric


def score_by(metric: Metric, *, mean_ap: float, a_rand: float) -> float:
    """Give the score to be raised: mean AP, or 1 − the adapted Rand error, 0 where that is undefined.

    Examples
    --------
    >>> score_by("mean_ap", mean_ap=0.5, a_rand=0.25), score_by("a_rand", mean_ap=0.5, a_rand=0.25)
    (0.5, 0.75)
    >>> score_by("a_rand", mean_ap=0.0, a_rand=float("nan"))
    0.0
    """
    if metric == "mean_ap":
        return mean_ap
    return 0.0 if isnan(a_rand) else 1 - a_rand
