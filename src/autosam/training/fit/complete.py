"""The last act of a run: its model file gets all that is fitted to the training images."""

from collections.abc import Sequence
from pathlib import Path

import torch

from autosam.config import Config
from autosam.data import LabeledImage
from autosam.training.fit.fit_novelty import complete_statistics
from autosam.training.fit.fit_region_classifier import complete_region_classifier


def complete_model(
    path: Path, config: Config, labeled_images: Sequence[LabeledImage], *, device: torch.device
) -> str:
    """Add novelty statistics and, where it is asked for, a region classifier; say what could not be fitted."""
    complete_statistics(path, labeled_images, seed=config.seed, device=device)
    images = config.training.region_classifier_images
    if not images or complete_region_classifier(path, labeled_images, images=images, seed=config.seed):
        return ""
    return (
        "the model has no region classifier: its training images give too few candidates "
        "(training.region_classifier_images)"
    )
