"""The area under the precision-recall curve of ranked predictions, as COCO and the MitoEM challenge measure it."""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import nan
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from autosam.metrics.pooling import comparable
from autosam.metrics.precision_counts import position_of

RankedConvention = Literal["coco", "mitoem2020"]

# The very numbers of pycocotools: most i / 100 are the same floats, .35, .41, .47 and others are not.
RECALL_GRID: NDArray[np.float64] = np.linspace(0.0, 1.0, 101)


@dataclass(frozen=True, eq=False)
class RankedPrecision:
    """Ranked predictions of one or several images, and the average precision that follows from them.

    Attributes
    ----------
    thresholds : tuple of Fraction, length N
        The IoU thresholds, exactly.
    scores : ndarray of float64, shape (D,)
        Confidence of each prediction.
    hit : ndarray of bool, shape (N, D)
        Whether the prediction has a match at each threshold.
    ignored : ndarray of bool, shape (N, D)
        Whether it counts neither as a hit nor as a false one, as its size or its match's is out of range.
    n_truth : int
        True objects, of the size asked for.
    convention : {"coco", "mitoem2020"}
        How predictions were matched; see `autosam.metrics.average_precision`.
    max_dets : int or None
        Most predictions of an image that count, those of the highest scores; None for all.
    empty_value : float
        What the scores are where there are no true objects.
    """

    thresholds: tuple[Fraction, ...]
    scores: NDArray[np.float64]
    hit: NDArray[np.bool_]
    ignored: NDArray[np.bool_]
    n_truth: int
    convention: RankedConvention
    max_dets: int | None = None
    empty_value: float = nan

    @property
    def accuracy(self) -> NDArray[np.float64]:
        """The average precision at each threshold, shape (N,): the area under the precision-recall curve.

        Precision is made monotone from the right, read off at the recalls 0, .01, … 1, and averaged; recalls
        that are never reached count 0.
        """
        return np.asarray(self._curves.mean(axis=1), np.float64)

    @property
    def recall(self) -> NDArray[np.float64]:
        """Hits of all predictions over true objects, shape (N,); above 1 where truths are matched twice."""
        if not self.n_truth:
            return np.full(len(self.thresholds), self.empty_value)
        return np.asarray((self.hit & ~self.ignored).sum(axis=1) / self.n_truth, np.float64)

    @property
    def mean(self) -> float:
        """Mean of `accuracy` over the thresholds: COCO's AP."""
        return float(self.accuracy.mean())

    def at(self, threshold: float | Fraction) -> float:
        """Return the average precision at one of the thresholds.

        Raises
        ------
        InputError
            If the threshold is not among those that were evaluated.
        """
        return float(self.curve(threshold).mean())

    def curve(self, threshold: float | Fraction) -> NDArray[np.float64]:
        """Return the precision at the recalls 0, .01, … 1, shape (101,).

        Raises
        ------
        InputError
            If the threshold is not among those that were evaluated.
        """
        return np.asarray(self._curves[position_of(threshold, self.thresholds)], np.float64)

    @classmethod
    def pooled(cls, results: Iterable[Self]) -> Self:
        """Rank the predictions of several images together; equal scores stay in the order of the images.

        Raises
        ------
        InputError
            If there are no results, or they differ in thresholds, convention or ``max_dets``.
        """
        results = comparable(results, settings=("thresholds", "convention", "max_dets"))
        first = results[0]
        return cls(
            thresholds=first.thresholds,
            scores=np.concatenate([r.scores for r in results]),
            hit=np.concatenate([r.hit for r in results], axis=1),
            ignored=np.concatenate([r.ignored for r in results], axis=1),
            n_truth=sum(r.n_truth for r in results),
            convention=first.convention,
            max_dets=first.max_dets,
            empty_value=first.empty_value,
        )

    @cached_property
    def _curves(self) -> NDArray[np.float64]:
        """Precision at each recall of the grid, shape (N, 101)."""
        curves = np.full((len(self.thresholds), len(RECALL_GRID)), self.empty_value)
        if not self.n_truth:
            return curves
        order = np.argsort(-self.scores, kind="stable")
        hit, counted = self.hit[:, order], ~self.ignored[:, order]
        hits = np.cumsum(hit & counted, axis=1)
        falses = np.cumsum(~hit & counted, axis=1)
        precision = hits / np.maximum(hits + falses, 1)
        best_from_here = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        for row, recall in enumerate(hits / self.n_truth):
            reached = np.searchsorted(recall, RECALL_GRID, side="left")
            curves[row] = np.append(best_from_here[row], 0.0)[reached]
        return curves
