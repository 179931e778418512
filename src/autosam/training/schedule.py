"""What changes from step to step: learning rates, the share of predicted prompts, the averaged weights."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from autosam.config import TrainingConfig

FLOOR = 0.01
"""Where the cosine ends, as a fraction of the peak."""

Update = Callable[[Sequence[Tensor], Sequence[Tensor], Tensor | int], None]


def learning_rate(settings: TrainingConfig, step: int, *, peak: float) -> float:
    """Linear warm-up, then half a cosine down to `FLOOR` × ``peak``, or ``peak`` to the end.

    ``step`` counts from 0 to ``training.steps`` − 1.
    """
    rising = max(1, round(settings.warmup * settings.steps))
    if step < rising:
        return peak * (step + 1) / rising
    if settings.schedule == "constant":
        return peak
    progress = (step - rising) / max(1, settings.steps - rising)
    return peak * (FLOOR + (1 - FLOOR) * 0.5 * (1 + math.cos(math.pi * progress)))


def predicted_share(settings: TrainingConfig, step: int) -> float:
    """Share of tiles with predicted prompts: 0 before ``predicted_between``, then rising linearly to its end."""
    start, end = (fraction * settings.steps for fraction in settings.predicted_between)
    if step >= end:
        return settings.predicted_share
    if step <= start:
        return 0.0
    return settings.predicted_share * (step - start) / (end - start)


def exponential_average(decay: float) -> Update:
    """Make the update rule of an exponential moving average, for `torch.optim.swa_utils.AveragedModel`.

    The n-th update keeps min(``decay``, (1 + n) / (10 + n)) of the average: a constant decay would keep the random
    weights of the first step for thousands of steps, so that a short run ended with nothing learned.

    Parameters
    ----------
    decay : float
        Share that is kept in the long run, 0 to 1; 0 gives the current weights.

    Returns
    -------
    callable
        Takes averaged tensors (changed in place), current tensors of the same type and the number of updates so
        far. Whole numbers, such as counters, are copied.
    """

    @torch.no_grad()
    def update(averaged: Sequence[Tensor], current: Sequence[Tensor], count: Tensor | int) -> None:
        n = int(count)
        share = 1 - min(decay, (1 + n) / (10 + n))
        for mean, value in zip(averaged, current, strict=True):
            if mean.is_floating_point():
                mean.lerp_(value, share)
            else:
                mean.copy_(value)

    return update
