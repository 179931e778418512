"""The scores of a set of images: one row per image, one of the pooled counts, one of the means."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import inf, isnan, nan

from autosam.errors import InputError
from autosam.metrics.aggregated import AggregatedJaccard, aggregated_jaccard
from autosam.metrics.average_precision import AveragePrecisionConvention, average_precision
from autosam.metrics.contingency import ContingencyTable, Labels, require_table
from autosam.metrics.error_kinds import ErrorKind, classify_errors
from autosam.metrics.overlap import ForegroundOverlap, foreground_overlap
from autosam.metrics.panoptic import PanopticQuality, panoptic_quality
from autosam.metrics.precision_counts import AveragePrecision
from autosam.metrics.rand import AdaptedRand, RandConvention, adapted_rand
from autosam.metrics.ranked_precision import RankedConvention, RankedPrecision
from autosam.metrics.variation import VariationOfInformation, geometric_mean, variation_of_information

_HALF, _THREE_QUARTERS = Fraction(1, 2), Fraction(3, 4)


@dataclass(frozen=True)
class Protocol:
    """Which definitions a table of scores follows.

    Attributes
    ----------
    strict : bool
        Whether `ap50` and the like ask for IoU > t (convention dsb).
    rand : {"snemi3d", "skimage", "foreground", "singletons"}
        The adapted Rand error.
    ranked : tuple of {"coco", "mitoem2020"}
        Average precisions of ranked predictions that are computed as well.
    max_dets : int or None
        Most predictions of an image that those rank.
    size_bounds : tuple of int
        Voxels that part the size classes, ascending, for AP by size; empty for none.
    empty_value : float
        What stands where a score is undefined; see each metric.
    """

    strict: bool = False
    rand: RandConvention = "snemi3d"
    ranked: tuple[RankedConvention, ...] = ()
    max_dets: int | None = None
    size_bounds: tuple[int, ...] = ()
    empty_value: float = nan

    def size_classes(self, convention: AveragePrecisionConvention) -> dict[str, tuple[float, float]]:
        """Return the size ranges by the ending of their columns, as the convention bounds its classes.

        COCO includes both bounds in both classes; elsewhere a bound belongs to the smaller class.
        """
        bounds = self.size_bounds
        if any(low >= high for low, high in zip((0, *bounds), bounds, strict=False)):
            raise InputError(f"the size bounds are {bounds}: give ascending numbers of voxels above 0")
        names = [f"upto{bounds[0]}", *(f"upto{b}" for b in bounds[1:]), f"above{bounds[-1]}"] if bounds else []
        step = 1 if convention == "dsb" else 0
        ranges = [(low + step, high) for low, high in zip((0, *bounds), (*bounds, inf), strict=True)]
        return dict(zip(names, ranges, strict=False))


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
        Adapted Rand error.
    overlap : ForegroundOverlap
        Foreground voxels.
    voi : VariationOfInformation
        Split and merge, the truth's background ignored.
    panoptic : PanopticQuality
        PQ at IoU > .5.
    aji, aji_plus : AggregatedJaccard
        The aggregated Jaccard index and its one-to-one variant.
    kinds : dict of str to int
        True objects that were missed, split and merged, and predictions that are spurious.
    ranked : dict of str to RankedPrecision
        By convention.
    by_size : dict of str to AveragePrecision or RankedPrecision
        By convention and size class, as ``dsb_upto1000``.
    """

    objects: int
    predicted: int
    ap: AveragePrecision
    rand: AdaptedRand
    overlap: ForegroundOverlap
    voi: VariationOfInformation
    panoptic: PanopticQuality
    aji: AggregatedJaccard
    aji_plus: AggregatedJaccard
    kinds: dict[str, int]
    ranked: dict[str, RankedPrecision] = field(default_factory=dict)
    by_size: dict[str, AveragePrecision | RankedPrecision] = field(default_factory=dict)

    @property
    def cremi(self) -> float:
        """The CREMI score, whatever the convention of `rand`."""
        if not self.voi.foreground:
            return self.voi.empty_value
        return geometric_mean(self.voi.total, replace(self.rand, convention="snemi3d").error)

    def row(self) -> dict[str, float]:
        """Return the scores by column name; NaN where one is undefined."""
        half = self.ap.position(_HALF)
        row = {
            "objects": self.objects,
            "predicted": self.predicted,
            "ap50": self.ap.at(_HALF),
            "ap75": self.ap.at(_THREE_QUARTERS),
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
            "voi_split": self.voi.split,
            "voi_merge": self.voi.merge,
            "cremi": self.cremi,
            "pq": self.panoptic.pq,
            "sq": self.panoptic.sq,
            "dq": self.panoptic.dq,
            "aji": self.aji.score,
            "aji_plus": self.aji_plus.score,
            **self.kinds,
        }
        for name, result in {**self.ranked, **self.by_size}.items():
            values = result.accuracy
            for column, threshold in (("ap50", _HALF), ("ap75", _THREE_QUARTERS)):
                row[f"{name}_{column}"] = float(values[result.thresholds.index(threshold)])
            row[f"{name}_mean_ap"] = float(values.mean())
        return row

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
            **{f"{name}_ap": result.accuracy.tolist() for name, result in self.ranked.items()},
        }


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
    ranked = {
        name: average_precision(
            table=table, convention=name, scores=scores, max_dets=protocol.max_dets, empty_value=empty
        )
        for name in protocol.ranked
    }
    by_size: dict[str, AveragePrecision | RankedPrecision] = {
        f"dsb_{name}": average_precision(table=table, strict=protocol.strict, size_range=sizes, empty_value=empty)
        for name, sizes in protocol.size_classes("dsb").items()
    }
    for convention in protocol.ranked:
        for name, sizes in protocol.size_classes(convention).items():
            by_size[f"{convention}_{name}"] = average_precision(
                table=table,
                convention=convention,
                scores=scores,
                max_dets=protocol.max_dets,
                size_range=sizes,
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
    by_size: dict[str, AveragePrecision | RankedPrecision] = {}
    for name, first in scores[0].by_size.items():
        kind = AveragePrecision if isinstance(first, AveragePrecision) else RankedPrecision
        by_size[name] = kind.pooled(s.by_size[name] for s in scores)  # type: ignore[arg-type]
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
        by_size=by_size,
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
    if not rows:
        raise InputError("no results came to put together: give those of at least one image")
    means = {}
    for column in rows[0]:
        values = [r[column] for r in rows if not isnan(r[column])]
        means[column] = sum(values) / len(values) if values else nan
    return means
