"""The pixels of one object as a line of text, for a cell of a table."""

import numpy as np
from numpy.typing import NDArray

from autosam.errors import InputError
from autosam.instances import MaskCrop

LARGEST = 1 << 28
"""Pixels of the crop of a mask at most."""


def mask_text(mask: NDArray[np.bool_], *, row: int = 0, col: int = 0) -> str:
    """Write a mask as first row, first column, height and width, and the lengths of its runs.

    Runs go along the rows and begin with background. The crop is that of the object's pixels.

    Parameters
    ----------
    mask : ndarray of bool, shape (h, w)
        At least one pixel belongs to the object.
    row, col : int
        Where the first pixel of the mask lies in the image.

    Raises
    ------
    InputError
        If no pixel belongs to the object.

    Examples
    --------
    >>> mask_text(np.array([[False, True], [True, True]]), row=10, col=20)
    '10 20 2 2: 1 3'
    """
    rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        raise InputError("the mask of an object has no pixel; draw it, or delete the object")
    inner = mask[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1]
    flat = np.concatenate([[False], inner.ravel()])
    ends = np.flatnonzero(np.diff(flat))
    runs = np.diff(np.concatenate([[0], ends, [inner.size]]))
    corner = f"{row + rows[0]} {col + cols[0]} {inner.shape[0]} {inner.shape[1]}"
    return f"{corner}: {' '.join(str(length) for length in runs.tolist())}"


def read_mask_text(text: str) -> MaskCrop:
    """Read what `mask_text` writes; the score of the crop is 1.

    Raises
    ------
    InputError
        If it is no such text, or was cut short.

    Examples
    --------
    >>> crop = read_mask_text("10 20 2 2: 1 3")
    >>> crop.row, crop.col, crop.mask.astype(int).tolist()
    (10, 20, [[0, 1], [1, 1]])
    """
    place, _, lengths = text.partition(":")
    try:
        row, col, height, width = (int(part) for part in place.split())
        runs = [int(part) for part in lengths.split()]
    except ValueError:
        raise InputError(f"the mask is {_short(text)!r}, wanted ROW COL HEIGHT WIDTH: RUNS") from None
    if row < 0 or col < 0 or height < 1 or width < 1 or any(run < 0 for run in runs):
        raise InputError(f"the mask {_short(text)!r} has a negative number or no pixel")
    if height * width > LARGEST:
        raise InputError(f"the mask is {height} × {width} pixels large, wanted at most {LARGEST:,} pixels")
    if sum(runs) != height * width:
        raise InputError(
            f"the runs of the mask have {sum(runs)} pixels, wanted {height} × {width}; was the cell cut short?"
        )
    mask = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(height, width)
    if not mask.any():
        raise InputError(f"the mask {_short(text)!r} has no pixel of the object")
    return MaskCrop(row, col, mask, score=1.0, prompt=0)


def _short(text: str) -> str:
    return text if len(text) <= 24 else f"{text[:24]}…"
