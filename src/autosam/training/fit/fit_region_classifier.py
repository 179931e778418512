"""Fit the region classifier of a model to what its generator makes of the training images."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from autosam.config import Config
from autosam.data.folders import LabeledImage
from autosam.errors import InputError
from autosam.models.files.checkpoint import REGION_CLASSIFIER
from autosam.models.files.model_file import load_networks
from autosam.models.networks import Networks
from autosam.models.statistics.region_classifier import RegionClassifier
from autosam.training.fit.model_part import fitting_config, write_part
from autosam.training.fit.training_regions import TrainingRegions, training_regions

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
    """Train a region classifier on the candidates that a model's own generator gives in its training images.

    A generator that knows its training images by heart makes them look easier than any other, and the region
    classifier is then too confident; that of `fold_regions` is not.

    Parameters
    ----------
    networks, config, labeled_images, images, report
        See `training_regions`; ``seed`` draws the shares. The images are those that the networks were trained on.

    Returns
    -------
    RegionClassifier or None
        None where `training_regions` gives None, or fewer than ``LEAST_CANDIDATES`` candidates.
    """
    regions = training_regions(networks, config, labeled_images, images=images, report=report)
    return fit_to_regions(regions, config)


def fit_to_regions(regions: TrainingRegions | None, config: Config) -> RegionClassifier | None:
    """Train a region classifier on described candidates; None for fewer than ``LEAST_CANDIDATES``."""
    diameter = config.images.diameter
    if regions is None or len(regions) < LEAST_CANDIDATES or diameter is None:
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
    forest.fit(regions.features, regions.scores, regions.weights / regions.weights.mean())
    return from_forest(forest, diameter=diameter * config.images.zoom)


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
        raise InputError(none_of(path, len(labeled_images)))
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


def none_of(path: Path, number: int) -> str:
    """Say why so many images gave no region classifier."""
    return (
        f"{number} training images give no region classifier for {path}: its generator has no maps of foreground "
        "and center or boundary, or is not asked (prompts.method), the model does not know its objects' diameter, "
        "or they hold too few objects"
    )


def _rounded_down(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """Give the largest float32 that is not above each value: the same float32 features lie below it."""
    rounded = values.astype(np.float32)
    return np.where(rounded > values, np.nextafter(rounded, np.float32(-np.inf)), rounded)
