"""Panoptic quality: how well objects are outlined, times how well they are detected."""

from dataclasses import dataclass
from fractions import Fraction
from math import nan
from typing import ClassVar

from numpy.typing import ArrayLike

from autosam.metrics.average_precision import average_precision
from autosam.metrics.contingency import ContingencyTable
from autosam.metrics.pooling import Summed


@dataclass(frozen=True)
class PanopticQuality(Summed):
    """Hits and misses at one IoU threshold, and the panoptic quality.

    Attributes
    ----------
    tp, fp, fn : int
        Matched objects, predicted objects without a match, true objects without a match.
    iou_sum : float
        Sum of the IoU of the matched pairs.
    threshold, strict, empty_value
        As in `panoptic_quality`.
    """

    settings: ClassVar[tuple[str, ...]] = ("threshold", "strict")

    tp: int
    fp: int
    fn: int
    iou_sum: float
    threshold: Fraction = Fraction(1, 2)
    strict: bool = True
    empty_value: float = nan

    @property
    def sq(self) -> float:
        """Segmentation quality: mean IoU of the matched pairs; 0 without a match."""
        return self._ratio(self.iou_sum, self.tp)

    @property
    def dq(self) -> float:
        """Detection quality: TP / (TP + FP / 2 + FN / 2), the F1 score of the objects."""
        return self._ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    @property
    def pq(self) -> float:
        """Panoptic quality, SQ × DQ."""
        return self._ratio(2 * self.iou_sum, 2 * self.tp + self.fp + self.fn)

    def _ratio(self, part: float, whole: int) -> float:
        if not self.tp + self.fp + self.fn:
            return self.empty_value
        return part / whole if whole else 0.0


def panoptic_quality(
    pred: ArrayLike | None = None,
    truth: ArrayLike | None = None,
    *,
    table: ContingencyTable | None = None,
    valid: ArrayLike | None = None,
    ignore: int | None = None,
    threshold: float | Fraction = Fraction(1, 2),
    strict: bool = True,
    empty_value: float = nan,
) -> PanopticQuality:
    """Compute panoptic quality (PQ), segmentation quality (SQ) and detection quality (DQ) of one class.

    Parameters
    ----------
    pred, truth, table : array_like of integer or bool, equal shapes, or ContingencyTable
        Two label arrays of any dimension, background 0, or their contingency table instead.
    valid, ignore : array_like and int, optional
        Which pixels count, as in `contingency_table`.
    threshold : float or Fraction
        The IoU of a match, above 0 and at most 1.
    strict : bool
        Ask for IoU > threshold, as the definition does; False for IoU >= threshold. Where that allows several
        matchings, the one with most pairs and then the largest sum of IoU is taken.
    empty_value : float
        What the scores are where both sides are empty. One empty side scores 0.

    Raises
    ------
    InputError
        If the arrays do not fit (`contingency_table`) or the threshold is out of range.

    References
    ----------
    .. [1] Kirillov A, He K, Girshick R, Rother C, Dollár P (2019). Panoptic segmentation. CVPR, 9404-9413.
    .. [2] ``get_fast_pq`` in ``metrics/stats_utils.py`` of vqdang/hover_net.

    Examples
    --------
    >>> import numpy as np
    >>> quality = panoptic_quality(np.array([1, 1, 1, 0, 2]), np.array([1, 1, 1, 1, 0]))
    >>> quality.sq, round(quality.dq, 3), quality.pq  # one match of IoU 3 / 4, one false object
    (0.75, 0.667, 0.5)
    """
    counts = average_precision(
        pred, truth, table=table, valid=valid, ignore=ignore, thresholds=[threshold], strict=strict
    )
    return PanopticQuality(
        tp=int(counts.tp[0]),
        fp=int(counts.fp[0]),
        fn=int(counts.fn[0]),
        iou_sum=float(counts.iou_sum[0]),
        threshold=counts.thresholds[0],
        strict=strict,
        empty_value=empty_value,
    )
