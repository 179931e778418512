"""Fit the region classifier of a model to what its generator makes of the training images."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from autosam.config import Config
from autosam.data.folders import LabeledImage, evenly_spaced
from autosam.errors import InputError
from autosam.images import resize_labels
from autosam.models.files.checkpoint import REGION_CLASSIFIER
from autosam.models.files.model_file import load_networks
from autosam.models.networks import Networks
from autosam.models.statistics.region_classifier import RegionClassifier, target_score
from autosam.pipeline.propose import candidate_regions
from autosam.pipeline.segmenter import Segmenter
from autosam.regions import MergeTree
from autosam.training.fit.model_part import fitting_config, write_part

if TYPE_CHECKING:
    from sklearn.ensemble import GradientBoostingRegressor

LEAST_CANDIDATES = 200
"""Fewer candidates teach nothing about objects."""

TREES, DEPTH, RATE = 300, 5, 0.05
SAMPLE, FEATURE_SHARE, LEAST_IN_LEAF = 0.5, 0.4, 20
"""Shares of the candidates and of the features that a tree, or a node, learns from, and candidates in a leaf."""


def fit_region_classifier(
    networks: Networks,
    config: Config,
    labeled_images: Sequence[LabeledImage],
    *,
    images: int,
    report: Callable[[int, int], None] | None = None,
) -> RegionClassifier | None:
    """Train a region classifier on the candidates that the generator gives in training images.

    A generator that knows its training images by heart makes them look easier than any other, and the region
    classifier is then too confident.

    Parameters
    ----------
    networks : Networks
        In evaluation mode.
    config : Config
        What they segment with: the candidates are those that `Segmenter` would make. ``seed`` draws the shares.
    labeled_images : sequence of LabeledImage
        What the networks were trained on, normalized.
    images : int
        Most images of each source, evenly spaced.
    report : callable, optional
        Called with the number of images done and to do.

    Returns
    -------
    RegionClassifier or None
        None where there is no generator with a foreground map and one of center or boundary, where it is not asked
        (``prompts.method``), where the objects' diameter is not known, or where the images give fewer than
        ``LEAST_CANDIDATES`` candidates.
    """
    diameter = config.images.diameter
    if diameter is None or not config.gives_candidate_regions:
        return None
    # An earlier region classifier has no say, neither here nor where the scale of an image is found.
    segmenter = Segmenter(replace(networks, region_classifier=None), _without_sam(config))
    typical = diameter * config.images.zoom
    described: list[NDArray[np.float32]] = []
    region_scores: list[NDArray[np.float64]] = []
    weights: list[NDArray[np.float64]] = []
    chosen = list(_share(labeled_images, images))
    for done, labeled_image in enumerate(chosen, start=1):
        view = segmenter.view(labeled_image.image, normalized=True)
        if maps := segmenter.predict(view).probabilities:
            tree, features = candidate_regions(maps, view.seen, config.prompts, diameter=typical)
            if len(tree) > 1:
                truth = resize_labels(labeled_image.labels, view.grid)
                known = np.ones(len(tree) - 1, bool)
                if labeled_image.valid is not None:
                    valid = resize_labels(labeled_image.valid.astype(np.uint8), view.grid) > 0
                    known = known_nodes(tree, valid)[1:]
                described.append(features[1:][known])
                region_scores.append(target_score(best_ious(tree, truth)[1:])[known])
                # An image with many objects counts more than one with few, but not so many times more.
                weights.append(np.full(known.sum(), 1 / np.sqrt(max(1, known.sum()))))
        if report is not None:
            report(done, len(chosen))
    if sum(map(len, described)) < LEAST_CANDIDATES:
        return None
    # Only here: segmenting needs no scikit-learn, and importing it takes long.
    from sklearn.ensemble import GradientBoostingRegressor

    forest = GradientBoostingRegressor(
        n_estimators=TREES,
        max_depth=DEPTH,
        learning_rate=RATE,
        subsample=SAMPLE,
        max_features=FEATURE_SHARE,
        min_samples_leaf=LEAST_IN_LEAF,
        random_state=config.seed,
    )
    weight = np.concatenate(weights)
    forest.fit(np.concatenate(described), np.concatenate(region_scores), weight / weight.mean())
    return from_forest(forest, diameter=typical)


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
    """Tell which nodes have at least nine tenths of their pixels where labels, (H, W), are known; shape (N,)."""
    inside = np.bincount(tree.fragments[valid], minlength=tree.n_fragments + 1).astype(np.float64)
    return np.asarray(tree.add_up(inside) >= 0.9 * tree.area)


def from_forest(forest: "GradientBoostingRegressor", *, diameter: float) -> RegionClassifier:
    """Write a fitted forest of scikit-learn as a region classifier, which needs no scikit-learn."""
    trees = [estimator.tree_ for estimator in forest.estimators_[:, 0]]
    shape = len(trees), max(tree.node_count for tree in trees)
    feature = np.full(shape, -1, dtype=np.int16)
    left, right = np.zeros(shape, dtype=np.int16), np.zeros(shape, dtype=np.int16)
    threshold, value = np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=np.float32)
    for row, tree in enumerate(trees):
        inner = np.flatnonzero(tree.children_left >= 0)
        feature[row, inner] = tree.feature[inner]
        left[row, inner], right[row, inner] = tree.children_left[inner], tree.children_right[inner]
        threshold[row, inner] = _rounded_down(tree.threshold[inner])
        leaves = np.flatnonzero(tree.children_left < 0)
        value[row, leaves] = forest.learning_rate * tree.value[leaves, 0, 0]
    start = np.float32(forest.init_.constant_.item())
    return RegionClassifier(
        feature, threshold, left, right, value, start, np.int64(forest.n_features_in_), np.float32(diameter)
    )


def add_region_classifier(
    path: Path,
    labeled_images: Sequence[LabeledImage],
    *,
    images: int,
    seed: int = 0,
    report: Callable[[int, int], None] | None = None,
) -> RegionClassifier:
    """Put a region classifier into a model file, or replace the one that is there.

    Parameters
    ----------
    path : Path
        Replaced when the new file is whole.
    labeled_images, images, report
        See `fit_region_classifier`.
    seed : int
        Draws the shares.

    Raises
    ------
    ModelError
        If the file cannot be read.
    InputError
        If there is no region classifier to be had: see `fit_region_classifier`.
    OutputError
        If the file cannot be written.
    """
    region_classifier = _add(path, labeled_images, images=images, seed=seed, report=report)
    if region_classifier is None:
        raise InputError(
            f"{len(labeled_images)} training images give no region classifier for {path}: its generator has "
            "no maps of foreground and center or boundary, or is not asked (prompts.method), the model does not "
            "know its objects' diameter, or they hold too few objects"
        )
    return region_classifier


def complete_region_classifier(
    path: Path, labeled_images: Sequence[LabeledImage], *, images: int, seed: int
) -> bool:
    """Do the same as `add_region_classifier` where the file has none yet; False where none can be fitted."""
    networks, _ = load_networks(path)
    if networks.region_classifier is not None:
        return True
    return _add(path, labeled_images, images=images, seed=seed, report=None) is not None


def _add(
    path: Path,
    labeled_images: Sequence[LabeledImage],
    *,
    images: int,
    seed: int,
    report: Callable[[int, int], None] | None,
) -> RegionClassifier | None:
    """Train and write; None, and nothing written, where there is no region classifier."""
    networks, header = load_networks(path)
    config = fitting_config(header, seed=seed)
    region_classifier = fit_region_classifier(networks, config, labeled_images, images=images, report=report)
    if region_classifier is not None:
        write_part(path, REGION_CLASSIFIER, region_classifier.state_dict())
    return region_classifier


def _without_sam(config: Config) -> Config:
    return config.model_copy(update={"decode": config.decode.model_copy(update={"sam": False})})


def _share(labeled_images: Sequence[LabeledImage], images: int) -> Iterator[LabeledImage]:
    """Give at most so many labeled images of each source."""
    for name in sorted({labeled_image.source for labeled_image in labeled_images}):
        own = [labeled_image for labeled_image in labeled_images if labeled_image.source == name]
        yield from evenly_spaced(own, min(1.0, images / len(own)))


def _rounded_down(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """Give the largest float32 that is not above each value: the same float32 features lie below it."""
    rounded = values.astype(np.float32)
    return np.where(rounded > values, np.nextafter(rounded, np.float32(-np.inf)), rounded)
