"""Losses on logits. Targets may lie between 0 and 1, where a coarse pixel is partly covered."""

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F


class MaskLoss(Protocol):
    """From logits and targets of one shape (..., H, W) to a loss per mask, (...).

    `valid`, (..., H, W) or what broadcasts to it, is 0 where a pixel does not count and 1 where it does; None for
    everywhere.
    """

    def __call__(self, logits: Tensor, target: Tensor, valid: Tensor | None = None) -> Tensor:
        """Compute the loss."""


SMOOTH = 1e-5
"""What `squared_dice_ce` adds above and below the line, as MONAI does."""


def bce(logits: Tensor, target: Tensor, valid: Tensor | None = None) -> Tensor:
    """Binary cross entropy, averaged over the pixels of each mask that count; 0 where none does.

    Parameters
    ----------
    logits, target : Tensor, shape (..., H, W)
        Target values of 0 to 1.
    valid : Tensor, optional
        As in `MaskLoss`.

    Returns
    -------
    Tensor, shape (...)
    """
    loss = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    if valid is None:
        return loss.mean(dim=(-2, -1))
    counted: Tensor = valid.expand_as(loss)
    return (loss * counted).sum(dim=(-2, -1)) / counted.sum(dim=(-2, -1)).clamp(min=1)


def bce_dice(logits: Tensor, target: Tensor, valid: Tensor | None = None) -> Tensor:
    """Binary cross entropy plus soft Dice loss, per mask.

    Parameters
    ----------
    logits, target : Tensor, shape (..., H, W)
        Target values of 0 to 1.
    valid : Tensor, optional
        As in `MaskLoss`.

    Returns
    -------
    Tensor, shape (...)
        BCE averaged over the pixels plus 1 − Dice, where Dice = (2 Σ p t + 1) / (Σ p + Σ t + 1); the 1 makes
        an empty mask that is predicted empty a loss of 0.

    References
    ----------
    Milletari et al., "V-Net", 3DV 2016, for soft Dice (with plain sums below the line).
    """
    probability, true = _counted(logits.sigmoid(), target, valid)
    shared = (probability * true).sum(dim=(-2, -1))
    total = probability.sum(dim=(-2, -1)) + true.sum(dim=(-2, -1))
    dice: Tensor = (2 * shared + 1) / (total + 1)
    return bce(logits, target, valid) + 1 - dice


def squared_dice_ce(logits: Tensor, target: Tensor, valid: Tensor | None = None) -> Tensor:
    """Binary cross entropy plus soft Dice loss with squares below the line, per mask.

    Parameters
    ----------
    logits, target : Tensor, shape (..., H, W)
        Target values of 0 to 1.
    valid : Tensor, optional
        As in `MaskLoss`.

    Returns
    -------
    Tensor, shape (...)
        BCE averaged over the pixels plus 1 − Dice, where Dice = (2 Σ p t + s) / (Σ p² + Σ t² + s) and s is
        ``SMOOTH``. For an empty target the Dice loss is close to 1 as soon as Σ p² is much larger than s.

    References
    ----------
    Milletari et al., "V-Net", 3DV 2016; MONAI's ``DiceLoss(sigmoid=True, squared_pred=True)``, which MedSAM's
    code adds to the mean BCE (Ma et al., "Segment anything in medical images", Nature Communications 2024).
    """
    probability, true = _counted(logits.sigmoid(), target, valid)
    shared = (probability * true).sum(dim=(-2, -1))
    total = probability.square().sum(dim=(-2, -1)) + true.square().sum(dim=(-2, -1))
    dice: Tensor = (2 * shared + SMOOTH) / (total + SMOOTH)
    return bce(logits, target, valid) + 1 - dice


def mask_bce_dice(logits: Tensor, target: Tensor, valid: Tensor | None = None, *, weight: float = 20.0) -> Tensor:
    """`bce_dice` for the mask of one object, with the cross entropy of a small object not lost in the background.

    An object covers about a hundredth of a tile, so its mean cross entropy is tiny; ``weight`` brings it beside
    the Dice loss, as the weight of 20 on the focal loss does in SAM's own training.

    Parameters
    ----------
    logits, target : Tensor, shape (..., H, W)
    valid : Tensor, optional
        As in `MaskLoss`.

    Returns
    -------
    Tensor, shape (...)
    """
    return bce_dice(logits, target, valid) + (weight - 1) * bce(logits, target, valid)


def _counted(probability: Tensor, target: Tensor, valid: Tensor | None) -> tuple[Tensor, Tensor]:
    return (probability, target) if valid is None else (probability * valid, target * valid)


MASK_LOSSES: Mapping[str, MaskLoss] = {
    "weighted": mask_bce_dice,
    "dice_ce": bce_dice,
    "squared_dice_ce": squared_dice_ce,
}
"""SAM's losses by the name of the setting ``training.mask_loss``."""

GENERATOR_LOSSES: Mapping[str, MaskLoss] = {"bce": bce, "bce_dice": bce_dice}
"""The generator's losses by the name of the setting ``training.generator_loss``."""


@torch.no_grad()
def mask_iou(logits: Tensor, target: Tensor, valid: Tensor | None = None) -> Tensor:
    """IoU of thresholded masks where more than half of a pixel counts, shape (...); 0 where both are empty."""
    mask, truth = logits > 0, target > 0.5
    if valid is not None:
        mask, truth = mask & (valid > 0.5), truth & (valid > 0.5)
    intersection = (mask & truth).sum(dim=(-2, -1)).float()
    union = (mask | truth).sum(dim=(-2, -1)).float()
    return intersection / union.clamp(min=1)
