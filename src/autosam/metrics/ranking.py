"""Which ranked predictions are hits: COCO's greedy matching, and the rule of the first MitoEM challenge."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import nan

import numpy as np
from numpy.typing import NDArray

from autosam.errors import InputError
from autosam.metrics.contingency import ContingencyTable
from autosam.metrics.ranked_precision import RankedConvention, RankedPrecision

_Flags = tuple[NDArray[np.bool_], NDArray[np.bool_]]


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
    # By descending score; equal scores by ascending id.
    order = np.argsort(-values, kind="stable")[:max_dets]
    outside = _outside(table, size_range, low_counts=convention == "coco")
    mark = _match_greedily if convention == "coco" else _match_best
    rows = [mark(table, threshold, order, outside[1]) for threshold in thresholds]
    hit = np.array([row[0] for row in rows])
    # A false prediction counts where its own size is in range.
    ignored = np.array([row[1] for row in rows]) | (~hit & outside[0][order])
    return RankedPrecision(
        thresholds=tuple(thresholds),
        scores=values[order],
        hit=hit,
        ignored=ignored,
        n_truth=int((~outside[1]).sum()),
        convention=convention,
        max_dets=max_dets,
        empty_value=empty_value,
    )


def _scores_of(table: ContingencyTable, scores: Mapping[int, float] | None) -> NDArray[np.float64]:
    if scores is None:
        return table.pred_sizes.astype(np.float64)
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
    table: ContingencyTable, size_range: tuple[float, float] | None, *, low_counts: bool
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    if size_range is None:
        return np.zeros(len(table.pred_ids), bool), np.zeros(len(table.truth_ids), bool)
    low, high = size_range
    pred, truth = (
        ((sizes < low) if low_counts else (sizes <= low)) | (sizes > high)
        for sizes in (table.pred_sizes, table.truth_sizes)
    )
    return pred, truth


def _match_greedily(
    table: ContingencyTable, threshold: Fraction, order: NDArray[np.int64], outside: NDArray[np.bool_]
) -> _Flags:
    """From the highest score down, each prediction takes the truth that is free, in range and overlaps most."""
    reaches = table.overlap * threshold.denominator >= table.union * threshold.numerator
    chosen = np.flatnonzero(reaches)
    iou = table.overlap[chosen] / table.union[chosen]
    truth = table.truth_index[chosen]
    # Objects in range come first whatever their IoU; of equal IoUs pycocotools takes the last truth.
    preference = np.lexsort((truth, iou, ~outside[truth]))[::-1]
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
    # Last of equal keys wins the assignment below, so the first truth has to come last.
    best = np.full(len(table.pred_ids), -1, np.int64)
    iou = table.overlap / table.union
    preference = np.lexsort((-table.truth_index, iou, ~outside[table.truth_index]))
    best[table.pred_index[preference]] = preference
    pair = best[order]
    hit, ignored = np.zeros(len(order), bool), np.zeros(len(order), bool)
    known = np.flatnonzero(pair >= 0)
    pairs = pair[known]
    hit[known] = table.overlap[pairs] * threshold.denominator >= table.union[pairs] * threshold.numerator
    ignored[known] = hit[known] & outside[table.truth_index[pairs]]
    return hit, ignored
