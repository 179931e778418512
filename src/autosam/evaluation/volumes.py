"""Label volumes on disk, read block by block, so that memory does not grow with the volume."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.data.valid_pixels import split_ignored
from autosam.errors import InputError
from autosam.evaluation.label_refs import LabelRef, LazyLabels
from autosam.images.label_volume import LabelVolume, Region
from autosam.images.open_label_file import open_label_file
from autosam.metrics.components import components
from autosam.metrics.contingency import Contingency, ContingencyTable
from autosam.metrics.label_arrays import check_shapes

__all__ = [
    "LabelVolume",
    "as_instances",
    "as_truth",
    "blocks",
    "check_valid",
    "contingency_of_volumes",
    "open_labels",
    "read_instances",
]

# Of 64-bit ids two such blocks are 256 MB.
BLOCK_VOXELS = 1 << 24


@contextmanager
def open_labels(labels: LabelRef | Path, *, ignore: int | None = None) -> Iterator[LabelVolume]:
    """Open labels of an item of a store, or of a file by `open_label_file`; valid within the ``with`` block."""
    if isinstance(labels, LazyLabels):
        yield labels.open()
        return
    with open_label_file(labels, ignore=ignore) as found:
        yield found


def read_instances(labels: LabelRef, min_size: int | None = None) -> NDArray[Any]:
    """Read labels whole; errors as of `open_labels` and `LabelVolume.read`."""
    with open_labels(labels) as volume:
        return as_instances(volume.whole(), min_size)


def as_instances(labels: NDArray[Any], min_size: int | None) -> NDArray[Any]:
    """Return labels or, where a size is given, the components of at least so many voxels of a semantic mask."""
    return labels if min_size is None else components(labels, min_size=min_size)


def as_truth(
    labels: NDArray[Any], valid: NDArray[np.bool_] | None, *, min_size: int | None, ignore: int | None
) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """Return the objects of a truth, and where it counts; None for everywhere.

    Parameters
    ----------
    valid : ndarray of bool, optional
        Where labels count, whatever they are.
    min_size : int, optional
        As in `as_instances`.
    ignore : int, optional
        Number of pixels that do not count.
    """
    labels, valid = split_ignored(labels, valid, ignore=ignore)
    return as_instances(labels, min_size), valid


def contingency_of_volumes(
    pred: LabelVolume,
    truth: LabelVolume,
    *,
    valid: LabelVolume | None = None,
    ignore: int | None = None,
    block_voxels: int = BLOCK_VOXELS,
    progress: Callable[[int, int], None] | None = None,
) -> ContingencyTable:
    """Fill the contingency table of two volumes of equal shapes block by block.

    Parameters
    ----------
    valid : LabelVolume, optional
        Mask of the pixels that count.
    ignore : int, optional
        Number in the truth of pixels that do not count.
    block_voxels : int
        Voxels of each side that are in memory at a time, as far as the chunks on disk allow.
    progress : callable, optional
        Called after each block with the voxels that are done and their total.

    Raises
    ------
    InputError
        If the shapes differ, an id is negative, or a file is damaged.
    """
    check_shapes(pred.shape, truth.shape)
    if valid is not None:
        check_valid(valid, truth)
    chunks = tuple(map(max, pred.chunks, truth.chunks))
    contingency, done = Contingency(), 0
    for region in blocks(pred.shape, chunks, block_voxels):
        block = pred.read(region)
        mask = None if valid is None else valid.read_mask(region)
        contingency.update(block, truth.read(region, ignore=ignore), valid=mask, ignore=ignore)
        done += block.size
        if progress is not None:
            progress(done, prod(pred.shape))
    return contingency.table()


def check_valid(valid: LabelVolume, truth: LabelVolume) -> None:
    """Refuse a mask of another size than the truth's."""
    if valid.shape != truth.shape:
        raise InputError(
            f"the mask {valid.name} has shape {valid.shape} and the truth {truth.shape}: wanted a value per pixel"
        )


def blocks(shape: tuple[int, ...], chunks: tuple[int, ...], voxels: int) -> Iterator[Region]:
    """Cut an array into blocks of at most so many voxels, whole along the last axes and along chunks.

    A block is never cut along the third axis, nor smaller than a chunk along the first two.

    Examples
    --------
    >>> [tuple(s.stop - s.start for s in region) for region in blocks((5, 4, 4), (2, 4, 4), 40)]
    [(2, 4, 4), (2, 4, 4), (1, 4, 4)]
    """
    if 0 in shape:
        return
    inner = prod(shape[1:])
    depth = chunks[0] * max(1, voxels // (chunks[0] * inner))
    steps = [depth, *shape[1:]]
    if depth * inner > voxels and len(shape) > 1:
        steps[1] = chunks[1] * max(1, voxels // (depth * chunks[1] * prod(shape[2:])))
    sides = zip(shape, steps, strict=True)
    yield from product(*([slice(i, min(i + step, n)) for i in range(0, n, step)] for n, step in sides))
