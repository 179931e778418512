"""A tile as one gray plane: gray images come as three equal channels, and one is enough to compute with."""

from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

Level = TypeVar("Level", np.uint8, np.float32)

Plane = NDArray[np.float32]
"""Gray levels of 0 to 1, shape (H, W)."""


def one_channel(image: NDArray[Level]) -> NDArray[Level]:
    """Give the first channel alone, (H, W, 1), where all channels of (H, W, C) are equal; otherwise the image."""
    first = image[..., 0]
    gray = all(np.array_equal(first, image[..., other]) for other in range(1, image.shape[-1]))
    return np.ascontiguousarray(image[..., :1]) if gray else image


def change_gray(image: NDArray[np.float32], change: Callable[[Plane], Plane]) -> NDArray[np.float32]:
    """Change the gray levels of an image, (H, W, C); all channels get the same added, and colors stay.

    `change` takes a plane of 0 to 1, the mean of the channels, and gives one of its shape. The result is clipped
    to 0 to 1.
    """
    if image.shape[-1] == 1:
        changed = change(image[..., 0])[..., None]
    else:
        plane = image.mean(axis=-1)
        changed = image + (change(plane) - plane)[..., None]
    return np.clip(changed, 0, 1).astype(np.float32, copy=False)


def change_each(image: NDArray[np.float32], change: Callable[[Plane], Plane]) -> NDArray[np.float32]:
    """Change each channel of an image, (H, W, C), in the same way; the result is clipped to 0 to 1."""
    changed = np.stack([change(np.ascontiguousarray(image[..., at])) for at in range(image.shape[-1])], axis=-1)
    return np.clip(changed, 0, 1).astype(np.float32, copy=False)


def cubic_weights(nodes: int, size: int) -> Tensor:
    """Say how values at evenly spaced nodes, the outer ones at both ends, make up a smooth curve.

    Returns
    -------
    Tensor of float64, shape (size, nodes)
        A product with the values at the nodes is their cubic interpolation. ``weights @ values @ weights.T`` is
        that of a grid of nodes; at a hundredth of the cost of `torch.nn.functional.interpolate`.
    """
    unit = torch.eye(nodes, dtype=torch.float64)[None, None]
    return F.interpolate(unit, (size, nodes), mode="bicubic", align_corners=True)[0, 0]


def smooth_field(shape: tuple[int, int], nodes: int, rng: np.random.Generator) -> Plane:
    """Draw a smooth field of -1 to 1, with about so many bumps across."""
    values = torch.from_numpy(rng.uniform(-1, 1, (nodes, nodes)))
    field = cubic_weights(nodes, shape[0]) @ values @ cubic_weights(nodes, shape[1]).T
    return np.asarray(np.clip(field.numpy(), -1, 1), dtype=np.float32)


def resize_window(pixels: NDArray[np.uint8], size: int) -> NDArray[np.float32]:
    """Bring a square window, (side, side, 3), to (size, size, 3) of 0 to 1; of a gray one, to (size, size, 1)."""
    side = len(pixels)
    # Enlarging one plane and three differs in the last bit, and runs that were begun with three go on.
    pixels = pixels if side < size else one_channel(pixels)
    image = torch.from_numpy(pixels.astype(np.float32) / 255).permute(2, 0, 1)[None]
    if side != size:
        image = F.interpolate(image, (size, size), mode="bilinear", antialias=side > size)
    return one_channel(image[0].permute(1, 2, 0).numpy())
