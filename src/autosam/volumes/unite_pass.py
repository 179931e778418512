"""Pass C: edges become instances, for the whole volume at once."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.images.write import atomic_path, ensure_folder
from autosam.volumes.edges import ObjectEdges
from autosam.volumes.job import VolumeJob
from autosam.volumes.partition import kept_edges
from autosam.volumes.task_files import read_columns, read_edges
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
        columns = [read_columns(file, ("id", "owned")) for file in _object_files(job)]
        ids = np.concatenate([np.zeros(0, np.uint64), *(id_ for id_, _ in columns)])
        owned = np.concatenate([np.zeros(0, np.int64), *(pixels for _, pixels in columns)])
        order = np.argsort(ids, kind="stable")
        ids, owned = ids[order], owned[order]
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
        _save(folder / IDS, ids)
        # The last one: where it is, both are.
        _save(folder / NUMBERS, numbers)
    return int(np.load(folder / NUMBERS, mmap_mode="r").max(initial=0))


def _edges(job: VolumeJob, ids: NDArray[np.uint64]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Read both ends of all edges that the partition keeps."""
    method = job.settings.volume.partition
    if method == "components":
        pairs = [read_columns(file, ("a", "b")) for file in _edge_files(job)]
        a, b = (np.concatenate([np.zeros(0, np.uint64), *(pair[end] for pair in pairs)]) for end in range(2))
        return a, b
    edges = ObjectEdges.concatenate([read_edges(file)[0] for file in _edge_files(job)])
    kept = edges.take(kept_edges(ids, edges, method=method))
    return kept.a, kept.b


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
