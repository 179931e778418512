"""SAM's low-resolution logits → masks at full size, as crops, fused with the generator's logits where asked.

A mask at full size is made where it can be and nowhere else: a pixel of it is a mean of low-resolution pixels, so
that one of these has to be above the threshold.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from segment_anything.modeling import Sam
from torch import Tensor

from autosam.images import Window
from autosam.instances import MaskCrop
from autosam.models.sam.interface import Decoded, Embedding, upsamplings
from autosam.models.sam.resampling import Span, Upsampling
from autosam.prompts import MaskPrompt

FUSION_LIMIT = 4.0
"""Largest logit, on either side, that a mask prompt brings into the fusion: sigmoid(4) = 0.98. A generator that is
surer than that must not overrule a SAM that clearly disagrees."""

STABILITY_OFFSET = 1.0
"""Logits by which the threshold is moved up and down to see whether a mask is stable, as in SAM."""


@dataclass(frozen=True, eq=False)
class _Part:
    """Low-resolution logits (h, w) of one mask, and where they lie in SAM's frame."""

    logits: Tensor
    corner: tuple[int, int]
    axes: tuple[Upsampling, Upsampling]

    @property
    def whole(self) -> tuple[Span, Span]:
        """All pixels that the logits have a share in."""
        return self._reached(*((0, length) for length in self.logits.shape))

    def above(self, level: float) -> tuple[Span, Span]:
        """Pixels outside of which the mask's logits are nowhere above a level."""
        shown = self.logits > level
        return self._reached(_extent(shown.any(dim=1).numpy()), _extent(shown.any(dim=0).numpy()))

    def upsampled(self, rows: Span, columns: Span) -> NDArray[np.float32]:
        """Give the logits of these pixels."""
        if rows[0] >= rows[1] or columns[0] >= columns[1]:
            return np.zeros((0, 0), dtype=np.float32)
        weights, used = [], []
        for axis, pixels, first, length in zip(
            self.axes, (rows, columns), self.corner, self.logits.shape, strict=True
        ):
            one, low = axis.product(pixels, (first, first + length))
            weights.append(one)
            used.append(slice(low[0] - first, low[1] - first))
        # Not in bfloat16, whatever the networks compute in.
        with torch.autocast("cpu", enabled=False):
            return (weights[0] @ self.logits[used[0], used[1]] @ weights[1].T).numpy()

    def _reached(self, rows: Span, columns: Span) -> tuple[Span, Span]:
        row, col = self.corner
        return (
            self.axes[0].reached((rows[0] + row, rows[1] + row)),
            self.axes[1].reached((columns[0] + col, columns[1] + col)),
        )


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
    """Threshold at full size, one mask at a time, and keep what lies in the image as a crop.

    Parameters
    ----------
    batch : Decoded
        Logits of n prompts with m masks each.
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
    axes, threshold = upsamplings(sam, embedding), float(sam.mask_threshold)
    stability = _stability(batch.logits).cpu().numpy()
    crops: list[list[MaskCrop | None]] = []
    # All at once from a GPU; what is left is little for each mask.
    for index, alternatives in enumerate(batch.logits.cpu()):
        row, col = batch.corners[index].tolist()
        added = generator_logits[index] if fusion else None
        found: list[MaskCrop | None] = []
        for k, logits in enumerate(alternatives):
            part, stable = _Part(logits, (row, col), axes), float(stability[index, k])
            if added is None:
                rows, columns = part.above(threshold)
                full = part.upsampled(rows, columns)
            else:
                rows, columns = _fused_region(part, added, fusion, threshold)
                full = part.upsampled(rows, columns)
                moved = replace(added, row=added.row - rows[0], col=added.col - columns[0])
                full += np.float32(fusion) * moved.drawn(full.shape).clip(-FUSION_LIMIT, FUSION_LIMIT)
                # The mask is that of the sum, and so is its stability.
                stable = float(_stability(torch.from_numpy(full)))
            found.append(_tight(full > threshold, window.row + rows[0], window.col + columns[0], shape, stable))
        crops.append(found)
    return crops


def _fused_region(part: _Part, added: MaskPrompt, fusion: float, threshold: float) -> tuple[Span, Span]:
    """Pixels outside of which the sum is nowhere above the threshold, also that of the stability."""
    # Beside its crop the generator says "absent": SAM has to be so much surer there.
    regions = part.above(min(threshold, -STABILITY_OFFSET) + fusion * FUSION_LIMIT)
    spans = []
    for region, whole, first, length in zip(regions, part.whole, (added.row, added.col), added.shape, strict=True):
        begin, end = first, first + length
        if region[0] < region[1]:
            begin, end = min(begin, region[0]), max(end, region[1])
        begin = max(begin, whole[0])
        spans.append((begin, max(begin, min(end, whole[1]))))
    return spans[0], spans[1]


def _stability(logits: Tensor) -> Tensor:
    """IoU of the masks (..., h, w) at a raised and a lowered threshold; 0 for an empty mask."""
    high = (logits > STABILITY_OFFSET).sum(dim=(-2, -1)).float()
    low = (logits > -STABILITY_OFFSET).sum(dim=(-2, -1)).float()
    return high / low.clamp(min=1)


def _tight(
    mask: NDArray[np.bool_], row: int, col: int, shape: tuple[int, int], stability: float
) -> MaskCrop | None:
    """Keep what a mask, which begins at this row and column, covers of an image."""
    mask = mask[max(-row, 0) : max(shape[0] - row, 0), max(-col, 0) : max(shape[1] - col, 0)]
    rows = _extent(np.asarray(mask.any(axis=1)))
    if rows[0] >= rows[1]:
        return None
    columns = _extent(np.asarray(mask.any(axis=0)))
    crop = mask[rows[0] : rows[1], columns[0] : columns[1]].copy()
    return MaskCrop(max(row, 0) + rows[0], max(col, 0) + columns[0], crop, score=stability, prompt=-1)


def _extent(shown: NDArray[np.bool_]) -> Span:
    """First true place and the one after the last; (0, 0) where there is none."""
    places = np.flatnonzero(shown)
    return (int(places[0]), int(places[-1]) + 1) if len(places) else (0, 0)
