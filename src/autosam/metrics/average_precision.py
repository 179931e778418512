"""Average precision by its named definitions: the Data Science Bowl's, COCO's and the MitoEM challenge's."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import nan
from typing import Literal, get_args, overload

import numpy as np
from numpy.typing import ArrayLike

from autosam.errors import InputError
from autosam.metrics.contingency import ContingencyTable, require_table
from autosam.metrics.matching import exact_threshold, match_objects
from autosam.metrics.precision_counts import AveragePrecision
from autosam.metrics.ranked_precision import RankedConvention, RankedPrecision, rank_predictions

AveragePrecisionConvention = Literal["dsb", "coco", "mitoem2020"]

THRESHOLDS: tuple[Fraction, ...] = tuple(Fraction(n, 20) for n in range(10, 20))
"""The ten IoU thresholds .50, .55, … .95, exactly."""


@overload
def average_precision(
    pred: ArrayLike | None = None,
    truth: ArrayLike | None = None,
    *,
    table: ContingencyTable | None = None,
    valid: ArrayLike | None = None,
    ignore: int | None = None,
    thresholds: Sequence[float | Fraction] = THRESHOLDS,
    convention: Literal["dsb"] = "dsb",
    strict: bool = False,
    size_range: tuple[float, float] | None = None,
    empty_value: float = nan,
) -> AveragePrecision: ...


@overload
def average_precision(
    pred: ArrayLike | None = None,
    truth: ArrayLike | None = None,
    *,
    table: ContingencyTable | None = None,
    valid: ArrayLike | None = None,
    ignore: int | None = None,
    thresholds: Sequence[float | Fraction] = THRESHOLDS,
    convention: RankedConvention,
    scores: Mapping[int, float] | None = None,
    max_dets: int | None = None,
    size_range: tuple[float, float] | None = None,
    empty_value: float = nan,
) -> RankedPrecision: ...


def average_precision(
    pred: ArrayLike | None = None,
    truth: ArrayLike | None = None,
    *,
    table: ContingencyTable | None = None,
    valid: ArrayLike | None = None,
    ignore: int | None = None,
    thresholds: Sequence[float | Fraction] = THRESHOLDS,
    convention: AveragePrecisionConvention = "dsb",
    strict: bool = False,
    scores: Mapping[int, float] | None = None,
    max_dets: int | None = None,
    size_range: tuple[float, float] | None = None,
    empty_value: float = nan,
) -> AveragePrecision | RankedPrecision:
    """Score the predicted objects at each IoU threshold.

    Parameters
    ----------
    pred, truth, table : array_like of integer or bool, equal shapes, or ContingencyTable
        Two label arrays of any dimension, background 0, or their contingency table instead.
    valid, ignore : array_like and int, optional
        Which pixels count, as in `contingency_table`.
    thresholds : sequence of float or Fraction
        IoU thresholds above 0 and at most 1, taken as exact decimals (`exact_threshold`).
    convention : {"dsb", "coco", "mitoem2020"}
        What average precision is:

        * ``dsb``: TP / (TP + FP + FN) with an optimal one-to-one matching, as the Data Science Bowl 2018,
          StarDist, Cellpose, micro-sam (there "SA") and the MitoEM leaderboard score [1]_ [2]_;
        * ``coco``: the area under the precision-recall curve of the predictions ranked by score, matched
          greedily one to one, read at 101 recalls, as pycocotools computes it [3]_;
        * ``mitoem2020``: the same area by the script of the first MitoEM challenge, where each prediction is
          compared with the truth that it overlaps most, so a truth may be matched twice [4]_.
    strict : bool
        With ``dsb``: ask for IoU > t, as Kaggle's page of the Data Science Bowl writes, instead of IoU >= t.
    scores : mapping of int to float, optional
        With ``coco`` and ``mitoem2020``: confidence by predicted id. Without it, the number of voxels, as the
        MitoEM script has it.
    max_dets : int, optional
        With ``coco`` and ``mitoem2020``: so many predictions per image, those of the highest scores, and others
        of the lowest score among these. COCO's own figures use 100.
    size_range : (float, float), optional
        Smallest and largest size in voxels of the objects that count. True objects out of range are not
        missed, predictions matched with them not counted, and unmatched predictions count as false where
        their own size is in range. Both ends are included, as in COCO; with ``mitoem2020`` the lower one is
        not, as in its script.
    empty_value : float
        Score where both sides are empty; with ``coco`` and ``mitoem2020``, where there is no truth. One empty
        side scores 0 otherwise.

    Returns
    -------
    AveragePrecision or RankedPrecision
        Counts and scores per threshold; the latter for ``coco`` and ``mitoem2020``.

    Raises
    ------
    InputError
        If the arrays do not fit (`contingency_table`), there are no thresholds, one is out of range, the
        convention is unknown or does not know one of the settings, or a score is missing.

    References
    ----------
    .. [1] Caicedo JC et al. (2019). Nucleus segmentation across imaging experiments: the 2018 Data Science
       Bowl. Nature Methods 16, 1247-1253. doi:10.1038/s41592-019-0612-7
    .. [2] Schmidt U, Weigert M, Broaddus C, Myers G (2018). Cell detection with star-convex polygons. MICCAI;
       the reference code is ``stardist/matching.py``.
    .. [3] Lin TY et al. (2014). Microsoft COCO: common objects in context. ECCV; ``pycocotools/cocoeval.py``.
    .. [4] Wei D et al. (2020). MitoEM dataset: large-scale 3D mitochondria instance segmentation from EM
       images. MICCAI; ``vol3d_eval.py`` and ``vol3d_util.py`` of ygCoconut/mAP_3Dvolume.

    Examples
    --------
    >>> import numpy as np
    >>> pred, truth = np.array([1, 1, 1, 0, 2]), np.array([1, 1, 1, 1, 0])
    >>> result = average_precision(pred, truth, thresholds=[0.5, 0.9])
    >>> result.tp.tolist(), result.fp.tolist(), result.fn.tolist()  # IoU of the pair: 3 / 4
    ([1, 0], [1, 2], [0, 1])
    >>> result.accuracy.tolist()
    [0.5, 0.0]
    >>> average_precision(pred, truth, thresholds=[0.5], convention="coco", scores={1: 0.9, 2: 0.4}).mean
    1.0
    """
    if convention not in get_args(AveragePrecisionConvention):
        known = ", ".join(get_args(AveragePrecisionConvention))
        raise InputError(f"the AP convention is {convention!r}: choose one of {known}")
    if len(thresholds) == 0:
        raise InputError("no IoU thresholds came: give at least one, such as thresholds=[0.5]")
    if size_range is not None and not size_range[0] <= size_range[1]:
        raise InputError(f"the size range is {size_range}: give (smallest, largest) in voxels")
    exact = tuple(exact_threshold(t) for t in thresholds)
    table = require_table(pred, truth, table, valid=valid, ignore=ignore)
    if convention == "dsb":
        if scores is not None or max_dets is not None:
            raise InputError("the AP convention dsb ranks nothing: leave out `scores` and `max_dets`, or use coco")
        return _count_matches(table, exact, strict, size_range, empty_value)
    if strict:
        raise InputError(f"the AP convention {convention} asks for IoU >= t: leave out `strict`, or use dsb")
    return rank_predictions(
        table,
        exact,
        convention=convention,
        scores=scores,
        max_dets=max_dets,
        size_range=size_range,
        empty_value=empty_value,
    )


def _count_matches(
    table: ContingencyTable,
    thresholds: tuple[Fraction, ...],
    strict: bool,
    size_range: tuple[float, float] | None,
    empty_value: float,
) -> AveragePrecision:
    low, high = size_range or (0, np.inf)
    pred_counts = (table.pred_sizes >= low) & (table.pred_sizes <= high)
    truth_counts = (table.truth_sizes >= low) & (table.truth_sizes <= high)
    matched = [match_objects(table, threshold, strict=strict) for threshold in thresholds]
    counted = [truth_counts[matches.truth_index] for matches in matched]
    tp = np.array([hits.sum() for hits in counted], np.int64)
    return AveragePrecision(
        thresholds=thresholds,
        tp=tp,
        fp=np.array([pred_counts.sum() - pred_counts[m.pred_index].sum() for m in matched], np.int64),
        fn=truth_counts.sum() - tp,
        iou_sum=np.array([m.iou[hits].sum() for m, hits in zip(matched, counted, strict=True)], np.float64),
        strict=strict,
        empty_value=empty_value,
    )
