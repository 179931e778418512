"""Simulated prompts: what an annotator or a generator could say about an object whose mask is known.

The border of the image is nowhere an outline: an object that is cut by it goes on beyond, so pixels at the cut are
as deep in the object as the outline that can be seen is far, and no mask is rounded off there. Negatives come from
`autosam.prompts.find_negatives`, in training as at work.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from autosam.prompts import ABSENT, MaskPrompt

PointSampling = Literal["uniform", "core"]
"""How points are drawn, see `sample_points`."""

MASK_SPREAD = 0.3
"""Largest shift of a simulated mask's outline, as a fraction of the object's depth."""

MASK_SLOPE = 4.0
"""Change of a simulated mask's logits over one low-resolution pixel: .98 at that distance inside the outline."""


def sample_points(
    mask: NDArray[np.bool_], count: int, *, how: PointSampling, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Draw pixels of an object, with replacement.

    Parameters
    ----------
    mask : ndarray of bool, shape (H, W)
        At least one pixel.
    count : int
        Number of points, 0 or more.
    how : {"uniform", "core"}
        Every pixel alike, or in proportion to its distance from the outline.

    Returns
    -------
    ndarray of float64, shape (count, 2)
        Row and column; always on the object, also where it is a ring or the letter C.

    Raises
    ------
    ValueError
        If the mask is empty.
    """
    pixels = np.argwhere(mask)
    if len(pixels) == 0:
        raise ValueError("the mask is empty, wanted an object to draw points from: leave it out")
    if how == "core":
        depth = _depth(mask)[mask]
        drawn = rng.choice(len(pixels), size=count, p=depth / depth.sum())
    else:
        drawn = rng.integers(len(pixels), size=count)
    return pixels[drawn].astype(np.float64)


def mask_box(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Find an object's bounding box.

    Parameters
    ----------
    mask : ndarray of bool, shape (H, W)

    Returns
    -------
    ndarray of float64, shape (4,)
        First row, first column, last row, last column; the last ones belong to the object.

    Raises
    ------
    ValueError
        If the mask is empty.
    """
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    if len(rows) == 0:
        raise ValueError("the mask is empty, wanted an object to put a box around: leave it out")
    return np.array([rows[0], columns[0], rows[-1], columns[-1]], dtype=np.float64)


def jitter_box(
    box: NDArray[np.float64], shape: Sequence[int], *, sigma: float, limit: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Shift a box's sides by Gaussian noise in proportion to its own height and width.

    Parameters
    ----------
    box : ndarray of float64, shape (4,)
        First row, first column, last row, last column.
    shape : sequence of int
        Height and width of the image, which the result is clipped to.
    sigma : float
        Standard deviation as a fraction of the box's height (rows) or width (columns).
    limit : float
        Largest shift in pixels.

    Returns
    -------
    ndarray of float64, shape (4,)
        Never turned over, however thin the box.

    References
    ----------
    Kirillov et al., "Segment Anything", ICCV 2023, appendix A: 10 % of the side, at most 20 pixels.
    """
    sides = np.tile(box[2:] - box[:2] + 1, 2)
    shift = np.clip(rng.normal(0, sigma, 4) * sides, -limit, limit)
    moved = np.clip(box + shift, 0, np.tile(np.array(shape[:2]) - 1.0, 2))
    return np.concatenate([np.minimum(moved[:2], moved[2:]), np.maximum(moved[:2], moved[2:])])


def low_resolution_mask(
    mask: NDArray[np.bool_], *, stride: int, rng: np.random.Generator, spread: float = MASK_SPREAD
) -> MaskPrompt:
    """Make a coarse, imperfect mask prompt of an object, for training without a generator to make it.

    The logits are the signed distance to the outline, after the outline has been moved inwards or outwards:
    by an amount of its own, at most ``spread`` × the object's depth, in each corner of the crop, and by
    bilinear interpolation between. So the deepest pixels stay the object's. The mean of every ``stride`` ×
    ``stride`` pixels of the image then stands for all of them; an object that is small beside them may get
    negative logits alone, as it would from SAM's own low-resolution mask.

    Parameters
    ----------
    mask : ndarray of bool, shape (H, W)
        At least one pixel.
    stride : int
        Side in pixels of a low-resolution pixel; blocks are counted from the image's first pixel.
    spread : float
        0 to 1, 1 excluded; 0 leaves the outline where it is.

    Returns
    -------
    MaskPrompt
        In image pixels, logits from ``ABSENT`` to ``-ABSENT``. The crop holds all that is above ``ABSENT`` and
        lies inside the image.

    Raises
    ------
    ValueError
        If the mask is empty.
    """
    box = mask_box(mask)
    # An object is nowhere deeper than its longer side.
    reach = -ABSENT / MASK_SLOPE * stride + spread * float((box[2:] - box[:2] + 1).max()) + 1
    first = (np.maximum(box[:2] - reach, 0) // stride * stride).astype(int)
    last = np.minimum(np.ceil((box[2:] + 1 + reach) / stride).astype(int) * stride, mask.shape)
    inside = mask[first[0] : last[0], first[1] : last[1]]

    depth = _depth(inside)
    # The outline runs half a pixel from the centers of the pixels on both sides of it.
    signed = np.where(inside, depth - 0.5, 0.5 - ndimage.distance_transform_edt(~inside))
    rows, columns = (np.linspace([1.0, 0.0], [0.0, 1.0], side) for side in inside.shape)
    moved = rows @ rng.uniform(-spread, spread, (2, 2)) @ columns.T * (depth.max() - 0.5)
    logits = np.clip(MASK_SLOPE / stride * (signed + moved), ABSENT, -ABSENT)

    height, width = inside.shape
    whole = np.pad(logits, ((0, -height % stride), (0, -width % stride)), mode="edge")
    coarse = whole.reshape(whole.shape[0] // stride, stride, -1, stride).mean(axis=(1, 3))
    fine = np.kron(coarse, np.ones((stride, stride)))[:height, :width]
    return MaskPrompt(row=int(first[0]), col=int(first[1]), logits=fine.astype(np.float32))


def correction_clicks(
    predicted: NDArray[np.bool_], truth: NDArray[np.bool_], *, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Click where masks are wrong: one pixel of each mask's error region, all alike.

    Parameters
    ----------
    predicted, truth : ndarray of bool, shape (n, h, w)

    Returns
    -------
    points : ndarray of float64, shape (n, 2)
        Row and column in pixels of the masks. Where the prediction is right everywhere, any pixel of the truth;
        where that is empty too, any pixel.
    labels : ndarray of int64, shape (n,)
        1 on the truth (a pixel that was missed), 0 beside it (one that was too much).

    Raises
    ------
    ValueError
        If the two differ in shape.

    References
    ----------
    Kirillov et al., "Segment Anything", ICCV 2023, appendix A, "Training algorithm".
    """
    if predicted.shape != truth.shape:
        raise ValueError(f"predicted masks are {predicted.shape} and true ones {truth.shape}, wanted one shape")
    count, height, width = truth.shape
    region = predicted ^ truth
    right = ~region.any(axis=(1, 2))
    region[right] = truth[right]
    region[right & ~truth.any(axis=(1, 2))] = True
    sizes = np.count_nonzero(region, axis=(1, 2))
    # Pixels are listed mask by mask, so those of a mask begin where the ones before it end.
    drawn = np.cumsum(sizes) - sizes + rng.integers(sizes)
    _, rows, columns = np.unravel_index(np.flatnonzero(region)[drawn], (count, height, width))
    labels = truth[np.arange(count), rows, columns].astype(np.int64)
    return np.stack([rows, columns], axis=1).astype(np.float64), labels


def _depth(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Measure every pixel's distance to the nearest one that is not the object's; 1 where the image has none."""
    if mask.all():
        return np.ones(mask.shape)
    return np.asarray(ndimage.distance_transform_edt(mask), dtype=np.float64)
