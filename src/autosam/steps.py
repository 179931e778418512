"""The steps between the networks, with the settings that they take: maps → basins → prompts, masks → instances."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from autosam.config import MergeConfig, PromptsConfig
from autosam.instances import MaskCrop, Merged, merge_masks
from autosam.instances.clean import clean_mask
from autosam.prompts import Prompt, affinity_maps, emit_prompts, find_basins


def basins_of(maps: Mapping[str, NDArray[np.float32]], settings: PromptsConfig) -> NDArray[np.int32]:
    """Split the generator's maps, by channel, into its own segmentation; see `find_basins`."""
    return find_basins(
        maps.get("foreground"),
        maps.get("boundary"),
        center=maps.get("center"),
        affinities=affinity_maps(maps),
        threshold=settings.foreground,
        boundary_threshold=settings.boundary,
        center_threshold=settings.center,
        min_size=settings.min_size,
    )


def prompts_of(
    basins: NDArray[np.int32], maps: Mapping[str, NDArray[np.float32]], settings: PromptsConfig
) -> list[Prompt]:
    """Make one prompt of every basin; see `emit_prompts`."""
    return emit_prompts(
        basins,
        maps.get("foreground"),
        method=settings.method,
        points=settings.points,
        negatives=settings.negatives,
        box=settings.box,
        box_margin=settings.box_margin,
        mask=settings.mask and "foreground" in maps,
    )


def merge_answers(
    masks: Sequence[MaskCrop],
    asked: Sequence[Prompt],
    shape: tuple[int, int],
    settings: MergeConfig,
    *,
    by_hand: int,
) -> Merged:
    """Make instances of every mask that SAM gave; see `clean_mask` and `merge_masks`.

    Parameters
    ----------
    masks : sequence of MaskCrop
    asked : sequence of Prompt
        What ``MaskCrop.prompt`` counts in.
    shape : tuple of int
        Rows and columns of the image.
    settings : MergeConfig
    by_hand : int
        From this one on, prompts are a person's own: no score drops their masks.

    Returns
    -------
    Merged
        Its ``kept`` counts in ``masks``.
    """
    # One slot per mask, so that `kept` still counts in the caller's list.
    index_of, cleaned = [], []
    for index, mask in enumerate(masks):
        if mask.score < settings.min_score and mask.prompt < by_hand:
            continue
        prompt = asked[mask.prompt]
        clean = clean_mask(
            mask,
            min_size=settings.min_size,
            fill_holes=settings.fill_holes,
            points=prompt.points[prompt.point_labels == 1],
        )
        if clean is not None:
            index_of.append(index)
            cleaned.append(clean)
    merged = merge_masks(
        cleaned,
        shape,
        iou_threshold=settings.iou,
        ios_threshold=settings.overlap,
        min_size=settings.min_size,
        fill_holes=settings.fill_holes,
    )
    return merged._replace(kept=np.array([index_of[index] for index in merged.kept], dtype=np.int64))
