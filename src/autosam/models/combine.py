"""The networks' answers to the channels of a multichannel image, combined: mean or largest probability."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import logsigmoid

from autosam.models.sam.interface import Decoded

CombineAnswers = Literal["avg", "max"]


def combine_maps(
    maps: Iterable[dict[str, NDArray[np.float32]]], how: CombineAnswers
) -> dict[str, NDArray[np.float32]]:
    """Combine the generator's maps of the channels, pixel by pixel.

    Parameters
    ----------
    maps : iterable of dict of str to ndarray of float32, shape (H, W)
        Probabilities of each channel; one channel at a time is held. At least one, all with equal names.
    how : {"avg", "max"}
        A single channel, or equal ones, come back unchanged either way, to the last bit.
    """
    rest = iter(maps)
    totals: dict[str, NDArray[np.floating]] = dict(next(rest))
    count = 1
    for more in rest:
        count += 1
        for name, values in more.items():
            # In float64, the sum of equal values is exact.
            totals[name] = (
                np.maximum(totals[name], values) if how == "max" else totals[name] + values.astype(np.float64)
            )
    if how == "avg" and count > 1:
        totals = {name: values / count for name, values in totals.items()}
    return {name: values.astype(np.float32, copy=False) for name, values in totals.items()}


def combine_decoded(parts: Sequence[Decoded], how: CombineAnswers) -> Decoded:
    """Combine SAM's answers to the same prompts in each channel: mask by mask, the k-th with the k-th.

    Parameters
    ----------
    parts : sequence of Decoded
        One for each channel, at least one; equal in indices and shapes.
    how : {"avg", "max"}
        Of the mask probabilities (the sigmoid of the low-resolution logits), and of the predicted IoU. A single
        channel, or equal ones, come back unchanged, to the last bit. The order of the channels does not matter.
    """
    if len(parts) == 1:
        return parts[0]
    logits = torch.stack([part.logits for part in parts]).sort(dim=0).values
    iou = torch.stack([part.iou for part in parts]).sort(dim=0).values
    if how == "max":
        # The sigmoid is monotone: the largest logit is that of the largest probability.
        return replace(parts[0], logits=logits[-1], iou=iou[-1])
    return replace(parts[0], logits=_mean_logit(logits), iou=iou[0] + (iou - iou[0]).mean(dim=0))


def _mean_logit(ascending: Tensor) -> Tensor:
    """Logit of the mean sigmoid over the first axis.

    It is log(Σ σ(x)) - log(Σ σ(-x)). Measured from the largest term of each sum, nothing overflows or vanishes,
    and where all x are equal all that is added to x is exactly 0.
    """
    low, high = ascending[0], ascending[-1]
    present = (logsigmoid(ascending) - logsigmoid(high)).exp_().sum(dim=0)
    absent = (logsigmoid(-ascending) - logsigmoid(-low)).exp_().sum(dim=0)
    return high + (logsigmoid(-high) - logsigmoid(-low)) + (present.log_() - absent.log_())
