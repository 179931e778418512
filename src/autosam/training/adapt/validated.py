"""Models that compete on the labels that were left out: old and new weights, with old and fitted thresholds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from autosam.config import Config, Metric
from autosam.data import LabeledImage
from autosam.evaluation.axes import Axis
from autosam.evaluation.chosen_by import score_by
from autosam.metrics import AdaptedRand, AveragePrecision, adapted_rand, average_precision, contingency_table
from autosam.metrics.contingency import ContingencyTable
from autosam.models.networks import Networks
from autosam.pipeline.segmenter import Segmenter
from autosam.prompts import ground_truth_prompts
from autosam.training.adapt.few_labels import zoom_by_objects
from autosam.training.fit.fit_thresholds import fit_thresholds

OF_REGIONS = frozenset(
    {
        "prompts.foreground",
        "prompts.boundary",
        "prompts.center",
        "prompts.join",
        "prompts.min_region_score",
    }
)
"""Thresholds that are fitted to few objects where the generator's regions are the result. Those of sizes and
overlaps belong to the kind of objects."""

OF_MASKS = frozenset({"prompts.foreground", "prompts.min_region_score", "merge.min_score", "merge.fallback"})
"""The same where SAM is asked, which takes long after each change of its prompts."""

LEAST_FITTED = 2
"""Objects without which no thresholds are fitted."""

GAIN = 0.01
"""What fitted thresholds have to gain: they are chosen on the same objects as they are scored."""


LEAST_SIZED, SMALL = 4, 0.05
"""Objects that tell how small they can be, and the share of them that counts as unusually small."""

TIE = 1e-3
"""How much the IoU of the foreground counts beside the score, so that it decides where that is the same."""


@dataclass(frozen=True, eq=False)
class Competitor:
    """Settings, and what they find in the labels that were left out.

    Attributes
    ----------
    config : Config
    tables : tuple of ContingencyTable
        One per image; none where nothing was left out.
    score : float
        By ``training.metric``; 0 where nothing was left out.
    """

    config: Config
    tables: tuple[ContingencyTable, ...]
    score: float

    @property
    def rank(self) -> float:
        """The score, and a little for the foreground: of few objects, often all are found or none."""
        seen = [table.foreground for table in self.tables]
        both = sum(one.both for one in seen)
        either = sum(one.pred + one.truth for one in seen) - both
        return self.score + TIE * both / max(1, either)


def compete(
    networks: Networks, config: Config, labeled_images: Sequence[LabeledImage], metric: Metric
) -> Competitor:
    """Score networks, in evaluation mode, on labeled images; there may be none.

    SAM is asked about the boxes of the true objects where the settings ask no generator.
    """
    boxed = config.prompts.method in ("grid", "user")
    prompts = config.prompts.model_copy(update={"method": "user"}) if boxed else config.prompts
    segmenter = Segmenter(networks, config.model_copy(update={"prompts": prompts}))
    tables = []
    for one in labeled_images:
        asked = ground_truth_prompts(one.labels, points=0, box_margin=0.0) if boxed else None
        found = segmenter.segment(one.image, zoom=one.zoom, prompts=asked, normalized=True)
        tables.append(contingency_table(found.labels, one.labels, valid=one.valid))
    return Competitor(config, tuple(tables), pooled_score(tables, metric))


def pooled_score(tables: Sequence[ContingencyTable], metric: Metric) -> float:
    """Give the score, pooled over images, that models are chosen by; 0 for none."""
    if not tables:
        return 0.0
    pooled = AveragePrecision.pooled([average_precision(table=table, empty_value=0.0) for table in tables])
    rand = AdaptedRand.pooled([adapted_rand(table=table) for table in tables])
    return score_by(metric, mean_ap=pooled.mean, a_rand=rand.error)


def with_thresholds(
    competitor: Competitor, networks: Networks, labeled_images: Sequence[LabeledImage], metric: Metric
) -> Competitor:
    """Fit thresholds, and give what they find, or the same where they gain too little."""
    keys = OF_MASKS if competitor.config.refines_regions else OF_REGIONS
    _, best = fit_thresholds(networks, competitor.config, labeled_images, metric=metric, only=keys)
    if best.score(metric) < competitor.score + GAIN:
        return competitor
    return compete(networks, best.config, labeled_images, metric)


def with_smallest_size(
    networks: Networks, config: Config, labeled_images: Sequence[LabeledImage], metric: Metric
) -> Config:
    """Fit the smallest size of instances, or give the same settings where it gains too little.

    Labels of a handful of objects tell their sizes, long before they tell other thresholds. So all of them can be
    used, with the old weights, for which reviewed places are as hard as any others.

    Parameters
    ----------
    networks : Networks
        The old ones, in evaluation mode.
    labeled_images : sequence of LabeledImage
        All labels.
    """
    sizes = smallest_sizes(labeled_images, config)
    if not sizes or config.prompts.method in ("grid", "user"):
        return config
    own, best = fit_thresholds(networks, config, labeled_images, metric=metric, only=(), given=sizes)
    return best.config if best.score(metric) >= own.score(metric) + GAIN else config


def smallest_sizes(labeled_images: Sequence[LabeledImage], config: Config) -> list[Axis]:
    """Give the smallest sizes of instances to try: a quarter and a half of what nearly all objects exceed.

    Parameters
    ----------
    config : Config
        Its ``merge.min_size`` is tried as well, and nothing below it.

    Returns
    -------
    list of Axis
        One of ``merge.min_size``, in pixels as the networks see the images; none for fewer than ``LEAST_SIZED``
        objects, or small ones.
    """
    with_objects = [one for one in labeled_images if one.labels.any()]
    found = (zoom_by_objects(with_objects, config) if with_objects else None) or 1.0
    zooms = [(found if one.zoom is None else one.zoom) * config.images.zoom for one in labeled_images]
    areas = [
        np.bincount(one.labels.ravel())[1:] * zoom**2 for one, zoom in zip(labeled_images, zooms, strict=True)
    ]
    there = np.concatenate([own[own > 0] for own in areas]) if areas else np.zeros(0)
    if len(there) < LEAST_SIZED:
        return []
    own, least = config.merge.min_size, float(np.quantile(there, SMALL))
    larger = [size for size in (round(least / 4), round(least / 2)) if size > own]
    return [Axis("merge.min_size", tuple(map(str, (own, *larger))))] if larger else []
