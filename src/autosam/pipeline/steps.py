"""The steps between the networks: maps → regions → prompts, and masks → instances."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from autosam.config import MergeConfig, PromptsConfig
from autosam.instances import MaskCrop, Merged, merge_masks
from autosam.instances.clean import clean_mask
from autosam.models.statistics.region_classifier import RegionClassifier
from autosam.prompts import Prompt, make_prompts
from autosam.regions import MergeTree, affinity_maps, describe_candidates, find_regions, grow_tree, number_regions


def threshold_regions(maps: Mapping[str, NDArray[np.float32]], settings: PromptsConfig) -> NDArray[np.int32]:
    """Split the generator's maps, by channel, into its own segmentation; see `find_regions`."""
    return find_regions(
        maps.get("foreground"),
        maps.get("boundary"),
        center=maps.get("center"),
        affinities=affinity_maps(maps),
        threshold=settings.foreground,
        boundary_threshold=settings.boundary,
        center_threshold=settings.center,
        min_size=settings.min_size,
    )


class Regions(NamedTuple):
    """The generator's own segmentation.

    Attributes
    ----------
    labels : ndarray of int32, shape (H, W)
        0 for background and 1..n, without gaps, in raster order of each region's first pixel.
    region_score : ndarray of float64, shape (n,), or None
        What a region classifier expects of each; None where thresholds have found them.
    rejected : ndarray of bool, shape (H, W), or None
        The foreground in which the region classifier sees no object, or too small a one.
    """

    labels: NDArray[np.int32]
    region_score: NDArray[np.float64] | None = None
    rejected: NDArray[np.bool_] | None = None


class Candidates(NamedTuple):
    """The regions among which a region classifier chooses.

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
    """Make all regions of the maps that could be objects; the regions by thresholds tell the typical size.

    Parameters
    ----------
    maps : mapping of str to ndarray of float32, shape (H, W)
    picture : ndarray of uint8, shape (H, W, 3)
    settings : PromptsConfig
    diameter : float
        See `describe_candidates`.
    """
    areas = np.bincount(threshold_regions(maps, settings).ravel())[1:]
    tree = grow_tree(maps, threshold=settings.foreground)
    typical = float(np.median(areas)) if areas.size else None
    return Candidates(tree, describe_candidates(tree, maps, picture, diameter=diameter, typical_area=typical))


def classify_regions(
    candidates: Candidates, region_classifier: RegionClassifier, settings: PromptsConfig
) -> Regions:
    """Choose the disjoint candidates that are the best objects together.

    Parameters
    ----------
    candidates : Candidates
    region_classifier : RegionClassifier
    settings : PromptsConfig
        What is smaller than ``min_size``, or expected to be worth less than ``min_region_score``, is not chosen.

    Returns
    -------
    Regions
    """
    tree = candidates.tree
    region_score = region_classifier.score(candidates.described)
    large = tree.area >= max(settings.min_size, 1)
    chosen = tree.choose(np.where(large, region_score - settings.min_region_score, 0))
    painted = tree.paint(chosen)
    labels = number_regions(painted)
    node_of = np.zeros(len(chosen) + 1, dtype=np.int64)
    node_of[labels] = np.concatenate([[0], chosen])[painted]
    return Regions(labels, region_score[node_of[1:]], (tree.fragments > 0) & (labels == 0))


def prompts_of(regions: Regions, maps: Mapping[str, NDArray[np.float32]], settings: PromptsConfig) -> list[Prompt]:
    """Make one prompt of every region; see `make_prompts`."""
    prompts = make_prompts(
        regions.labels,
        maps.get("foreground"),
        method=settings.method,
        points=settings.points,
        negatives=settings.negatives,
        box=settings.box,
        box_margin=settings.box_margin,
        mask=settings.mask and "foreground" in maps,
        rejected=regions.rejected,
    )
    if regions.region_score is None:
        return prompts
    return [replace(prompt, region_score=float(regions.region_score[prompt.region - 1])) for prompt in prompts]


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
