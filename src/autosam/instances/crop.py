"""One mask, kept as a crop, so that a thousand masks of a large image stay small."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from autosam.images import read_window
from autosam.images.coverage import half_covered, mask_coverage


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
        0 to 1: predicted IoU × stability × the prompt's certainty.
    prompt : int
        Index of the prompt that the mask answers.
    """

    row: int
    col: int
    mask: NDArray[np.bool_]
    score: float
    prompt: int

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns of the crop in the whole image."""
        height, width = self.mask.shape
        return slice(self.row, self.row + height), slice(self.col, self.col + width)


def resize_crop(
    crop: MaskCrop,
    grid: tuple[int, int],
    shape: tuple[int, int],
    *,
    foreground: NDArray[np.float32] | None = None,
) -> MaskCrop | None:
    """Bring a mask to another grid of the same image, as `resize_labels` does with labels.

    Parameters
    ----------
    grid, shape : tuple of int
        Rows and columns of the image on the mask's grid and on the new one.
    foreground : ndarray of float32, shape `shape`, optional
        Probabilities that decide about the pixels that the mask covers by half.

    Returns
    -------
    MaskCrop or None
        In the crop of all pixels of the new grid that the old crop reaches; None where no pixel is left.
    """
    if grid == shape:
        return crop
    window, covered = mask_coverage(crop.mask, (crop.row, crop.col), grid, shape)
    mask = half_covered(covered, None if foreground is None else read_window(foreground, window))
    return replace(crop, row=window.row, col=window.col, mask=mask) if mask.any() else None
