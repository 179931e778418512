"""Scores and pictures of the whole pipeline on validation images."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from autosam.config import Config, Metric
from autosam.data import LabeledImage
from autosam.errors import InputError
from autosam.evaluation.chosen_by import score_by
from autosam.metrics import AveragePrecision, Scores, average_precision, evaluate_pair, pool
from autosam.models.networks import Networks
from autosam.pipeline.segmenter import Segmenter
from autosam.prompts import ground_truth_prompts
from autosam.report.preview import preview

_Item = TypeVar("_Item")

SECONDS = "seconds_per_image"
"""The one score that is no property of the weights."""

BOX_PROMPTED = "box_"
"""Prefix of scores for which SAM was given boxes of the ground truth: they say nothing of finding objects."""

_COLUMNS = {
    "ap50": "ap50",
    "ap75": "ap75",
    "mean_ap": "mean_ap",
    "dice": "dice",
    "iou": "iou",
    "f1": "f1_50",
    "a_rand": "rand_error",
}
"""Names of scores, and of the columns of `Scores.row` that they are."""


@dataclass(frozen=True, eq=False)
class Validation:
    """Scores and pictures of one validation.

    Attributes
    ----------
    scores : dict of str to float
        By name, in an order that depends on the settings alone; see `validate`.
    previews : list of (str, ndarray of uint8, shape (h, w, 3))
        Names of labeled images and their results beside the ground truth.
    metric : {"mean_ap", "a_rand"}
        That of the settings.
    """

    scores: dict[str, float]
    previews: list[tuple[str, NDArray[np.uint8]]]
    metric: Metric = "mean_ap"

    @property
    def score(self) -> float:
        """What models are selected by (`score_by`), of ground-truth boxes where nothing else prompts."""
        box = "" if "mean_ap" in self.scores else BOX_PROMPTED
        return score_by(self.metric, mean_ap=self.scores[f"{box}mean_ap"], a_rand=self.scores[f"{box}a_rand"])


def validate(networks: Networks, config: Config, labeled_images: Sequence[LabeledImage]) -> Validation:
    """Segment labeled images as a user would and score them, pooled over the images.

    Where the settings ask no generator (``prompts.method`` is grid or user, as for a model without one), SAM is
    prompted with the bounding boxes of the true objects.

    Parameters
    ----------
    networks : Networks
        In evaluation mode.
    labeled_images : sequence of LabeledImage
        At least one. At most ``training.validation_images`` of them are used, evenly spaced, and
        ``training.previews`` of these are drawn, evenly spaced too.

    Returns
    -------
    Validation
        Scores of the pipeline: ``ap50``, ``ap75``, ``mean_ap`` and ``f1``, that of the objects at IoU .5, all 0
        without any object on either side; ``dice`` and ``iou`` of the foreground, NaN without any; ``a_rand``, the
        adapted Rand error as SNEMI3D has it, NaN without true objects. With ground-truth boxes each name
        begins with ``box_``. ``generator_ap50``, ``generator_ap75`` and ``generator_mean_ap`` are those of the
        generator's regions, where they are not the result anyway. ``seconds_per_image`` is the time that
        segmenting took.

    Raises
    ------
    InputError
        If there are no images.
    """
    if not labeled_images:
        raise InputError("no validation images came, wanted at least one: leave validation out instead")
    chosen = _spaced(labeled_images, config.training.validation_images)
    drawn = _spaced(range(len(chosen)), config.training.previews)
    boxed = config.prompts.method in ("grid", "user")
    prompts = config.prompts.model_copy(update={"method": "user"}) if boxed else config.prompts
    segmenter = Segmenter(networks, config.model_copy(update={"prompts": prompts}))
    results: list[Scores] = []
    regions: list[AveragePrecision] = []
    previews: list[tuple[str, NDArray[np.uint8]]] = []
    seconds = 0.0
    for index, labeled_image in enumerate(chosen):
        asked = ground_truth_prompts(labeled_image.labels, points=0, box_margin=0.0) if boxed else None
        began = time.perf_counter()
        result = segmenter.segment(labeled_image.image, zoom=labeled_image.zoom, prompts=asked, normalized=True)
        seconds += time.perf_counter() - began
        results.append(evaluate_pair(result.labels, labeled_image.labels, valid=labeled_image.valid))
        if config.refines_regions and not boxed:
            regions.append(
                average_precision(result.regions, labeled_image.labels, valid=labeled_image.valid, empty_value=0.0)
            )
        if index in drawn:
            previews.append(
                (
                    labeled_image.name,
                    preview(result.picture, result.labels, labeled_image.labels, maps=result.maps),
                )
            )
    scores = _named(pool(results), prefix=BOX_PROMPTED if boxed else "")
    if regions:
        generator = AveragePrecision.pooled(regions)
        scores |= {
            "generator_ap50": generator.at(0.5),
            "generator_ap75": generator.at(0.75),
            "generator_mean_ap": generator.mean,
        }
    scores[SECONDS] = seconds / len(chosen)
    rounded = {name: round(value, 4) for name, value in scores.items()}
    return Validation(rounded, previews, config.training.metric)


def _named(pooled: Scores, *, prefix: str) -> dict[str, float]:
    """Pick the scores of the log. Models are selected by AP, so it has to be a number, also without objects."""
    row = replace(pooled, ap=replace(pooled.ap, empty_value=0.0)).row()
    return {f"{prefix}{name}": row[column] for name, column in _COLUMNS.items()}


def _spaced(items: Sequence[_Item], count: int) -> list[_Item]:
    """Take at most ``count`` items, evenly spaced, always the same."""
    places = np.linspace(0, len(items) - 1, min(len(items), count)).round().astype(int)
    return [items[place] for place in places]
