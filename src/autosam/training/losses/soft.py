"""How a gradient passes from the mask loss into the generator: through mask prompts made of its logits."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from autosam.models.sam.interface import LOW_RES_STRIDE
from autosam.prompts import ABSENT, Prompt


def soft_mask_prompts(prompts: Sequence[Prompt], regions: NDArray[np.int32], foreground: Tensor) -> Tensor:
    """Draw the mask prompts of a tile from logits that carry a gradient.

    Equal to `models.sam.interface.render_mask_prompt` of the same prompts.

    Parameters
    ----------
    prompts : sequence of Prompt
        Each with a mask, which says where its crop lies.
    regions : ndarray of int32, shape (S, S)
    foreground : Tensor, shape (S, S)
        The generator's foreground logits.

    Returns
    -------
    Tensor, shape (n, 1, S / 4, S / 4)
    """
    own = np.zeros((len(prompts), *regions.shape), dtype=bool)
    for index, prompt in enumerate(prompts):
        if prompt.mask is None:
            raise ValueError(f"prompt {index} has no mask")
        height, width = prompt.mask.logits.shape
        crop = (
            slice(prompt.mask.row, prompt.mask.row + height),
            slice(prompt.mask.col, prompt.mask.col + width),
        )
        own[index][crop] = (regions[crop] == prompt.region) | (regions[crop] == 0)
    inside = torch.from_numpy(own).to(foreground.device)
    masks = torch.where(inside, foreground.clamp(ABSENT, -ABSENT), ABSENT)
    return nn.functional.avg_pool2d(masks[:, None], LOW_RES_STRIDE)
