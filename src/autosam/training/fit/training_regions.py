"""The candidate regions of training images, and what each of them is worth."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from autosam.config import Config
from autosam.data.folders import LabeledImage, evenly_spaced
from autosam.images import resize_labels
from autosam.models.networks import Networks
from autosam.models.statistics.region_classifier import target_score
from autosam.pipeline.propose import candidate_regions
from autosam.pipeline.segmenter import Segmenter
from autosam.regions import MergeTree

KNOWN = 0.9
"""Share of a region's pixels whose labels must be known."""


@dataclass(frozen=True, eq=False)
class TrainingRegions:
    """N candidate regions to learn from.

    Attributes
    ----------
    features : ndarray of float32, shape (N, F)
        See `describe_candidate_regions`.
    scores : ndarray of float64, shape (N,)
        What each is worth; see `target_score`.
    weights : ndarray of float64, shape (N,)
        How much each counts. An image with many objects counts more than one with few, but not so many times more.
    """

    features: NDArray[np.float32]
    scores: NDArray[np.float64]
    weights: NDArray[np.float64]

    def __len__(self) -> int:
        """Count the regions."""
        return len(self.scores)


def training_regions(
    networks: Networks,
    config: Config,
    labeled_images: Sequence[LabeledImage],
    *,
    images: int,
    report: Callable[[int, int], None] | None = None,
) -> TrainingRegions | None:
    """Describe the candidate regions that a generator gives in labeled images.

    Parameters
    ----------
    networks : Networks
        In evaluation mode. A region classifier that they have is not asked.
    config : Config
        What they segment with: the candidates are those that `Segmenter` would make.
    labeled_images : sequence of LabeledImage
        Normalized. Where their labels are not known (``valid``), regions are left out.
    images : int
        Most images of each source, evenly spaced.
    report : callable, optional
        Called with the number of images done and to do.

    Returns
    -------
    TrainingRegions or None
        None where there is no generator with a foreground map and one of center or boundary, where it is not asked
        (``prompts.method``), where the objects' diameter is not known, or where there is no candidate at all.
    """
    diameter = config.images.diameter
    if diameter is None or not config.gives_candidate_regions:
        return None
    # An earlier region classifier has no say, neither here nor where the scale of an image is found.
    segmenter = Segmenter(replace(networks, region_classifier=None), _without_sam(config))
    typical = diameter * config.images.zoom
    parts: list[TrainingRegions] = []
    chosen = list(_share(labeled_images, images))
    for done, labeled_image in enumerate(chosen, start=1):
        part = _of_image(segmenter, labeled_image, diameter=typical)
        parts += [] if part is None else [part]
        if report is not None:
            report(done, len(chosen))
    return joined(parts)


def joined(parts: Sequence[TrainingRegions]) -> TrainingRegions | None:
    """Put the regions of several images, or generators, one after another; None for nothing."""
    if not parts:
        return None
    arrays = ([getattr(part, name) for part in parts] for name in ("features", "scores", "weights"))
    return TrainingRegions(*(np.concatenate(of) for of in arrays))


def alike(parts: Sequence[TrainingRegions]) -> list[TrainingRegions]:
    """Scale weights so that each part counts as much as any other, whatever the number of its regions."""
    return [replace(part, weights=part.weights / part.weights.sum()) for part in parts if len(part)]


def by_source(labeled_images: Sequence[LabeledImage]) -> list[list[LabeledImage]]:
    """Divide labeled images by their source, in order of the sources' names."""
    names = sorted({labeled_image.source for labeled_image in labeled_images})
    return [[labeled_image for labeled_image in labeled_images if labeled_image.source == name] for name in names]


def _of_image(segmenter: Segmenter, labeled_image: LabeledImage, *, diameter: float) -> TrainingRegions | None:
    view = segmenter.view(labeled_image.image, labeled_image.zoom, normalized=True)
    maps = segmenter.predict(view).probabilities
    if not maps:
        return None
    tree, features = candidate_regions(maps, view.seen, segmenter.config.prompts, diameter=diameter)
    if len(tree) == 1:
        return None
    scores = target_score(best_ious(tree, resize_labels(labeled_image.labels, view.grid)))
    known = np.ones(len(tree), dtype=bool)
    if labeled_image.valid is not None:
        known = known_nodes(tree, resize_labels(labeled_image.valid.astype(np.uint8), view.grid) > 0)
    known[0] = False
    number = int(np.count_nonzero(known))
    return TrainingRegions(features[known], scores[known], np.full(number, 1 / np.sqrt(max(1, number))))


def best_ious(tree: MergeTree, truth: NDArray[np.integer]) -> NDArray[np.float64]:
    """Measure the IoU of every node with the true object that fits it best.

    Parameters
    ----------
    tree : MergeTree
        With N nodes.
    truth : ndarray of integers, shape (H, W)
        0 for background.

    Returns
    -------
    ndarray of float64, shape (N,)
        0 for the background, and where there is no truth.
    """
    ids, inverse = np.unique(truth, return_inverse=True)
    best = np.zeros(len(tree))
    pairs, shared = np.unique(np.stack([tree.fragments.ravel(), inverse.ravel()]), axis=1, return_counts=True)
    there = (pairs[0] > 0) & (ids[pairs[1]] != 0)
    size = np.bincount(inverse.ravel())
    # A node's overlaps are those of its fragments; only what overlaps at all is kept.
    overlaps: list[dict[int, int]] = [{} for _ in range(len(tree))]
    for fragment, number, pixels in zip(*pairs[:, there].tolist(), shared[there].tolist(), strict=True):
        overlaps[fragment][number] = pixels
    area = tree.area
    for node in range(1, len(tree)):
        own = overlaps[node]
        if tree.children[node, 0]:
            first, second = tree.children[node]
            for part in (overlaps[first], overlaps[second]):
                for number, pixels in part.items():
                    own[number] = own.get(number, 0) + pixels
        best[node] = max((pixels / (area[node] + size[k] - pixels) for k, pixels in own.items()), default=0)
    return best


def known_nodes(tree: MergeTree, valid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Tell which nodes have a share of ``KNOWN`` of their pixels where labels, (H, W), are known; shape (N,)."""
    inside = np.bincount(tree.fragments[valid], minlength=tree.n_fragments + 1).astype(np.float64)
    return np.asarray(tree.add_up(inside) >= KNOWN * tree.area)


def _without_sam(config: Config) -> Config:
    return config.model_copy(update={"decode": config.decode.model_copy(update={"sam": False})})


def _share(labeled_images: Sequence[LabeledImage], images: int) -> Iterator[LabeledImage]:
    """Give at most so many labeled images of each source."""
    for own in by_source(labeled_images):
        yield from evenly_spaced(own, min(1.0, images / len(own)))
