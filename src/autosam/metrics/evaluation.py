"""The scores of a set of images: one row per image, one of the pooled counts, one of the means."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import isnan, nan

from autosam.errors import InputError
from autosam.metrics.average_precision import AveragePrecision, average_precision
from autosam.metrics.contingency import Labels, contingency_table
from autosam.metrics.overlap import ForegroundOverlap, foreground_overlap
from autosam.metrics.rand import AdaptedRand, adapted_rand

DEFINITIONS: dict[str, str] = {
    "ap": "TP / (TP + FP + FN); a match has IoU ≥ threshold; optimal one-to-one matching (convention dsb)",
    "mean_ap": "mean of ap over the IoU thresholds .50, .55, … .95",
    "rand_error": "1 − F-score of the adapted Rand index; true background ignored (convention snemi3d)",
    "dice": "2 |P ∩ T| / (|P| + |T|) of the foreground",
    "iou": "|P ∩ T| / |P ∪ T| of the foreground",
    "pooled": "counts of all images added up; rand_error as if they were one volume without shared objects",
    "mean": "mean over the images in which the score is defined",
    "undefined": "empty cell or null: ap, dice and iou where both sides are empty, rand_error without truth",
}
"""What each column means, as it is written beside the results."""


@dataclass(frozen=True)
class Scores:
    """The scores of one image, or of several pooled.

    Attributes
    ----------
    objects, predicted : int
        True and predicted objects.
    ap : AveragePrecision
        Counts at the IoU thresholds .50 to .95.
    rand : AdaptedRand
        Adapted Rand error by the challenge's script.
    overlap : ForegroundOverlap
        Foreground voxels.
    """

    objects: int
    predicted: int
    ap: AveragePrecision
    rand: AdaptedRand
    overlap: ForegroundOverlap

    def row(self) -> dict[str, float]:
        """Return the scores by column name; NaN where one is undefined."""
        half = self.ap.position(Fraction(1, 2))
        return {
            "objects": self.objects,
            "predicted": self.predicted,
            "ap50": self.ap.at(Fraction(1, 2)),
            "ap75": self.ap.at(Fraction(3, 4)),
            "mean_ap": self.ap.mean,
            "rand_error": self.rand.error,
            "dice": self.overlap.dice,
            "iou": self.overlap.iou,
            "tp50": int(self.ap.tp[half]),
            "fp50": int(self.ap.fp[half]),
            "fn50": int(self.ap.fn[half]),
            "precision50": float(self.ap.precision[half]),
            "recall50": float(self.ap.recall[half]),
            "f1_50": float(self.ap.f1[half]),
            "matched_iou50": float(self.ap.mean_matched_iou[half]),
            "rand_precision": self.rand.precision,
            "rand_recall": self.rand.recall,
        }

    def per_threshold(self) -> dict[str, list[float]]:
        """Return thresholds, counts and scores as lists of equal length."""
        return {
            "threshold": [float(t) for t in self.ap.thresholds],
            "tp": self.ap.tp.tolist(),
            "fp": self.ap.fp.tolist(),
            "fn": self.ap.fn.tolist(),
            "ap": self.ap.accuracy.tolist(),
            "precision": self.ap.precision.tolist(),
            "recall": self.ap.recall.tolist(),
            "f1": self.ap.f1.tolist(),
            "matched_iou": self.ap.mean_matched_iou.tolist(),
        }


def evaluate_pair(pred: Labels, truth: Labels, *, empty_value: float = nan) -> Scores:
    """Score one prediction against its truth with every metric, from one contingency table.

    Parameters
    ----------
    pred, truth : ndarray of integer or bool, equal shapes
        Label arrays of any dimension; background 0.
    empty_value : float
        What stands where a score is undefined; see each metric.

    Returns
    -------
    Scores
        Scores of this image.

    Raises
    ------
    InputError
        If the arrays do not fit (`contingency_table`).

    Examples
    --------
    >>> import numpy as np
    >>> scores = evaluate_pair(np.array([[1, 1, 2]]), np.array([[7, 7, 0]]))
    >>> scores.objects, scores.predicted, scores.row()["ap50"]
    (1, 2, 0.5)
    """
    table = contingency_table(pred, truth)
    return Scores(
        objects=len(table.truth_ids),
        predicted=len(table.pred_ids),
        ap=average_precision(table=table, empty_value=empty_value),
        rand=adapted_rand(table=table, empty_value=empty_value),
        overlap=foreground_overlap(table=table, empty_value=empty_value),
    )


def pool(scores: Sequence[Scores]) -> Scores:
    """Add up the counts of several images.

    The adapted Rand error of the pool is that of the images as one volume in which no two images share an
    object (`AdaptedRand.pooled`): large objects weigh more than in the mean.

    Raises
    ------
    InputError
        If there are no scores, or they follow different settings.
    """
    return Scores(
        objects=sum(s.objects for s in scores),
        predicted=sum(s.predicted for s in scores),
        ap=AveragePrecision.pooled(s.ap for s in scores),
        rand=AdaptedRand.pooled(s.rand for s in scores),
        overlap=ForegroundOverlap.pooled(s.overlap for s in scores),
    )


def mean_row(scores: Sequence[Scores]) -> dict[str, float]:
    """Average every column over the images in which it is defined; NaN if it is in none.

    Raises
    ------
    InputError
        If there are no scores.
    """
    if not scores:
        raise InputError("no results came to put together: give those of at least one image")
    rows = [s.row() for s in scores]
    means = {}
    for column in rows[0]:
        values = [r[column] for r in rows if not isnan(r[column])]
        means[column] = sum(values) / len(values) if values else nan
    return means
