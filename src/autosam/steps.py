"""The steps between the networks, with the settings that they take: maps → basins → prompts, masks → instances."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from autosam.config import MergeConfig, PromptsConfig
from autosam.instances import MaskCrop, Merged, merge_masks
from autosam.instances.clean import clean_mask
from autosam.models.judge import Judge
from autosam.prompts import (
    MergeTree,
    Prompt,
    affinity_maps,
    describe_candidates,
    emit_prompts,
    find_basins,
    grow_tree,
    number_regions,
)


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


class Basins(NamedTuple):
    """The generator's own segmentation.

    Attributes
    ----------
    labels : ndarray of int32, shape (H, W)
        0 for background and 1..n, without gaps, in raster order of each basin's first pixel.
    quality : ndarray of float64, shape (n,), or None
        What a judge expects of each; None where thresholds have found them.
    rejected : ndarray of bool, shape (H, W), or None
        The foreground in which the judge sees no object, or too small a one.
    """

    labels: NDArray[np.int32]
    quality: NDArray[np.float64] | None = None
    rejected: NDArray[np.bool_] | None = None


class Candidates(NamedTuple):
    """The regions among which a judge chooses.

    Attributes
    ----------
    tree : MergeTree
        The regions; N nodes.
    described : ndarray of float32, shape (N, F)
        What they look like, see `describe_candidates`.
    """

    tree: MergeTree
    described: NDArray[np.float32]


def candidates_of(
    maps: Mapping[str, NDArray[np.float32]],
    picture: NDArray[np.uint8],
    settings: PromptsConfig,
    *,
    diameter: float,
) -> Candidates:
    """Make all regions of the maps that could be objects; the basins by thresholds tell the typical size.

    Parameters
    ----------
    maps : mapping of str to ndarray of float32, shape (H, W)
    picture : ndarray of uint8, shape (H, W, 3)
    settings : PromptsConfig
    diameter : float
        See `describe_candidates`.
    """
    areas = np.bincount(basins_of(maps, settings).ravel())[1:]
    tree = grow_tree(maps, threshold=settings.foreground)
    typical = float(np.median(areas)) if areas.size else None
    return Candidates(tree, describe_candidates(tree, maps, picture, diameter=diameter, typical_area=typical))


def judged_basins(candidates: Candidates, judge: Judge, settings: PromptsConfig) -> Basins:
    """Choose the disjoint candidates that are the best objects together.

    Parameters
    ----------
    candidates : Candidates
    judge : Judge
    settings : PromptsConfig
        What is smaller than ``min_size``, or expected to be worth less than ``min_quality``, is not chosen.

    Returns
    -------
    Basins
    """
    tree = candidates.tree
    quality = judge.quality(candidates.described)
    large = tree.area >= max(settings.min_size, 1)
    chosen = tree.choose(np.where(large, quality - settings.min_quality, 0))
    painted = tree.paint(chosen)
    labels = number_regions(painted)
    node_of = np.zeros(len(chosen) + 1, dtype=np.int64)
    node_of[labels] = np.concatenate([[0], chosen])[painted]
    return Basins(labels, quality[node_of[1:]], (tree.fragments > 0) & (labels == 0))


def prompts_of(basins: Basins, maps: Mapping[str, NDArray[np.float32]], settings: PromptsConfig) -> list[Prompt]:
    """Make one prompt of every basin; see `emit_prompts`."""
    prompts = emit_prompts(
        basins.labels,
        maps.get("foreground"),
        method=settings.method,
        points=settings.points,
        negatives=settings.negatives,
        box=settings.box,
        box_margin=settings.box_margin,
        mask=settings.mask and "foreground" in maps,
        rejected=basins.rejected,
    )
    if basins.quality is None:
        return prompts
    return [replace(prompt, quality=float(basins.quality[prompt.basin - 1])) for prompt in prompts]


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
