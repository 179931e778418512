"""How a gradient passes from the mask loss into the generator: through mask prompts and points of its logits."""

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


def soft_points(prompts: Sequence[Prompt], regions: NDArray[np.int32], foreground: Tensor) -> Tensor:
    """Let each prompt's first point carry the gradient of a soft-argmax of the logits in its region.

    The soft-argmax is the mean place of the region's pixels, weighted by the softmax of their logits. It can lie
    outside a C-shaped region, so only its gradient is used: the point itself stays where it was (the
    straight-through estimator).

    Parameters
    ----------
    prompts : sequence of Prompt
    regions : ndarray of int32, shape (S, S)
    foreground : Tensor, shape (S, S)
        The generator's foreground logits.

    Returns
    -------
    Tensor, shape (n, 2)
        What to add to (row, column) of the first points: zeros, with a gradient where the prompt has a region.

    References
    ----------
    Luvizon et al., "Human pose regression by combining indirect part detection and contextual information",
    Computers & Graphics 2019, for the soft-argmax; Bengio et al., arXiv:1308.3432, for the estimator.
    """
    shifts = []
    for prompt in prompts:
        places = np.argwhere(regions == prompt.region) if prompt.region > 0 else np.zeros((0, 2), dtype=np.int64)
        if not len(places):
            shifts.append(torch.zeros(2, device=foreground.device))
            continue
        where = torch.from_numpy(places).to(foreground.device)
        weights = foreground[where[:, 0], where[:, 1]].softmax(dim=0)
        peak = (weights[:, None] * where).sum(dim=0)
        shifts.append(peak - peak.detach())
    return torch.stack(shifts)
