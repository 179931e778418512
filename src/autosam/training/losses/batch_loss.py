"""The loss of a batch as sums and counts, and the loss that is stepped on, the same on any number of devices."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from lightning.fabric import Fabric
from torch import Tensor

from autosam.config import TrainingConfig

DIGITS: Mapping[str, int] = {"loss": 5, "generator": 5, "mask": 5, "iou": 5, "mask_iou": 4, "matched": 4}
"""Columns of the log that a loss gives, and the decimals that are written."""


class BatchLoss(NamedTuple):
    """Sums with their counts, so that those of tiles, answers and devices can be added.

    A named tuple, because Fabric and DistributedDataParallel walk through a model's output.

    Attributes
    ----------
    generator : Tensor
        Sum over the tiles of the generator's loss; 0 without a generator.
    mask, iou : Tensor
        Sums over SAM's answers of the mask loss and of the squared error of the predicted IoU.
    tiles, masks, answers : int
        How many terms these three sums have.
    mask_iou : float
        Sum of the IoUs of first masks and objects; ``masks`` many.
    matched, prompts : int
        How many of the prompts have an object, and how many prompts there are; corrections do not count.
    """

    generator: Tensor
    mask: Tensor
    iou: Tensor
    tiles: int = 0
    masks: int = 0
    answers: int = 0
    mask_iou: float = 0.0
    matched: int = 0
    prompts: int = 0

    @classmethod
    def none(cls, zero: Tensor) -> "BatchLoss":
        """Make the loss of nothing; ``zero`` is a scalar on the right device."""
        return cls(zero, zero, zero)

    def joined(self, other: "BatchLoss") -> "BatchLoss":
        """Add the sums and counts of two losses."""
        pairs: Iterable[tuple[Any, Any]] = zip(self, other, strict=True)
        return BatchLoss(*(one + another for one, another in pairs))


def step_loss(loss: BatchLoss, settings: TrainingConfig, fabric: Fabric) -> tuple[Tensor, dict[str, float]]:
    """Join the sums of all devices: generator + ``mask_weight`` × (mask + ``iou_weight`` × iou).

    Parameters
    ----------
    loss : BatchLoss
        This device's.

    Returns
    -------
    objective : Tensor
        What this device differentiates. Gradients are averaged over devices. So each one's sums are divided by the
        counts of all and multiplied by the number of devices: a run on two devices has the loss of one with twice
        the batch.
    means : dict of str to float
        The values of `DIGITS` over all devices. ``mask_iou`` is the mean IoU of masks and objects, ``matched`` the
        share of the prompts that have an object; both NaN where there is none.
    """
    device = loss.generator.device
    summed = torch.stack([torch.as_tensor(part, device=device).detach().float() for part in loss])
    if fabric.world_size > 1:
        reduced = fabric.all_reduce(summed, reduce_op="sum")
        assert isinstance(reduced, Tensor)
        summed = reduced
    *sums, tiles, masks, answers, mask_iou, matched, prompts = summed
    # Sums over nothing are 0.
    counts = [count.clamp(min=1) for count in (tiles, masks, answers)]
    parts = [part / count for part, count in zip((loss.generator, loss.mask, loss.iou), counts, strict=True)]
    objective = fabric.world_size * (parts[0] + settings.mask_weight * (parts[1] + settings.iou_weight * parts[2]))
    generator, mask, iou = (float(part / count) for part, count in zip(sums, counts, strict=True))
    return objective, {
        "loss": generator + settings.mask_weight * (mask + settings.iou_weight * iou),
        "generator": generator,
        "mask": mask,
        "iou": iou,
        "mask_iou": float(mask_iou / masks),
        "matched": float(matched / prompts),
    }


def mean_row(parts: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Average the means of a step's batches, rounded for the log."""
    return {name: round(sum(part[name] for part in parts) / len(parts), DIGITS[name]) for name in DIGITS}
