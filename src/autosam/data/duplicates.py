"""Images that show the same thing: a small fingerprint of each, and the pairs whose fingerprints agree."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.errors import InputError

# Fingerprints are compared in blocks of this many, so that n images never need an n × n table.
_BLOCK = 512


@dataclass(frozen=True)
class Duplicate:
    """Two images that look alike: their indices, first < second, and the correlation of their fingerprints."""

    first: int
    second: int
    correlation: float


def fingerprint(image: NDArray[Any], *, side: int = 32) -> NDArray[np.float32]:
    """Reduce an image to the means of a grid of cells, without brightness and contrast.

    Parameters
    ----------
    image : ndarray, shape (H, W) or (H, W, C)
        Any number type; channels are averaged, NaN and infinity become 0.
    side : int
        Cells along each axis.

    Returns
    -------
    ndarray of float32, shape (side * side,)
        Mean 0 and length 1, so that the scalar product of two is their correlation. Zeros for an image that is
        constant at this resolution.

    Examples
    --------
    >>> fingerprint(np.array([[0, 0], [0, 8]]), side=2).round(2).tolist()
    [-0.28999999165534973, -0.28999999165534973, -0.28999999165534973, 0.8700000047683716]
    """
    if image.ndim not in (2, 3) or 0 in image.shape:
        raise InputError(f"the image has shape {image.shape}; wanted (H, W) or (H, W, C), not empty.")
    cells = _cell_means(_cell_means(image, side, axis=0), side, axis=1)
    gray = np.nan_to_num(cells.reshape(side * side, -1).mean(axis=1), nan=0.0, posinf=0.0, neginf=0.0)
    gray -= gray.mean()
    length = float(np.sqrt((gray**2).sum()))
    # Rounding errors of a constant image are not a pattern.
    if length <= 1e-9 * max(1.0, float(np.abs(cells).max(initial=0.0))):
        return np.zeros(side * side, np.float32)
    return np.asarray(gray / length, dtype=np.float32)


def _cell_means(image: NDArray[Any], side: int, *, axis: int) -> NDArray[np.float64]:
    """Average equal stretches along an axis; where there are fewer pixels than cells, pixels are repeated."""
    length = image.shape[axis]
    starts = np.arange(side) * length // side
    if length < side:
        return np.asarray(np.take(image, starts, axis=axis), dtype=np.float64)
    counts = np.diff(np.append(starts, length))
    sums = np.add.reduceat(image, starts, axis=axis, dtype=np.float64)
    return np.asarray(sums / counts.reshape([-1 if a == axis else 1 for a in range(image.ndim)]))


def near_duplicates(
    prints: NDArray[np.float32], parts: Sequence[str], *, threshold: float = 0.95
) -> list[Duplicate]:
    """Find pairs in different parts of a split whose fingerprints agree, the most alike first, then by indices.

    `prints` has the fingerprint of each image, shape (n, d), and `parts` its part. Images of one part are not
    compared, nor those whose part is empty; a constant image is like no other. Pairs that correlate by the
    threshold or more are near-duplicates.
    """
    if len(prints) != len(parts):
        raise InputError(f"{len(prints)} fingerprints and {len(parts)} parts came; wanted one part for each.")
    names, numbers = np.unique(np.asarray(parts, dtype=str), return_inverse=True)
    nameless = numbers == np.flatnonzero(names == "")[0] if "" in names else np.zeros(len(parts), bool)
    found = []
    for start in range(0, len(prints), _BLOCK):
        rows = slice(start, start + _BLOCK)
        alike = prints[rows] @ prints.T
        alike[numbers[rows, None] == numbers[None, :]] = -1
        alike[nameless[rows]] = -1
        alike[:, nameless] = -1
        for row, col in np.argwhere(alike >= threshold):
            if start + row < col:
                found.append(Duplicate(int(start + row), int(col), round(float(alike[row, col]), 4)))
    return sorted(found, key=lambda d: (-d.correlation, d.first, d.second))
