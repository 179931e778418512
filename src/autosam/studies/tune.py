"""Thresholds that suit a model best: coordinate descent on the mean AP of labeled images."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isnan, nan
from typing import Any

import numpy as np
import yaml

from autosam.config import Config, load_config
from autosam.data import LabeledImage
from autosam.errors import ConfigError
from autosam.metrics import AveragePrecision, average_precision
from autosam.pipeline.segmenter import Segmenter
from autosam.studies.axes import Axis
from autosam.studies.settings import PIPELINE
from autosam.studies.step_cache import StepCache

CANDIDATES = {
    "prompts.foreground": ("0.3", "0.4", "0.5", "0.6", "0.7", "0.8"),
    "prompts.boundary": ("0.3", "0.4", "0.5", "0.6", "0.7"),
    "prompts.center": ("0.3", "0.4", "0.5", "0.6", "0.7"),
    "prompts.min_region_score": ("0.2", "0.25", "0.3", "0.35", "0.4", "0.5"),
    "prompts.min_size": ("15", "30", "60", "120", "240"),
    "merge.min_score": ("0.1", "0.2", "0.3", "0.4", "0.5", "0.6", "0.7"),
    "merge.iou": ("0.3", "0.4", "0.5", "0.6", "0.7"),
    "merge.overlap": ("0.6", "0.7", "0.8", "0.9"),
    "merge.min_size": ("25", "50", "100", "200"),
    "merge.fallback": ("0.5", "0.6", "0.7", "0.8", "0.9", "1.0"),
}
"""What is tried, in the order of the pipeline; the start's own value is always one of them."""


@dataclass(frozen=True)
class Tried:
    """Settings and what they gave.

    Attributes
    ----------
    config : Config
        Every setting.
    ap50, ap75, mean_ap : float
        Pooled over the images; 0 without an object on either side.
    from_sam : float
        Share of the objects found whose outline is SAM's; the others are the generator's own regions. NaN without
        an object.
    """

    config: Config
    ap50: float
    ap75: float
    mean_ap: float
    from_sam: float


@dataclass(frozen=True)
class Tuned:
    """What a search found.

    Attributes
    ----------
    before, after : Tried
        The start, and the best; the same where nothing was better.
    keys : tuple of str
        The settings that were searched.
    tried : int
        How many different settings were scored.
    images, objects : int
        How many images, and true objects on them.
    """

    before: Tried
    after: Tried
    keys: tuple[str, ...]
    tried: int
    images: int
    objects: int


def axes_for(config: Config, given: Sequence[Axis] = (), *, region_classifier: bool = False) -> list[Axis]:
    """Choose what to search.

    Parameters
    ----------
    config : Config
        The start.
    given : sequence of Axis
        A key with several values is searched among these, one with a single value is not searched.
    region_classifier : bool
        Whether the model has one: with it, the thresholds of boundary and center have next to no effect, without
        it, that of its score has none.

    Returns
    -------
    list of Axis
        In the order of `CANDIDATES`, then of `given`, without what has no effect with the start's settings.
        Without SAM only the thresholds of the regions are left, without a generator only those of the masks.
    """
    channels = () if config.model.generator is None else config.model.generator.channels
    idle = {f"prompts.{name}" for name in ("foreground", "boundary", "center") if name not in channels}
    if region_classifier and config.prompts.region_classifier:
        idle |= {"prompts.boundary", "prompts.center"}
    else:
        idle.add("prompts.min_region_score")
    if "foreground" not in channels or config.prompts.method == "grid":
        idle.add("merge.fallback")
    if not channels or config.prompts.method == "grid":
        idle |= {key for key in CANDIDATES if key.startswith("prompts.")}
    if not config.decode.sam:
        idle |= {key for key in CANDIDATES if key.startswith("merge.")}
    values = {key: listed for key, listed in CANDIDATES.items() if key not in idle}
    values |= {axis.key: axis.values for axis in given}
    return [Axis(key, listed) for key, listed in values.items() if len(listed) > 1]


def check_axes(start: Config, axes: Sequence[Axis]) -> None:
    """Raise a ConfigError that names every value that the start cannot take."""
    if not axes:
        raise ConfigError("every setting is fixed, so nothing is left to tune; give --set fewer single values")
    faults = []
    for axis in axes:
        for value in axis.values:
            try:
                _with(start, axis.key, value)
            except ConfigError as error:
                faults.append(f"{axis.key}={value}: {error}")
    if faults:
        raise ConfigError("; ".join(faults))


