"""Instances from outlines and run lengths. Where two objects claim a pixel, the first in the file keeps it."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.draw import polygon

from autosam.data.sources.release import ImageAndLabels
from autosam.errors import InputError
from autosam.images import read_image

Points = NDArray[np.float64]
OVERLAP_RULE = "where objects overlap, the first in the file keeps the pixel; one that is wholly covered is lost"


def paint_rings(labels: NDArray[np.uint32], rings_xy: Sequence[Points], number: int) -> None:
    """Paint one object into the pixels that are still background.

    Parameters
    ----------
    labels : ndarray of uint32, shape (H, W)
        Changed in place.
    rings_xy : sequence of ndarray, shape (N, 2)
        Closed outlines of one object, x before y, in pixels. (0, 0) is the upper left corner of the first pixel,
        and a pixel is inside if its center is. Rings inside others are holes (even-odd rule). Parts outside the
        image are cut off.
    number : int
        Id of the object.
    """
    if not rings_xy:
        return
    height, width = labels.shape
    everything = np.concatenate(rings_xy)
    left, top = np.maximum(np.floor(everything.min(axis=0)), 0).astype(int)
    right, bottom = np.minimum(np.ceil(everything.max(axis=0)), (width, height)).astype(int)
    if left >= right or top >= bottom:
        return
    inside = np.zeros((bottom - top, right - left), bool)
    for ring in rings_xy:
        rows, columns = polygon(ring[:, 1] - 0.5 - top, ring[:, 0] - 0.5 - left, shape=inside.shape)
        inside[rows, columns] ^= True
    window = labels[top:bottom, left:right]
    window[inside & (window == 0)] = number


def read_painted(image: Path, objects: Iterable[Sequence[Points]]) -> ImageAndLabels:
    """Read an image and paint its objects, each given as its rings."""
    pixels = read_image(image)
    labels = np.zeros(pixels.shape[:2], np.uint32)
    for number, rings in enumerate(objects, start=1):
        paint_rings(labels, rings, number)
    return pixels, labels


def paint_mask(labels: NDArray[np.uint32], mask: NDArray[np.bool_], number: int) -> None:
    """Paint one object's mask, shape (H, W), into the pixels that are still background."""
    labels[mask & (labels == 0)] = number


def as_ring(points: Iterable[Sequence[float]], name: object) -> Points:
    """Check the points of the outline of an object: at least 3, of two finite numbers each."""
    try:
        ring = np.array([[float(point[0]), float(point[1])] for point in points], np.float64)
    except (TypeError, ValueError, IndexError) as error:
        raise InputError(f"{name} has an outline that is not a list of (x, y) points: {error}.") from error
    if len(ring) < 3 or not np.isfinite(ring).all():
        raise InputError(f"{name} has an outline of {len(ring)} points; wanted 3 or more finite (x, y).")
    return ring


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
    runs = _from_text(counts) if isinstance(counts, str) else [int(n) for n in counts]
    height, width = (int(n) for n in size)
    if sum(runs) != height * width or min(runs, default=0) < 0:
        raise InputError(f"the run lengths of {name} fill {sum(runs)} pixels of {height} × {width}.")
    values = np.arange(len(runs)) % 2 == 1
    return np.repeat(values, runs).reshape(width, height).T


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
