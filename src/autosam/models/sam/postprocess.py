"""SAM's low-resolution logits → masks at full size, as crops, fused with the generator's logits where asked."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from segment_anything.modeling import Sam
from torch import Tensor

from autosam.images import Window
from autosam.instances import MaskCrop
from autosam.models.sam.interface import Decoded, Embedding, upsample
from autosam.models.variants import image_size
from autosam.prompts import MaskPrompt

UPSAMPLE_BUDGET = 2**25
"""Most pixels of full-size mask logits in memory at a time: 128 MiB of float32."""

FUSION_LIMIT = 4.0
"""Largest logit, on either side, that a mask prompt brings into the fusion: sigmoid(4) = 0.98. A generator that is
surer than that must not overrule a SAM that clearly disagrees."""

STABILITY_OFFSET = 1.0
"""Logits by which the threshold is moved up and down to see whether a mask is stable, as in SAM."""


def postprocess_masks(
    sam: Sam,
    batch: Decoded,
    embedding: Embedding,
    window: Window,
    shape: tuple[int, int],
    *,
    generator_logits: Sequence[MaskPrompt | None],
    fusion: float,
) -> list[list[MaskCrop | None]]:
    """Threshold at full size, a few masks at a time, and keep what lies in the image as a crop.

    Parameters
    ----------
    batch : Decoded
        Logits (n, m, h, w) of n prompts with m masks each.
    window : Window
        Where ``embedding`` lies in an image of this ``shape``; it may reach over the image's borders.
    generator_logits : sequence of MaskPrompt or None
        For each prompt the generator's logits, in the window's pixels; None leaves SAM's masks as they are.
    fusion : float
        Weight with which the generator's logits, clipped to ``FUSION_LIMIT`` on either side, are added to SAM's
        before the threshold.

    Returns
    -------
    list of lists of MaskCrop or None
        For each prompt its masks, None where one is empty. In place of its score each has its stability, the
        IoU of the masks at a raised and a lowered threshold: of SAM's low-resolution logits, or of the sum at
        full size where a generator's were added.
    """
    top, left = max(window.row, 0), max(window.col, 0)
    bottom, right = min(window.row + window.height, shape[0]), min(window.col + window.width, shape[1])
    inside = (slice(top - window.row, bottom - window.row), slice(left - window.col, right - window.col))
    count, alternatives = batch.logits.shape[:2]
    # On the way to the window's pixels, SAM brings its logits to its own full size.
    pixels = max(window.height * window.width, image_size(sam) ** 2)
    step = max(1, UPSAMPLE_BUDGET // (alternatives * pixels))
    stability = _stability(batch.logits)
    crops: list[list[MaskCrop | None]] = []
    for start in range(0, count, step):
        full = upsample(sam, batch.logits[start : start + step], embedding)
        for row, logits in enumerate(full, start=start):
            added = generator_logits[row]
            if added is not None:
                drawn = torch.from_numpy(added.drawn((logits.shape[-2], logits.shape[-1])))
                logits += fusion * drawn.clamp(-FUSION_LIMIT, FUSION_LIMIT).to(logits.device)
                # The mask is that of the sum, and so is its stability.
                stability[row] = _stability(logits)
        masks = (full > sam.mask_threshold)[..., inside[0], inside[1]].cpu().numpy()
        crops += [
            [_tight(mask, top, left, float(stable)) for mask, stable in zip(*group, strict=True)]
            for group in zip(masks, stability[start : start + step], strict=True)
        ]
    return crops


def _stability(logits: Tensor) -> Tensor:
    """IoU of the masks (..., h, w) at a raised and a lowered threshold; 0 for an empty mask."""
    high = (logits > STABILITY_OFFSET).sum(dim=(-2, -1)).float()
    low = (logits > -STABILITY_OFFSET).sum(dim=(-2, -1)).float()
    return high / low.clamp(min=1)


def _tight(mask: NDArray[np.bool_], top: int, left: int, stability: float) -> MaskCrop | None:
    rows = np.flatnonzero(mask.any(axis=1))
    if not len(rows):
        return None
    columns = np.flatnonzero(mask[rows[0] : rows[-1] + 1].any(axis=0))
    crop = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].copy()
    return MaskCrop(top + int(rows[0]), left + int(columns[0]), crop, score=stability, prompt=-1)
