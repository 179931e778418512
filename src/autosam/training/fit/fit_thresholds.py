"""Thresholds that suit a trained model, chosen on training images that nothing else was learnt from."""

from collections import Counter
from collections.abc import Callable, Container, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from autosam.config import Config, Metric
from autosam.data.folders import LabeledImage
from autosam.errors import InputError
from autosam.evaluation.axes import Axis
from autosam.evaluation.tune import Tried, axes_for, tune
from autosam.models.files.checkpoint import load_model, save_model
from autosam.models.files.model_file import load_networks
from autosam.models.networks import Networks
from autosam.pipeline.segmenter import Segmenter
from autosam.training.fit.model_part import fitting_config
from autosam.training.run.validation import validate

FITTED = "thresholds"
"""Name, in the training summary of a model file, of what its thresholds were fitted to."""

SECTIONS = ("prompts", "merge")
"""Where thresholds are."""

TOLD_EVERY = 10
"""Settings that are tried between two messages."""

LEAST_LEFT = 2
"""Images of a source that are learnt from for each one that is held out."""


def hold_out(labeled_images: Sequence[LabeledImage], images: int) -> tuple[list[LabeledImage], list[LabeledImage]]:
    """Divide training images into those that are learnt from and those that thresholds are fitted to.

    Networks make fewer mistakes on what they were trained on, so thresholds that suit those images are wrong for
    all others. The last images of a source are held out: of a stack these are consecutive slices, of which only
    the first has a neighbor among the others.

    Parameters
    ----------
    labeled_images : sequence of LabeledImage
        Source by source.
    images : int
        Most images of each source that are held out, and at most one for each two that are left; 0 for none.

    Returns
    -------
    learnt, held_out : list of LabeledImage
        In the order of before.

    Raises
    ------
    InputError
        If images are to be held out and no source has enough.
    """
    learnt: list[LabeledImage] = []
    held: list[LabeledImage] = []
    for name in dict.fromkeys(labeled_image.source for labeled_image in labeled_images):
        own = [labeled_image for labeled_image in labeled_images if labeled_image.source == name]
        left = len(own) - min(images, len(own) // (LEAST_LEFT + 1))
        learnt += own[:left]
        held += own[left:]
    if images and not held:
        raise InputError(
            f"training.threshold_images holds out one training image of {LEAST_LEFT + 1}, and no source has so "
            "many: add images, or set it to 0 and fit thresholds with autosam tune"
        )
    return learnt, held


def fit_thresholds(
    networks: Networks,
    config: Config,
    labeled_images: Sequence[LabeledImage],
    *,
    metric: Metric,
    only: Container[str] | None = None,
    given: Sequence[Axis] = (),
    say: Callable[[str], None] | None = None,
) -> tuple[Tried, Tried]:
    """Search for the thresholds with the best score, from those of the settings on; see `tune`.

    Parameters
    ----------
    networks : Networks
        In evaluation mode.
    config : Config
        What they segment with.
    labeled_images : sequence of LabeledImage
        At least one, of those that the networks were not trained on.
    metric : {"mean_ap", "a_rand"}
    only : container of str, optional
        Keys of the thresholds that are searched; by default all that have an effect.
    given : sequence of Axis
        Settings that are searched among these values, whatever `only` says.
    say : callable, optional
        Called now and then with how far the search is.

    Returns
    -------
    before, after : Tried
        The same where nothing is better.

    Raises
    ------
    ConfigError
        If no threshold has an effect with these settings.
    """
    classifies = networks.region_classifier is not None
    axes = axes_for(config, given, region_classifier=classifies)
    if only is not None:
        axes = [axis for axis in axes if axis.key in only or axis in given]
    tried: list[Tried] = []
    for one in tune(Segmenter(networks, config), config, axes, labeled_images, metric=metric):
        tried.append(one)
        if say is not None and len(tried) % TOLD_EVERY == 0:
            best = _shown(max(tried, key=lambda one: one.score(metric)), metric)
            say(f"thresholds: {len(tried)} settings tried, the best has {metric} {best:.3f}")
    return tried[0], max(tried, key=lambda one: one.score(metric))


def complete_thresholds(
    path: Path,
    config: Config,
    held_out: Sequence[LabeledImage],
    val_images: Sequence[LabeledImage],
    *,
    device: torch.device,
    say: Callable[[str], None] | None = None,
) -> str:
    """Write fitted thresholds into the settings of a model file, unless it has such already.

    Parameters
    ----------
    path : Path
        Replaced when the new file is whole.
    config : Config
        The settings of the run.
    held_out : sequence of LabeledImage
        At least one.
    val_images : sequence of LabeledImage
        Their scores with the fitted thresholds take the place of those in the training summary.
    say : callable, optional
        Called now and then with how far the search is.

    Returns
    -------
    str
        What was chosen, and the scores before and after; empty where the file has fitted thresholds.

    Raises
    ------
    ModelError
        If the file cannot be read.
    OutputError
        If the file cannot be written.
    """
    networks, header = load_networks(path)
    if FITTED in header.training:
        return ""
    for network in networks.parts:
        network.to(device)
    metric = config.training.metric
    start = fitting_config(header, seed=config.seed)
    before, after = fit_thresholds(networks, start, held_out, metric=metric, say=say)
    # Not by name: a model is given away, and names of files may be those of patients.
    images = dict(Counter(labeled_image.source for labeled_image in held_out))
    old, new = (round(_shown(one, metric), 4) for one in (before, after))
    summary = {**header.training, FITTED: {"images": images, "metric": metric, "before": old, "after": new}}
    changed = changed_thresholds(before.config, after.config) or "nothing: no threshold is better"
    listed = ", ".join(f"{count} of {source}" for source, count in images.items())
    said = f"{metric} of held-out images ({listed}): {old:.3f} -> {new:.3f} by {changed}"
    if val_images and after is not before:
        scored = validate(networks, after.config.model_copy(update={"training": config.training}), val_images)
        summary |= {name: value for name, value in scored.scores.items() if name in header.training}
        said += f"; validation with that: {', '.join(f'{name} {v:.3f}' for name, v in scored.scores.items())}"
    settings = {**header.settings, **after.config.model_dump(mode="json", include=set(SECTIONS))}
    tensors, _ = load_model(path)
    save_model(path, tensors=tensors, metadata=replace(header, settings=settings, training=summary), half=True)
    return said


def changed_thresholds(before: Config, after: Config) -> str:
    """List the settings of `SECTIONS` that differ, with their new values; empty where none does."""
    old, new = (config.model_dump(mode="json", include=set(SECTIONS)) for config in (before, after))
    changed = [
        f"{section}.{key}={value}"
        for section in SECTIONS
        for key, value in new[section].items()
        if value != old[section][key]
    ]
    return ", ".join(changed)


def _shown(tried: Tried, metric: Metric) -> float:
    return tried.mean_ap if metric == "mean_ap" else tried.a_rand
