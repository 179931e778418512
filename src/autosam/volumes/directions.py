"""Isotropic volumes in three directions: each is segmented alone, and a voxel is what two of them say."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array

from autosam.errors import ConfigError
from autosam.images.write import ensure_folder, write_json
from autosam.volumes.contrast import Contrast
from autosam.volumes.finite import check_finite
from autosam.volumes.hole import HoleError
from autosam.volumes.job import VolumeJob, make_keys
from autosam.volumes.ome_zarr_output import LabelStore
from autosam.volumes.open_volume import open_volume
from autosam.volumes.store_levels import Region
from autosam.volumes.unite import unite

TURNS = ("zyx", "yzx", "yxz")
"""Names of the axes of the volume in each direction: what is called z is the axis that slices follow."""

SIDE = 64
"""Side of the cubes in which the volume is copied, which are read as fast along each axis."""

AGREE = 0.5
"""IoU from which instances of two directions are one; each has one partner at most in every other direction."""

LONGEST = 2.0
"""Most that a voxel may be longer along one axis than along another."""

Counts = dict[tuple[int, int], tuple[NDArray[np.int64], NDArray[np.int64]]]
"""For two directions, pairs of ids, (n, 2), and how many voxels have both."""


def check_directions(job: VolumeJob) -> None:
    """Refuse three directions for a volume of colors, or of voxels that are known to be far from cubes."""
    voxel = job.source.voxel_size
    if voxel is not None and max(voxel) > LONGEST * min(voxel):
        sides = " × ".join(f"{side:g}" for side in voxel)
        raise ConfigError(
            f"volume.directions=3 is for voxels that are about cubes, and these have {sides} nm; leave it out"
        )
    if job.source.color or 1 in job.source.shape:
        raise ConfigError("volume.directions=3 is for gray volumes of several slices; leave it out")


@dataclass(frozen=True)
class CopyTask:
    """A part of the copy."""

    z: int
    y: int


def copy_place(job: VolumeJob) -> str:
    """Give the path of the copy: the volume with its contrast, 0 to 255, in cubes."""
    return str(job.folder / f"copy-{job.keys['segment']}" / "volume.zarr")


def start_copy(job: VolumeJob) -> list[CopyTask]:
    """Make the copy's folder, and list what is not copied yet."""
    import zarr

    place = ensure_folder(job.folder / f"copy-{job.keys['segment']}")
    if not (place / "begun").exists():
        sides = tuple(min(SIDE, length) for length in job.source.shape)
        zarr.create_array(copy_place(job), shape=job.source.shape, chunks=sides, dtype="uint8", overwrite=True)
        (place / "begun").touch()
    depth, height, _ = job.source.shape
    every = [CopyTask(z, y) for z in range(0, depth, SIDE) for y in range(0, height, SIDE)]
    return [task for task in every if not _mark(job, task).exists()]


def _mark(job: VolumeJob, task: CopyTask) -> Path:
    """Give the file that is there when a part is copied: its holes."""
    return job.folder / f"copy-{job.keys['segment']}" / f"{task.z}_{task.y}.json"


def copy_task(job: VolumeJob, task: CopyTask) -> None:
    """Copy a row of cubes along x; what cannot be read is 0 and noted.

    Raises
    ------
    InputError
        If pixels are NaN or infinite, see `check_finite`.
    """
    import zarr

    depth, height, width = job.source.shape
    rows = slice(task.y, min(task.y + SIDE, height))
    slices = range(task.z, min(task.z + SIDE, depth))
    part = np.zeros((len(slices), rows.stop - rows.start, width), np.uint8)
    window, holes = (rows, slice(0, width)), []
    policy = job.settings.images.non_finite
    for number, z in enumerate(slices):
        try:
            pixels = job.source.read(z, window)
        except HoleError as error:
            holes.append([z, None, str(error)])
            continue
        check_finite(pixels, name=job.source.name, z=z, window=window, non_finite=policy)
        part[number] = job.contrast.picture(pixels, z)[..., 0]
    zarr.open_array(copy_place(job), mode="r+")[slices.start : slices.stop, rows] = part
    write_json(_mark(job, task), {"holes": holes})


def copied_holes(job: VolumeJob) -> list[list[Any]]:
    """Give the slices that could not be copied as a whole, once each; no tile belongs to them."""
    first: dict[int, list[Any]] = {}
    for mark in sorted(_mark(job, CopyTask(0, 0)).parent.glob("*_*.json")):
        for hole in json.loads(mark.read_text(encoding="utf-8"))["holes"]:
            first.setdefault(hole[0], hole)
    return [first[z] for z in sorted(first)]


