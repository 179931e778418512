"""Scores of the whole pipeline on validation images."""

from collections.abc import Sequence

import numpy as np

from autosam.config import Config
from autosam.data import Scene
from autosam.metrics import AveragePrecision, ForegroundOverlap, average_precision, foreground_overlap
from autosam.networks import Networks
from autosam.pipeline import Segmenter


def validate(networks: Networks, config: Config, scenes: Sequence[Scene]) -> dict[str, float]:
    """Segment scenes as a user would and score them, pooled over the scenes.

    Parameters
    ----------
    networks : Networks
        In evaluation mode.
    config : Config
    scenes : sequence of Scene
        At most ``training.validation_images`` of them are used, evenly spaced.

    Returns
    -------
    dict of str to float
        ``ap50``, ``ap75`` and ``mean_ap`` of the pipeline, ``generator_ap50``, ``generator_ap75`` and
        ``generator_mean_ap`` of the generator's basins, and foreground ``iou``. An AP without any object on
        either side is 0.
    """
    count = min(len(scenes), config.training.validation_images)
    chosen = [scenes[index] for index in np.linspace(0, len(scenes) - 1, count).round().astype(int)]
    # Scenes are normalized already; a second clipping would change them.
    images = config.images.model_copy(update={"low": 0.0, "high": 100.0})
    segmenter = Segmenter(networks, config.model_copy(update={"images": images}))
    counts: dict[str, list[AveragePrecision]] = {"": [], "generator_": []}
    overlaps: list[ForegroundOverlap] = []
    for scene in chosen:
        result = segmenter.segment(scene.image)
        counts[""].append(average_precision(result.labels, scene.labels, empty_value=0.0))
        counts["generator_"].append(average_precision(result.basins, scene.labels, empty_value=0.0))
        overlaps.append(foreground_overlap(result.labels, scene.labels))
    scores = {}
    for prefix, results in counts.items():
        pooled = AveragePrecision.pooled(results)
        scores[f"{prefix}ap50"] = round(pooled.at(0.5), 4)
        scores[f"{prefix}ap75"] = round(pooled.at(0.75), 4)
        scores[f"{prefix}mean_ap"] = round(pooled.mean, 4)
    scores["iou"] = round(ForegroundOverlap.pooled(overlaps).iou, 4)
    return scores
