"""Windows over an image: their places, their pixels, and how their maps are blended to one map."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from autosam.errors import InputError
from autosam.images.scaled_image import ScaledImage


@dataclass(frozen=True, order=True)
class Window:
    """A rectangle in whole-image pixels, which may stick out of the image on any side.

    `row` and `col` are its first ones, negative above and left of the image; the sides are at least 1.
    """

    row: int
    col: int
    height: int
    width: int

    def clearance(self, box: ArrayLike, *, image_shape: tuple[int, int] | None = None) -> float:
        """Return the smallest distance in pixels from a box to the window's sides; negative if it sticks out.

        The box is first row, first column, last row, last column, all part of it. With `image_shape`, sides on or
        beyond the image's border do not count, since nothing is cut off there; infinite where no side counts.

        Examples
        --------
        >>> Window(0, 0, 10, 10).clearance((2, 3, 8, 8))
        1.0
        >>> Window(0, 0, 10, 10).clearance((2, 3, 8, 8), image_shape=(10, 20))
        1.0
        >>> Window(0, 0, 10, 10).clearance((0, 3, 9, 7), image_shape=(10, 20))
        2.0
        """
        first_row, first_col, last_row, last_col = (float(v) for v in np.asarray(box, np.float64))
        end_row, end_col = self.row + self.height, self.col + self.width
        rows, cols = image_shape if image_shape is not None else (math.inf, math.inf)
        sides = [
            (first_row - self.row, image_shape is not None and self.row <= 0),
            (first_col - self.col, image_shape is not None and self.col <= 0),
            (end_row - 1 - last_row, end_row >= rows),
            (end_col - 1 - last_col, end_col >= cols),
        ]
        return min((distance for distance, open_side in sides if not open_side), default=math.inf)

    def contains_box(
        self, box: ArrayLike, margin: float = 0.0, *, image_shape: tuple[int, int] | None = None
    ) -> bool:
        """Tell whether a box lies at least `margin` pixels inside the window; parameters as `clearance`."""
        return self.clearance(box, image_shape=image_shape) >= margin

    def overlaps(self, shape: Sequence[int]) -> tuple[slice, slice]:
        """Rows and columns of the image, of shape (H, W, ...), that the window covers."""
        return (
            slice(max(0, self.row), max(0, min(shape[0], self.row + self.height))),
            slice(max(0, self.col), max(0, min(shape[1], self.col + self.width))),
        )


def tile_windows(
    shape: Sequence[int], *, size: int, overlap: int, largest: int | None = None, multiple: int = 1
) -> list[Window]:
    """Cover an image with windows of one size, evenly spread, row by row.

    Parameters
    ----------
    shape : sequence of int
        Rows and columns of the image; further axes are ignored. Where a side is shorter than the window, one
        window starts at 0 and sticks out at the end. An image without pixels has no window.
    size : int
        Side of a window in pixels.
    overlap : int
        Pixels that neighboring windows share at least.
    largest : int, optional
        Along each axis, windows are as long as makes them hold the fewest pixels altogether: from ``size`` up to
        this, in steps of ``multiple``. By default all sides are ``size``.
    multiple : int
        Not read without ``largest``.

    Raises
    ------
    InputError
        If not 0 <= overlap < size.

    Examples
    --------
    >>> [(w.row, w.col) for w in tile_windows((10, 25), size=10, overlap=2)]
    [(0, 0), (0, 7), (0, 15)]
    >>> tile_windows((10, 25), size=10, overlap=2, largest=15, multiple=2)
    [Window(row=0, col=0, height=10, width=14), Window(row=0, col=11, height=10, width=14)]
    """
    if size < 1 or not 0 <= overlap < size:
        raise InputError(f"tile size is {size} and overlap {overlap}; wanted size >= 1 and 0 <= overlap < size.")
    if 0 in shape[:2]:
        return []
    sides = range(size, (largest or size) + 1, multiple)
    # Of equal ones the smaller, which takes less memory.
    height, width = (
        min(sides, key=lambda side: side * len(_starts(length, side, overlap))) for length in shape[:2]
    )
    return [
        Window(row, col, height, width)
        for row in _starts(shape[0], height, overlap)
        for col in _starts(shape[1], width, overlap)
    ]


def _starts(length: int, size: int, overlap: int) -> list[int]:
    steps = math.ceil((length - size) / (size - overlap)) if length > size else 0
    # Whole-number rounding keeps neighbors at most size - overlap apart.
    return [(length - size) * i // steps for i in range(steps + 1)] if steps else [0]


def read_window(image: NDArray[Any] | ScaledImage, window: Window) -> NDArray[Any]:
    """Cut a window, (height, width, ...), out of an image, (H, W, ...).

    Outside, the image is mirrored as often as needed, its border pixels included. The result is a view of the
    image where the window lies inside it, else a new array.

    Raises
    ------
    InputError
        If the image has no pixels.

    Examples
    --------
    >>> read_window(np.array([[1, 2, 3]]), Window(0, -2, 1, 8)).tolist()
    [[2, 1, 1, 2, 3, 3, 2, 1]]
    """
    if len(image.shape) < 2 or 0 in image.shape[:2]:
        raise InputError(f"the image to cut a window from has shape {image.shape}; wanted at least one pixel.")
    rows, cols = window.overlaps(image.shape)
    if rows.stop - rows.start == window.height and cols.stop - cols.start == window.width:
        return image[rows, cols]
    row_index = _mirrored(window.row, window.height, image.shape[0])
    col_index = _mirrored(window.col, window.width, image.shape[1])
    return image[row_index[:, None], col_index]


def _mirrored(start: int, count: int, length: int) -> NDArray[np.intp]:
    index = np.arange(start, start + count) % (2 * length)
    return np.where(index < length, index, 2 * length - 1 - index)


def _ramp(length: int) -> NDArray[np.float64]:
    # Above 0 at the border, so that a pixel that one tile alone covers has a weight.
    return np.sin(np.pi * (np.arange(length) + 0.5) / length) ** 2


def blend(
    tiles: Iterable[NDArray[Any]], windows: Sequence[Window], shape: tuple[int, int]
) -> list[NDArray[np.float32]]:
    """Join the maps of all tiles into C maps of the whole image, each (H, W), weighted by a squared sine.

    Where all tiles agree about a pixel, it has their value, to float32 rounding. Tiles, (C, height, width), are
    taken one at a time, so that a generator keeps only one in memory. Windows: every row start with every column
    start, as `tile_windows` returns them, covering the image.

    Raises
    ------
    InputError
        If the windows are not a grid, leave pixels uncovered, or tiles are missing, too many or of another
        shape.
    """
    row_weight = _shares({(w.row, w.height) for w in windows}, shape[0])
    col_weight = _shares({(w.col, w.width) for w in windows}, shape[1])
    if len(set(windows)) != len(windows) or len(windows) != len(row_weight) * len(col_weight) or not windows:
        raise InputError(f"{len(windows)} windows are not a full grid; take them from tile_windows.")
    # Each in memory of its own, so that one can be let go.
    joined: list[NDArray[np.float32]] = []
    count = 0
    for tile in tiles:
        if count == len(windows):
            raise InputError(f"more tiles came than the {len(windows)} windows; wanted one for each.")
        window = windows[count]
        if tile.ndim != 3 or tile.shape[1:] != (window.height, window.width):
            raise InputError(f"tile {count} has shape {tile.shape}; wanted (C, {window.height}, {window.width}).")
        joined = joined or [np.zeros(shape, np.float32) for _ in range(tile.shape[0])]
        if tile.shape[0] != len(joined):
            raise InputError(f"tile {count} has {tile.shape[0]} channels; the first one had {len(joined)}.")
        rows, cols = window.overlaps(shape)
        inside = tile[
            :,
            rows.start - window.row : rows.stop - window.row,
            cols.start - window.col : cols.stop - window.col,
        ]
        weight = np.outer(row_weight[window.row, window.height], col_weight[window.col, window.width])
        for of_image, of_tile in zip(joined, inside, strict=True):
            of_image[rows, cols] += of_tile * weight.astype(np.float32)
        count += 1
    if count < len(windows):
        raise InputError(f"{count} tiles came for {len(windows)} windows; wanted one for each.")
    return joined


def _shares(spans: set[tuple[int, int]], length: int) -> dict[tuple[int, int], NDArray[np.float64]]:
    """Weigh each span along one axis, inside the image, so that the weights add up to 1 at each pixel.

    The weights of a grid are separable, so rows and columns are scaled apart: no plane of weights is needed.
    """
    total = np.zeros(length)
    ramps = {}
    for start, count in sorted(spans):
        first, stop = max(0, start), max(0, min(length, start + count))
        ramps[start, count] = _ramp(count)[max(0, first - start) : max(0, stop - start)]
        total[first:stop] += ramps[start, count]
    if not (total > 0).all():
        raise InputError("the windows leave pixels uncovered; take them from tile_windows.")
    return {
        (start, count): ramp / total[max(0, start) : max(0, start) + ramp.size]
        for (start, count), ramp in ramps.items()
    }
