"""Pass S: edges between tiles, slice by slice."""

from typing import Any

from autosam.volumes.edges import ObjectEdges
from autosam.volumes.job import VolumeJob
from autosam.volumes.link_pass import objects_of
from autosam.volumes.seams import seam_edges
from autosam.volumes.task_files import read_notes, write_edges
from autosam.volumes.volume_grid import VolumeTask


def seam_task(job: VolumeJob, task: VolumeTask) -> dict[str, Any]:
    """Write the edges from the tiles of a task to their neighbors of higher index, unless the file is there.

    Returns
    -------
    dict
        ``edges``, their number.
    """
    path = job.path("seams", task, "edges")
    if path.exists():
        return read_notes(path)
    own = set(task.tiles)
    pairs = [pair for pair in job.grid.neighbors() if pair[0] in own]
    tiles = tuple(sorted(own | {other for _, other in pairs}))
    objects = objects_of(job, task.slab, tiles, filled=True)
    edges = []
    for z in task.slab:
        here = {tile: objects.of(z, tile) for tile in tiles}
        for first, second in pairs:
            both = (job.grid.tiles[first], job.grid.tiles[second])
            edges.append(seam_edges(here[first], here[second], both, threshold=job.settings.volume.seam))
    joined = ObjectEdges.concatenate(edges)
    notes = {"edges": len(joined)}
    write_edges(path, joined, notes=notes)
    return notes
