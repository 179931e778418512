"""Losses on logits. Targets may lie between 0 and 1, where a coarse pixel is partly covered."""

import torch
from torch import Tensor
from torch.nn import functional as F


def bce_dice(logits: Tensor, target: Tensor) -> Tensor:
    """Binary cross entropy plus soft Dice loss, per mask.

    Parameters
    ----------
    logits, target : Tensor, shape (..., H, W)
        Target values of 0 to 1.

    Returns
    -------
    Tensor, shape (...)
        BCE averaged over the pixels plus 1 − Dice, where Dice = (2 Σ p t + 1) / (Σ p + Σ t + 1); the 1 makes
        an empty mask that is predicted empty a loss of 0.

    References
    ----------
    Milletari et al., "V-Net", 3DV 2016, for soft Dice (with plain sums below the line).
    """
    cross_entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none").mean(dim=(-2, -1))
    probability = logits.sigmoid()
    shared = (probability * target).sum(dim=(-2, -1))
    total = probability.sum(dim=(-2, -1)) + target.sum(dim=(-2, -1))
    dice: Tensor = (2 * shared + 1) / (total + 1)
    return cross_entropy + 1 - dice


def mask_bce_dice(logits: Tensor, target: Tensor, *, weight: float = 20.0) -> Tensor:
    """`bce_dice` for the mask of one object, with the cross entropy of a small object not lost in the background.

    An object covers about a hundredth of a tile, so its mean cross entropy is tiny; ``weight`` brings it beside
    the Dice loss, as the weight of 20 on the focal loss does in SAM's own training.

    Parameters
    ----------
    logits, target : Tensor, shape (..., H, W)
    weight : float

    Returns
    -------
    Tensor, shape (...)
    """
    cross_entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none").mean(dim=(-2, -1))
    return bce_dice(logits, target) + (weight - 1) * cross_entropy


@torch.no_grad()
def mask_iou(logits: Tensor, target: Tensor) -> Tensor:
    """IoU of thresholded masks, shape (...); 0 where both are empty."""
    mask, truth = logits > 0, target > 0.5
    intersection = (mask & truth).sum(dim=(-2, -1)).float()
    union = (mask | truth).sum(dim=(-2, -1)).float()
    return intersection / union.clamp(min=1)
