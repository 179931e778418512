"""Scores of a segmentation against the truth, in 2D and 3D, each by a named definition."""

from autosam.metrics.aggregated import AggregatedJaccard, aggregated_jaccard, aji, aji_plus
from autosam.metrics.all_scores import Protocol, Scores
from autosam.metrics.average_precision import THRESHOLDS, average_precision
from autosam.metrics.bootstrap import Interval, bootstrap_intervals, paired_differences
from autosam.metrics.components import components
from autosam.metrics.contingency import Contingency, ContingencyTable, contingency_table
from autosam.metrics.error_kinds import ErrorKind, ErrorKinds, classify_errors
from autosam.metrics.evaluate import evaluate_pair, mean_row, pool
from autosam.metrics.ignored import clear_ignored
from autosam.metrics.matching import Matches, best_ious, match_objects
from autosam.metrics.overlap import ForegroundOverlap, dice, f1, foreground_overlap, iou
from autosam.metrics.panoptic import PanopticQuality, panoptic_quality
from autosam.metrics.precision_counts import AveragePrecision
from autosam.metrics.rand import AdaptedRand, adapted_rand
from autosam.metrics.ranked_precision import RankedPrecision
from autosam.metrics.variation import VariationOfInformation, cremi_score, variation_of_information

__all__ = [
    "THRESHOLDS",
    "AdaptedRand",
    "AggregatedJaccard",
    "AveragePrecision",
    "Contingency",
    "ContingencyTable",
    "ErrorKind",
    "ErrorKinds",
    "ForegroundOverlap",
    "Interval",
    "Matches",
    "PanopticQuality",
    "Protocol",
    "RankedPrecision",
    "Scores",
    "VariationOfInformation",
    "adapted_rand",
    "aggregated_jaccard",
    "aji",
    "aji_plus",
    "average_precision",
    "best_ious",
    "bootstrap_intervals",
    "classify_errors",
    "clear_ignored",
    "components",
    "contingency_table",
    "cremi_score",
    "dice",
    "evaluate_pair",
    "f1",
    "foreground_overlap",
    "iou",
    "match_objects",
    "mean_row",
    "paired_differences",
    "panoptic_quality",
    "pool",
    "variation_of_information",
]
