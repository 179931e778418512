"""Which of the image's tokens a prompt is decoded with. Pure numpy."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autosam.models.sam.windows import prompt_extent
from autosam.prompts.prompt import Prompt

MARGIN = 2
"""Least tokens between an object and an inner border of its window."""

STEP = 4
"""Sides are multiples of it, so that many prompts share a side and are decoded in one batch."""


@dataclass(frozen=True)
class TokenWindow:
    """A rectangle of image tokens, within the embedding.

    Attributes
    ----------
    row, col : int
        Its first ones.
    rows, cols : int
        Its sides.
    """

    row: int
    col: int
    rows: int
    cols: int

    @property
    def side(self) -> tuple[int, int]:
        """Both sides."""
        return self.rows, self.cols


def token_window(
    prompt: Prompt, *, least: int | None, scale: NDArray[np.float64], grid: tuple[int, int]
) -> TokenWindow:
    """Choose the window of a prompt.

    It is square and holds the prompt's box, or else its mask, the positive points, and ``MARGIN`` tokens around
    them: a large object has a window larger than ``least``. At the embedding's border it is moved inside, and what
    is as large as the embedding is all of it.

    Parameters
    ----------
    least : int or None
        Smallest side; None gives the whole embedding, as do prompts of points alone, which do not tell how large
        their object is.
    scale : ndarray of float64, shape (2,)
        Image tokens for each pixel of the prompt, along rows and columns.
    grid : tuple of int
        Rows and columns of the embedding.
    """
    if least is None or (prompt.box is None and prompt.mask is None):
        return TokenWindow(0, 0, *grid)
    extent = prompt_extent(prompt)
    # A pixel reaches half a pixel beyond its center, so that the last one ends where the next would begin.
    begin, end = np.floor(extent[:2] * scale), np.ceil((extent[2:] + 1) * scale)
    return _around(begin, end, least, grid)


def widened(window: TokenWindow, grid: tuple[int, int]) -> TokenWindow:
    """Give a window of twice the side around the same place."""
    begin, end = np.array([window.row, window.col]), np.array([window.row + window.rows, window.col + window.cols])
    return _around(begin, end, 2 * max(window.side), grid)


def _around(
    begin: NDArray[np.floating] | NDArray[np.integer],
    end: NDArray[np.floating] | NDArray[np.integer],
    least: int,
    grid: tuple[int, int],
) -> TokenWindow:
    side = max(least, int((end - begin).max()) + 2 * MARGIN)
    side = STEP * -(-side // STEP)
    sides = np.minimum(side, grid)
    corner = np.clip(np.floor((begin + end - sides) / 2), 0, np.array(grid) - sides).astype(int)
    return TokenWindow(int(corner[0]), int(corner[1]), int(sides[0]), int(sides[1]))


def reaches_inner_border(
    above: NDArray[np.bool_], windows: Sequence[TokenWindow], grid: tuple[int, int]
) -> NDArray[np.bool_]:
    """Tell for each window whether a mask in it reaches a border that is not one of the embedding.

    Parameters
    ----------
    above : ndarray of bool, shape (n, 4)
        Whether any mask has pixels in the first row, the last row, the first column, the last column.
    windows : sequence of TokenWindow
        n of them.

    Returns
    -------
    ndarray of bool, shape (n,)
    """
    inner = [(w.row > 0, w.row + w.rows < grid[0], w.col > 0, w.col + w.cols < grid[1]) for w in windows]
    return np.asarray((above & np.array(inner, dtype=bool).reshape(-1, 4)).any(axis=1))
