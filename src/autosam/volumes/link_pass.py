"""Pass B: edges between the objects of neighboring slices, tile by tile."""

from typing import Any

from autosam.volumes.edges import ObjectEdges
from autosam.volumes.job import VolumeJob
from autosam.volumes.link_slices import CONTEXT, link_slices
from autosam.volumes.slice_objects import SliceObjects
from autosam.volumes.task_files import read_notes, read_objects, write_edges
from autosam.volumes.volume_grid import VolumeTask


def link_task(job: VolumeJob, task: VolumeTask) -> dict[str, Any]:
    """Write the edges that belong to a task's slices, see `link_slices`, unless the file is there.

    Returns
    -------
    dict
        ``edges``, their number.
    """
    path = job.path("link", task, "edges")
    if path.exists():
        return read_notes(path)
    around = range(max(task.slab.start - CONTEXT, 0), min(task.slab.stop + CONTEXT, job.grid.shape[0]))
    objects = objects_of(job, around, task.tiles)
    volume, edges = job.settings.volume, []
    for tile in task.tiles:
        slices = {z: objects.of(z, tile) for z in around}
        edges.append(
            link_slices(
                slices,
                task.slab,
                reach=volume.link_reach,
                iou=volume.link_iou,
                containment=volume.link_containment,
                taper=volume.link_taper,
                cut_merges=volume.cut_merges,
            )
        )
    linked = ObjectEdges.concatenate(edges)
    notes = {"edges": len(linked)}
    write_edges(path, linked, notes=notes)
    return notes


def objects_of(job: VolumeJob, slices: range, tiles: tuple[int, ...], *, filled: bool = False) -> SliceObjects:
    """Read the objects of the tasks that some slices and tiles belong to.

    Parameters
    ----------
    filled : bool
        Those that were filled into gaps, too.
    """
    steps = ("segment", "fill") if filled and job.fills else ("segment",)
    tasks = job.plan.covering(slices, tiles)
    return SliceObjects.concatenate([read_objects(job.path(step, task))[0] for task in tasks for step in steps])
