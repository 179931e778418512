"""Hits and misses at each IoU threshold, and the scores that follow from them: TP / (TP + FP + FN)."""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from math import nan
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from autosam.errors import InputError
from autosam.metrics.matching import exact_threshold
from autosam.metrics.pooling import Summed, comparable


@dataclass(frozen=True, eq=False)
class ThresholdScores(Summed):
    """Base of results with one average precision for each IoU threshold.

    Attributes
    ----------
    thresholds : tuple of Fraction, length N
        The IoU thresholds, exactly.
    """

    thresholds: tuple[Fraction, ...]

    @property
    def accuracy(self) -> NDArray[np.float64]:
        """The average precision at each threshold, shape (N,)."""
        raise NotImplementedError

    @property
    def mean(self) -> float:
        """Mean of `accuracy` over the thresholds: COCO's AP; by convention ``dsb`` also called mSA."""
        return float(self.accuracy.mean())

    def at(self, threshold: float | Fraction) -> float:
        """Return the average precision at one of the thresholds; errors as of `position`."""
        return float(self.accuracy[self.position(threshold)])

    def position(self, threshold: float | Fraction) -> int:
        """Return the position of a threshold in every array here.

        Raises
        ------
        InputError
            If the threshold is not among those that were evaluated.
        """
        exact = exact_threshold(threshold)
        if exact not in self.thresholds:
            known = ", ".join(f"{float(t):g}" for t in self.thresholds)
            raise InputError(
                f"no counts at IoU {float(exact):g}, only at {known}: add it to `thresholds` and evaluate again"
            )
        return self.thresholds.index(exact)


@dataclass(frozen=True, eq=False)
class AveragePrecision(ThresholdScores):
    """Hits and misses at each IoU threshold, and the scores that follow from them.

    Where a size range was asked for, only objects of that size are counted.

    Attributes
    ----------
    tp, fp, fn : ndarray of int64, shape (N,)
        Matched objects, predicted objects without a match, true objects without a match.
    iou_sum : ndarray of float64, shape (N,)
        Sum of the IoU of the matched pairs.
    strict, empty_value
        As in `average_precision`.
    """

    settings: ClassVar[tuple[str, ...]] = ("thresholds", "strict")

    tp: NDArray[np.int64]
    fp: NDArray[np.int64]
    fn: NDArray[np.int64]
    iou_sum: NDArray[np.float64]
    strict: bool = False
    empty_value: float = nan

    @property
    def accuracy(self) -> NDArray[np.float64]:
        """The average precision at each threshold, TP / (TP + FP + FN), shape (N,)."""
        return self._ratio(self.tp, self.tp + self.fp + self.fn)

    @property
    def precision(self) -> NDArray[np.float64]:
        """TP / (TP + FP) at each threshold, shape (N,); 0 without predictions."""
        return self._ratio(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> NDArray[np.float64]:
        """TP / (TP + FN) at each threshold, shape (N,); 0 without truth."""
        return self._ratio(self.tp, self.tp + self.fn)

    @property
    def f1(self) -> NDArray[np.float64]:
        """2 TP / (2 TP + FP + FN) at each threshold, shape (N,)."""
        return self._ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    @property
    def mean_matched_iou(self) -> NDArray[np.float64]:
        """Mean IoU of the matched pairs at each threshold, shape (N,); 0 without a match."""
        return self._ratio(self.iou_sum, self.tp)

    @staticmethod
    def averaged(results: "Iterable[AveragePrecision]") -> NDArray[np.float64]:
        """Average `accuracy` over images, so that every image weighs the same.

        Returns
        -------
        ndarray of float64, shape (N,)
            Images whose score is NaN (empty on both sides) do not count; NaN if no image is left.

        Raises
        ------
        InputError
            If there are no results, or they differ in thresholds or in `strict`.
        """
        scores = np.array([r.accuracy for r in comparable(results, settings=AveragePrecision.settings)])
        known = ~np.isnan(scores)
        total, n = np.where(known, scores, 0).sum(axis=0), known.sum(axis=0)
        mean: NDArray[np.float64] = np.divide(total, n, out=np.full(len(n), nan), where=n > 0)
        return mean

    def _ratio(
        self, part: NDArray[np.int64] | NDArray[np.float64], whole: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        empty = self.tp + self.fp + self.fn == 0
        return np.divide(part, whole, out=np.where(empty, self.empty_value, 0.0), where=whole > 0)
