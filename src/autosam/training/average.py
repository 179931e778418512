"""The exponential average of the weights."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Update = Callable[[Sequence[Tensor], Sequence[Tensor], Tensor | int], None]


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
