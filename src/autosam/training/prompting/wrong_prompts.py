"""Wrong prompts: what a generator gives where it is mistaken, so that the IoU head learns to tell bad masks."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from autosam.config import PromptsConfig, TrainingConfig
from autosam.models.sam.interface import LOW_RES_STRIDE
from autosam.prompts import Prompt, make_prompts
from autosam.training.prompting.prompt_targets import TilePrompts
from autosam.training.prompting.simulate import low_resolution_mask, mask_box

Mistake = Literal["merged", "background", "shifted", "piece"]
"""How a region is wrong, see `wrong_region`."""

MISTAKES: tuple[Mistake, ...] = ("merged", "background", "shifted", "piece")

ATTEMPTS = 10
"""Places that are tried for a region on background."""

SHIFT = (0.4, 0.8)
"""Range of a shift along each axis, as a fraction of the object's height or width."""

PIECE = (0.25, 0.6)
"""Range of the share of an object that a piece has."""


def wrong_prompts(
    labels: NDArray[np.int32],
    prompts: PromptsConfig,
    training: TrainingConfig,
    rng: np.random.Generator,
    *,
    valid: NDArray[np.bool_],
) -> TilePrompts:
    """Prompt for ``training.simulate.wrong`` wrong regions, whose mistakes take turns.

    Parameters
    ----------
    labels : ndarray of int32, shape (H, W)
        0 for background.
    prompts : PromptsConfig
        How regions are prompted. Objects with fewer visible pixels than ``min_size`` are not made regions of.
    training : TrainingConfig
        Prompts have no masks where ``mask_prompt`` is 0.
    valid : ndarray of bool, shape (H, W)
        Where labels are known. Regions of which more than half lies elsewhere give no prompts.

    Returns
    -------
    TilePrompts
        None of them has an object. Empty where the tile has none, and fewer where no such mistake can be made.
    """
    ids = np.flatnonzero(np.bincount(labels.ravel()) >= max(prompts.min_size, 1))
    ids, mistakes = rng.permutation(ids[ids > 0]), rng.permutation(len(MISTAKES))
    made = []
    for turn in range(training.simulate.wrong if len(ids) else 0):
        mistake = MISTAKES[mistakes[turn % len(MISTAKES)]]
        region = wrong_region(labels, int(ids[turn % len(ids)]), mistake, rng)
        if 2 * np.count_nonzero(region & valid) <= np.count_nonzero(region):
            continue
        (plain,) = make_prompts(
            region.astype(np.int32),
            None,
            method="distance",
            points=prompts.points,
            negatives=0,
            box=True,
            box_margin=prompts.box_margin,
            mask=False,
        )
        mask = low_resolution_mask(region, stride=LOW_RES_STRIDE, rng=rng) if training.mask_prompt else None
        made.append(Prompt(plain.points, plain.point_labels, box=plain.box, mask=mask))
    return TilePrompts(made, np.zeros(len(made), dtype=np.int64), np.zeros_like(labels), best_iou=True)


def wrong_region(
    labels: NDArray[np.int32], object_id: int, mistake: Mistake, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Make a region that is no object of the labels.

    Parameters
    ----------
    labels : ndarray of int32, shape (H, W)
    object_id : int
        An object with at least one pixel.
    mistake : {"merged", "background", "shifted", "piece"}
        The object with its nearest neighbor; its shape elsewhere, on no object; the object shifted by ``SHIFT``
        of its box; what lies on one side of a straight line, ``PIECE`` of the object.

    Returns
    -------
    ndarray of bool, shape (H, W)
        Without a pixel where there is no neighbor, or no place on the background.
    """
    own: NDArray[np.bool_] = labels == object_id
    box = mask_box(own)
    first, sides = box[:2].astype(int), (box[2:] - box[:2] + 1).astype(int)
    if mistake == "merged":
        other = _nearest_object(labels, object_id)
        return own | (labels == other) if other else np.zeros_like(own)
    if mistake == "piece":
        pixels = np.argwhere(own)
        angle = rng.uniform(0, 2 * np.pi)
        along = pixels @ np.array([np.sin(angle), np.cos(angle)])
        own[tuple(pixels[along > np.quantile(along, rng.uniform(*PIECE))].T)] = False
        return own
    crop = own[first[0] : first[0] + sides[0], first[1] : first[1] + sides[1]]
    if mistake == "shifted":
        shift = rng.uniform(*SHIFT, size=2) * sides * rng.choice([-1, 1], size=2)
        return _pasted(crop, first + np.rint(shift).astype(int), labels.shape)
    for _ in range(ATTEMPTS):
        moved = _pasted(crop, rng.integers(np.array(labels.shape) - sides + 1), labels.shape)
        if not (moved & (labels > 0)).any():
            return moved
    return np.zeros_like(own)


def _nearest_object(labels: NDArray[np.int32], object_id: int) -> int:
    """Find the object whose bounding box is nearest to that of an object, the lowest id of equals; 0 for none."""
    slices = ndimage.find_objects(labels)
    boxes = {number: one for number, one in enumerate(slices, start=1) if one is not None}
    own = boxes.pop(object_id)

    def apart(number: int) -> float:
        pairs = zip(own, boxes[number], strict=True)
        return float(sum(max(b.start - a.stop, a.start - b.stop, 0) ** 2 for a, b in pairs))

    return min(boxes, key=apart, default=0)


def _pasted(crop: NDArray[np.bool_], corner: NDArray[np.integer], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Draw a mask at a corner into an image, cut at its border."""
    image = np.zeros(shape, dtype=bool)
    pixels = np.argwhere(crop) + corner
    image[tuple(pixels[((pixels >= 0) & (pixels < shape)).all(axis=1)].T)] = True
    return image
