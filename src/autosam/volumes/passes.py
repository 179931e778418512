"""The passes over a volume, in order; each is tasks that can run anywhere."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from autosam.images.write import ensure_folder, smallest_unsigned
from autosam.volumes.executors import Answer, Task, TaskExecutor
from autosam.volumes.fill_pass import fill_task
from autosam.volumes.job import VolumeJob
from autosam.volumes.link_pass import link_task
from autosam.volumes.ome_zarr_output import LabelStore
from autosam.volumes.pyramid import write_level
from autosam.volumes.seam_pass import seam_task
from autosam.volumes.segment_pass import segment_task
from autosam.volumes.store_levels import Region
from autosam.volumes.unite_pass import unite_objects

SHARES = {
    "copying": 0.01,
    "segmenting": 0.8,
    "linking slices": 0.03,
    "filling gaps": 0.06,
    "joining tiles": 0.01,
    "uniting": 0.01,
    "comparing": 0.01,
    "writing labels": 0.04,
    "writing levels": 0.01,
    "measuring instances": 0.02,
    "measuring skeletons": 0.02,
}
"""What a run does, in its order, and about which share of the time each takes."""


@dataclass
class PassResults:
    """What the passes have found so far.

    Attributes
    ----------
    step : str
        What is being done now.
    done, total : int
        Tasks of it.
    objects, filled, edges, instances : int
        Objects in slices, those of them that were filled into gaps, edges, and instances.
    holes : list
        Slices and tiles that could not be read, with the reason.
    unlike : tuple of int
        Tiles that are unlike the training images, and those of which it is known.
    direction, directions : int
        Number of the direction in which the volume is seen now, from 0, and how many there are.
    """

    step: str = ""
    done: int = 0
    total: int = 0
    objects: int = 0
    filled: int = 0
    edges: int = 0
    instances: int = 0
    holes: list[list[Any]] = field(default_factory=list)
    unlike: tuple[int, int] = (0, 0)
    direction: int = 0
    directions: int = 1

    @property
    def share(self) -> float:
        """How much of the run is done, 0 to 1; about, as of the time that passes take."""
        steps = list(SHARES)
        before = sum(SHARES[step] for step in steps[: steps.index(self.step)]) if self.step else 0.0
        here = before + (SHARES[self.step] * self.done / max(self.total, 1) if self.step else 0.0)
        return (self.direction + here) / self.directions

    def add(self, notes: dict[str, Any]) -> None:
        """Add what a task has found."""
        self.objects += notes.get("objects", 0)
        self.filled += notes.get("filled", 0)
        self.edges += notes.get("edges", 0)
        self.holes += notes.get("holes", [])
        unlike, known = notes.get("unlike", (0, 0))
        self.unlike = (self.unlike[0] + unlike, self.unlike[1] + known)


Watch = Callable[[PassResults], None]
"""Is told after each task what was found so far."""


def find_objects(
    job: VolumeJob, executor: TaskExecutor, watch: Watch, results: PassResults | None = None
) -> PassResults:
    """Do all passes before the output: segment, link, fill, join tiles, unite.

    Parameters
    ----------
    results : PassResults, optional
        Of another direction: what is found is added.
    """
    results = PassResults() if results is None else results
    steps: list[tuple[str, str, Callable[[VolumeJob, Any], dict[str, Any]]]] = [
        ("segmenting", "segment", segment_task),
        ("linking slices", "link", link_task),
    ]
    if job.fills:
        steps.append(("filling gaps", "fill", fill_task))
    if len(job.grid.tiles) > 1:
        steps.append(("joining tiles", "seams", seam_task))
    for doing, step, function in steps:
        ensure_folder(job.folder / f"{step}-{job.keys[step]}")
        for _, notes in run_pass(executor, partial(function, job), job.plan, len(job.plan), doing, results, watch):
            results.add(notes)
    results.step, results.done, results.total = "uniting", 0, 1
    watch(results)
    results.instances = unite_objects(job)
    results.holes.sort(key=lambda hole: hole[:2])
    return results


def write_levels(
    store: LabelStore,
    write: Callable[[LabelStore, Region], None],
    executor: TaskExecutor,
    results: PassResults,
    watch: Watch,
) -> None:
    """Write the labels and their pyramid."""
    for level in range(len(store.levels)):
        regions = [region for region in store.regions(level) if not store.is_written(region, level)]
        call: Callable[[Any], None] = partial(write_level, store, level=level) if level else partial(write, store)
        doing = "writing levels" if level else "writing labels"
        for _ in run_pass(executor, call, regions, len(regions), doing, results, watch):
            pass


def label_type(instances: int) -> np.dtype[Any]:
    """Give the type that the labels of so many instances have."""
    return smallest_unsigned(max(instances, 1 << 8))


def run_pass(
    executor: TaskExecutor,
    call: Callable[[Task], Answer],
    tasks: Iterable[Task],
    total: int,
    doing: str,
    results: PassResults,
    watch: Watch,
) -> Iterator[tuple[Task, Answer]]:
    """Do the tasks of a pass, and tell after each how far it is."""
    results.step, results.done, results.total = doing, 0, total
    watch(results)
    for task, answer in executor.run(call, tasks):
        yield task, answer
        results.done += 1
        watch(results)
