"""Thresholds that suit a model best: coordinate descent on the mean AP of labeled images."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isnan, nan
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from autosam.config import Config, load_config
from autosam.data import LabeledImage
from autosam.errors import ConfigError
from autosam.metrics import AveragePrecision, average_precision
from autosam.pipeline.segmenter import Segmenter
from autosam.studies.axes import Axis
from autosam.studies.memory import remembered
from autosam.studies.settings import PIPELINE, as_normalized

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


def axes_for(config: Config, given: Sequence[Axis] = (), *, judged: bool = False) -> list[Axis]:
    """Choose what to search.

    Parameters
    ----------
    config : Config
        The start.
    given : sequence of Axis
        A key with several values is searched among these, one with a single value is not searched.
    judged : bool
        Whether the model has a region classifier: with it, boundary and center have next to no effect, without
        it, its own threshold has none.

    Returns
    -------
    list of Axis
        In the order of `CANDIDATES`, then of `given`, without what has no effect with the start's settings.
        Without SAM only the thresholds of the regions are left, without a generator only those of the masks.
    """
    keys = list(CANDIDATES)
    generator = config.model.generator
    if generator is None or config.prompts.method == "grid":
        keys = [key for key in keys if not key.startswith("prompts.") and key != "merge.fallback"]
    else:
        missing = {"foreground", "boundary", "center"} - set(generator.channels)
        keys = [key for key in keys if key.removeprefix("prompts.") not in missing]
        if "foreground" in missing:
            keys.remove("merge.fallback")
    idle = (
        {"prompts.boundary", "prompts.center"}
        if judged and config.prompts.region_classifier
        else {"prompts.min_region_score"}
    )
    keys = [key for key in keys if key not in idle]
    if not config.decode.sam:
        keys = [key for key in keys if not key.startswith("merge.")]
    values = {key: CANDIDATES[key] for key in keys}
    for axis in given:
        values[axis.key] = axis.values
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
    are equally good, the nearest to the value before is taken. Networks remember their answers, so that most
    candidates cost a fraction of a segmentation.

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

    Returns
    -------
    Tuned

    Raises
    ------
    AutosamError
        If the images cannot be segmented with the start's settings.
    """
    scored: dict[str, Tried] = {}

    def score(config: Config) -> Tried:
        key = config.model_dump_json()
        if key not in scored:
            candidate = Segmenter(segmenter.networks, as_normalized(config))
            prompt_of: list[NDArray[np.int64]] = []
            parts: list[AveragePrecision] = []
            for labeled_image in labeled_images:
                found = candidate.segment(labeled_image.image)
                prompt_of.append(found.prompt_of)
                parts.append(average_precision(found.labels, labeled_image.labels))
            pooled, answered = AveragePrecision.pooled(parts), np.concatenate(prompt_of) >= 0
            scored[key] = Tried(
                config,
                ap50=_defined(pooled.at(0.5)),
                ap75=_defined(pooled.at(0.75)),
                mean_ap=_defined(pooled.mean),
                from_sam=float(answered.mean()) if answered.size else nan,
            )
        return scored[key]

    with remembered(segmenter.networks):
        before = best = score(start)
        if report is not None:
            report("", "", before)
        risen = True
        while risen:
            risen = False
            for axis in axes:
                here = best
                for value in _nearest_first(axis.values, value_of(here.config, axis.key)):
                    try:
                        config = _with(here.config, axis.key, value)
                    except ConfigError:
                        # It went with the start, and does not go with what is better than that.
                        continue
                    known = len(scored)
                    tried = score(config)
                    if report is not None and len(scored) > known:
                        report(axis.key, value, tried)
                    if tried.mean_ap > best.mean_ap:
                        best, risen = tried, True
    return Tuned(
        before,
        best,
        tuple(axis.key for axis in axes),
        tried=len(scored),
        images=len(labeled_images),
        objects=sum(int(labeled_image.labels.max(initial=0)) for labeled_image in labeled_images),
    )


def tuned_yaml(tuned: Tuned, own: Config, comments: Sequence[str]) -> str:
    """Write the settings that were found as a config file.

    Parameters
    ----------
    tuned : Tuned
    own : Config
        The settings that the model brings: with it, the file gives what was found again.
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
    defaults: Mapping[str, Any] = config.model_dump(mode="json")
    return load_config(overrides=[f"{key}={value}"], defaults=defaults)


def _defined(score: float) -> float:
    return 0.0 if isnan(score) else score
