"""Which part of a large image a prompt is decoded in. Pure numpy: nothing here knows SAM."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from autosam.images import Window
from autosam.instances import MaskCrop
from autosam.prompts import Prompt

MARGIN = 1 / 32
"""Least distance, as a fraction of the window's side, between an object and an inner border of its window."""


def prompt_extent(prompt: Prompt) -> NDArray[np.float64]:
    """Give first row, first column, last row and last column of what a prompt says about its object.

    This is the box or else the mask's crop, widened to the positive points, which a user may have set beside the
    box. The negative points count where there is nothing else.
    """
    corners = []
    if prompt.box is not None:
        corners = [prompt.box[:2], prompt.box[2:]]
    elif prompt.mask is not None:
        first = np.array([prompt.mask.row, prompt.mask.col], dtype=np.float64)
        corners = [first, first + np.array(prompt.mask.logits.shape) - 1]
    corners += list(prompt.points[prompt.point_labels == 1])
    places = np.array(corners or prompt.points, dtype=np.float64)
    return np.concatenate([places.min(axis=0), places.max(axis=0)])


def assign_windows(
    prompts: Sequence[Prompt], grid: Sequence[Window], shape: tuple[int, int], *, size: int
) -> dict[Window, list[int]]:
    """Give every prompt the window in which its object is most central.

    Parameters
    ----------
    prompts : sequence of Prompt
        In whole-image pixels.
    grid : sequence of Window
        Windows of ``size`` pixels that cover the image of this ``shape``.

    Returns
    -------
    dict of Window to list of int
        Indices of the prompts of each window in use; empty without prompts. Windows of the grid come first, in its
        order. The others are for objects that no window of the grid holds with a margin, shared where possible.
    """
    work: dict[Window, list[int]] = {}
    extents = [prompt_extent(prompt) for prompt in prompts]
    outside = []
    by_grid: dict[int, list[int]] = {}
    for index, extent in enumerate(extents):
        # Most windows of a large image are nowhere near; four at most need a closer look.
        near = [number for number, window in enumerate(grid) if _holds(window, extent)]
        clearances = [grid[number].clearance(extent, image_shape=shape) for number in near]
        if near and max(clearances) >= MARGIN * size:
            by_grid.setdefault(near[int(np.argmax(clearances))], []).append(index)
        else:
            outside.append(index)
    for best in sorted(by_grid):
        work[grid[best]] = by_grid[best]
    own: list[Window] = []
    for index in outside:
        extent = extents[index]
        for window in own:
            if window.contains_box(extent, MARGIN * size, image_shape=shape):
                work[window].append(index)
                break
        else:
            window = object_window(extent, shape, size=size)
            if window not in work:
                own.append(window)
            work.setdefault(window, []).append(index)
    return work


def object_window(extent: NDArray[np.float64], shape: tuple[int, int], *, size: int) -> Window:
    """Center a square window on an object, moved into the image where it fits.

    A window is ``size`` pixels wide, or wider where the object needs it: SAM then sees it at a smaller scale.
    """
    sides = extent[2:] - extent[:2] + 1
    side = max(size, int(np.ceil(sides.max() * (1 + 4 * MARGIN))))
    corner = np.round((extent[:2] + extent[2:] + 1 - side) / 2).astype(int)
    row, col = (int(np.clip(at, 0, max(0, length - side))) for at, length in zip(corner, shape, strict=True))
    return Window(row, col, side, side)


def moved_into(window: Window, prompt: Prompt) -> Prompt:
    """Express a prompt in the window's own pixels; points outside the window are left out."""
    corner = np.array([window.row, window.col], dtype=np.float64)
    points = prompt.points - corner
    # Pixels reach half a pixel beyond their centers, and the grid's last points nearly a whole one.
    inside = ((points >= -0.5) & (points < (window.height, window.width))).all(axis=1)
    mask = prompt.mask
    return replace(
        prompt,
        points=points[inside],
        point_labels=prompt.point_labels[inside],
        box=None if prompt.box is None else prompt.box - np.tile(corner, 2),
        mask=None if mask is None else replace(mask, row=mask.row - window.row, col=mask.col - window.col),
    )


def touches_inner_border(crop: MaskCrop, window: Window, shape: tuple[int, int]) -> bool:
    """Tell whether a mask reaches a border of its window that is not a border of the image."""
    height, width = crop.mask.shape
    box = np.array([crop.row, crop.col, crop.row + height - 1, crop.col + width - 1], dtype=np.float64)
    return window.clearance(box, image_shape=shape) <= 0


def _holds(window: Window, extent: NDArray[np.float64]) -> bool:
    return bool(
        window.row <= extent[0]
        and window.col <= extent[1]
        and extent[2] < window.row + window.height
        and extent[3] < window.col + window.width
    )
