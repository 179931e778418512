"""The area under the precision-recall curve of ranked predictions, as COCO and the MitoEM challenge measure it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import nan
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from autosam.errors import InputError
from autosam.metrics.contingency import ContingencyTable
from autosam.metrics.precision_counts import ThresholdScores

RankedConvention = Literal["coco", "mitoem2020"]
_Flags = tuple[NDArray[np.bool_], NDArray[np.bool_]]

# The very numbers of pycocotools: most i / 100 are the same floats, .35, .41, .47 and others are not.
RECALL_GRID: NDArray[np.float64] = np.linspace(0.0, 1.0, 101)


@dataclass(frozen=True, eq=False)
class RankedPrecision(ThresholdScores):
    """Ranked predictions of one or several images, and the average precision that follows from them.

    `pooled` ranks the predictions of several images together. Predictions of one score come at once: precision and
    recall are read after the last of them, so neither their order nor that of the images matters.

    Attributes
    ----------
    scores : ndarray of float64, shape (D,)
        Confidence of each prediction.
    hit : ndarray of bool, shape (N, D)
        Whether the prediction has a match at each threshold.
    ignored : ndarray of bool, shape (N, D)
        Whether it counts neither as a hit nor as a false one, as its size or its match's is out of range.
    n_truth : int
        True objects, of the size asked for.
    convention, max_dets, empty_value
        As in `average_precision`.
    """

    settings: ClassVar[tuple[str, ...]] = ("thresholds", "convention", "max_dets")
    joined: ClassVar[tuple[str, ...]] = ("scores", "hit", "ignored")

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

    def curve(self, threshold: float | Fraction) -> NDArray[np.float64]:
        """Return the precision at the recalls 0, .01, … 1, shape (101,); errors as of `position`."""
        return np.asarray(self._curves[self.position(threshold)], np.float64)

    @cached_property
    def _curves(self) -> NDArray[np.float64]:
        """Precision at each recall of the grid, shape (N, 101)."""
        curves = np.full((len(self.thresholds), len(RECALL_GRID)), self.empty_value)
        if not self.n_truth:
            return curves
        order = np.argsort(-self.scores, kind="stable")
        hit, counted = self.hit[:, order], ~self.ignored[:, order]
        # The last prediction of each score.
        last = np.flatnonzero(np.diff(self.scores[order], append=-np.inf))
        hits = np.cumsum(hit & counted, axis=1)[:, last]
        falses = np.cumsum(~hit & counted, axis=1)[:, last]
        precision = hits / np.maximum(hits + falses, 1)
        best_from_here = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        for row, recall in enumerate(hits / self.n_truth):
            reached = np.searchsorted(recall, RECALL_GRID, side="left")
            curves[row] = np.append(best_from_here[row], 0.0)[reached]
        return curves


def rank_predictions(
    table: ContingencyTable,
    thresholds: Sequence[Fraction],
    *,
    convention: RankedConvention,
    scores: Mapping[int, float] | None = None,
    max_dets: int | None = None,
    size_range: tuple[float, float] | None = None,
    empty_value: float = nan,
) -> RankedPrecision:
    """Rank the predictions of one image and tell hits from false ones; see `average_precision`.

    Raises
    ------
    InputError
        If a prediction has no score or one that is not a finite number, or ``max_dets`` is below 1.
    """
    if max_dets is not None and max_dets < 1:
        raise InputError(f"max_dets is {max_dets}: give 1 or more, or leave it out to count all predictions")
    values = _scores_of(table, scores)
    # Of equal scores the highest IoU goes first, then the rank of the object; ids never decide.
    best = np.zeros(len(values))
    np.maximum.at(best, table.pred_index, table.overlap / table.union)
    order = np.lexsort((table.pred_rank, -best, -values))
    if max_dets is not None and max_dets < len(order):
        order = order[values[order] >= values[order[max_dets - 1]]]
    greedy = convention == "coco"
    pred_outside = _outside(table.pred_sizes, size_range, low_counts=greedy)
    truth_outside = _outside(table.truth_sizes, size_range, low_counts=greedy)
    mark = _match_greedily if greedy else _match_best
    rows = [mark(table, threshold, order, truth_outside) for threshold in thresholds]
    hit = np.array([row[0] for row in rows])
    # A false prediction counts where its own size is in range.
    ignored = np.array([row[1] for row in rows]) | (~hit & pred_outside[order])
    return RankedPrecision(
        thresholds=tuple(thresholds),
        scores=values[order],
        hit=hit,
        ignored=ignored,
        n_truth=int((~truth_outside).sum()),
        convention=convention,
        max_dets=max_dets,
        empty_value=empty_value,
    )


def _scores_of(table: ContingencyTable, scores: Mapping[int, float] | None) -> NDArray[np.float64]:
    if scores is None:
        return table.pred_sizes.astype(np.float64)
    if not isinstance(scores, Mapping):
        raise InputError(f"the scores are a {type(scores).__name__}: give a mapping of predicted ids to scores")
    ids = table.pred_ids.tolist()
    missing = [i for i in ids if i not in scores]
    if missing:
        named = ", ".join(map(str, missing[:5])) + (", …" if len(missing) > 5 else "")
        raise InputError(f"no score for {len(missing)} predicted objects ({named}): give one for every id")
    values = np.array([scores[i] for i in ids], np.float64)
    if not np.isfinite(values).all():
        bad = ids[int(np.flatnonzero(~np.isfinite(values))[0])]
        raise InputError(f"the score of object {bad} is {scores[bad]}: give finite numbers")
    return values


def _outside(
    sizes: NDArray[np.int64], size_range: tuple[float, float] | None, *, low_counts: bool
) -> NDArray[np.bool_]:
    if size_range is None:
        return np.zeros(len(sizes), bool)
    low, high = size_range
    return ((sizes < low) if low_counts else (sizes <= low)) | (sizes > high)


def _match_greedily(
    table: ContingencyTable, threshold: Fraction, order: NDArray[np.int64], outside: NDArray[np.bool_]
) -> _Flags:
    """From the highest score down, each prediction takes the truth that is free, in range and overlaps most."""
    reaches = table.overlap * threshold.denominator >= table.union * threshold.numerator
    chosen = np.flatnonzero(reaches)
    iou = table.overlap[chosen] / table.union[chosen]
    truth = table.truth_index[chosen]
    # Objects in range come first whatever their IoU; of equal IoUs the first by rank.
    preference = np.lexsort((table.truth_rank[truth], -iou, outside[truth]))
    candidates: dict[int, list[int]] = {}
    for pair in preference.tolist():
        candidates.setdefault(int(table.pred_index[chosen[pair]]), []).append(int(truth[pair]))
    hit, ignored = np.zeros(len(order), bool), np.zeros(len(order), bool)
    taken: set[int] = set()
    for place, pred in enumerate(order.tolist()):
        for partner in candidates.get(pred, ()):
            if partner not in taken:
                taken.add(partner)
                hit[place], ignored[place] = True, outside[partner]
                break
    return hit, ignored


def _match_best(
    table: ContingencyTable, threshold: Fraction, order: NDArray[np.int64], outside: NDArray[np.bool_]
) -> _Flags:
    """Each prediction is compared with the truth, in range if any is, that it overlaps most, taken or not."""
    # The last one wins the assignment below.
    best = np.full(len(table.pred_ids), -1, np.int64)
    iou = table.overlap / table.union
    preference = np.lexsort((-table.truth_rank[table.truth_index], iou, ~outside[table.truth_index]))
    best[table.pred_index[preference]] = preference
    pair = best[order]
    hit, ignored = np.zeros(len(order), bool), np.zeros(len(order), bool)
    known = np.flatnonzero(pair >= 0)
    pairs = pair[known]
    hit[known] = table.overlap[pairs] * threshold.denominator >= table.union[pairs] * threshold.numerator
    ignored[known] = hit[known] & outside[table.truth_index[pairs]]
    return hit, ignored
