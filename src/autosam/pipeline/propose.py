"""The third step: probability maps → regions, their scores and prompts."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from autosam.config import PromptsConfig
from autosam.models.statistics.region_classifier import RegionClassifier
from autosam.prompts import Prompt, PromptsOnDemand, deduplicate_prompts, grid_prompts, make_prompts
from autosam.regions import (
    MergeTree,
    affinity_maps,
    describe_candidate_regions,
    find_regions,
    grow_tree,
    means_in_regions,
    number_regions,
    sizes_and_first_pixels,
)

Probabilities = Mapping[str, NDArray[np.float32]]
"""The generator's maps by channel, each (H, W)."""


class Regions(NamedTuple):
    """The generator's own segmentation.

    Attributes
    ----------
    labels : ndarray of int32, shape (H, W)
        0 for background and 1..n, without gaps, in raster order of each region's first pixel.
    scores : ndarray of float64, shape (n,), or None
        The region score of each; None without a region classifier.
    rejected : ndarray of bool, shape (H, W), or None
        The foreground in which the region classifier sees no object, or too small a one.
    """

    labels: NDArray[np.int32]
    scores: NDArray[np.float64] | None = None
    rejected: NDArray[np.bool_] | None = None

    def certainties(self, foreground: NDArray[np.float32] | None) -> NDArray[np.float64]:
        """Give each region the certainty that its prompt has, (n,), without making it; see `Prompt.certainty`."""
        if self.scores is not None:
            return self.scores
        if foreground is None:
            return np.ones(int(self.labels.max(initial=0)))
        return np.clip(means_in_regions(self.labels, foreground)[1:], 0, 1)


class CandidateRegions(NamedTuple):
    """The regions among which the region classifier chooses: N nodes of a tree.

    Attributes
    ----------
    features : ndarray of float32, shape (N, F)
        See `describe_candidate_regions`.
    """

    tree: MergeTree
    features: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Proposals:
    """What SAM is to be asked.

    Attributes
    ----------
    regions : Regions
        On the grid of the networks; without a region where the generator was not asked.
    prompts : sequence of Prompt
        On the same grid: predicted ones, in order of region, and then user prompts.
    first_user : int
        Index of the first user prompt; the number of prompts where there is none.
    """

    regions: Regions
    prompts: Sequence[Prompt]
    first_user: int


def propose(
    maps: Probabilities,
    settings: PromptsConfig,
    *,
    classifier: RegionClassifier | None = None,
    picture: NDArray[np.uint8] | None = None,
    user_prompts: Sequence[Prompt] = (),
) -> Proposals:
    """Find regions and make a prompt of each; leave out those whose object a user prompt has.

    Parameters
    ----------
    maps : mapping of str to ndarray of float32, shape (H, W)
    classifier : RegionClassifier, optional
        Chooses the regions where ``prompts.region_classifier`` is on; otherwise the thresholds find them.
    picture : ndarray of uint8, shape (H, W, 3), optional
        The normalized image, for the features of candidate regions. A classifier needs it.
    user_prompts : sequence of Prompt
        On the same grid.
    """
    if classifier is not None and settings.region_classifier:
        # Never quietly by thresholds instead.
        assert picture is not None, "a region classifier needs the picture that its features are measured in"
        candidates = candidate_regions(maps, picture, settings, diameter=float(classifier.diameter))
        regions = classify_regions(candidates, classifier, settings)
    else:
        regions = Regions(threshold_regions(maps, settings))
    prompts = prompt_regions(regions, maps, settings)
    if not user_prompts:
        return Proposals(regions, prompts, len(prompts))
    predicted = deduplicate_prompts(prompts, regions.labels, user_prompts)
    return Proposals(regions, [*predicted, *user_prompts], len(predicted))


def without_regions(shape: tuple[int, int], *, side: int, user_prompts: Sequence[Prompt]) -> Proposals:
    """Propose a grid of ``side`` × ``side`` points, none where that is 0, and user prompts."""
    grid = grid_prompts(shape, side) if side else []
    return Proposals(Regions(np.zeros(shape, dtype=np.int32)), [*grid, *user_prompts], len(grid))


def threshold_regions(maps: Probabilities, settings: PromptsConfig) -> NDArray[np.int32]:
    """Find regions by thresholds; see `find_regions`."""
    return find_regions(
        maps.get("foreground"),
        maps.get("boundary"),
        center=maps.get("center"),
        affinities=affinity_maps(maps),
        threshold=settings.foreground,
        boundary_threshold=settings.boundary,
        center_threshold=settings.center,
        join=settings.join,
        min_size=settings.min_size,
    )


def candidate_regions(
    maps: Probabilities, picture: NDArray[np.uint8], settings: PromptsConfig, *, diameter: float
) -> CandidateRegions:
    """Grow the tree of all regions that could be objects; those by thresholds tell their typical size.

    Parameters
    ----------
    maps : mapping of str to ndarray of float32, shape (H, W)
        With a foreground, and a boundary or center.
    picture : ndarray of uint8, shape (H, W, 3)
    diameter : float
        Typical diameter of the training objects, in pixels of the maps.
    """
    areas = sizes_and_first_pixels(threshold_regions(maps, settings))[0][1:]
    tree = grow_tree(maps, threshold=settings.foreground)
    typical = float(np.median(areas)) if areas.size else None
    return CandidateRegions(
        tree, describe_candidate_regions(tree, maps, picture, diameter=diameter, typical_area=typical)
    )


def classify_regions(
    candidates: CandidateRegions, classifier: RegionClassifier, settings: PromptsConfig
) -> Regions:
    """Choose the disjoint candidate regions whose scores above ``min_region_score`` have the largest sum.

    Regions smaller than ``min_size`` are not chosen.
    """
    tree = candidates.tree
    scores = classifier.score(candidates.features)
    large = tree.area >= max(settings.min_size, 1)
    chosen = tree.choose(np.where(large, scores - settings.min_region_score, 0))
    painted = tree.paint(chosen)
    labels = number_regions(painted)
    _, first = sizes_and_first_pixels(labels)
    return Regions(labels, scores[chosen[painted.ravel()[first[1:]] - 1]], (tree.fragments > 0) & (labels == 0))


def prompt_regions(regions: Regions, maps: Probabilities, settings: PromptsConfig) -> Sequence[Prompt]:
    """Make one prompt of every region, when the first is read; see `make_prompts`."""
    make = partial(make_region_prompts, regions, maps.get("foreground"), settings)
    return PromptsOnDemand(int(regions.labels.max(initial=0)), make)


def make_region_prompts(
    regions: Regions,
    foreground: NDArray[np.float32] | None,
    settings: PromptsConfig,
    *,
    only: Collection[int] | None = None,
) -> list[Prompt]:
    """Make the prompts of all regions, or of ``only`` these, in order of their ids."""
    prompts = make_prompts(
        regions.labels,
        foreground,
        method=settings.method,
        points=settings.points,
        negatives=settings.negatives,
        box=settings.box,
        box_margin=settings.box_margin,
        mask=settings.mask and foreground is not None,
        rejected=regions.rejected,
        only=only,
    )
    if regions.scores is None:
        return prompts
    return [replace(prompt, region_score=float(regions.scores[prompt.region - 1])) for prompt in prompts]
