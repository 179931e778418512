"""Overlap of the foreground, all objects together: Dice, IoU and F1."""

from dataclasses import dataclass
from math import nan

from numpy.typing import ArrayLike

from autosam.metrics.contingency import ContingencyTable, require_table
from autosam.metrics.pooling import Summed


@dataclass(frozen=True)
class ForegroundOverlap(Summed):
    """Foreground voxels of both sides, and the scores that follow from them.

    Attributes
    ----------
    intersection : int
        Voxels that are foreground on both sides.
    pred, truth : int
        Foreground voxels of each side.
    empty_value : float
        As in `foreground_overlap`.
    """

    intersection: int
    pred: int
    truth: int
    empty_value: float = nan

    @property
    def dice(self) -> float:
        """2 |P ∩ T| / (|P| + |T|)."""
        whole = self.pred + self.truth
        return 2 * self.intersection / whole if whole else self.empty_value

    @property
    def iou(self) -> float:
        """|P ∩ T| / |P ∪ T|, also called the Jaccard index."""
        whole = self.pred + self.truth - self.intersection
        return self.intersection / whole if whole else self.empty_value

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; of binary masks it is the Dice coefficient."""
        return self.dice


def foreground_overlap(
    pred: ArrayLike | None = None,
    truth: ArrayLike | None = None,
    *,
    table: ContingencyTable | None = None,
    valid: ArrayLike | None = None,
    ignore: int | None = None,
    empty_value: float = nan,
) -> ForegroundOverlap:
    """Count the foreground voxels of both sides and of their intersection.

    Parameters
    ----------
    pred, truth, table : array_like of integer or bool, equal shapes, or ContingencyTable
        Two label arrays or masks of any dimension, of which every non-zero voxel is foreground, or their
        contingency table instead; errors as of `contingency_table`.
    valid, ignore : array_like and int, optional
        Which pixels count, as in `contingency_table`. Here each pixel counts by itself, whatever its object.
    empty_value : float
        Score where neither side has foreground. Foreground on one side only scores 0.

    References
    ----------
    .. [1] Dice LR (1945). Measures of the amount of ecologic association between species. Ecology 26,
       297-302.
    .. [2] Jaccard P (1912). The distribution of the flora in the alpine zone. New Phytologist 11, 37-50.

    Examples
    --------
    >>> import numpy as np
    >>> overlap = foreground_overlap(np.array([1, 1, 0, 2]), np.array([0, 3, 3, 3]))
    >>> overlap.iou, round(overlap.dice, 3)
    (0.5, 0.667)
    """
    table = require_table(pred, truth, table, valid=valid, ignore=ignore)
    return ForegroundOverlap(
        intersection=table.foreground.both,
        pred=table.foreground.pred,
        truth=table.foreground.truth,
        empty_value=empty_value,
    )


def dice(
    pred: ArrayLike,
    truth: ArrayLike,
    *,
    valid: ArrayLike | None = None,
    ignore: int | None = None,
    empty_value: float = nan,
) -> float:
    """Return the Dice coefficient of two foregrounds, 0 to 1; see `foreground_overlap`."""
    return foreground_overlap(pred, truth, valid=valid, ignore=ignore, empty_value=empty_value).dice


def iou(
    pred: ArrayLike,
    truth: ArrayLike,
    *,
    valid: ArrayLike | None = None,
    ignore: int | None = None,
    empty_value: float = nan,
) -> float:
    """Return the intersection over union of two foregrounds, 0 to 1; see `foreground_overlap`."""
    return foreground_overlap(pred, truth, valid=valid, ignore=ignore, empty_value=empty_value).iou


def f1(
    pred: ArrayLike,
    truth: ArrayLike,
    *,
    valid: ArrayLike | None = None,
    ignore: int | None = None,
    empty_value: float = nan,
) -> float:
    """Return the F1 score of two foregrounds, 0 to 1, equal to `dice`; see `foreground_overlap`."""
    return foreground_overlap(pred, truth, valid=valid, ignore=ignore, empty_value=empty_value).f1
