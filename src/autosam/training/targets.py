"""What the generator and SAM are asked to predict, made of instance labels."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from skimage.segmentation import find_boundaries
from torch import Tensor
from torch.nn import functional as F

BOUNDARY_WIDTH = 2
"""Pixels on each side of an outline that count as boundary."""


def generator_targets(labels: NDArray[np.int32], channels: tuple[str, ...]) -> NDArray[np.float32]:
    """Make the generator's target maps.

    Parameters
    ----------
    labels : ndarray of int32, shape (H, W)
        0 for background.
    channels : tuple of {"foreground", "boundary"}

    Returns
    -------
    ndarray of float32, shape (channels, H, W)
        0 or 1; foreground is every object pixel, boundary the band of ``BOUNDARY_WIDTH`` pixels on each side of
        every outline, also of that between two touching objects. All 0 without objects.
    """
    maps = []
    for channel in channels:
        if channel == "foreground":
            maps.append(labels > 0)
        else:
            thick = find_boundaries(labels, mode="thick")
            maps.append(ndimage.binary_dilation(thick, iterations=BOUNDARY_WIDTH - 1))
    return np.stack(maps).astype(np.float32)


def mask_targets(labels: Tensor, ids: Tensor, stride: int) -> Tensor:
    """Cut out objects and average them down to SAM's low resolution.

    Parameters
    ----------
    labels : Tensor of int32, shape (H, W)
    ids : Tensor of int64, shape (n,)
        Objects to cut out; 0 gives an empty mask.
    stride : int
        Pixels per low-resolution pixel; divides H and W.

    Returns
    -------
    Tensor of float32, shape (n, 1, H / stride, W / stride)
        The share of each low-resolution pixel that the object covers.
    """
    masks = (labels[None] == ids[:, None, None]) & (ids > 0)[:, None, None]
    return F.avg_pool2d(masks[:, None].to(torch.float32), stride)
