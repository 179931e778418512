"""Scores of a segmentation against the truth, in 2D and 3D, each by a named definition."""

from autosam.metrics.average_precision import THRESHOLDS, AveragePrecision, average_precision
from autosam.metrics.components import components
from autosam.metrics.contingency import Contingency, ContingencyTable, contingency_table
from autosam.metrics.evaluation import Scores, evaluate_pair, mean_row, pool
from autosam.metrics.matching import Matches, match_objects
from autosam.metrics.overlap import ForegroundOverlap, dice, f1, foreground_overlap, iou
from autosam.metrics.rand import AdaptedRand, adapted_rand

__all__ = [
    "THRESHOLDS",
    "AdaptedRand",
    "AveragePrecision",
    "Contingency",
    "ContingencyTable",
    "ForegroundOverlap",
    "Matches",
    "Scores",
    "adapted_rand",
    "average_precision",
    "components",
    "contingency_table",
    "dice",
    "evaluate_pair",
    "f1",
    "foreground_overlap",
    "iou",
    "match_objects",
    "mean_row",
    "pool",
]
