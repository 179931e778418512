"""The variation of information, in its split and its merge part, and the CREMI score."""

from dataclasses import dataclass, replace
from math import log2, nan, sqrt
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from autosam.metrics.contingency import ContingencyTable, require_table
from autosam.metrics.pooling import Summed
from autosam.metrics.rand import AdaptedRand, adapted_rand


@dataclass(frozen=True)
class VariationOfInformation(Summed):
    """Split and merge error in bits, and the sums that they come from.

    `pooled` is the mean over images, weighted by the voxels that count. So the pool of N copies of an image has
    the score of that image. Segments of two images, the background too, are never one.

    Attributes
    ----------
    foreground : int
        Voxels of true objects.
    counted : int
        Voxels that count: those of true objects, or all where the background counts too.
    split_bits, merge_bits : float
        Split and merge error, times the voxels that count.
    ignore_background, empty_value
        As in `variation_of_information`.
    """

    settings: ClassVar[tuple[str, ...]] = ("ignore_background",)

    foreground: int
    counted: int
    split_bits: float
    merge_bits: float
    ignore_background: bool = True
    empty_value: float = nan

    @property
    def split(self) -> float:
        """H(prediction | truth) in bits: how far true objects are broken up, 0 is perfect."""
        return self.split_bits / self.counted if self.counted else self.empty_value

    @property
    def merge(self) -> float:
        """H(truth | prediction) in bits: how far true objects are run together, 0 is perfect."""
        return self.merge_bits / self.counted if self.counted else self.empty_value

    @property
    def total(self) -> float:
        """Split and merge together: the variation of information."""
        return self.split + self.merge


def variation_of_information(
    pred: ArrayLike | None = None,
    truth: ArrayLike | None = None,
    *,
    table: ContingencyTable | None = None,
    valid: ArrayLike | None = None,
    ignore: int | None = None,
    ignore_background: bool = True,
    empty_value: float = nan,
) -> VariationOfInformation:
    """Compute the variation of information in bits, split and merge apart.

    Parameters
    ----------
    pred, truth, table : array_like of integer or bool, equal shapes, or ContingencyTable
        Two label arrays of any dimension, background 0, or their contingency table instead; errors as of
        `contingency_table`.
    valid, ignore : array_like and int, optional
        Which pixels count, as in `contingency_table`.
    ignore_background : bool
        Leave out voxels that the truth calls background, as CREMI does. Predicted background is a segment
        like any other either way; so is the true one with False, as `skimage.metrics` has it by default.
    empty_value : float
        What split and merge are where no voxel counts: without true objects, or, with the background counted,
        without voxels. An empty prediction is not undefined: all true objects are merged.

    Returns
    -------
    VariationOfInformation
        Split, merge and total, 0 or more.

    References
    ----------
    .. [1] Meilă M (2007). Comparing clusterings: an information based distance. Journal of Multivariate
       Analysis 98, 873-895. doi:10.1016/j.jmva.2006.11.013
    .. [2] ``cremi/evaluation/voi.py`` of cremi_python, taken from gala's ``evaluate.py`` (Nunez-Iglesias J et
       al. 2013, doi:10.1371/journal.pone.0071715).

    Examples
    --------
    >>> import numpy as np
    >>> split = variation_of_information(np.array([1, 1, 2, 2]), np.array([7, 7, 7, 7]))
    >>> split.split, split.merge, split.total
    (1.0, 0.0, 1.0)
    """
    table = require_table(pred, truth, table, valid=valid, ignore=ignore)
    missed, spurious = table.truth_missed, table.pred_spurious
    counted = np.zeros_like(spurious) if ignore_background else spurious
    foreground, n_spurious = int(table.truth_sizes.sum()), int(counted.sum())
    both_background = 0 if ignore_background else table.n_voxels - foreground - n_spurious
    shared = _sum_xlogx(table.overlap) + _sum_xlogx(missed) + _sum_xlogx(counted)
    truth_bits = _sum_xlogx(table.truth_sizes) + _xlogx(n_spurious + both_background)
    pred_bits = _sum_xlogx(table.pred_sizes - spurious + counted) + _xlogx(int(missed.sum()) + both_background)
    # Rounding may leave a negative zero of a perfect score.
    split, merge = (max(0.0, bits - shared - _xlogx(both_background)) for bits in (truth_bits, pred_bits))
    return VariationOfInformation(
        foreground=foreground,
        counted=foreground + n_spurious + both_background,
        split_bits=split,
        merge_bits=merge,
        ignore_background=ignore_background,
        empty_value=empty_value,
    )


def cremi_score(
    pred: ArrayLike | None = None,
    truth: ArrayLike | None = None,
    *,
    table: ContingencyTable | None = None,
    valid: ArrayLike | None = None,
    ignore: int | None = None,
    empty_value: float = nan,
) -> float:
    """Return the CREMI score: the geometric mean of variation of information and adapted Rand error.

    √((split + merge) · error), both with the truth's background ignored, the error by convention ``snemi3d``;
    0 is perfect. Parameters and errors are those of `variation_of_information`; ``empty_value`` is the score
    without true objects.

    References
    ----------
    .. [1] https://cremi.org/metrics/ ; ``cremi/evaluation/NeuronIds.py`` of cremi_python.

    Examples
    --------
    >>> import numpy as np
    >>> cremi_score(np.array([1, 2, 2]), np.array([1, 2, 2]))
    0.0
    """
    table = require_table(pred, truth, table, valid=valid, ignore=ignore)
    return cremi_of(variation_of_information(table=table, empty_value=empty_value), adapted_rand(table=table))


def cremi_of(voi: VariationOfInformation, rand: AdaptedRand) -> float:
    """Return the CREMI score of results with the true background ignored, whatever the convention of `rand`."""
    if not voi.foreground:
        return voi.empty_value
    # Rounding may leave the error of a perfect score below 0.
    return sqrt(max(0.0, voi.total * replace(rand, convention="snemi3d").error))


def _xlogx(count: int) -> float:
    return count * log2(count) if count else 0.0


def _sum_xlogx(counts: NDArray[np.int64]) -> float:
    values = counts[counts > 0].astype(np.float64)
    return float(values @ np.log2(values))
