"""Every score of one image, or of several pooled, and which definitions they follow."""

from dataclasses import dataclass, field
from fractions import Fraction
from math import inf, nan

from autosam.errors import InputError
from autosam.metrics.aggregated import AggregatedJaccard
from autosam.metrics.average_precision import AveragePrecisionConvention
from autosam.metrics.overlap import ForegroundOverlap
from autosam.metrics.panoptic import PanopticQuality
from autosam.metrics.pooling import Summed
from autosam.metrics.precision_counts import AveragePrecision, ThresholdScores
from autosam.metrics.rand import AdaptedRand, RandConvention
from autosam.metrics.ranked_precision import RankedConvention, RankedPrecision
from autosam.metrics.variation import VariationOfInformation, cremi_of

_HALF, _THREE_QUARTERS = Fraction(1, 2), Fraction(3, 4)

VOLUME_SIZES = (5000, 15000)
"""Voxels that part small, medium and large objects of volumes, as the MitoEM challenge's script has them."""


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
class Scores(Summed):
    """The scores of one image, or of several pooled.

    Attributes
    ----------
    objects, predicted : int
        True and predicted objects.
    ap, panoptic, voi
        At the IoU thresholds .50 to .95; at IoU > .5; with the truth's background ignored.
    kinds : dict of str to int
        True objects that were missed, split and merged, and predictions that are spurious.
    ranked : dict of str to RankedPrecision
        By convention, and by convention and size class, as ``coco_upto1000``.
    by_size : dict of str to AveragePrecision
        By size class, as ``dsb_upto1000``.
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
    by_size: dict[str, AveragePrecision] = field(default_factory=dict)

    @property
    def cremi(self) -> float:
        """The CREMI score, whatever the convention of `rand`."""
        return cremi_of(self.voi, self.rand)

    def row(self) -> dict[str, float]:
        """Return the scores by column name; NaN where one is undefined."""
        half, high = self.ap.position(_HALF), self.ap.position(_THREE_QUARTERS)
        row: dict[str, float] = {
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
            "precision75": float(self.ap.precision[high]),
            "recall75": float(self.ap.recall[high]),
            "f1_75": float(self.ap.f1[high]),
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
        tables: dict[str, ThresholdScores] = {**self.ranked, **self.by_size}
        for name, result in tables.items():
            row |= {
                f"{name}_ap50": result.at(_HALF),
                f"{name}_ap75": result.at(_THREE_QUARTERS),
                f"{name}_mean_ap": result.mean,
            }
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
