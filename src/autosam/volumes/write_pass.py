"""Pass D: instance numbers become labels, region by region of the output."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.volumes.job import VolumeJob
from autosam.volumes.link_pass import objects_of
from autosam.volumes.ome_zarr_output import LabelStore
from autosam.volumes.slice_objects import paint
from autosam.volumes.unite_pass import IDS, NUMBERS, unite_folder
from autosam.volumes.volume_grid import GridTile

Region = tuple[slice, slice, slice]


def write_region(job: VolumeJob, store: LabelStore, region: Region) -> None:
    """Paint a region of the labels and write it, unless it is written."""
    if not store.is_written(region):
        store.write(region, paint_region(job, region, np.dtype(store.dtype)))


def paint_region(job: VolumeJob, region: Region, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Make the labels of a region, (z, y, x): of each pixel, by the objects of the tile that owns it."""
    zs, *plane = region
    labels = np.zeros(tuple(part.stop - part.start for part in region), dtype)
    owners = list(_owners(job, plane))
    objects = objects_of(job, range(zs.start, zs.stop), tuple(tile.index for tile, _ in owners), filled=True)
    ids = np.load(unite_folder(job) / IDS, mmap_mode="r")
    numbers = np.load(unite_folder(job) / NUMBERS, mmap_mode="r")
    for z in range(zs.start, zs.stop):
        for tile, part in owners:
            here = objects.of(z, tile.index)
            own = np.asarray(numbers[np.searchsorted(ids, here.ids)]) if len(here) else np.zeros(0, np.uint64)
            corner = (part[0].start, part[1].start)
            rows, cols = (slice(p.start - q.start, p.stop - q.start) for p, q in zip(part, plane, strict=True))
            paint(here, own.astype(dtype), labels[z - zs.start, rows, cols], corner=corner)
    return labels


def _owners(job: VolumeJob, plane: list[slice]) -> Iterator[tuple[GridTile, tuple[slice, slice]]]:
    """Give the tiles that own pixels of a part of a slice, and which."""
    for tile in job.grid.tiles:
        rows, cols = (
            slice(max(own.start, part.start), min(own.stop, part.stop))
            for own, part in zip(tile.core, plane, strict=True)
        )
        if rows.start < rows.stop and cols.start < cols.stop:
            yield tile, (rows, cols)
