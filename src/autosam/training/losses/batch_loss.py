"""From the sums of a batch to the loss that is stepped on, the same on any number of devices."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from lightning.fabric import Fabric
from torch import Tensor

from autosam.training.joint import BatchLoss


class StepLoss(NamedTuple):
    """The loss of one batch over all devices.

    Attributes
    ----------
    objective : Tensor
        What this device differentiates. Gradients are averaged over devices, so each one's sums are divided by
        the counts of all and multiplied by the number of devices: a run on two devices has the loss of one with
        twice the batch.
    total, generator, mask, iou : float
        Means over all devices.
    mask_iou, matched : float
        Mean IoU of masks and objects, and share of the prompts that have one; NaN where there is none.
    """

    objective: Tensor
    total: float
    generator: float
    mask: float
    iou: float
    mask_iou: float
    matched: float

    @classmethod
    def mean(cls, parts: Sequence["StepLoss"]) -> "StepLoss":
        """Average over the batches of one step."""
        columns = list(zip(*parts, strict=True))
        return cls(parts[-1].objective, *(sum(column) / len(parts) for column in columns[1:]))

    def row(self) -> dict[str, Any]:
        """Give the columns of the log."""
        return {
            "loss": round(self.total, 5),
            "generator": round(self.generator, 5),
            "mask": round(self.mask, 5),
            "iou": round(self.iou, 5),
            "mask_iou": round(self.mask_iou, 4),
            "matched": round(self.matched, 4),
        }


def step_loss(loss: BatchLoss, *, mask_weight: float, iou_weight: float = 1.0, fabric: Fabric) -> StepLoss:
    """Join the sums of all devices: generator + ``mask_weight`` × (mask + ``iou_weight`` × iou).

    Parameters
    ----------
    loss : BatchLoss
        This device's.
    mask_weight, iou_weight : float
    fabric : Fabric

    Returns
    -------
    StepLoss
    """
    summed = torch.stack([part.detach().float() for part in loss])
    if fabric.world_size > 1:
        reduced = fabric.all_reduce(summed, reduce_op="sum")
        assert isinstance(reduced, torch.Tensor)
        summed = reduced
    totals = BatchLoss(*summed)
    # Sums over nothing are 0.
    tiles, masks, answers = (count.clamp(min=1) for count in (totals.tiles, totals.masks, totals.answers))
    objective = fabric.world_size * (
        loss.generator / tiles + mask_weight * (loss.mask / masks + iou_weight * loss.iou / answers)
    )
    generator, mask, iou = float(totals.generator / tiles), float(totals.mask / masks), float(totals.iou / answers)
    return StepLoss(
        objective=objective,
        total=generator + mask_weight * (mask + iou_weight * iou),
        generator=generator,
        mask=mask,
        iou=iou,
        mask_iou=float(totals.mask_iou / totals.masks),
        matched=float(totals.matched / totals.prompts),
    )
