"""Pass C: edges become instances, for the whole volume at once."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.images.write import atomic_path, ensure_folder
from autosam.volumes.edges import ObjectEdges
from autosam.volumes.job import VolumeJob
from autosam.volumes.partition import kept_edges
from autosam.volumes.task_files import gather_columns, read_columns, read_edges
from autosam.volumes.unite import unite

IDS, NUMBERS = "ids.npy", "numbers.npy"
"""Ids of all objects, rising, and the number of the instance that each belongs to; 0 for none."""


def unite_folder(job: VolumeJob) -> Path:
    """Give the folder of ``IDS`` and ``NUMBERS``."""
    return job.folder / f"unite-{job.keys['unite']}"


def unite_objects(job: VolumeJob) -> int:
    """Give each object the number of its instance, unless the files are there; return how many there are.

    An instance without a voxel, of which other tiles own every pixel, has no number.
    """
    folder, settings = ensure_folder(unite_folder(job)), job.settings.volume
    if not (folder / NUMBERS).exists():
        ids, owned = read_objects_of(list(_object_files(job)))
        a, b = _edges(job, ids)
        numbers = unite(
            ids,
            a,
            b,
            sizes=owned,
            min_size=max(1, settings.min_size),
            slices=range(job.grid.shape[0]),
            min_slices=settings.min_slices,
        )
        if job.grid.shape[0] == 1:
            numbers = _leave_out(job, ids, owned, numbers)
        if settings.min_score > 0:
            numbers = _leave_out_doubtful(job, ids, owned, numbers)
        _save(folder / IDS, ids)
        # The last one: where it is, both are.
        _save(folder / NUMBERS, numbers)
    return int(np.load(folder / NUMBERS, mmap_mode="r").max(initial=0))


def read_objects_of(files: Sequence[Path]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Read the ids of all objects, rising, and how many pixels their tiles own."""
    ids, owned = gather_columns(files, {"id": np.uint64, "owned": np.int64})
    order = np.argsort(ids, kind="stable")
    return ids[order], owned[order]


def _edges(job: VolumeJob, ids: NDArray[np.uint64]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Read both ends of all edges that the partition keeps."""
    method, files = job.settings.volume.partition, list(_edge_files(job))
    if method == "components":
        a, b = gather_columns(files, {"a": np.uint64, "b": np.uint64})
        return a, b
    edges = ObjectEdges.concatenate([read_edges(file)[0] for file in files])
    kept = edges.take(kept_edges(ids, edges, method=method))
    return kept.a, kept.b


def _leave_out(
    job: VolumeJob, ids: NDArray[np.uint64], owned: NDArray[np.int64], numbers: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Leave out instances of a single slice by ``merge.exclude_border`` and ``merge.max_size``, and count anew."""
    merge = job.settings.merge
    count = int(numbers.max(initial=0)) + 1
    kept = np.ones(count, bool)
    if merge.max_size is not None:
        kept &= np.bincount(numbers, weights=owned, minlength=count) <= merge.max_size
    if merge.exclude_border:
        for file in _object_files(job):
            own, *sides = read_columns(file, ("id", "first_row", "first_col", "stop_row", "stop_col"))
            first_row, first_col, stop_row, stop_col = sides
            at_first = (first_row == 0) | (first_col == 0)
            at_last = (stop_row == job.grid.shape[1]) | (stop_col == job.grid.shape[2])
            kept[numbers[np.searchsorted(ids, own[at_first | at_last])]] = False
    return _counted_anew(numbers, kept)


def _leave_out_doubtful(
    job: VolumeJob, ids: NDArray[np.uint64], owned: NDArray[np.int64], numbers: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Leave out instances whose score, the mean of their objects' weighted by pixels, is below the lowest."""
    own, scores = gather_columns(list(_object_files(job)), {"id": np.uint64, "score": np.float32})
    # By id: the sums do not depend on how the volume is cut into tasks.
    weighted = owned * scores[np.argsort(own, kind="stable")].astype(np.float64)
    pixels, total = (np.bincount(numbers, weights=values, minlength=1) for values in (owned, weighted))
    with np.errstate(invalid="ignore"):
        return _counted_anew(numbers, total / pixels >= job.settings.volume.min_score)


def _counted_anew(numbers: NDArray[np.int64], kept: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Give the instances that are kept the numbers 1, 2, ... in their order, and the others 0."""
    kept[0] = False
    anew: NDArray[np.int64] = np.where(kept, np.cumsum(kept), 0)[numbers]
    return anew


def _object_files(job: VolumeJob) -> Iterator[Path]:
    for task in job.plan:
        yield job.path("segment", task)
        if job.fills:
            yield job.path("fill", task)


def _edge_files(job: VolumeJob) -> Iterator[Path]:
    for task in job.plan:
        yield job.path("link", task, "edges")
        if job.fills:
            yield job.path("fill", task, "edges")
        if len(job.grid.tiles) > 1:
            yield job.path("seams", task, "edges")


def _save(path: Path, values: NDArray[Any]) -> None:
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.save(file, values)
        # Renamed only once it is on the disk, as files of tasks are.
        file.flush()
        os.fsync(file.fileno())
