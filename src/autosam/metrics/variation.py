"""The variation of information, in its split and its merge part, and the CREMI score."""

from dataclasses import dataclass
from math import log2, nan, sqrt
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from autosam.metrics.contingency import ContingencyTable, Labels, require_table
from autosam.metrics.pooling import Summed
from autosam.metrics.rand import adapted_rand


@dataclass(frozen=True)
class VariationOfInformation(Summed):
    """Split and merge error in bits, and the sums that they come from.

    With x log x of a count x in bits: p_ij are the voxels that true object i and predicted object j share,
    i = 0 and j = 0 the background. `pooled` scores several images as one volume in which no two images share an
    object; the background is one segment throughout, as in the images laid side by side.

    Attributes
    ----------
    foreground : int
        Voxels of true objects.
    missed, spurious, both_background : int
        Voxels that are background on one side only, of the prediction and of the truth, and on both sides.
        Where the background of the truth is ignored, the latter two are 0.
    shared : float
        Σ p_ij log p_ij over all pairs but the two backgrounds.
    truth, pred : float
        Σ a_i log a_i over true objects and Σ b_j log b_j over predicted ones.
    ignore_background : bool
        Whether voxels that the truth calls background were left out.
    empty_value : float
        What the scores are without true objects.
    """

    settings: ClassVar[tuple[str, ...]] = ("ignore_background",)

    foreground: int
    missed: int
    spurious: int
    both_background: int
    shared: float
    truth: float
    pred: float
    ignore_background: bool = True
    empty_value: float = nan

    @property
    def split(self) -> float:
        """H(prediction | truth) in bits: how far true objects are broken up, 0 is perfect."""
        return self._entropy(self.truth + _xlogx(self.spurious + self.both_background))

    @property
    def merge(self) -> float:
        """H(truth | prediction) in bits: how far true objects are run together, 0 is perfect."""
        return self._entropy(self.pred + _xlogx(self.missed + self.both_background))

    @property
    def total(self) -> float:
        """Split and merge together: the variation of information."""
        return self.split + self.merge

    def _entropy(self, sizes: float) -> float:
        if not self.foreground:
            return self.empty_value
        voxels = self.foreground + self.spurious + self.both_background
        # Rounding may leave a negative zero of a perfect score.
        return max(0.0, (sizes - self.shared - _xlogx(self.both_background)) / voxels)


def variation_of_information(
    pred: Labels | None = None,
    truth: Labels | None = None,
    *,
    table: ContingencyTable | None = None,
    ignore_background: bool = True,
    empty_value: float = nan,
) -> VariationOfInformation:
    """Compute the variation of information in bits, split and merge apart.

    Parameters
    ----------
    pred, truth : ndarray of integer or bool, equal shapes
        Label arrays of any dimension; background 0. Leave both out where `table` is given.
    table : ContingencyTable, optional
        Their contingency table, to compute it once for several metrics or block by block.
    ignore_background : bool
        Leave out voxels that the truth calls background, as CREMI does. Predicted background is a segment
        like any other either way; so is the true one with False, as `skimage.metrics` has it by default.
    empty_value : float
        What split and merge are without true objects. An empty prediction is not undefined: all true objects
        are merged.

    Returns
    -------
    VariationOfInformation
        Split, merge and total, 0 or more.

    Raises
    ------
    InputError
        If the arrays do not fit (`contingency_table`).

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
    table = require_table(pred, truth, table)
    missed, spurious = table.truth_missed, table.pred_spurious
    foreground, on_both = int(table.truth_sizes.sum()), int(table.overlap.sum())
    shared = _sum_xlogx(table.overlap) + _sum_xlogx(missed)
    if ignore_background:
        pred_sizes, n_spurious, n_both_background = table.pred_sizes - spurious, 0, 0
    else:
        pred_sizes, n_spurious = table.pred_sizes, int(spurious.sum())
        n_both_background = table.n_voxels - foreground - n_spurious
        shared += _sum_xlogx(spurious)
    return VariationOfInformation(
        foreground=foreground,
        missed=foreground - on_both,
        spurious=n_spurious,
        both_background=n_both_background,
        shared=shared,
        truth=_sum_xlogx(table.truth_sizes),
        pred=_sum_xlogx(pred_sizes),
        ignore_background=ignore_background,
        empty_value=empty_value,
    )


def cremi_score(
    pred: Labels | None = None,
    truth: Labels | None = None,
    *,
    table: ContingencyTable | None = None,
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
    table = require_table(pred, truth, table)
    if not len(table.truth_ids):
        return empty_value
    return geometric_mean(variation_of_information(table=table).total, adapted_rand(table=table).error)


def geometric_mean(voi: float, rand_error: float) -> float:
    """Return √(voi · error); NaN where one of them is NaN."""
    product = voi * rand_error
    # Rounding may leave the error of a perfect score below 0.
    return product if product != product else sqrt(max(0.0, product))


def _xlogx(count: int) -> float:
    return count * log2(count) if count else 0.0


def _sum_xlogx(counts: NDArray[np.int64]) -> float:
    values = counts[counts > 0].astype(np.float64)
    return float(values @ np.log2(values))
