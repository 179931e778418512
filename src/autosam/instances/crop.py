"""One mask, kept as a crop, so that a thousand masks of a large image stay small."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class MaskCrop:
    """A binary mask inside its own bounding box.

    Attributes
    ----------
    row, col : int
        First row and column of the crop in whole-image pixels; never negative.
    mask : ndarray of bool, shape (h, w)
        The mask; both sides are at least 1.
    score : float
        Confidence, 0 to 1: predicted IoU × stability × the prompt's certainty.
    prompt : int
        Index of the prompt that the mask answers.
    """

    row: int
    col: int
    mask: NDArray[np.bool_]
    score: float
    prompt: int
