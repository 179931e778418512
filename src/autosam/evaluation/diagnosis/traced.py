"""A segmenter that keeps the masks which SAM gave before any of them was dropped."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.config import Config
from autosam.images import read_window
from autosam.images.coverage import half_covered, mask_coverage
from autosam.instances import MaskCrop, Merged
from autosam.models.networks import Networks
from autosam.pipeline.segmentation import Segmentation
from autosam.pipeline.segmenter import Segmenter
from autosam.prompts import Prompt


@dataclass(frozen=True, eq=False)
class Trace:
    """A segmentation and the masks that it was merged from.

    Attributes
    ----------
    result : Segmentation
    masks : list of MaskCrop, or None
        On the image's own grid, in order of prompt; None where there was no SAM.
    """

    result: Segmentation
    masks: list[MaskCrop] | None


class TracedSegmenter(Segmenter):
    """A `Segmenter` that gives the masks before merging, too; the parameters are the same."""

    def __init__(self, networks: Networks, config: Config, *, name: str = "") -> None:
        super().__init__(networks, config, name=name)
        self._seen: tuple[list[MaskCrop], tuple[int, int]] | None = None

    def trace(self, image: NDArray[Any], *, zoom: float = 1.0) -> Trace:
        """Segment one image, (H, W) or (H, W, 3), and keep every mask; errors are those of `segment`."""
        self._seen = None
        result = self.segment(image, zoom=zoom)
        if self._seen is None:
            return Trace(result, None)
        masks, grid = self._seen
        self._seen = None
        shape = (result.labels.shape[0], result.labels.shape[1])
        foreground = result.maps.get("foreground")
        moved = (resize_crop(mask, grid, shape, foreground=foreground) for mask in masks)
        return Trace(result, [mask for mask in moved if mask is not None])

    def merge(
        self, masks: list[MaskCrop], asked: Sequence[Prompt], shape: tuple[int, int], *, by_hand: int
    ) -> Merged:
        """Remember the masks of the zoomed image on the way."""
        self._seen = masks, shape
        return super().merge(masks, asked, shape, by_hand=by_hand)


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
    crop : MaskCrop
        On the first grid.
    grid, shape : tuple of int
        Rows and columns of the image on the first and on the second grid.
    foreground : ndarray of float32, shape `shape`, optional
        Probabilities that settle which of the pixels that the mask covers by half are its own.

    Returns
    -------
    MaskCrop or None
        In the crop of those pixels of the second grid which the old one reaches; None where the mask covers half
        of none of them.
    """
    if grid == shape:
        return crop
    window, covered = mask_coverage(crop.mask, (crop.row, crop.col), grid, shape)
    mask = half_covered(covered, None if foreground is None else read_window(foreground, window))
    return replace(crop, row=window.row, col=window.col, mask=mask) if mask.any() else None
