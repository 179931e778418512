"""Prompts at another zoom of their image."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from skimage.transform import resize

from autosam.prompts.prompt import MaskPrompt, Prompt


def zoom_prompts(prompts: Sequence[Prompt], factors: tuple[float, float]) -> list[Prompt]:
    """Move prompts to the pixels of a resized image.

    A coordinate is the center of a pixel, so (r, c) becomes ((r + 0.5) f − 0.5, ...).

    Parameters
    ----------
    prompts : sequence of Prompt
        Points, boxes and mask crops are resized; everything else stays as it is.
    factors : tuple of float
        Pixels of the new image for one of the old, along rows and columns.
    """
    if tuple(factors) == (1.0, 1.0):
        return list(prompts)
    factor = np.asarray(factors, dtype=np.float64)
    moved = []
    for prompt in prompts:
        box = prompt.box
        if box is not None:
            # The outline of the box's pixels scales, not their centers: a pixel becomes `factor` pixels.
            first, last = box[:2] * factor, (box[2:] + 1) * factor - 1
            box = np.concatenate([first, np.maximum(first, last)])
        moved.append(
            replace(
                prompt,
                points=(prompt.points + 0.5) * factor - 0.5,
                box=box,
                mask=None if prompt.mask is None else _zoom_mask(prompt.mask, factor),
            )
        )
    return moved


def _zoom_mask(mask: MaskPrompt, factor: np.ndarray) -> MaskPrompt:
    corner = np.floor(np.array([mask.row, mask.col]) * factor).astype(int)
    shape = np.maximum(np.round(np.array(mask.shape) * factor).astype(int), 1)
    logits = resize(mask.logits, shape, order=1, mode="edge", anti_aliasing=bool((factor < 1).any()))
    return MaskPrompt(int(corner[0]), int(corner[1]), np.asarray(logits, dtype=np.float32))
