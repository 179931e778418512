"""Score a model on the sources that it lacks, and on the val images of those that it has."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sources_data import ALL, Part, Study
from sources_log import Row, count_matches, cpu_seconds, replace_rows, scored

from autosam import Segmenter
from autosam.config import Config
from autosam.data import LabeledImage
from autosam.errors import ConfigError
from autosam.evaluation.axes import PIPELINE, combinations, overrides, parse_axes
from autosam.evaluation.step_cache import StepCache
from autosam.metrics import average_precision
from autosam.models.files.model_header import read_header, trained_sources
from autosam.pipeline.model_settings import settings_for

HASH = 12
Find = Callable[[LabeledImage], Iterator[NDArray[np.integer[Any]]]]
"""Gives the labels of an image with each setting, in order."""


@dataclass(frozen=True)
class Model:
    """A model file, and what it was trained on.

    Attributes
    ----------
    recipe : str
        Under which it stands in the log.
    path : Path
    lacks : list of str
        The sources that it was not trained on.
    train_cpu_s : float
        CPU seconds of its training; NaN where that is not known.
    """

    recipe: str
    path: Path
    lacks: list[str]
    train_cpu_s: float

    @property
    def without(self) -> str:
        """Name of the run."""
        return "+".join(self.lacks) or ALL


def describe_model(study: Study, path: Path, *, recipe: str, home: Sequence[str] = ()) -> Model:
    """Find out what a model was trained on.

    Parameters
    ----------
    recipe : str
        Under which it is to stand in the log.
    home : sequence of str
        Sources that it was trained on; by default those that its header names.
    """
    if unknown := [name for name in home if name not in {*study.names, *study.folders}]:
        raise ConfigError(f"no source {', '.join(unknown)} in the recipe; it has {', '.join(study.names)}")
    trained = set(home) or trained_sources(read_header(path).training)
    if not trained:
        raise ConfigError(f"{path} does not tell what it was trained on; name the sources with --home")
    return Model(recipe, path, study.lacked_by(trained), cpu_seconds(path.parent))


def settings_of(model: Model, given: Sequence[str]) -> dict[str, Config]:
    """Resolve the settings to score with: each combination of values over the model's own.

    Returns
    -------
    dict of str to Config
        By what was set, as ``prompts.foreground=0.6 merge.min_score=0.4``; empty for the model's own.
    """
    own = read_header(model.path).settings
    found = {}
    for combination in combinations(parse_axes(given)):
        listed = overrides(combination)
        found[" ".join(listed)] = settings_for(model.path, own, overrides=listed)
    if len({config.images for config in found.values()}) > 1:
        raise ConfigError("--set gives images.* several values, which change the images; give one at a time")
    return found


def score_model(
    model: Model,
    study: Study,
    log: Path,
    *,
    given: Sequence[str] = (),
    most: int | None = None,
    again: bool = False,
    device: str = "auto",
) -> None:
    """Score a model and write its rows.

    Parameters
    ----------
    given : sequence of str
        ``section.key=value,value``: every combination is scored, and the networks run once for all of them.
    most : int, optional
        Most images of each source, evenly spaced.
    again : bool
        Score what the log has of the same model and settings, too.
    """
    model_hash = sha256(model.path.read_bytes()).hexdigest()[:HASH]
    settings = {label: (config, _hash(config, most)) for label, config in settings_of(model, given).items()}
    done = set() if again else scored(log)
    settings = {
        label: (config, digest)
        for label, (config, digest) in settings.items()
        if (model.recipe, model.without, label, digest, model_hash) not in done
    }
    if not settings:
        print(f"{model.recipe} without {model.without}: scored before")
        return
    segmenter = Segmenter.from_model(model.path, device=device)
    listed = [config for config, _ in settings.values()]

    def find(one: LabeledImage) -> Iterator[NDArray[np.integer[Any]]]:
        steps = StepCache(segmenter, [one.image], zooms=[one.zoom])
        return (steps.segment(0, config).labels for config in listed)

    digests = {label: digest for label, (_, digest) in settings.items()}
    images = study_images(study, model.lacks, listed[0], most)
    replace_rows(log, list(score_images(model, images, find, digests, model_hash)))


def study_images(
    study: Study, lacks: Sequence[str], config: Config, most: int | None
) -> Iterator[tuple[Part, list[LabeledImage]]]:
    """Give the images of every source, those that the model lacks first."""
    for name in sorted(study.names, key=lambda name: name not in lacks):
        place: Part = "abroad" if name in lacks else "home"
        yield place, study.images(name, place, config.images, most)


def score_images(
    model: Model,
    images: Iterator[tuple[Part, list[LabeledImage]]],
    find: Find,
    digests: Mapping[str, str],
    model_hash: str,
) -> Iterator[Row]:
    """Count matches image by image.

    Parameters
    ----------
    digests : mapping of str to str
        Hashes of the settings, in the order in which ``find`` gives their labels.
    """
    date = time.strftime("%Y-%m-%dT%H:%M:%S")
    for place, listed in images:
        began, objects = time.process_time(), 0
        for one in listed:
            for (label, digest), labels in zip(digests.items(), find(one), strict=True):
                counts = count_matches(average_precision(labels, one.labels, valid=one.valid))
                source, _, name = one.name.partition("/")
                run = (model.recipe, model.without, label, place, source, name)
                yield Row(*run, *counts, digest, model_hash, date, model.train_cpu_s)
            objects += int(one.labels.max(initial=0))
        spent = time.process_time() - began
        print(
            f"{model.recipe} without {model.without}: {listed[0].source} ({place}), {len(listed)} images, "
            f"{objects} objects, {spent:.0f} CPU s",
            flush=True,
        )


def _hash(config: Config, most: int | None) -> str:
    """Hash what the labels depend on, and how many images are scored."""
    text = config.model_dump_json(include=set(PIPELINE))
    return sha256(f"{text} {most}".encode()).hexdigest()[:HASH]
