"""Objects that a run of `autosam volume` found in slices, and that are not in its result."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from autosam.evaluation.diagnosis.volume_sections import VolumeSections, cut_sections, read_counted
from autosam.evaluation.open_pair import OpenPair
from autosam.images.label_names import without_suffix
from autosam.volumes.slice_objects import SliceObjects
from autosam.volumes.task_files import read_objects


def task_objects(labels: Path) -> Path | None:
    """Find the folder with the objects of slices of the run that made labels.

    Returns
    -------
    Path or None
        None where there is none, or several: those of earlier runs with other settings are not told apart.
    """
    tasks = labels.with_name(f"{without_suffix(labels.name)}_tasks")
    found = [folder for folder in tasks.glob("segment-*") if folder.is_dir()] if tasks.is_dir() else []
    return found[0] if len(found) == 1 else None


def find_dropped(
    sections: VolumeSections,
    missing: NDArray[np.bool_],
    pair: OpenPair,
    folder: Path,
    *,
    start: tuple[int, int, int] = (0, 0, 0),
) -> NDArray[np.bool_]:
    """Tell of true cross-sections at which nothing points whether an object of the run does.

    Parameters
    ----------
    sections : VolumeSections
    missing : ndarray of bool, shape (n,)
        The true cross-sections in question.
    pair : OpenPair
        The pair that they are from; slices with some are read again.
    folder : Path
        From `task_objects`.
    start : tuple of int
        z, row and column of the first voxel that was compared.

    Returns
    -------
    ndarray of bool, shape (n,)

    Raises
    ------
    InputError
        If a file of the run is damaged.
    """
    truth = sections.truth
    dropped = np.zeros(len(truth), bool)
    wanted = set(np.unique(truth.z[missing]).tolist())
    for z, objects in _slices_of(folder, start[0], wanted):
        parts, _ = cut_sections(read_counted(pair, z)[1])
        first = int(np.searchsorted(truth.z, z))
        for index in range(len(objects)):
            numbers = parts[_inside(objects, index, start, parts.shape)][_mask(objects, index, start, parts.shape)]
            shared = np.bincount(numbers)
            shared[:1] = 0
            for number in np.flatnonzero(shared).tolist():
                at = first + number - 1
                smaller = min(int(objects.areas[index]), int(truth.areas[at]))
                dropped[at] |= 2 * int(shared[number]) >= smaller
    return dropped & missing


def _slices_of(folder: Path, first: int, wanted: set[int]) -> Iterator[tuple[int, SliceObjects]]:
    """Read the objects of the slices that are wanted, counted from the first one compared; task by task."""
    for file in sorted(folder.glob("*.objects.parquet")):
        objects, _ = read_objects(file)
        for z in sorted(set(np.unique(objects.z - first).tolist()) & wanted):
            yield z, objects.take(objects.z - first == z)


def _inside(
    objects: SliceObjects, index: int, start: tuple[int, int, int], shape: tuple[int, ...]
) -> tuple[slice, slice]:
    sides = [
        slice(max(side.start - at, 0), min(max(side.stop - at, 0), n))
        for side, at, n in zip(objects.place(index), start[1:], shape, strict=True)
    ]
    return sides[0], sides[1]


def _mask(
    objects: SliceObjects, index: int, start: tuple[int, int, int], shape: tuple[int, ...]
) -> NDArray[np.bool_]:
    rows, columns = (
        slice(cut.start + at - side.start, max(cut.stop, cut.start) + at - side.start)
        for cut, side, at in zip(
            _inside(objects, index, start, shape), objects.place(index), start[1:], strict=True
        )
    )
    return objects.mask(index)[rows, columns]
