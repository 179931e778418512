"""Thresholds that suit a model best: coordinate descent on a score of labeled images."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isnan, nan
from typing import Any

import numpy as np
import yaml

from autosam.config import Config, Metric, load_config
from autosam.data import LabeledImage
from autosam.errors import ConfigError
from autosam.evaluation.axes import PIPELINE, Axis
from autosam.evaluation.chosen_by import score_by
from autosam.evaluation.step_cache import StepCache
from autosam.metrics import AdaptedRand, AveragePrecision, adapted_rand, average_precision, contingency_table
from autosam.pipeline.segmenter import Segmenter

CANDIDATES = {
    "prompts.foreground": ("0.3", "0.4", "0.5", "0.6", "0.7", "0.8"),
    "prompts.boundary": ("0.1", "0.2", "0.3", "0.4", "0.5", "0.6", "0.7"),
    "prompts.center": ("0.3", "0.4", "0.5", "0.6", "0.7"),
    "prompts.join": ("0.2", "0.3", "0.4", "0.5", "0.6", "0.7", "0.8"),
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
    change : str
        What was changed of the best settings before, as ``merge.iou=0.4``; empty for the start.
    ap50, ap75, mean_ap : float
        Pooled over the images; 0 without an object on either side.
    a_rand : float
        Adapted Rand error as SNEMI3D has it, pooled over the images; NaN without true objects.
    from_sam : float
        Share of the objects found whose outline is SAM's; the others are the generator's own regions. NaN without
        an object.
    """

    config: Config
    change: str
    ap50: float
    ap75: float
    mean_ap: float
    a_rand: float
    from_sam: float

    def score(self, metric: Metric) -> float:
        """Give the score to be raised: mean AP, or 1 − the adapted Rand error, 0 where that is undefined."""
        return score_by(metric, mean_ap=self.mean_ap, a_rand=self.a_rand)


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

    Raises
    ------
    ConfigError
        If nothing is left, or the start cannot take a value: every fault in one line.
    """
    channels = () if config.model.generator is None else config.model.generator.channels
    idle = {f"prompts.{name}" for name in ("foreground", "boundary", "center") if name not in channels}
    if region_classifier and config.prompts.region_classifier:
        idle |= {"prompts.boundary", "prompts.center", "prompts.join"}
    else:
        idle.add("prompts.min_region_score")
    if not channels or config.prompts.method == "grid":
        idle |= {key for key in CANDIDATES if key.startswith("prompts.")} | {"merge.fallback"}
    idle.add("prompts.join" if config.prompts.join is None else "prompts.center")
    if "foreground" not in channels:
        idle.add("merge.fallback")
    if not config.decode.sam:
        idle |= {key for key in CANDIDATES if key.startswith("merge.")}
    values = {key: listed for key, listed in CANDIDATES.items() if key not in idle}
    values |= {axis.key: axis.values for axis in given}
    axes = [Axis(key, listed) for key, listed in values.items() if len(listed) > 1]
    if not axes:
        raise ConfigError("every setting is fixed, so nothing is left to tune; give --set fewer single values")
    faults = []
    for axis in axes:
        for value in axis.values:
            try:
                _with(config, axis.key, value)
            except ConfigError as error:
                faults.append(f"{axis.key}={value}: {error}")
    if faults:
        raise ConfigError("; ".join(faults))
    return axes


def tune(
    segmenter: Segmenter,
    start: Config,
    axes: Sequence[Axis],
    labeled_images: Sequence[LabeledImage],
    *,
    metric: Metric = "mean_ap",
) -> Iterator[Tried]:
    """Search for the settings with the best score, pooled over images.

    One setting after the other takes the candidate that is best while the others stay, round after round until
    none is better. Of candidates that are equally good, the nearest to the value before is taken.

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
    metric : {"mean_ap", "a_rand"}
        The score that is raised; see `Tried.score`.

    Yields
    ------
    Tried
        All settings that are scored, each once, the start first. The first one with the highest score is the
        result.

    Raises
    ------
    AutosamError
        If the images cannot be segmented with the start's settings.
    """
    steps = StepCache(segmenter, [one.image for one in labeled_images], zooms=[one.zoom for one in labeled_images])
    best = _score(steps, start, "", labeled_images)
    yield best
    scored = {start}
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
                if config in scored:
                    # It was no better than what was best then, and nothing is worse now.
                    continue
                scored.add(config)
                tried = _score(steps, config, f"{axis.key}={value}", labeled_images)
                yield tried
                if tried.score(metric) > best.score(metric):
                    best, risen = tried, True


def tuned_yaml(found: Config, own: Config, keys: Sequence[str], comments: Sequence[str]) -> str:
    """Write the settings that were found as a config file.

    Parameters
    ----------
    found, own : Config
        What was found, and the settings that the model brings: over them, the file gives what was found.
    keys : sequence of str
        The settings that were searched. The file has these, and those that differ from the model's own.
    comments : sequence of str
        Lines above the settings.
    """
    now, before = (config.model_dump(mode="json", include=set(PIPELINE)) for config in (found, own))
    sections = {
        section: {
            key: value
            for key, value in now[section].items()
            if f"{section}.{key}" in keys or value != before[section][key]
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


def _score(steps: StepCache, config: Config, change: str, labeled_images: Sequence[LabeledImage]) -> Tried:
    found = [steps.segment(index, config) for index in range(len(labeled_images))]
    tables = [
        contingency_table(one.labels, true.labels, valid=true.valid)
        for one, true in zip(found, labeled_images, strict=True)
    ]
    pooled = AveragePrecision.pooled([average_precision(table=table) for table in tables])
    rand = AdaptedRand.pooled([adapted_rand(table=table) for table in tables])
    ap50, ap75, mean_ap = (0.0 if isnan(ap) else ap for ap in (pooled.at(0.5), pooled.at(0.75), pooled.mean))
    answered = np.concatenate([one.prompt_of for one in found]) >= 0
    from_sam = float(answered.mean()) if answered.size else nan
    return Tried(config, change, ap50, ap75, mean_ap, rand.error, from_sam)


def _nearest_first(values: Sequence[str], now: Any) -> list[str]:
    """Sort numbers by their distance to the value that stands; other values keep their order."""
    try:
        return sorted(values, key=lambda value: abs(float(value) - float(now)))
    except (TypeError, ValueError):
        return list(values)


def _with(config: Config, key: str, value: str) -> Config:
    return load_config(overrides=[f"{key}={value}"], defaults=config.model_dump(mode="json"))
