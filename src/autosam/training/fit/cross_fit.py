"""Fit a region classifier to images that generators have not seen, and measure how right it is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from autosam.config import Config
from autosam.data.folders import LabeledImage
from autosam.errors import InputError
from autosam.models.files.checkpoint import REGION_CLASSIFIER, ModelHeader
from autosam.models.files.model_file import load_networks
from autosam.models.statistics.region_classifier import RegionClassifier
from autosam.training.fit.fit_region_classifier import fit_to_regions, none_of
from autosam.training.fit.model_part import fitting_config, write_part
from autosam.training.fit.training_regions import TrainingRegions, alike, by_source, joined, training_regions

OWN_SHARE = 0.25
"""How much the model's own candidates of one source count, relative to a fold."""
EDGES = (0.0, 0.1, 0.3, 0.5, 0.7, 1.0)
"""Region scores between which expected and reached scores are compared."""


@dataclass(frozen=True, eq=False)
class Fold:
    """A model, and labeled images that it was not trained on.

    Attributes
    ----------
    model : Path
        Its generator has the channels of the model that the region classifier is for.
    labeled_images : sequence of LabeledImage
        Normalized.
    """

    model: Path
    labeled_images: Sequence[LabeledImage]


class Reliability(NamedTuple):
    """What was expected of regions and what they reached, by the expected score.

    Attributes
    ----------
    regions : ndarray of int64, shape (5,)
        Number of regions between two ``EDGES``.
    expected, reached : ndarray of float64, shape (5,)
        Their mean region score, as predicted and by the labels; nan where there is none.
    """

    regions: NDArray[np.int64]
    expected: NDArray[np.float64]
    reached: NDArray[np.float64]


def fold_regions(
    config: Config, folds: Sequence[Fold], *, images: int, report: Callable[[int, int], None] | None = None
) -> list[TrainingRegions | None]:
    """Describe the candidate regions of every fold, which its own model makes.

    Parameters
    ----------
    config : Config
        That of the model that the region classifier is for: it says how candidates are made of maps, and the
        diameter that they are measured in.
    folds : sequence of Fold
        Usually one for each source, with the model that was trained on all the others.
    images : int
        Most images of each source of a fold, evenly spaced.
    report : callable, optional
        Called with the number of images of a fold done and to do.

    Returns
    -------
    list of TrainingRegions or None
        None for a fold without candidates; see `training_regions`.

    Raises
    ------
    ModelError
        If a file cannot be read.
    InputError
        If a generator has other channels than the model's.
    """
    parts = []
    for fold in folds:
        networks, header = load_networks(fold.model)
        own = _with_networks_of(config, header, fold.model)
        parts.append(training_regions(networks, own, fold.labeled_images, images=images, report=report))
    return parts


def fit_to_folds(
    parts: Sequence[TrainingRegions | None], config: Config, own: Sequence[TrainingRegions | None] = ()
) -> RegionClassifier | None:
    """Train a region classifier to which each fold counts as much as any other.

    Parameters
    ----------
    parts : sequence of TrainingRegions or None
        Of the folds; see `fold_regions`.
    own : sequence of TrainingRegions or None
        Candidates of the model itself in each source that it was trained on; each counts ``OWN_SHARE`` of a fold.

    Returns
    -------
    RegionClassifier or None
        None where there is nothing, or too little, to learn from; see `fit_to_regions`.
    """
    folds, known = (alike([part for part in of if part is not None]) for of in (parts, own))
    shares = [replace(part, weights=OWN_SHARE * part.weights) for part in known]
    return fit_to_regions(joined([*folds, *shares]), config)


def held_out_reliability(parts: Sequence[TrainingRegions | None], config: Config) -> list[Reliability | None]:
    """Score every fold by a region classifier of all others, and compare with what the regions are worth.

    None where the fold has no regions, or all others too few.
    """
    measured: list[Reliability | None] = []
    for number, part in enumerate(parts):
        others = [other for index, other in enumerate(parts) if index != number]
        classifier = fit_to_folds(others, config) if part else None
        if not part or classifier is None:
            measured.append(None)
        else:
            measured.append(reliability(classifier.score(part.features), part.scores))
    return measured


def reliability(expected: NDArray[np.floating], reached: NDArray[np.floating]) -> Reliability:
    """Average (N,) expected region scores, and the reached ones, between two ``EDGES`` each.

    A score at an edge belongs to those above it, and 1 to the last ones.

    Examples
    --------
    >>> reliability(np.array([0.0, 0.1, 0.2, 1.0]), np.array([0.0, 0.0, 0.5, 0.9])).reached
    array([0.  , 0.25,  nan,  nan, 0.9 ])
    """
    group = np.digitize(expected, EDGES[1:-1])
    number = len(EDGES) - 1
    count = np.bincount(group, minlength=number)
    sums = (np.bincount(group, weights=values, minlength=number) for values in (expected, reached))
    means = [np.where(count > 0, total / np.maximum(count, 1), np.nan) for total in sums]
    return Reliability(count.astype(np.int64), *means)


def add_cross_fitted_region_classifier(
    path: Path,
    folds: Sequence[Fold],
    *,
    images: int,
    own: Sequence[LabeledImage] = (),
    seed: int = 0,
    report: Callable[[int, int], None] | None = None,
) -> list[Reliability | None]:
    """Fit a region classifier to folds, and put it into a model file.

    Parameters
    ----------
    path : Path
        Replaced when the new file is whole.
    folds, images, report
        See `fold_regions`.
    own : sequence of LabeledImage
        Normalized images that the model itself was trained on. What its generator makes of them counts, too: see
        `fit_to_folds`. At most ``images`` of each source are taken. Without any, its generator is not asked.
    seed : int
        Draws the shares.

    Returns
    -------
    list of Reliability or None
        How right a region classifier of the other folds, without ``own``, is about each fold; see
        `held_out_reliability`.

    Raises
    ------
    ModelError
        If a file cannot be read.
    InputError
        If there is no region classifier to be had, or a generator has other channels.
    OutputError
        If the file cannot be written.
    """
    networks, header = load_networks(path)
    config = fitting_config(header, seed=seed)
    parts = fold_regions(config, folds, images=images, report=report)
    own_parts = [
        training_regions(networks, config, of_source, images=images, report=report) for of_source in by_source(own)
    ]
    region_classifier = fit_to_folds(parts, config, own_parts)
    if region_classifier is None:
        raise InputError(none_of(path, len(own) + sum(len(fold.labeled_images) for fold in folds)))
    write_part(path, REGION_CLASSIFIER, region_classifier.state_dict())
    return held_out_reliability(parts, config)


def _with_networks_of(config: Config, header: ModelHeader, path: Path) -> Config:
    """Give the settings of a model for the networks of another one, whose generator has the same channels."""
    model = fitting_config(header, seed=config.seed).model
    wanted, came = (None if of is None else of.channels for of in (config.model.generator, model.generator))
    if set(wanted or ()) != set(came or ()):
        raise InputError(
            f"the generator of {path} has the channels {_listed(came)}, wanted {_listed(wanted)} as in the model "
            "that the region classifier is for: name a model that was trained with the same ones"
        )
    return config.model_copy(update={"model": model})


def _listed(channels: Sequence[str] | None) -> str:
    return ", ".join(channels or ("none",))
