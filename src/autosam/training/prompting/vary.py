"""Prompts and thresholds that vary from tile to tile, so that SAM learns more than one kind of prompt."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.special import expit, logit

from autosam.config import PromptsConfig, TrainingConfig
from autosam.prompts import Prompt
from autosam.training.prompting.prompt_targets import has_positive_point


def drop_parts(prompts: Sequence[Prompt], settings: TrainingConfig, rng: np.random.Generator) -> list[Prompt]:
    """Drop parts of the prompts, the same for all of a tile, so that SAM learns every combination.

    Parameters
    ----------
    settings : TrainingConfig
        Prompts keep their masks in a share of ``mask_prompt`` of the tiles, only the box in
        ``simulate.box_only``, only the points in ``simulate.point_only``. A prompt without a box keeps its points
        all the same, one without positive points its box, one with neither its mask.

    Returns
    -------
    list of Prompt
        In the same order.
    """
    kind, box_only, point_only = rng.random(), settings.simulate.box_only, settings.simulate.point_only
    keep_points = kind < 1 - box_only - point_only or kind >= 1 - point_only
    keep_box = kind < 1 - point_only
    keep_mask = rng.random() < settings.mask_prompt
    none = np.zeros((0, 2)), np.zeros(0, dtype=np.int64)
    varied = []
    for prompt in prompts:
        pointing = has_positive_point(prompt)
        with_points = keep_points or prompt.box is None
        with_mask = keep_mask or (prompt.box is None and not pointing)
        varied.append(
            replace(
                prompt,
                points=prompt.points if with_points else none[0],
                point_labels=prompt.point_labels if with_points else none[1],
                box=prompt.box if keep_box or not pointing else None,
                mask=prompt.mask if with_mask else None,
            )
        )
    return varied


def vary_points(
    settings: PromptsConfig, between: tuple[int, int] | None, rng: np.random.Generator
) -> PromptsConfig:
    """Draw the number of points per object log-uniformly, both ends included; None leaves it as it is.

    All prompts of a tile have as many, so that SAM answers them in one batch.
    """
    if between is None:
        return settings
    drawn = np.exp(rng.uniform(np.log(between[0]), np.log(between[1] + 1)))
    return settings.model_copy(update={"points": min(int(drawn), between[1])})


def vary_thresholds(settings: PromptsConfig, *, reach: float, rng: np.random.Generator) -> PromptsConfig:
    """Draw the thresholds of all maps anew, each at most ``reach`` logits from where it was; 0 and 1 stay."""
    if not reach:
        return settings
    names = ("foreground", "boundary", "center")
    shifts = rng.uniform(-reach, reach, size=len(names))
    drawn = {
        name: float(expit(logit(getattr(settings, name)) + shift))
        for name, shift in zip(names, shifts, strict=True)
    }
    return settings.model_copy(update=drawn)
