"""The adapted Rand error, in the four readings of it that the field uses."""

from dataclasses import dataclass
from math import nan
from typing import ClassVar, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from autosam.errors import InputError
from autosam.metrics.contingency import ContingencyTable, require_table
from autosam.metrics.pooling import Summed

RandConvention = Literal["snemi3d", "skimage", "foreground", "singletons"]


@dataclass(frozen=True)
class AdaptedRand(Summed):
    """Adapted Rand error, precision and recall, and the sums that they come from.

    Only voxels of true objects count: p_ij are those that true object i and predicted object j share, a_i is
    the size of true object i, b_j = Σ_i p_ij, and p_i0 are the voxels of i that are predicted as background.
    `pooled` adds up pairs of voxels over images, so an image weighs by the squares of its objects' sizes. Voxels
    of two images are never a pair, also where both are missed. So the pool of N copies of an image has the score
    of that image.

    Attributes
    ----------
    foreground : int
        Voxels of true objects, Σ a_i.
    missed : int
        Those of them that are predicted as background, m = Σ p_i0.
    missed_share : float
        m over all voxels of the image, background included.
    shared_sq, truth_sq, pred_sq, missed_sq, all_missed_sq : float
        Σ p_ij², Σ a_i², Σ b_j², Σ p_i0² and m².
    convention, empty_value
        As in `adapted_rand`.
    """

    settings: ClassVar[tuple[str, ...]] = ("convention",)

    foreground: int
    missed: int
    missed_share: float
    shared_sq: float
    truth_sq: float
    pred_sq: float
    missed_sq: float
    all_missed_sq: float
    convention: RandConvention = "snemi3d"
    empty_value: float = nan

    @property
    def error(self) -> float:
        """1 − the F-score of precision and recall; 0 is perfect."""
        both, pred, truth = self._sums()
        return 1 - 2 * both / (pred + truth) if pred + truth else self.empty_value

    @property
    def precision(self) -> float:
        """Of the pairs of voxels that are together in the prediction, the part that belongs together."""
        both, pred, _ = self._sums()
        return both / pred if pred else self.empty_value

    @property
    def recall(self) -> float:
        """Of the pairs of voxels that belong together, the part that is together in the prediction."""
        both, _, truth = self._sums()
        return both / truth if truth else self.empty_value

    def _sums(self) -> tuple[float, float, float]:
        if not self.foreground:
            return 0.0, 0.0, 0.0
        if self.convention == "snemi3d":
            return self.shared_sq + self.missed_share, self.pred_sq + self.missed_share, self.truth_sq
        if self.convention == "singletons":
            return self.shared_sq + self.missed, self.pred_sq + self.missed, self.truth_sq
        # A voxel and itself are a pair in `foreground`, and none in `skimage`.
        itself = self.foreground if self.convention == "skimage" else 0
        return (
            self.shared_sq + self.missed_sq - itself,
            self.pred_sq + self.all_missed_sq - itself,
            self.truth_sq - itself,
        )


def adapted_rand(
    pred: ArrayLike | None = None,
    truth: ArrayLike | None = None,
    *,
    table: ContingencyTable | None = None,
    valid: ArrayLike | None = None,
    ignore: int | None = None,
    convention: RandConvention = "snemi3d",
    empty_value: float = nan,
) -> AdaptedRand:
    """Compute the adapted Rand error: how well pairs of voxels are kept together and apart.

    Parameters
    ----------
    pred, truth, table : array_like of integer or bool, equal shapes, or ContingencyTable
        Two label arrays of any dimension, background 0, or their contingency table instead.
    valid, ignore : array_like and int, optional
        Which pixels count, as in `contingency_table`.
    convention : {"snemi3d", "skimage", "foreground", "singletons"}
        What becomes of true voxels that are predicted as background, m = Σ p_i0 of n voxels in all:

        * ``snemi3d``: the challenge's script and CREMI's: m / n is added to both sums, nearly nothing;
        * ``skimage``: they are one segment, and a voxel and itself are no pair, as in
          `skimage.metrics.adapted_rand_error`. Precision and recall are as scikit-image documents them; its
          code (0.26) returns the two in reverse [3]_, the error is not affected;
        * ``foreground``: they are one segment;
        * ``singletons``: each is a segment of its own.
    empty_value : float
        What error, precision and recall are where they are 0 / 0: without true objects, and, for ``skimage``,
        where every segment has one voxel.

    Returns
    -------
    AdaptedRand
        Error, precision and recall. An empty prediction of a truth with objects is not undefined: the error
        follows from the formulas and is close to 1 for ``snemi3d``.

    Raises
    ------
    InputError
        If the arrays do not fit (`contingency_table`) or the convention is unknown.

    References
    ----------
    .. [1] Arganda-Carreras I et al. (2015). Crowdsourcing the creation of image segmentation algorithms for
       connectomics. Frontiers in Neuroanatomy 9, 142. doi:10.3389/fnana.2015.00142
    .. [2] ``SNEMI3D_metrics.m`` of the SNEMI3D challenge; ``cremi/evaluation/rand.py`` of cremi_python.
    .. [3] https://github.com/scikit-image/scikit-image/issues/6485

    Examples
    --------
    >>> import numpy as np
    >>> merged = adapted_rand(np.array([1, 1, 1, 1]), np.array([1, 1, 2, 2]))
    >>> merged.precision, merged.recall, round(merged.error, 4)
    (0.5, 1.0, 0.3333)
    """
    known = get_args(RandConvention)
    if convention not in known:
        raise InputError(f"the Rand convention is {convention!r}: choose one of {', '.join(known)}")
    table = require_table(pred, truth, table, valid=valid, ignore=ignore)
    on_truth = np.bincount(table.pred_index, table.overlap, len(table.pred_ids))
    missed = table.truth_missed
    n_missed = int(missed.sum())
    return AdaptedRand(
        foreground=int(table.truth_sizes.sum()),
        missed=n_missed,
        missed_share=n_missed / max(table.n_voxels, 1),
        shared_sq=_sum_of_squares(table.overlap),
        truth_sq=_sum_of_squares(table.truth_sizes),
        pred_sq=_sum_of_squares(on_truth),
        missed_sq=_sum_of_squares(missed),
        all_missed_sq=float(n_missed) ** 2,
        convention=convention,
        empty_value=empty_value,
    )


def _sum_of_squares(counts: np.ndarray[tuple[int, ...], np.dtype[np.int64 | np.float64]]) -> float:
    # In float64: the squares of a 10^10-voxel volume do not fit in 64-bit integers.
    values = counts.astype(np.float64)
    return float(values @ values)
