"""Pass E: the tables of a volume, from the labels and the objects."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from autosam.images.write import atomic_path
from autosam.volumes.executors import TaskExecutor
from autosam.volumes.instance_sums import InstanceSums, sum_region
from autosam.volumes.job import VolumeJob
from autosam.volumes.link_pass import objects_of
from autosam.volumes.object_table import InstanceScores, ObjectTable, make_object_table
from autosam.volumes.ome_zarr_output import LabelStore
from autosam.volumes.skeleton_length import SkeletonLengths, group_by_region, measure_skeletons
from autosam.volumes.slice_objects import SliceObjects
from autosam.volumes.store_levels import Region, Size
from autosam.volumes.unite_pass import IDS, NUMBERS, unite_folder

Told = Callable[[str, int, int], None]
"""Is told what is being measured, how much of it is done, and how much there is."""

_VOXELS = 1 << 22
"""Voxels that are measured at once."""

_SLICES = pa.schema(
    [
        ("label", pa.uint64()),
        ("z", pa.int64()),
        ("area", pa.int64()),
        ("score", pa.float32()),
        ("origin", pa.uint8()),
    ]
)


def measure_volume(
    store: LabelStore,
    scores: InstanceScores,
    executor: TaskExecutor,
    *,
    voxel_size: tuple[float, float, float] | None,
    tell: Told,
) -> ObjectTable:
    """Measure every instance; all levels have to be written."""
    regions = [part for region in store.regions() for part in _parts(region, store.levels[0].chunk)]
    sums = InstanceSums.empty()
    waiting: list[InstanceSums] = []
    for done, (_, part) in enumerate(executor.run(partial(sum_region, store), regions), start=1):
        waiting.append(part)
        # A sum at a time would copy the table for each region, and all at the end would hold every part.
        if sum(len(one) for one in waiting) > max(len(sums), 1 << 16) or done == len(regions):
            sums, waiting = InstanceSums.add([sums, *waiting]), []
        tell("measuring instances", done, len(regions))
    if voxel_size is None:
        # A length in voxels of unknown shape means nothing.
        return make_object_table(sums, scores, None, shape=store.shape, voxel_size=None)
    groups = [(sums.ids[own], sums.boxes[own]) for own in group_by_region(store, sums.boxes)]
    lengths = []
    call = partial(_skeletons, store, voxel_size)
    for done, (_, found) in enumerate(executor.run(call, groups), start=1):
        lengths.append(found)
        tell("measuring skeletons", done, len(groups))
    skeletons = SkeletonLengths.join(lengths)
    return make_object_table(sums, scores, skeletons, shape=store.shape, voxel_size=voxel_size)


def _parts(region: Region, chunk: Size) -> list[Region]:
    """Cut a region into whole chunks of few voxels: measuring takes many times the memory of writing."""
    lengths = [side.stop - side.start for side in region]
    steps = list(lengths)
    for axis in range(3):
        others = prod(steps) // steps[axis]
        steps[axis] = min(lengths[axis], chunk[axis] * max(1, _VOXELS // (others * chunk[axis])))
    spans = [
        [slice(at, min(at + step, side.stop)) for at in range(side.start, side.stop, step)]
        for side, step in zip(region, steps, strict=True)
    ]
    return [(z, y, x) for z, y, x in product(*spans)]


def _skeletons(
    store: LabelStore,
    voxel_size: tuple[float, float, float],
    group: tuple[NDArray[np.uint64], NDArray[np.int64]],
) -> SkeletonLengths:
    ids, boxes = group
    return measure_skeletons(store, ids, boxes, voxel_size)


def slabs(job: VolumeJob) -> Iterator[tuple[range, SliceObjects, NDArray[np.uint64]]]:
    """Give the slices, the objects and the instance of each object, slab by slab, of all tiles."""
    ids = np.load(unite_folder(job) / IDS, mmap_mode="r")
    numbers = np.load(unite_folder(job) / NUMBERS, mmap_mode="r")
    every = tuple(tile.index for tile in job.grid.tiles)
    depth, slab = job.grid.shape[0], job.settings.volume.slab
    for first in range(0, depth, slab):
        slices = range(first, min(first + slab, depth))
        objects = objects_of(job, slices, every, filled=True)
        own = np.asarray(numbers[np.searchsorted(ids, objects.ids)], np.uint64)
        yield slices, objects, own


def write_slices_table(path: Path, job: VolumeJob) -> None:
    """Write a row for each instance and slice, by slice and then instance: where it was found and where filled in.

    Of several objects the area is the sum of what their tiles own, the score the mean weighted by it, and the
    origin the lowest: an instance that was found in part of a slice was found there.
    """
    with atomic_path(path) as temporary, pq.ParquetWriter(temporary, _SLICES, compression="zstd") as writer:
        for _, objects, own in slabs(job):
            writer.write_table(pa.table(_rows(objects, own), schema=_SLICES))


def _rows(objects: SliceObjects, own: NDArray[np.uint64]) -> dict[str, NDArray[Any]]:
    kept = np.flatnonzero((own > 0) & (objects.owned > 0))
    order = kept[np.lexsort((own[kept], objects.z[kept]))]
    z, label, area = objects.z[order], own[order], objects.owned[order]
    first = np.flatnonzero((np.diff(z, prepend=-1) != 0) | (np.diff(label, prepend=np.uint64(0)) != 0))
    if not first.size:
        return {name: np.zeros(0) for name in _SLICES.names}
    total = np.add.reduceat(area, first)
    weighted = np.add.reduceat(area * objects.scores[order].astype(np.float64), first)
    return {
        "label": label[first],
        "z": z[first],
        "area": total,
        "score": (weighted / total).astype(np.float32),
        "origin": np.minimum.reduceat(objects.origins[order], first),
    }
