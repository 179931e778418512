"""Gaps: SAM is asked again for an object that is missing between two slices."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from autosam.config import VolumeConfig
from autosam.instances.clean import main_component
from autosam.volumes.interpolate import PlacedMask, interpolate_masks, mean_mask, moved_together, placed_iou
from autosam.volumes.slice_objects import FILLED, INTERPOLATED, SliceObjects, objects_of_labels

if TYPE_CHECKING:
    from autosam.pipeline.segmenter import Segmenter
    from autosam.volumes.ask_again import Answer

ALIKE = 0.8
"""IoU of the masks on both sides of a gap above which the shape between them counts beside SAM's answer."""

SCORES = (0.3, 0.6)
"""Scores of SAM's answer between which it comes to count in full."""


@dataclass(frozen=True, eq=False)
class Gap:
    """A slice in which an object is missing.

    Attributes
    ----------
    lower, upper : PlacedMask
        The object in the nearest slices that have it, in pixels of the volume; neither is empty.
    share : float
        Place of the slice between them, 0 to 1: 1/2 where one slice is missing, 1/3 and 2/3 where two are.
    """

    lower: PlacedMask
    upper: PlacedMask
    share: float


class Filling(NamedTuple):
    """An object in a gap.

    Attributes
    ----------
    gap : int
        Index of the gap.
    mask : PlacedMask
        One component in its smallest crop, in pixels of the volume.
    score : float
        0 to 1: SAM's score and the IoU of the masks on both sides, each as far as it counts.
    origin : int
        ``FILLED`` where SAM's answer counts, ``INTERPOLATED`` where only the shape between does.
    """

    gap: int
    mask: PlacedMask
    score: float
    origin: int


def fill_gaps(
    segmenter: "Segmenter | None",
    picture: NDArray[np.uint8] | None,
    gaps: Sequence[Gap],
    others: NDArray[np.integer],
    *,
    settings: VolumeConfig,
    corner: tuple[int, int] = (0, 0),
    zoom: float = 1.0,
) -> list[Filling]:
    """Fill the gaps of one slice in one window.

    SAM's answer is accepted where its IoU with the shape between is ``fill_agreement`` or more. Then the answer
    and the shape are averaged by their signed distances: the answer counts more, the higher its score and the less
    the masks on both sides are alike. Where no answer is accepted, the shape alone fills the gap.

    Pixels of other objects stay theirs. What would lose more than ``fill_overlap`` of its pixels to them fills no
    gap: then the object is not missing, but there under another name. Gaps are filled in order of their scores,
    and each filling is another object for the next.

    Parameters
    ----------
    segmenter : Segmenter or None
        With its ``decode.sam`` off, or without a segmenter, the shapes between fill the gaps.
    picture : ndarray of uint8, shape (h, w, 3), or None
        The window's pixels, normalized; None where they cannot be read.
    gaps : sequence of Gap
        Anywhere in the volume; what lies outside the window is cut.
    others : ndarray of int, shape (h, w)
        The objects that this slice has already; 0 is background.
    settings : VolumeConfig
        ``fill``, ``fill_agreement`` and ``fill_overlap`` count here.
    corner : tuple of int
        The window's first row and column in pixels of the volume.
    zoom : float
        How many times larger the networks see the picture, on top of ``images.zoom``.

    Returns
    -------
    list of Filling
        In order of gap, for those that are filled; empty without gaps and with ``fill=none``.
    """
    if not gaps or settings.fill == "none":
        return []
    (top, left), (height, width) = corner, others.shape
    # From here on, pixels count from the window's corner.
    gaps = [Gap(gap.lower.moved(-top, -left), gap.upper.moved(-top, -left), gap.share) for gap in gaps]
    window = slice(0, height), slice(0, width)
    shapes = [interpolate_masks(gap.lower, gap.upper, gap.share).cut(*window) for gap in gaps]
    answers: list[Answer | None] = [None] * len(gaps)
    if settings.fill == "sam" and picture is not None and segmenter is not None and segmenter.config.decode.sam:
        # Without a network to ask, nothing loads torch.
        from autosam.volumes.ask_again import ask_again

        answers = ask_again(segmenter, picture, shapes, others, zoom=zoom)
    filled = [
        _filled(index, gap, shape, answer, settings.fill_agreement)
        for index, (gap, shape, answer) in enumerate(zip(gaps, shapes, answers, strict=True))
        if shape.area
    ]
    taken, fillings = others != 0, []
    for filling in sorted(filled, key=lambda filling: -filling.score):
        rest = _without(filling.mask.cut(*window), taken, settings.fill_overlap)
        if rest is not None:
            taken |= rest.within(*window)
            fillings.append(filling._replace(mask=rest.moved(top, left)))
    return sorted(fillings, key=lambda filling: filling.gap)


def objects_of_fillings(
    fillings: Sequence[Filling],
    window: tuple[slice, slice],
    *,
    z: int,
    tile: int,
    core: tuple[slice, slice],
    first_number: int,
) -> SliceObjects:
    """Make objects of the fillings of one slice in one window, in their order.

    Parameters
    ----------
    window, core : tuple of slice
        Rows and columns of the tile, see `GridTile`.
    first_number : int
        Number of the first of them: that of objects which the tile has in this slice already.
    """
    labels = np.zeros(tuple(side.stop - side.start for side in window), np.int32)
    for number, filling in enumerate(fillings, start=1):
        labels[filling.mask.within(*window)] = number
    objects = objects_of_labels(
        labels,
        z=z,
        tile=tile,
        corner=(window[0].start, window[1].start),
        core=core,
        scores=[filling.score for filling in fillings],
        first_number=first_number,
    )
    objects.origins[:] = [filling.origin for filling in fillings]
    return objects


def _filled(index: int, gap: Gap, shape: PlacedMask, answer: "Answer | None", agreement: float) -> Filling:
    """Fill a gap, whatever else there is."""
    lower, upper = moved_together(gap.lower, gap.upper, gap.share)
    alike = placed_iou(lower, upper)
    weight = 0.0
    if answer is not None and placed_iou(answer.mask, shape) >= agreement:
        low, high = SCORES
        sure = np.clip((answer.score - low) / (high - low), 0, 1)
        weight = float(sure * np.clip((1 - alike) / (1 - ALIKE), 0, 1))
    if answer is None or not weight:
        return Filling(index, shape, alike, INTERPOLATED)
    rest = 1 - weight
    mean = mean_mask((lower, upper, answer.mask), (rest * (1 - gap.share), rest * gap.share, weight))
    return Filling(index, mean if mean.area else answer.mask, weight * answer.score + rest * alike, FILLED)


def _without(placed: PlacedMask, taken: NDArray[np.bool_], most: float) -> PlacedMask | None:
    """Take the pixels of others from a mask, and keep its main component; None where they have too many."""
    height, width = placed.mask.shape
    free = placed.mask & ~taken[placed.row : placed.row + height, placed.col : placed.col + width]
    if placed.area - np.count_nonzero(free) > most * placed.area:
        return None
    found = main_component(free)
    return None if found is None else PlacedMask(found[0], found[1], found[2]).moved(placed.row, placed.col)
