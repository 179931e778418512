"""From labels to a row of scores: of one image, pooled over several, and their mean."""

from collections.abc import Mapping, Sequence
from math import isnan, nan

from numpy.typing import ArrayLike

from autosam.errors import InputError
from autosam.metrics.aggregated import aggregated_jaccard
from autosam.metrics.all_scores import Protocol, Scores
from autosam.metrics.average_precision import average_precision
from autosam.metrics.contingency import ContingencyTable, require_table
from autosam.metrics.error_kinds import ErrorKind, classify_errors
from autosam.metrics.overlap import foreground_overlap
from autosam.metrics.panoptic import panoptic_quality
from autosam.metrics.pooling import comparable
from autosam.metrics.rand import adapted_rand
from autosam.metrics.ranked_precision import RankedPrecision
from autosam.metrics.variation import variation_of_information


def evaluate_pair(
    pred: ArrayLike | None = None,
    truth: ArrayLike | None = None,
    *,
    table: ContingencyTable | None = None,
    valid: ArrayLike | None = None,
    ignore: int | None = None,
    protocol: Protocol | None = None,
    scores: Mapping[int, float] | None = None,
) -> Scores:
    """Score one prediction against its truth with every metric, from one contingency table.

    Parameters
    ----------
    pred, truth, table : array_like of integer or bool, equal shapes, or ContingencyTable
        Two label arrays of any dimension, background 0, or their contingency table instead.
    valid, ignore : array_like and int, optional
        Which pixels count, as in `contingency_table`.
    protocol : Protocol, optional
        The definitions; by default those of `Protocol` itself.
    scores : mapping of int to float, optional
        Confidence by predicted id, for ranked average precision; by default the number of voxels.

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
    protocol = protocol or Protocol()
    empty = protocol.empty_value
    table = require_table(pred, truth, table, valid=valid, ignore=ignore)
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
        kinds={kind.name.lower(): kinds.count(kind) for kind in ErrorKind if kind != ErrorKind.HIT},
        ranked=ranked,
        by_size=by_size,
    )


def pool(scores: Sequence[Scores]) -> Scores:
    """Add up the counts of several images.

    Adapted Rand error and variation of information follow from sums over images too: pairs of voxels, and bits
    (`AdaptedRand`, `VariationOfInformation`). Large objects weigh more than in the mean. No score depends on the
    order of the images, and the pool of N copies of one image has its score.

    Raises
    ------
    InputError
        If there are no scores, or they follow different settings.
    """
    if len({(tuple(s.ranked), tuple(s.by_size)) for s in scores}) > 1:
        raise InputError("the scores follow different protocols: evaluate all images with the same")
    return Scores.pooled(scores)


def mean_row(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Average every column of `Scores.row` over the images in which it is defined; NaN if it is in none.

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