def turned_job(job: VolumeJob, direction: int) -> VolumeJob:
    """Give the job of one direction: the copy, seen along another axis."""
    source = open_volume(copy_place(job), axes=TURNS[direction])
    # The folder may have been moved; the content is that of the volume.
    source = replace(source, content=f"{job.source.fingerprint} {TURNS[direction]}")
    contrast = Contrast((0,), (0.0,), (255.0,))
    model = "" if job.model is None else f"{job.keys['segment']}"
    keys = make_keys(
        volume=source.fingerprint, model=model, settings=job.settings, contrast=contrast, zoom=job.zoom
    )
    return replace(job, source=source, contrast=contrast, keys=keys)


def _turn_region(region: Region, direction: int) -> Region:
    """Give where a region lies in the volume of a direction."""
    at = dict(zip(TURNS[direction], region, strict=True))
    return at["z"], at["y"], at["x"]


def _read(store: LabelStore, region: Region, direction: int) -> NDArray[Any]:
    """Read the labels of a direction, turned back."""
    labels = store.read(_turn_region(region, direction))
    return np.transpose(labels, ["zyx".index(axis) for axis in TURNS[direction]])


def count_overlaps(stores: Sequence[LabelStore], region: Region) -> tuple[list[NDArray[np.int64]], Counts]:
    """Count the voxels of each id in a region, and of each pair of ids of two directions.

    Returns
    -------
    sizes : list of ndarray of int64, shape (n, 2)
        For each direction, ids and their voxels.
    counts : dict
        See `Counts`.
    """
    labels = [_read(store, region, direction).astype(np.int64) for direction, store in enumerate(stores)]
    sizes = [np.stack(np.unique(part[part > 0], return_counts=True), axis=1).reshape(-1, 2) for part in labels]
    counts: Counts = {}
    for one, other in combinations(range(len(stores)), 2):
        both = (labels[one] > 0) & (labels[other] > 0)
        pairs, voxels = np.unique(np.stack([labels[one][both], labels[other][both]]), axis=1, return_counts=True)
        counts[one, other] = (pairs.T, voxels)
    return sizes, counts


def agree(
    parts: Sequence[tuple[list[NDArray[np.int64]], Counts]], instances: Sequence[int]
) -> list[NDArray[np.int64]]:
    """Find what two directions or more agree about.

    Parameters
    ----------
    parts : sequence
        What `count_overlaps` gives, of regions that cover the volume once.
    instances : sequence of int
        Highest id of each direction.

    Returns
    -------
    list of ndarray of int64, shape (n + 1,)
        For each direction, the number of each of its ids, 0 for one that stands alone; 1, 2, ... in order of the
        first direction's ids.
    """
    offsets = np.cumsum([0, *instances])
    sizes = np.zeros(offsets[-1], np.int64)
    for of_part, _ in parts:
        for direction, found in enumerate(of_part):
            np.add.at(sizes, offsets[direction] + found[:, 0] - 1, found[:, 1])
    edges = [np.zeros((0, 2), np.int64)]
    for one, other in combinations(range(len(instances)), 2):
        pairs = np.concatenate([np.zeros((0, 2), np.int64), *(counts[one, other][0] for _, counts in parts)])
        voxels = np.concatenate([np.zeros(0, np.int64), *(counts[one, other][1] for _, counts in parts)])
        total = coo_array((voxels, (pairs[:, 0], pairs[:, 1])), shape=(instances[one] + 1, instances[other] + 1))
        total.sum_duplicates()
        a, b = offsets[one] + total.row - 1, offsets[other] + total.col - 1
        kept = total.data > AGREE * (sizes[a] + sizes[b] - total.data)
        edges.append(np.stack([a[kept], b[kept]], axis=1))
    a, b = np.concatenate(edges).T.astype(np.uint64)
    component = unite(np.arange(offsets[-1], dtype=np.uint64), a, b)
    several = np.bincount(component, minlength=1) > 1
    numbers = np.cumsum(several) * several
    return [np.concatenate([[0], numbers[component[offsets[i] : offsets[i + 1]]]]) for i in range(len(instances))]


def numbers_place(job: VolumeJob, direction: int) -> Path:
    """Give the file of the numbers that `agree` gives the ids of a direction."""
    return job.folder / f"copy-{job.keys['segment']}" / f"numbers-{direction}-{job.keys['unite']}.npy"


def vote(stores: Sequence[LabelStore], numbers: Sequence[NDArray[np.int64]], region: Region) -> NDArray[np.int64]:
    """Label a region: a voxel belongs to the instance that two directions see there."""
    first, second, third = (
        own[_read(store, region, direction)]
        for direction, (store, own) in enumerate(zip(stores, numbers, strict=True))
    )
    return np.where((first == second) | (first == third), first, np.where(second == third, second, 0))


def write_voted(job: VolumeJob, stores: Sequence[LabelStore], out: LabelStore, region: Region) -> None:
    """Write a region of the output, unless it is written."""
    if not out.is_written(region):
        numbers = [np.load(numbers_place(job, direction), mmap_mode="r") for direction in range(len(stores))]
        out.write(region, vote(stores, numbers, region))