def tune(
    segmenter: Segmenter,
    start: Config,
    axes: Sequence[Axis],
    labeled_images: Sequence[LabeledImage],
    *,
    report: Callable[[str, str, Tried], None] | None = None,
) -> Tuned:
    """Search for the settings with the best mean AP, pooled over images.

    One setting after the other takes the candidate that is best while the others stay, round after round until
    none is better: mean AP only rises, and the start's settings stay where nothing beats them. Of candidates that
    are equally good, the nearest to the value before is taken.

    Parameters
    ----------
    segmenter : Segmenter
        The model; its own settings are not used.
    start : Config
        Where the search begins; its ``model`` section is the model's.
    axes : sequence of Axis
        What is searched, in this order.
    labeled_images : sequence of LabeledImage
        At least one.
    report : callable, optional
        Called for all that is scored with key, value and what it gave; first with an empty key and value for the
        start.

    Raises
    ------
    AutosamError
        If the images cannot be segmented with the start's settings.
    """
    steps = StepCache(segmenter, [one.image for one in labeled_images])
    scored: dict[Config, Tried] = {}

    def score(config: Config, key: str = "", value: str = "") -> Tried:
        if config not in scored:
            scored[config] = _score(steps, config, labeled_images)
            if report is not None:
                report(key, value, scored[config])
        return scored[config]

    before = best = score(start)
    risen = True
    while risen:
        risen = False
        for axis in axes:
            here = best.config
            for value in _nearest_first(axis.values, value_of(here, axis.key)):
                try:
                    config = _with(here, axis.key, value)
                except ConfigError:
                    # It went with the start, and does not go with what is better than that.
                    continue
                tried = score(config, axis.key, value)
                if tried.mean_ap > best.mean_ap:
                    best, risen = tried, True
    return Tuned(
        before,
        best,
        tuple(axis.key for axis in axes),
        tried=len(scored),
        images=len(labeled_images),
        objects=sum(int(one.labels.max(initial=0)) for one in labeled_images),
    )


def _score(steps: StepCache, config: Config, labeled_images: Sequence[LabeledImage]) -> Tried:
    found = [steps.segment(index, config) for index in range(len(labeled_images))]
    pooled = AveragePrecision.pooled(
        [average_precision(one.labels, true.labels) for one, true in zip(found, labeled_images, strict=True)]
    )
    answered = np.concatenate([one.prompt_of for one in found]) >= 0
    return Tried(
        config,
        ap50=_defined(pooled.at(0.5)),
        ap75=_defined(pooled.at(0.75)),
        mean_ap=_defined(pooled.mean),
        from_sam=float(answered.mean()) if answered.size else nan,
    )


def tuned_yaml(tuned: Tuned, own: Config, comments: Sequence[str]) -> str:
    """Write the settings that were found as a config file.

    Parameters
    ----------
    tuned : Tuned
        What was found.
    own : Config
        The settings that the model brings: over them, the file gives the settings that were found.
    comments : sequence of str
        Lines above the settings.

    Returns
    -------
    str
        YAML of the settings that were searched and of those that differ from the model's own.
    """
    found, brought = (
        config.model_dump(mode="json", include=set(PIPELINE)) for config in (tuned.after.config, own)
    )
    sections = {
        section: {
            key: value
            for key, value in found[section].items()
            if f"{section}.{key}" in tuned.keys or value != brought[section][key]
        }
        for section in PIPELINE
    }
    body = yaml.safe_dump({name: values for name, values in sections.items() if values}, sort_keys=False)
    # A path may hold a line end, which would end the comment.
    return "".join(f"# {' '.join(line.split())}\n" for line in comments) + body


def value_of(config: Config, key: str) -> Any:
    """Look a setting up by its dotted path."""
    values: Any = config.model_dump(mode="json")
    for part in key.split("."):
        values = values[part]
    return values


def _nearest_first(values: Sequence[str], now: Any) -> list[str]:
    """Sort numbers by their distance to the value that stands; other values keep their order."""
    try:
        return sorted(values, key=lambda value: abs(float(value) - float(now)))
    except (TypeError, ValueError):
        return list(values)


def _with(config: Config, key: str, value: str) -> Config:
    return load_config(overrides=[f"{key}={value}"], defaults=config.model_dump(mode="json"))


def _defined(score: float) -> float:
    return 0.0 if isnan(score) else score
