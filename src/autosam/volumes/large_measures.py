"""What is measured and drawn of a large image whose labels lie in a store."""

from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.instances import InstanceTable, measure_instances
from autosam.instances.label_parts import (
    InstanceBoxes,
    InstanceGroup,
    Window,
    find_boxes,
    group_instances,
    join_tables,
    measure_group,
)
from autosam.report import draw_overlay
from autosam.volumes.contrast import Slices
from autosam.volumes.executors import TaskExecutor
from autosam.volumes.hole import HoleError
from autosam.volumes.job import VolumeJob
from autosam.volumes.ome_zarr_output import LabelStore
from autosam.volumes.sheet import nearest, shrunk
from autosam.volumes.store_levels import Region
from autosam.volumes.task_files import read_columns
from autosam.volumes.unite_pass import IDS, NUMBERS, unite_folder

SIDE = 4096
"""Most rows and columns of an overlay."""

_PIXELS = 1 << 26
"""Pixels of the level of labels that an overlay is drawn from, at most."""


def read_labels_in(store: LabelStore, window: Window) -> NDArray[Any]:
    """Read a window of the only slice."""
    labels: NDArray[Any] = store.read((slice(0, 1), *window))[0]
    return labels


def find_large_boxes(store: LabelStore, executor: TaskExecutor) -> InstanceBoxes:
    """Find where the instances lie, region by region."""
    parts = [found for _, found in executor.run(partial(_boxes, store), store.regions())]
    return InstanceBoxes.join(parts)


def _boxes(store: LabelStore, region: Region) -> InstanceBoxes:
    return find_boxes(partial(read_labels_in, store), region[1:])


def measure_large(
    job: VolumeJob, store: LabelStore, boxes: InstanceBoxes, executor: TaskExecutor
) -> InstanceTable:
    """Measure the instances as those of any other image; where the image cannot be read it counts as 0."""
    groups = list(enumerate(group_instances(boxes)))
    measured = dict(executor.run(partial(_measure, job.source, store), groups)) if groups else {}
    if not measured:
        pixels = _pixels_of(job.source, (slice(0, 1), slice(0, 1)))
        return measure_instances(np.zeros((1, 1), np.int32), pixels, None, pixel_size_nm=job.source.pixel_size)
    table = join_tables([table for _, table in sorted(measured.values(), key=lambda found: found[0])])
    scores = _scores(job)
    return InstanceTable({**table.columns, "score": scores[table["label"].astype(np.int64) - 1]})


def _measure(source: Any, store: LabelStore, task: tuple[int, InstanceGroup]) -> tuple[int, InstanceTable]:
    number, group = task
    image = partial(_pixels_of, source)
    return number, measure_group(group, partial(read_labels_in, store), image, pixel_size_nm=source.pixel_size)


def _pixels_of(source: Any, window: Window) -> NDArray[Any]:
    try:
        pixels: NDArray[Any] = source.read(0, window)
    except HoleError:
        shape = tuple(part.stop - part.start for part in window)
        return np.zeros((*shape, 3) if source.color else shape, source.dtype)
    return pixels


def _scores(job: VolumeJob) -> NDArray[np.float64]:
    """Give the score of each instance: the mean of its objects', weighted by the pixels that their tiles own."""
    folder = unite_folder(job)
    ids, numbers = np.load(folder / IDS), np.load(folder / NUMBERS)
    owned, scores = np.zeros(len(ids)), np.zeros(len(ids))
    for task in job.plan:
        own, pixels, found = read_columns(job.path("segment", task), ("id", "owned", "score"))
        at = np.searchsorted(ids, own)
        owned[at], scores[at] = pixels, found
    count = int(numbers.max(initial=0)) + 1
    sums, weights = (np.bincount(numbers, values, count) for values in (owned * scores, owned))
    return np.asarray((sums / np.maximum(weights, 1))[1:], np.float64)


def draw_large_overlay(job: VolumeJob, store: LabelStore, source: Slices) -> NDArray[np.uint8]:
    """Draw the image with outlines, reduced to at most ``SIDE`` rows and columns."""
    height, width = store.shape[1:]
    scale = min(1.0, SIDE / max(height, width))
    shape = max(1, round(height * scale)), max(1, round(width * scale))
    picture: NDArray[np.uint8] = np.zeros((*shape, 3), np.uint8)
    # Outlines on black are better than none.
    with suppress(HoleError):
        picture = job.contrast.scaled(shrunk(source, 0, shape), 0)
    level = next(
        (n for n, at in enumerate(store.levels) if at.shape[1] * at.shape[2] <= _PIXELS), len(store.levels) - 1
    )
    at = store.levels[level]
    labels = store.read((slice(0, 1), slice(0, at.shape[1]), slice(0, at.shape[2])), level)[0]
    size = None if job.source.pixel_size is None else job.source.pixel_size / scale
    return draw_overlay(picture, nearest(labels, shape), pixel_size_nm=size)
