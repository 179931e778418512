"""The last step: SAM's masks and the generator's regions → instances on the image's own grid."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from autosam.config import MergeConfig
from autosam.images import resize_labels, resize_map
from autosam.instances import MaskCrop, Merged, clean_mask, fill_from_regions, merge_masks
from autosam.pipeline.probability_maps import Maps
from autosam.pipeline.propose import Proposals
from autosam.pipeline.segmentation import Segmentation
from autosam.pipeline.view import View
from autosam.prompts import Prompt, zoom_prompts


def merge(
    view: View, maps: Maps, proposals: Proposals, masks: Sequence[MaskCrop] | None, settings: MergeConfig
) -> Segmentation:
    """Make instances and bring them to the image's own grid.

    Parameters
    ----------
    masks : sequence of MaskCrop, or None
        What SAM answered, on the grid of the networks; None makes every region an instance.
    """
    regions, prompts = proposals.regions, proposals.prompts
    if masks is None:
        labels = regions.labels
        scores = np.array([prompt.certainty for prompt in prompts], dtype=np.float64)
        prompt_of = np.full(len(prompts), -1)
    else:
        merged = merge_answers(masks, prompts, view.grid, settings, by_hand=proposals.first_user)
        if "foreground" in maps.probabilities:
            merged = fill_from_regions(
                merged,
                regions.labels,
                maps.probabilities["foreground"],
                region_score=regions.scores,
                threshold=settings.fallback,
                min_size=settings.min_size,
            )
        labels, prompt_of, scores = merged
    return to_own_grid(view, maps, proposals, labels, scores, prompt_of)


def merge_answers(
    masks: Sequence[MaskCrop],
    prompts: Sequence[Prompt],
    shape: tuple[int, int],
    settings: MergeConfig,
    *,
    by_hand: int,
) -> Merged:
    """Clean every mask that SAM gave and merge them; see `clean_mask` and `merge_masks`.

    Parameters
    ----------
    prompts : sequence of Prompt
        ``MaskCrop.prompt`` counts in them.
    shape : tuple of int
        Rows and columns of the grid.
    by_hand : int
        Index of the first user prompt; the number of prompts where there is none. No score drops the mask of a
        user prompt.
    """
    cleaned = []
    for mask in masks:
        if mask.score < settings.min_score and mask.prompt < by_hand:
            continue
        prompt = prompts[mask.prompt]
        clean = clean_mask(
            mask,
            min_size=settings.min_size,
            fill_holes=settings.fill_holes,
            points=prompt.points[prompt.point_labels == 1],
        )
        if clean is not None:
            cleaned.append(clean)
    return merge_masks(
        cleaned,
        shape,
        iou_threshold=settings.iou,
        ios_threshold=settings.overlap,
        min_size=settings.min_size,
        fill_holes=settings.fill_holes,
    )


def to_own_grid(
    view: View,
    maps: Maps,
    proposals: Proposals,
    labels: NDArray[np.int32],
    scores: NDArray[np.float64],
    prompt_of: NDArray[np.int64],
) -> Segmentation:
    """Bring instances, (h, w) with their scores and prompts, from the grid of the networks to the image's own."""
    shape, probabilities = view.shape, maps.probabilities
    regions, prompts = proposals.regions.labels, proposals.prompts
    if view.total_zoom != 1:
        probabilities = {name: resize_map(values, shape) for name, values in probabilities.items()}
        foreground = probabilities.get("foreground")
        labels = resize_labels(labels, shape, foreground=foreground)
        regions = resize_labels(regions, shape, foreground=foreground)
        prompts = zoom_prompts(prompts, (1 / view.factors[0], 1 / view.factors[1]))
        ids, firsts = np.unique(labels, return_index=True)
        # Resampling can lose an object smaller than a pixel, and swap the first pixels of two.
        left = ids[np.argsort(firsts)]
        left = left[left > 0]
        numbers = np.zeros(len(scores) + 1, dtype=np.int32)
        numbers[left] = np.arange(1, len(left) + 1)
        labels, scores, prompt_of = numbers[labels], scores[left - 1], prompt_of[left - 1]
    return Segmentation(
        labels=labels,
        scores=scores,
        prompts=prompts,
        prompt_of=prompt_of,
        regions=regions,
        maps=probabilities,
        picture=view.picture,
        novelty=maps.novelty,
        zoom=view.zoom,
        stain_normalized=view.stain_normalized,
    )
