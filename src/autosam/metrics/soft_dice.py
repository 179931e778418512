"""Dice coefficients of probability maps, linear and squared."""

from math import nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.errors import InputError


def linear_dice(probability: NDArray[Any], truth: NDArray[Any], *, empty_value: float = nan) -> float:
    """Return 2 Σ p t / (Σ p + Σ t), 0 to 1.

    Parameters
    ----------
    probability : ndarray, same shape as ``truth``
        Foreground probabilities p of 0 to 1. Of integers and bools every non-zero voxel is foreground.
    truth : ndarray
        True foreground t: as above.
    empty_value : float
        What the score is where both are 0 everywhere. One empty side scores 0.

    Returns
    -------
    float
        Of two masks it is the Dice coefficient, and equal to `squared_dice`.

    Raises
    ------
    InputError
        If the shapes differ, or floats are not finite numbers between 0 and 1.

    References
    ----------
    .. [1] Drozdzal M et al. (2016). The importance of skip connections in biomedical image segmentation.
       DLMIA, 179-187 (as a loss); MONAI's ``DiceLoss(squared_pred=False)``.

    Examples
    --------
    >>> import numpy as np
    >>> linear_dice(np.array([0.5, 0.5]), np.array([1, 0]))  # 2 · .5 / (1 + 1)
    0.5
    """
    p, t = _foreground(probability, truth)
    return _ratio(2 * float(p @ t), float(p.sum() + t.sum()), empty_value)


def squared_dice(probability: NDArray[Any], truth: NDArray[Any], *, empty_value: float = nan) -> float:
    """Return 2 Σ p t / (Σ p² + Σ t²), 0 to 1.

    Parameters and errors are those of `linear_dice`.

    References
    ----------
    .. [1] Milletari F, Navab N, Ahmadi SA (2016). V-Net. 3DV, 565-571; MONAI's ``DiceLoss(squared_pred=True)``.

    Examples
    --------
    >>> import numpy as np
    >>> squared_dice(np.array([0.5, 0.5]), np.array([1, 0])) == 2 * 0.5 / (0.5 + 1)
    True
    """
    p, t = _foreground(probability, truth)
    return _ratio(2 * float(p @ t), float(p @ p + t @ t), empty_value)


def _foreground(probability: NDArray[Any], truth: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if probability.shape != truth.shape:
        raise InputError(
            f"the probabilities have shape {probability.shape} and the truth {truth.shape}: "
            "both must cover the same pixels"
        )
    values = []
    for name, array in (("probabilities", probability), ("truth", truth)):
        if array.dtype.kind not in "uibf":
            raise InputError(f"the {name} have dtype {array.dtype}: wanted floats of 0 to 1, integers or bools")
        if array.dtype.kind == "f" and not ((array >= 0) & (array <= 1)).all():  # also refuses NaN
            raise InputError(f"the {name} are not all between 0 and 1: apply the sigmoid to logits first")
        flat = array.reshape(-1)
        values.append(flat.astype(np.float64) if array.dtype.kind == "f" else (flat != 0).astype(np.float64))
    return values[0], values[1]


def _ratio(part: float, whole: float, empty_value: float) -> float:
    return part / whole if whole else empty_value
