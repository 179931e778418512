"""The last step: SAM's masks and the generator's regions → instances on the image's own grid."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from autosam.config import MergeConfig
from autosam.images import resize_labels, resize_map
from autosam.instances import (
    MaskCrop,
    Merged,
    OpenRegions,
    clean_mask,
    fill_from_regions,
    fill_masks,
    keep_regions,
    merge_masks,
    open_regions,
)
from autosam.pipeline.probability_maps import Maps
from autosam.pipeline.propose import Proposals, Regions
from autosam.pipeline.segmentation import Segmentation
from autosam.pipeline.view import View
from autosam.prompts import Prompt, PromptsOnDemand, zoom_prompts
from autosam.regions import renumbered, sizes_and_first_pixels


def merge(
    view: View, maps: Maps, proposals: Proposals, masks: Sequence[MaskCrop] | None, settings: MergeConfig
) -> Segmentation:
    """Make instances and bring them to the image's own grid.

    Parameters
    ----------
    masks : sequence of MaskCrop, or None
        What SAM answered, on the grid of the networks; None makes the regions instances.
    """
    regions, prompts = proposals.regions, proposals.prompts
    foreground = maps.probabilities.get("foreground")
    if masks is None:
        merged = keep_regions(
            regions.labels,
            regions.certainties(foreground),
            min_score=settings.min_score,
            min_size=settings.min_size,
            fill_holes=settings.fill_holes,
        )
    elif foreground is None:
        merged = merge_answers(masks, prompts, view.grid, settings, by_hand=proposals.first_user)
    else:
        merged = merge_answers(
            masks,
            prompts,
            view.grid,
            settings,
            by_hand=proposals.first_user,
            regions=regions,
            foreground=foreground,
        )
        merged = fill_from_regions(
            merged,
            regions.labels,
            foreground,
            region_score=regions.scores,
            threshold=settings.fallback,
            min_size=settings.min_size,
            fill_holes=settings.fill_holes,
            in_place=True,
        )
    return to_own_grid(view, maps, proposals, merged, settings)


def merge_beside_regions(
    view: View, maps: Maps, proposals: Proposals, masks: Sequence[MaskCrop], settings: MergeConfig
) -> Segmentation:
    """Merge masks of user prompts with the regions of predicted prompts, which SAM was not asked about.

    Regions go through the same rules as masks, with the prompt's certainty as their score.
    """
    labels = proposals.regions.labels
    boxes = ndimage.find_objects(labels)
    regions = []
    for index, prompt in enumerate(proposals.prompts[: proposals.first_user]):
        rows, cols = boxes[prompt.region - 1]
        own = labels[rows, cols] == prompt.region
        regions.append(MaskCrop(rows.start, cols.start, own, score=prompt.certainty, prompt=index))
    merged = merge(view, maps, proposals, [*regions, *masks], settings)
    # SAM answered no predicted prompt.
    answered = np.where(merged.prompt_of < proposals.first_user, -1, merged.prompt_of)
    return replace(merged, prompt_of=answered)


def merge_answers(
    masks: Sequence[MaskCrop],
    prompts: Sequence[Prompt],
    shape: tuple[int, int],
    settings: MergeConfig,
    *,
    by_hand: int,
    regions: Regions | None = None,
    foreground: NDArray[np.float32] | None = None,
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
    regions, foreground : Regions and ndarray of float32, optional
        The generator's regions and its map, (H, W). A hole is not filled where a region lies in it that SAM did
        not answer and that `fill_from_regions` brings back.
    """
    cleaned = []
    for mask in masks:
        if mask.score < settings.min_score and mask.prompt < by_hand:
            continue
        prompt = prompts[mask.prompt]
        points = prompt.points[prompt.point_labels == 1]
        # Too small an object is known once the holes are filled, and a hole is filled once all objects are known.
        clean = clean_mask(mask, min_size=0, fill_holes=False, points=points)
        if clean is not None:
            cleaned.append(clean)
    back: OpenRegions | None = None
    if settings.fill_holes:
        if regions is not None and foreground is not None:
            back = open_regions(
                regions.labels,
                foreground,
                region_score=regions.scores,
                threshold=settings.fallback,
                answered={prompts[mask.prompt].region for mask in cleaned},
            )
        cleaned = fill_masks(cleaned, min_size=settings.min_size, regions=back)
    else:
        cleaned = [mask for mask in cleaned if np.count_nonzero(mask.mask) >= settings.min_size]
    return merge_masks(
        cleaned,
        shape,
        iou_threshold=settings.iou,
        ios_threshold=settings.overlap,
        min_size=settings.min_size,
        fill_holes=settings.fill_holes,
        regions=back,
    )


def to_own_grid(
    view: View, maps: Maps, proposals: Proposals, merged: Merged, settings: MergeConfig
) -> Segmentation:
    """Bring instances from the grid of the networks to the image's own.

    There those at the border or too large are left out, where the settings say so.
    """
    labels, prompt_of, scores = merged
    shape, probabilities = view.shape, maps.probabilities
    regions, prompts = proposals.regions.labels, proposals.prompts
    if view.total_zoom != 1:
        probabilities = {name: resize_map(values, shape) for name, values in probabilities.items()}
        foreground = probabilities.get("foreground")
        # Without SAM, instances often are the regions as they were found.
        same = np.array_equal(labels, regions)
        labels = resize_labels(labels, shape, foreground=foreground)
        regions = labels if same else resize_labels(regions, shape, foreground=foreground)
        back = (1 / view.factors[0], 1 / view.factors[1])
        prompts = PromptsOnDemand(len(prompts), partial(zoom_prompts, prompts, back))
        # Resampling can lose an object smaller than a pixel, and swap the first pixels of two.
        labels, scores, prompt_of = _renumbered(labels, scores, prompt_of)
    if settings.exclude_border or settings.max_size is not None:
        labels = labels * _wanted(labels, settings)[labels]
        labels, scores, prompt_of = _renumbered(labels, scores, prompt_of)
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
        warnings=view.warnings + _warnings(view, len(scores)),
    )


def _warnings(view: View, found: int) -> tuple[str, ...]:
    """Say so if next to nothing was found in an image of which scaling has left little to see."""
    if found > 1 or view.blank or view.mostly is None:
        return ()
    number = "only 1 object" if found else "nothing"
    setting = "images.high=97" if view.mostly == "dark" else "images.low=3"
    return (f"most of the image is {view.mostly} after scaling, and {number} was found; try --set {setting}",)


def _wanted(labels: NDArray[np.int32], settings: MergeConfig) -> NDArray[np.bool_]:
    """Tell for each id whether its instance is kept on the image's own grid."""
    sizes = np.bincount(labels.ravel())
    wanted = np.ones(len(sizes), dtype=bool)
    if settings.max_size is not None:
        wanted = sizes <= settings.max_size
    if settings.exclude_border:
        for border in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
            wanted[border] = False
    return wanted


def _renumbered(
    labels: NDArray[np.int32], scores: NDArray[np.float64], prompt_of: NDArray[np.int64]
) -> tuple[NDArray[np.int32], NDArray[np.float64], NDArray[np.int64]]:
    """Give the ids that have pixels the numbers 1..n, by first pixel."""
    _, first = sizes_and_first_pixels(labels)
    left = np.flatnonzero(first >= 0)
    left = left[np.argsort(first[left])]
    numbers = np.zeros(len(scores) + 1, dtype=np.int32)
    numbers[left] = np.arange(1, len(left) + 1)
    return renumbered(labels, numbers), scores[left - 1], prompt_of[left - 1]
