"""From labels to a row of scores: of one image, pooled over several, and their mean."""

from collections.abc import Mapping, Sequence
from math import isnan, nan

from autosam.errors import InputError
from autosam.metrics.aggregated import AggregatedJaccard, aggregated_jaccard
from autosam.metrics.average_precision import average_precision
from autosam.metrics.contingency import ContingencyTable, Labels, require_table
from autosam.metrics.error_kinds import ErrorKind, classify_errors
from autosam.metrics.overlap import ForegroundOverlap, foreground_overlap
from autosam.metrics.panoptic import PanopticQuality, panoptic_quality
from autosam.metrics.pooling import comparable
from autosam.metrics.precision_counts import AveragePrecision
from autosam.metrics.rand import AdaptedRand, adapted_rand
from autosam.metrics.ranked_precision import RankedPrecision
from autosam.metrics.scores import Protocol, Scores
from autosam.metrics.variation import VariationOfInformation, variation_of_information


def evaluate_pair(
    pred: Labels | None = None,
    truth: Labels | None = None,
    *,
    table: ContingencyTable | None = None,
    protocol: Protocol | None = None,
    scores: Mapping[int, float] | None = None,
    empty_value: float = nan,
) -> Scores:
    """Score one prediction against its truth with every metric, from one contingency table.

    Parameters
    ----------
    pred, truth : ndarray of integer or bool, equal shapes
        Label arrays of any dimension; background 0. Leave both out where `table` is given.
    table : ContingencyTable, optional
        Their contingency table, filled block by block, say.
    protocol : Protocol, optional
        The definitions; by default those of `Protocol` itself, with this ``empty_value``.
    scores : mapping of int to float, optional
        Confidence by predicted id, for ranked average precision; by default the number of voxels.
    empty_value : float
        What stands where a score is undefined; without `protocol` alone.

    Returns
    -------
    Scores
        Scores of this image.

    Raises
    ------
    InputError
        If the arrays do not fit (`contingency_table`), or a score is missing.

    Examples
    --------
    >>> import numpy as np
    >>> scores = evaluate_pair(np.array([[1, 1, 2]]), np.array([[7, 7, 0]]))
    >>> scores.objects, scores.predicted, scores.row()["ap50"]
    (1, 2, 0.5)
    """
    protocol = protocol or Protocol(empty_value=empty_value)
    empty = protocol.empty_value
    table = require_table(pred, truth, table)
    kinds = classify_errors(table)
    by_size = {
        f"dsb_{name}": average_precision(table=table, strict=protocol.strict, size_range=sizes, empty_value=empty)
        for name, sizes in protocol.size_classes("dsb").items()
    }
    ranked: dict[str, RankedPrecision] = {}
    for convention in protocol.ranked:
        classes = {f"{convention}_{name}": sizes for name, sizes in protocol.size_classes(convention).items()}
        for column, size_range in {convention: None, **classes}.items():
            ranked[column] = average_precision(
                table=table,
                convention=convention,
                scores=scores,
                max_dets=protocol.max_dets,
                size_range=size_range,
                empty_value=empty,
            )
    return Scores(
        objects=len(table.truth_ids),
        predicted=len(table.pred_ids),
        ap=average_precision(table=table, strict=protocol.strict, empty_value=empty),
        rand=adapted_rand(table=table, convention=protocol.rand, empty_value=empty),
        overlap=foreground_overlap(table=table, empty_value=empty),
        voi=variation_of_information(table=table, empty_value=empty),
        panoptic=panoptic_quality(table=table, empty_value=empty),
        aji=aggregated_jaccard(table=table, empty_value=empty),
        aji_plus=aggregated_jaccard(table=table, one_to_one=True, empty_value=empty),
        kinds={
            "missed": int((kinds.truth == ErrorKind.MISSED).sum()),
            "spurious": int((kinds.pred == ErrorKind.SPURIOUS).sum()),
            "split": int((kinds.truth == ErrorKind.SPLIT).sum()),
            "merged": int((kinds.truth == ErrorKind.MERGED).sum()),
        },
        ranked=ranked,
        by_size=by_size,
    )


def pool(scores: Sequence[Scores]) -> Scores:
    """Add up the counts of several images.

    Adapted Rand error and variation of information of the pool are those of the images as one volume in which
    no two images share an object (`AdaptedRand.pooled`): large objects weigh more than in the mean.

    Raises
    ------
    InputError
        If there are no scores, or they follow different settings.
    """
    pooled_ap = AveragePrecision.pooled(s.ap for s in scores)
    if len({(tuple(s.ranked), tuple(s.by_size)) for s in scores}) > 1:
        raise InputError("the scores follow different protocols: evaluate all images with the same")
    return Scores(
        objects=sum(s.objects for s in scores),
        predicted=sum(s.predicted for s in scores),
        ap=pooled_ap,
        rand=AdaptedRand.pooled(s.rand for s in scores),
        overlap=ForegroundOverlap.pooled(s.overlap for s in scores),
        voi=VariationOfInformation.pooled(s.voi for s in scores),
        panoptic=PanopticQuality.pooled(s.panoptic for s in scores),
        aji=AggregatedJaccard.pooled(s.aji for s in scores),
        aji_plus=AggregatedJaccard.pooled(s.aji_plus for s in scores),
        kinds={name: sum(s.kinds[name] for s in scores) for name in scores[0].kinds},
        ranked={name: RankedPrecision.pooled(s.ranked[name] for s in scores) for name in scores[0].ranked},
        by_size={name: AveragePrecision.pooled(s.by_size[name] for s in scores) for name in scores[0].by_size},
    )


def mean_row(scores: Sequence[Scores]) -> dict[str, float]:
    """Average every column over the images in which it is defined; NaN if it is in none.

    Raises
    ------
    InputError
        If there are no scores.
    """
    return mean_of_rows([s.row() for s in scores])


def mean_of_rows(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Average every column of rows over those in which it is defined; NaN if it is in none.

    Raises
    ------
    InputError
        If there are no rows.
    """
    listed = comparable(rows)
    means = {}
    for column in listed[0]:
        values = [r[column] for r in listed if not isnan(r[column])]
        means[column] = sum(values) / len(values) if values else nan
    return means
