"""Faults of prompts that came from outside."""

from collections.abc import Sequence

import numpy as np

from autosam.errors import InputError
from autosam.prompts.prompt import Prompt


def check_prompts(prompts: Sequence[Prompt], shape: tuple[int, int]) -> None:
    """Refuse prompts that nothing can be decoded from. The image ends half a pixel after its last row."""
    for number, prompt in enumerate(prompts):
        if not len(prompt.points) and prompt.box is None and prompt.mask is None:
            raise InputError(f"prompt {number} says nothing; give it a point, a box or a mask")
        places = np.concatenate(
            [prompt.points.reshape(-1, 2), np.reshape([] if prompt.box is None else prompt.box, (-1, 2))]
        )
        if not ((places >= -0.5) & (places <= np.array(shape) - 0.5)).all():
            raise InputError(
                f"prompt {number} lies outside the image of {shape[0]} × {shape[1]} pixels; give rows and columns "
                "of this image"
            )
        if prompt.box is not None and (prompt.box[:2] > prompt.box[2:]).any():
            raise InputError(
                f"the box of prompt {number} is {prompt.box.tolist()}; wanted first row, first column, last row, "
                "last column"
            )
