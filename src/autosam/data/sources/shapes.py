"""Pixels of one object, from its outline or its run lengths."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.draw import polygon

from autosam.errors import InputError

Points = NDArray[np.float64]
# No image is so large: a greater number is damage.
_FARTHEST = 1e9
Outline = Sequence[Sequence[Points]]
"""An object's parts, each an outer ring and its holes: x before y, (0, 0) the corner of the first pixel."""


@dataclass(frozen=True, eq=False)
class Pixels:
    """The pixels of one object inside its image.

    Attributes
    ----------
    row, col : int
        Upper left corner of the window.
    mask : ndarray of bool, shape (h, w)
        The object in the window; no pixel where the object has none.
    cut : bool
        Whether the object reaches over the image's border by a pixel or more.
    outside : bool
        Whether nothing of its box lies in the image.
    """

    row: int
    col: int
    mask: NDArray[np.bool_]
    cut: bool = False
    outside: bool = False

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns of the window."""
        height, width = self.mask.shape
        return slice(self.row, self.row + height), slice(self.col, self.col + width)

    @property
    def size(self) -> int:
        """Number of pixels."""
        return int(np.count_nonzero(self.mask))


NOTHING = Pixels(0, 0, np.zeros((0, 0), bool))


def fill(outline: Outline, shape: tuple[int, int]) -> Pixels:
    """Fill the outline of one object.

    Parameters
    ----------
    outline : sequence of parts, each a sequence of ndarray, shape (N, 2)
        Closed rings, x before y, in pixels. (0, 0) is the upper left corner of the first pixel, and a pixel is
        inside if its center is. A ring inside another one of its part is a hole (even-odd rule); the object is
        the union of its parts. Rings without area are no rings.
    shape : tuple of int
        (H, W) of the image; what lies outside is cut off.
    """
    parts = [rings for part in outline if (rings := [ring for ring in part if has_area(ring)])]
    if not parts:
        return NOTHING
    height, width = shape
    everything = np.concatenate([ring for rings in parts for ring in rings])
    low, high = everything.min(axis=0), everything.max(axis=0)
    left, top = np.maximum(np.floor(low), 0).astype(int)
    right, bottom = np.minimum(np.ceil(high), (width, height)).astype(int)
    if left >= right or top >= bottom:
        return Pixels(0, 0, np.zeros((0, 0), bool), outside=True)
    mask = np.zeros((bottom - top, right - left), bool)
    for rings in parts:
        inside = np.zeros_like(mask)
        for ring in rings:
            rows, columns = polygon(ring[:, 1] - 0.5 - top, ring[:, 0] - 0.5 - left, shape=mask.shape)
            inside[rows, columns] ^= True
        mask |= inside
    cut = bool((low <= -1).any() or high[0] >= width + 1 or high[1] >= height + 1)
    return Pixels(int(top), int(left), mask, cut=cut)


def crop(mask: NDArray[np.bool_]) -> Pixels:
    """Take the pixels of one object out of a mask of the whole image, shape (H, W)."""
    rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return NOTHING
    window = slice(rows[0], rows[-1] + 1), slice(cols[0], cols[-1] + 1)
    return Pixels(int(rows[0]), int(cols[0]), mask[window])


def as_ring(points: Iterable[Sequence[float]], name: object) -> Points:
    """Check the points of one ring: two finite numbers each; how many there are does not matter here."""
    try:
        ring = np.array([[float(point[0]), float(point[1])] for point in points], np.float64).reshape(-1, 2)
    except (TypeError, ValueError, IndexError, KeyError) as error:
        raise InputError(f"{name} has an outline that is not a list of (x, y) points: {error}.") from error
    if not (np.abs(ring) <= _FARTHEST).all():
        raise InputError(
            f"{name} has an outline with NaN, infinity or a number above {_FARTHEST:g} in it; wanted pixels."
        )
    return ring


def has_area(ring: Points) -> bool:
    """Tell whether a ring encloses anything: three points that do not lie on one line."""
    if len(ring) < 3:
        return False
    sides = ring - ring[0]
    farthest = sides[np.argmax((sides**2).sum(axis=1))]
    return bool(np.abs(farthest[0] * sides[:, 1] - farthest[1] * sides[:, 0]).max() > 1e-9)


def decode_runs(size: Sequence[int], counts: Sequence[int] | str, name: object) -> NDArray[np.bool_]:
    """Decode COCO's run lengths, plain or compressed, to a mask of shape (H, W).

    Parameters
    ----------
    size : sequence of 2 int
        (H, W).
    counts : sequence of int or str
        Lengths of runs, background first, down the columns; or their text form: numbers of 5 bits a character,
        lowest first, each from the third on as the difference to the one two before.

    Runs that do not fill the image are refused.

    Examples
    --------
    >>> decode_runs((2, 2), [1, 2, 1], "a").astype(int).tolist()
    [[0, 1], [1, 0]]
    """
    height, width, runs = run_lengths(size, counts, name)
    values = np.arange(len(runs)) % 2 == 1
    return np.repeat(values, runs).reshape(width, height).T


def run_lengths(size: Sequence[int], counts: Sequence[int] | str, name: object) -> tuple[int, int, list[int]]:
    """Read height, width and runs of COCO's run lengths, without decoding them; errors as of `decode_runs`."""
    try:
        runs = _from_text(counts) if isinstance(counts, str) else [int(n) for n in counts]
        height, width = (int(n) for n in size)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"the run lengths of {name} are not numbers: {error}.") from error
    if min(height, width) < 0 or sum(runs) != height * width or min(runs, default=0) < 0:
        raise InputError(f"the run lengths of {name} fill {sum(runs)} pixels of {height} × {width}.")
    return height, width, runs


def _from_text(text: str) -> list[int]:
    runs: list[int] = []
    number = shift = 0
    for character in text:
        code = ord(character) - 48
        number |= (code & 31) << shift
        shift += 5
        if code & 32:
            continue
        if code & 16:
            # The highest bit of the last group is the sign.
            number -= 1 << shift
        runs.append(number + (runs[-2] if len(runs) > 2 else 0))
        number = shift = 0
    return runs


def entry(mapping: Any, key: str, name: object) -> Any:
    """Look up a key of parsed JSON, or say that it is missing."""
    if not isinstance(mapping, dict) or key not in mapping:
        raise InputError(f"{name} has no {key!r}; the file is damaged or not what its suffix says.")
    return mapping[key]
