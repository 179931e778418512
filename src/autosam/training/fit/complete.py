"""The last act of a run: its model file gets all that is fitted to the training images."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from autosam.config import Config
from autosam.data import LabeledImage
from autosam.training.fit.fit_novelty import complete_statistics
from autosam.training.fit.fit_region_classifier import complete_region_classifier
from autosam.training.fit.fit_thresholds import complete_thresholds


def complete_model(
    path: Path,
    config: Config,
    labeled_images: Sequence[LabeledImage],
    held_out: Sequence[LabeledImage],
    val_images: Sequence[LabeledImage],
    *,
    device: torch.device,
    say: Callable[[str], None],
) -> str:
    """Add novelty statistics and, where they are asked for, a region classifier and thresholds.

    Parameters
    ----------
    labeled_images, held_out : sequence of LabeledImage
        What the networks were trained on, and what thresholds are fitted to, as `hold_out` divides them.
    val_images : sequence of LabeledImage
        Scored with fitted thresholds; none of them chooses anything here.
    say : callable
        Called with how far a long search is.

    Returns
    -------
    str
        What could not be fitted, and which thresholds were chosen; empty where there is nothing to say.
    """
    settings, said = config.training, []
    complete_statistics(path, labeled_images, seed=config.seed, device=device)
    images = settings.region_classifier_images
    if images and not complete_region_classifier(path, labeled_images, images=images, seed=config.seed):
        said.append(
            "the model has no region classifier: its training images give too few candidates "
            "(training.region_classifier_images)"
        )
    if held_out:
        say(f"fitting thresholds to {len(held_out)} held-out images")
        said.append(complete_thresholds(path, config, held_out, val_images, device=device, say=say))
    return "; ".join(filter(None, said))
