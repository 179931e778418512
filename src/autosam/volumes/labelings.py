"""How the voxels of a volume get their instances: from one direction, or from three that vote."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from autosam.images.write import atomic_path
from autosam.volumes.directions import (
    TURNS,
    agree,
    check_directions,
    copied_holes,
    copy_task,
    count_overlaps,
    numbers_place,
    start_copy,
    turned_job,
    write_voted,
)
from autosam.volumes.executors import TaskExecutor
from autosam.volumes.job import VolumeJob
from autosam.volumes.label_output import open_output
from autosam.volumes.measure_pass import slabs
from autosam.volumes.object_table import InstanceScores, add_scores
from autosam.volumes.ome_zarr_output import LabelStore
from autosam.volumes.passes import PassResults, Watch, find_objects, label_type, run_pass
from autosam.volumes.store_levels import Region
from autosam.volumes.write_pass import write_region


@dataclass(frozen=True)
class Labeling:
    """Instances that were found and not yet written.

    Attributes
    ----------
    results : PassResults
    write : callable
        Writes a region of a store; can be sent to other processes.
    scores : callable
        Adds up the scores of the instances.
    """

    results: PassResults
    write: Callable[[LabelStore, Region], None]
    scores: Callable[[], InstanceScores]


def find_labeling(job: VolumeJob, executor: TaskExecutor, watch: Watch) -> Labeling:
    """Find the instances of a volume, in as many directions as ``volume.directions`` says."""
    if job.settings.volume.directions == 1:
        results = find_objects(job, executor, watch)
        return Labeling(
            results,
            partial(write_region, job),
            lambda: InstanceScores.add([add_scores(objects, own) for _, objects, own in slabs(job)]),
        )
    return _three_directions(job, executor, watch)


def _three_directions(job: VolumeJob, executor: TaskExecutor, watch: Watch) -> Labeling:
    check_directions(job)
    total = PassResults(directions=len(TURNS))
    copies = start_copy(job)
    for _ in run_pass(executor, partial(copy_task, job), copies, len(copies), "copying", total, watch):
        pass
    jobs = [turned_job(job, direction) for direction in range(len(TURNS))]
    stores: list[LabelStore] = []
    counts: list[int] = []
    for direction, turned in enumerate(jobs):
        total.direction = direction
        found = find_objects(turned, executor, watch, total)
        counts.append(found.instances)
        output = open_output(
            job.folder / f"direction-{turned.keys['unite']}.zarr",
            shape=turned.source.shape,
            dtype=label_type(found.instances),
            voxel_size=None,
            identity=turned.keys["unite"],
            pyramid=False,
            work=job.folder / f"direction-{turned.keys['unite']}",
        )
        stores.append(output.store)
        regions = [region for region in output.store.regions() if not output.store.is_written(region)]
        write = partial(write_region, turned, output.store)
        for _ in run_pass(executor, write, regions, len(regions), "writing labels", total, watch):
            pass
    regions = list(stores[0].regions())
    call = partial(count_overlaps, tuple(stores))
    overlaps = [part for _, part in run_pass(executor, call, regions, len(regions), "comparing", total, watch)]
    numbers = agree(overlaps, counts)
    for direction, own in enumerate(numbers):
        with atomic_path(numbers_place(job, direction)) as temporary, open(temporary, "wb") as file:
            np.save(file, own)
    total.holes += copied_holes(job)
    total.instances = max(int(own.max(initial=0)) for own in numbers)

    def scores() -> InstanceScores:
        parts = []
        for turned, own in zip(jobs, numbers, strict=True):
            parts += [add_scores(objects, own[found].astype(np.uint64)) for _, objects, found in slabs(turned)]
        # Slices of three directions cannot be counted together.
        return InstanceScores.add([replace(part, filled=np.zeros_like(part.filled)) for part in parts])

    return Labeling(total, partial(write_voted, job, tuple(stores)), scores)
