"""What the generator and SAM are asked to predict, made of instance labels."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from skimage.segmentation import find_boundaries
from torch import Tensor
from torch.nn import functional as F


def generator_targets(
    labels: NDArray[np.int32], channels: tuple[str, ...], *, boundary_width: int = 2
) -> NDArray[np.float32]:
    """Make the generator's target maps.

    Parameters
    ----------
    labels : ndarray of int32, shape (H, W)
        0 for background.
    channels : tuple of {"foreground", "boundary", "center", "affinity_row", "affinity_col"}
    boundary_width : int
        Pixels on each side of an outline that count as boundary, at least 1.

    Returns
    -------
    ndarray of float32, shape (channels, H, W)
        0 or 1. Foreground is every object pixel. Boundary is the band of ``boundary_width`` pixels on each side of
        every outline, also of that between two touching objects. Center is where an object is deeper than half of
        its depth, in Euclidean distance to what is not the object; beyond the tile's border is no outside.
        Affinities are those of nearest neighbors
        (Turaga et al. 2010, "Convolutional networks can learn to generate affinity graphs for image
        segmentation"; Lee et al. 2017): 1 where a pixel and the one a row above (``affinity_row``) or a column to
        the left (``affinity_col``) are of one object; in the first row or column the pixel's own foreground. All 0
        without objects.
    """
    # What boundary and center are both made of.
    outline = find_boundaries(labels, mode="thick")
    maps: dict[str, Callable[[], NDArray[np.bool_]]] = {
        "foreground": lambda: labels > 0,
        "boundary": lambda: _boundary(outline, boundary_width),
        "center": lambda: _center(labels, outline),
        "affinity_row": lambda: _affinity(labels, axis=0),
        "affinity_col": lambda: _affinity(labels, axis=1),
    }
    return np.stack([maps[channel]() for channel in channels]).astype(np.float32)


def target_weights(
    labels: NDArray[np.int32], valid: NDArray[np.bool_], channels: tuple[str, ...], *, boundary_width: int = 2
) -> NDArray[np.float32]:
    """Say which pixels of the target maps are known where a part of the labels is not.

    Parameters
    ----------
    labels : ndarray of int32, shape (H, W)
        0 where they are not known.
    valid : ndarray of bool, shape (H, W)
        Where they are known.
    channels, boundary_width
        Those of `generator_targets`.

    Returns
    -------
    ndarray of float32, shape (channels, H, W)
        1 where the target is known, else 0. Outlines seem to lie where the known part ends, so nothing but
        foreground is known near its end. Nor is the center of an object that reaches there.
    """
    unknown = ~valid
    near = _boundary(unknown, boundary_width + 1)
    reaching = np.isin(labels, np.unique(labels[_boundary(unknown, 2)])) & (labels > 0)
    known = {"foreground": valid, "center": ~near & ~reaching}
    return np.stack([known.get(channel, ~near) for channel in channels]).astype(np.float32)


def _boundary(outline: NDArray[np.bool_], width: int) -> NDArray[np.bool_]:
    # scipy takes 0 iterations for as many as change anything.
    return np.asarray(ndimage.binary_dilation(outline, iterations=width - 1)) if width > 1 else outline


def _center(labels: NDArray[np.int32], outline: NDArray[np.bool_]) -> NDArray[np.bool_]:
    foreground = labels > 0
    # From the outermost pixels of each object, so that touching ones end where they touch; those are 1 deep.
    inside = foreground & ~outline
    # Without anything outside, scipy measures the distance to nothing.
    depth = np.ones(labels.shape) if inside.all() else ndimage.distance_transform_edt(inside) + 1
    ids = np.unique(labels[foreground])
    deepest = np.zeros(int(ids.max(initial=0)) + 1)
    deepest[ids] = ndimage.maximum(depth, labels, ids)
    return np.asarray(foreground & (depth > deepest[labels] / 2))


def _affinity(labels: NDArray[np.int32], axis: int) -> NDArray[np.bool_]:
    joined = labels > 0
    after = np.moveaxis(joined, axis, 0)[1:]
    after &= np.diff(np.moveaxis(labels, axis, 0), axis=0) == 0
    return joined


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


def known_share(labels: Tensor, stride: int) -> Tensor | None:
    """Give the share of each low-resolution pixel where labels, (S, S), are not -1: (1, h, w); None for all."""
    known = labels >= 0
    if bool(known.all()):
        return None
    return F.avg_pool2d(known[None].to(torch.float32), stride)
