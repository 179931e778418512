"""Instances of labels that are too large for memory: found strip by strip, then taken whole, some at a time."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.instances.instance_table import InstanceTable
from autosam.instances.measure import measure_instances, measure_sizes

Window = tuple[slice, slice]
"""Rows and columns."""

Reader = Callable[[Window], NDArray[Any]]
"""Reads a window of labels (h, w), or of an image (h, w) or (h, w, C)."""

PIXELS = 1 << 23
"""Pixels that are read at once, unless a single instance needs more."""


@dataclass(frozen=True, eq=False)
class InstanceBoxes:
    """Where instances lie, by rising id.

    Attributes
    ----------
    ids : ndarray of integers, shape (n,)
    boxes : ndarray of int64, shape (n, 4)
        First row and column, and those after the last.
    areas : ndarray of int64, shape (n,)
        Pixels.
    """

    ids: NDArray[np.integer[Any]]
    boxes: NDArray[np.int64]
    areas: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def join(cls, parts: Sequence["InstanceBoxes"]) -> "InstanceBoxes":
        """Put together what was found in windows that cover the labels once."""
        ids = np.concatenate([np.zeros(0, np.uint64), *(part.ids for part in parts)])
        boxes = np.concatenate([np.zeros((0, 4), np.int64), *(part.boxes for part in parts)])
        areas = np.concatenate([np.zeros(0, np.int64), *(part.areas for part in parts)])
        if not len(ids):
            return cls(ids, boxes, areas)
        order = np.argsort(ids, kind="stable")
        first = np.flatnonzero(np.diff(ids[order], prepend=ids[order[0]] ^ np.uint64(1)))
        boxes, areas = boxes[order], areas[order]
        sides = (
            np.minimum.reduceat(boxes[:, :2], first),
            np.maximum.reduceat(boxes[:, 2:], first),
        )
        return cls(ids[order][first], np.concatenate(sides, axis=1), np.add.reduceat(areas, first))


@dataclass(frozen=True, eq=False)
class InstanceGroup:
    """Some instances with neighboring ids, and the window that holds them whole."""

    ids: NDArray[np.integer[Any]]
    window: Window

    def labels(self, read: Reader) -> NDArray[Any]:
        """Read the labels of these instances alone, (h, w); all else is 0."""
        labels = read(self.window)
        # No other instance has an id between those of the group.
        own = (labels >= self.ids[0]) & (labels <= self.ids[-1])
        return np.where(own, labels, np.zeros(1, labels.dtype))


def find_boxes(read: Reader, window: Window) -> InstanceBoxes:
    """Find the instances of a window, as far as they lie in it."""
    sizes = measure_sizes(read(window))
    top, left = window[0].start, window[1].start
    boxes = np.stack([sizes[f"bbox-{side}"] for side in range(4)], axis=1) + np.array([top, left, top, left])
    return InstanceBoxes(sizes["label"].astype(np.uint64), boxes, sizes["area"])


def windows_of(shape: tuple[int, int], *, pixels: int = PIXELS) -> list[Window]:
    """Cut labels into strips of whole rows, of so many pixels at most or of one row."""
    step = max(1, pixels // max(shape[1], 1))
    return [(slice(top, min(top + step, shape[0])), slice(0, shape[1])) for top in range(0, shape[0], step)]


def group_instances(found: InstanceBoxes, *, pixels: int = PIXELS) -> Iterator[InstanceGroup]:
    """Group instances in the order of their ids, as long as one window of so many pixels holds them."""
    first, around = 0, [0, 0, 0, 0]
    for index, (top, left, bottom, right) in enumerate(found.boxes.tolist()):
        wider = [min(around[0], top), min(around[1], left), max(around[2], bottom), max(around[3], right)]
        if index == first:
            around = [top, left, bottom, right]
        elif (wider[2] - wider[0]) * (wider[3] - wider[1]) <= pixels:
            around = wider
        else:
            yield _group(found, first, index, around)
            first, around = index, [top, left, bottom, right]
    if first < len(found):
        yield _group(found, first, len(found), around)


def _group(found: InstanceBoxes, first: int, stop: int, around: Sequence[int]) -> InstanceGroup:
    top, left, bottom, right = around
    return InstanceGroup(found.ids[first:stop], (slice(top, bottom), slice(left, right)))


def measure_group(
    group: InstanceGroup, labels: Reader, image: Reader | None, *, pixel_size_nm: float | None
) -> InstanceTable:
    """Measure the instances of a group as `measure_instances` does; scores are not known."""
    pixels = None if image is None else image(group.window)
    measured = measure_instances(group.labels(labels), pixels, None, pixel_size_nm=pixel_size_nm)
    row, col = group.window[0].start, group.window[1].start
    moves = {"centroid-0": row, "centroid-1": col, "bbox-0": row, "bbox-1": col, "bbox-2": row, "bbox-3": col}
    return InstanceTable({name: values + moves.get(name, 0) for name, values in measured.columns.items()})


def join_tables(parts: Sequence[InstanceTable]) -> InstanceTable:
    """Put tables of groups together, at least one, in their order."""
    return InstanceTable({name: np.concatenate([part[name] for part in parts]) for name in parts[0].columns})
