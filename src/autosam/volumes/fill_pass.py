"""Pass F: gaps are filled, slice by slice and tile by tile."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.volumes.edges import ObjectEdges
from autosam.volumes.fill_gaps import Filling, Gap, fill_gaps, objects_of_fillings
from autosam.volumes.hole import HoleError
from autosam.volumes.interpolate import PlacedMask, placed_iou
from autosam.volumes.job import VolumeJob
from autosam.volumes.link_pass import objects_of
from autosam.volumes.segment_pass import asking, loaded_model
from autosam.volumes.slice_objects import SliceObjects, paint, slices_of, tiles_of
from autosam.volumes.task_files import read_edges, read_notes, write_edges, write_objects
from autosam.volumes.volume_grid import VolumeTask

_WIDEST = 2
"""Slices that can be missing in a gap."""


def fill_task(job: VolumeJob, task: VolumeTask) -> dict[str, Any]:
    """Fill the gaps in the slices of a task, and write objects and their edges, unless the files are there.

    A slice that cannot be read stays empty: it is not that its objects were missed.

    Returns
    -------
    dict
        ``filled``, the number of objects.
    """
    path, links = job.path("fill", task), job.path("fill", task, "edges")
    if path.exists():
        return read_notes(path)
    around = range(max(task.slab.start - _WIDEST, 0), min(task.slab.stop + _WIDEST, job.grid.shape[0]))
    found = objects_of(job, around, task.tiles)
    # An edge belongs to the slice in its middle, see `link_slices`.
    holding = job.plan.covering(range(task.slab.start - 1, task.slab.stop), task.tiles)
    edges = [read_edges(job.path("link", one, "edges"))[0].gaps() for one in holding]
    gaps = ObjectEdges.concatenate(edges)
    objects, joined = [], []
    for z in task.slab:
        across = gaps.take((slices_of(gaps.a) < z) & (slices_of(gaps.b) > z))
        for tile in task.tiles:
            made, edges_of = _fill(job, z, tile, across.take(tiles_of(across.a) == tile), found)
            objects.append(made)
            joined.append(edges_of)
    filled = SliceObjects.concatenate(objects)
    notes = {"filled": len(filled)}
    write_edges(links, ObjectEdges.concatenate(joined), notes=notes)
    # The last one: where it is, both are.
    write_objects(path, filled, notes=notes)
    return notes


def _fill(
    job: VolumeJob, z: int, tile: int, gaps: ObjectEdges, found: SliceObjects
) -> tuple[SliceObjects, ObjectEdges]:
    place = job.grid.tiles[tile]
    if not len(gaps):
        return SliceObjects.empty(), ObjectEdges.empty()
    picture = None
    try:
        pixels = job.source.read(z, place.window)
    except HoleError:
        return SliceObjects.empty(), ObjectEdges.empty()
    here = found.of(z, tile)
    others = np.zeros(tuple(side.stop - side.start for side in place.window), np.int32)
    paint(here, np.arange(1, len(here) + 1), others, corner=place.corner)
    wanted = [Gap(*_ends(gaps, number, found), _share(gaps, number, z)) for number in range(len(gaps))]
    settings = job.settings.volume
    if settings.fill == "sam" and job.model is not None:
        picture = job.contrast.picture(pixels, z)
        with asking():
            segmenter = loaded_model(job.model, job.device)
            fillings = fill_gaps(
                segmenter, picture, wanted, others, settings=settings, corner=place.corner, zoom=job.zoom
            )
    else:
        fillings = fill_gaps(None, None, wanted, others, settings=settings, corner=place.corner)
    objects = objects_of_fillings(fillings, place.window, z=z, tile=tile, core=place.core, first_number=len(here))
    return objects, _edges(objects, fillings, wanted, gaps)


def _ends(gaps: ObjectEdges, number: int, found: SliceObjects) -> tuple[PlacedMask, PlacedMask]:
    """Draw the two objects of a gap."""
    lower, upper = np.searchsorted(found.ids, [gaps.a[number], gaps.b[number]])
    return _placed(found, int(lower)), _placed(found, int(upper))


def _placed(objects: SliceObjects, index: int) -> PlacedMask:
    rows, cols = objects.place(index)
    return PlacedMask(rows.start, cols.start, objects.mask(index))


def _share(gaps: ObjectEdges, number: int, z: int) -> float:
    first, last = (int(slices_of(end[number : number + 1])[0]) for end in (gaps.a, gaps.b))
    return (z - first) / (last - first)


def _edges(objects: SliceObjects, fillings: list[Filling], wanted: list[Gap], gaps: ObjectEdges) -> ObjectEdges:
    """Join what fills a gap with the two objects beside it."""
    if not fillings:
        return ObjectEdges.empty()
    of = np.array([filling.gap for filling in fillings])
    sides = []
    for ends, below in ((gaps.a[of], True), (gaps.b[of], False)):
        masks = [wanted[filling.gap].lower if below else wanted[filling.gap].upper for filling in fillings]
        iou = np.array([placed_iou(mask, filling.mask) for mask, filling in zip(masks, fillings, strict=True)])
        areas = np.array([mask.area for mask in masks])
        first, second = (ends, objects.ids) if below else (objects.ids, ends)
        sides.append(
            ObjectEdges(
                first,
                second,
                (slices_of(second) - slices_of(first)).astype(np.uint8),
                iou.astype(np.float32),
                _containment(iou, areas, objects.areas),
            )
        )
    return ObjectEdges.concatenate(sides)


def _containment(
    iou: NDArray[np.float64], one: NDArray[np.int64], other: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Give the intersection over the smaller one from IoU and areas."""
    shared = iou * (one + other) / (1 + iou)
    return np.asarray(shared / np.minimum(one, other), np.float32)
