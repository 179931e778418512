"""A segmentation together with the masks that SAM gave before any of them was dropped."""

from dataclasses import dataclass

from autosam.instances import MaskCrop, resize_crop
from autosam.pipeline.segmentation import Segmentation
from autosam.pipeline.segmenter import Segmenter
from autosam.pipeline.view import Image


@dataclass(frozen=True, eq=False)
class Trace:
    """A segmentation and the masks that it was merged from.

    Attributes
    ----------
    masks : list of MaskCrop, or None
        On the image's own grid, in order of prompt; None where there was no SAM.
    """

    result: Segmentation
    masks: list[MaskCrop] | None


def trace_image(segmenter: Segmenter, image: Image, *, zoom: float = 1.0) -> Trace:
    """Segment an image, or its channels, and keep every mask; errors are those of `Segmenter.segment`."""
    view = segmenter.view(image, zoom)
    maps = segmenter.predict(view)
    proposals = segmenter.propose(view, maps)
    masks = segmenter.decode(view, proposals)
    result = segmenter.merge(view, maps, proposals, masks)
    if masks is None:
        return Trace(result, None)
    foreground = result.maps.get("foreground")
    moved = (resize_crop(mask, view.grid, view.shape, foreground=foreground) for mask in masks)
    return Trace(result, [mask for mask in moved if mask is not None])
