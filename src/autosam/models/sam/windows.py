"""Which part of a large image a prompt is decoded in. Pure numpy: nothing here knows SAM."""

from collections.abc import Sequence
from dataclasses import replace
from heapq import heapify, heappop, heappush

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
        corners = [first, first + np.array(prompt.mask.shape) - 1]
    corners += list(prompt.points[prompt.point_labels == 1])
    places = np.array(corners or prompt.points, dtype=np.float64)
    return np.concatenate([places.min(axis=0), places.max(axis=0)])


def assign_windows(
    prompts: Sequence[Prompt], grid: Sequence[Window], shape: tuple[int, int], *, size: int
) -> dict[Window, list[int]]:
    """Choose few windows that hold all objects with a margin, and give each the one where it is most central.

    Parameters
    ----------
    prompts : sequence of Prompt
        In whole-image pixels.
    grid : sequence of Window
        Windows of ``size`` pixels that cover the image of this ``shape``. Where neighbors overlap, those are left
        out whose objects the others hold as well.

    Returns
    -------
    dict of Window to list of int
        Indices of the prompts of each window in use; empty without prompts. Windows of the grid come first, in its
        order. The others are for objects that no window of the grid holds with a margin, shared where possible.
    """
    extents = np.array([prompt_extent(prompt) for prompt in prompts], dtype=np.float64).reshape(-1, 4)
    held: list[NDArray[np.intp]] = []
    clearances: list[NDArray[np.float64]] = []
    for window in grid:
        clearance = _clearances(window, extents, shape)
        held.append(np.flatnonzero(clearance >= MARGIN * size))
        clearances.append(clearance[held[-1]])
    # Of two windows that hold equally many, the one that holds them deeper comes first.
    deepest = sorted(range(len(grid)), key=lambda number: -float(clearances[number].sum()))
    few = few_sets([held[number] for number in deepest], len(extents))
    best, of_grid = np.full(len(extents), -np.inf), np.full(len(extents), -1)
    for number in sorted(deepest[chosen] for chosen in few):
        better = clearances[number] > best[held[number]]
        best[held[number][better]] = clearances[number][better]
        of_grid[held[number][better]] = number
    work = {
        grid[number]: np.flatnonzero(of_grid == number).tolist() for number in np.unique(of_grid[of_grid >= 0])
    }
    own: list[Window] = []
    for index in np.flatnonzero(of_grid < 0).tolist():
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


def few_sets(sets: Sequence[NDArray[np.intp]], count: int) -> list[int]:
    """Choose few of the sets that hold everything that any of them holds.

    The one that adds most comes first (Chvátal, "A greedy heuristic for the set-covering problem", 1979), the
    earlier one of two alike. Then those are dropped, the latest first, whose members the others hold.

    Parameters
    ----------
    sets : sequence of ndarray of int, shape (n,)
        Numbers from 0 to ``count - 1``, each once in a set.

    Returns
    -------
    list of int
        Indices of the chosen sets, in the order of choice; empty where all are empty.

    Examples
    --------
    >>> few_sets([np.array([0, 1]), np.array([1, 2, 3]), np.array([3, 4])], 5)
    [1, 0, 2]
    >>> few_sets([np.array([0, 1]), np.array([1, 2])], 4)
    [0, 1]
    """
    missing = np.ones(count, dtype=bool)
    waiting = [(-len(members), index) for index, members in enumerate(sets)]
    heapify(waiting)
    chosen: list[int] = []
    while waiting:
        hoped, index = heappop(waiting)
        # A set never adds more than it did before, so one that still adds as much as hoped is the best.
        adds = int(missing[sets[index]].sum())
        if adds and adds == -hoped:
            chosen.append(index)
            missing[sets[index]] = False
        elif adds:
            heappush(waiting, (-adds, index))
    times = np.zeros(count, dtype=np.int64)
    for index in chosen:
        times[sets[index]] += 1
    for index in chosen[::-1]:
        if (times[sets[index]] > 1).all():
            times[sets[index]] -= 1
            chosen.remove(index)
    return chosen


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


def _clearances(window: Window, extents: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.float64]:
    """Give `Window.clearance` of extents, (n, 4), within the image; -inf for those that it does not hold."""
    least = np.full(len(extents), np.inf)
    for axis, (start, length) in enumerate(((window.row, window.height), (window.col, window.width))):
        before, after = extents[:, axis] - start, start + length - 1 - extents[:, axis + 2]
        holds = (before >= 0) & (after > -1)
        if start > 0:
            least = np.minimum(least, before)
        if start + length < shape[axis]:
            least = np.minimum(least, after)
        least[~holds] = -np.inf
    return least
