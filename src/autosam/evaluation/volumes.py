"""Label volumes on disk, read block by block, so that memory does not grow with the volume."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import tifffile
from numpy.typing import NDArray

from autosam.errors import InputError
from autosam.images.formats import (
    HDF5_SUFFIXES,
    TIFF_SUFFIXES,
    label_dataset,
    looks_like_color,
    open_zarr_labels,
    reading,
)
from autosam.images.read import read_labels
from autosam.images.source import split_dataset
from autosam.images.tiff import count_tiff_images
from autosam.metrics.components import components
from autosam.metrics.contingency import Contingency, ContingencyTable
from autosam.metrics.label_arrays import check_shapes

# Of 64-bit ids two such blocks are 256 MB.
BLOCK_VOXELS = 1 << 24

_Region = tuple[slice, ...]


@dataclass(frozen=True)
class LabelVolume:
    """Labels of which parts can be read.

    Attributes
    ----------
    name : str
        For messages.
    shape : tuple of int
        (H, W) or (Z, Y, X).
    chunks : tuple of int
        What is stored together; blocks of its multiples are read without waste.
    load : callable
        Gives the labels of a tuple of slices, one for each axis, as stored.
    """

    name: str
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    load: Callable[[_Region], NDArray[Any]]

    @classmethod
    def of_array(cls, name: str, labels: NDArray[Any]) -> "LabelVolume":
        """Take labels that are in memory already."""
        return cls(name, labels.shape, labels.shape, lambda region: labels[region])

    def read(self, region: _Region) -> NDArray[Any]:
        """Read a part, given as one slice for each axis.

        Raises
        ------
        InputError
            If the file is damaged or an id is negative.
        """
        with reading(self.name):
            labels = self.load(region)
        if labels.dtype.kind == "i" and labels.size and labels.min() < 0:
            raise InputError(
                f"{self.name} holds the negative id {labels.min()}; wanted 0 for background and ids above."
            )
        return labels

    def whole(self) -> NDArray[Any]:
        """Read everything; errors as of `read`."""
        return self.read(tuple(slice(0, n) for n in self.shape))


@dataclass(frozen=True)
class LazyLabels:
    """Labels of one image or volume that are not a file of their own, such as an item of a store.

    Attributes
    ----------
    name : str
        For messages; equal names are equal labels.
    open : callable
        Gives the labels.
    """

    name: str
    open: Callable[[], LabelVolume] = field(repr=False, compare=False)


LabelRef = str | LazyLabels
"""Labels of one image or volume: a file, ``file.h5:/dataset``, or `LazyLabels`."""


@contextmanager
def open_labels(labels: LabelRef | Path) -> Iterator[LabelVolume]:
    """Open labels without reading them, where the format allows it.

    HDF5 and Zarr arrays and multi-page TIFFs of three axes are read in parts; single images are read here.
    What may come and what is refused is as in `autosam.images.read_labels`. The labels are valid within the
    ``with`` block.

    Raises
    ------
    InputError
        If the file is missing or damaged, or does not hold integers of two or three axes.
    """
    if isinstance(labels, LazyLabels):
        yield labels.open()
        return
    path, dataset = split_dataset(str(labels))
    suffix = path.suffix.lower()
    with ExitStack() as stack:
        found = None
        if path.exists() and suffix in HDF5_SUFFIXES:
            found = _open_hdf5(path, dataset, stack)
        elif path.exists() and suffix in TIFF_SUFFIXES:
            found = _open_tiff(path, stack)
        elif path.exists() and suffix == ".zarr":
            found = _open_zarr(path)
        if found is None:
            found = LabelVolume.of_array(str(labels), read_labels(labels))
        yield found


def read_instances(labels: LabelRef, min_size: int | None = None) -> NDArray[Any]:
    """Read labels whole; errors as of `open_labels` and `LabelVolume.read`."""
    with open_labels(labels) as volume:
        return as_instances(volume.whole(), min_size)


def as_instances(labels: NDArray[Any], min_size: int | None) -> NDArray[Any]:
    """Return labels or, where a size is given, the components of at least so many voxels of a semantic mask."""
    return labels if min_size is None else components(labels, min_size=min_size)


def contingency_of_volumes(
    pred: LabelVolume,
    truth: LabelVolume,
    *,
    block_voxels: int = BLOCK_VOXELS,
    progress: Callable[[int, int], None] | None = None,
) -> ContingencyTable:
    """Fill the contingency table of two volumes of equal shapes block by block.

    Parameters
    ----------
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
    chunks = tuple(map(max, pred.chunks, truth.chunks))
    contingency, done = Contingency(), 0
    for region in blocks(pred.shape, chunks, block_voxels):
        block = pred.read(region)
        contingency.update(block, truth.read(region))
        done += block.size
        if progress is not None:
            progress(done, prod(pred.shape))
    return contingency.table()


def blocks(shape: tuple[int, ...], chunks: tuple[int, ...], voxels: int) -> Iterator[_Region]:
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


def _fits(name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> bool:
    """Tell whether an array can be read in parts; the others go to `read_labels`, which also explains faults."""
    if len(shape) != 3 or 0 in shape or looks_like_color(shape):
        return False
    if dtype.kind not in "biu":
        raise InputError(f"{name} holds {dtype} values; wanted ids: save it as integers (astype('uint32')).")
    return True


def _open_hdf5(path: Path, dataset: str | None, stack: ExitStack) -> LabelVolume | None:
    name, shape = label_dataset(path, dataset)
    with reading(path):
        item = stack.enter_context(h5py.File(path, "r"))[name]
    place = f"{path}:{name}"
    if not _fits(place, shape, item.dtype):
        return None
    return LabelVolume(place, shape, item.chunks or (1, *shape[1:]), lambda region: np.asarray(item[region]))


def _open_zarr(path: Path) -> LabelVolume | None:
    array = open_zarr_labels(path)
    if not _fits(str(path), array.shape, array.dtype):
        return None
    return LabelVolume(str(path), array.shape, array.chunks, lambda region: np.asarray(array[region]))


def _open_tiff(path: Path, stack: ExitStack) -> LabelVolume | None:
    # Of a file that was cut short tifffile would give the pages that are left; this refuses it.
    count_tiff_images(path)
    with reading(path):
        series = stack.enter_context(tifffile.TiffFile(path)).series
        if len(series) != 1 or "".join(series[0].axes)[-2:] != "YX":
            return None
        only = series[0]
        shape = tuple(int(n) for n in only.shape if n > 1)
        one_slice_per_page = len(only.pages) == shape[0] and tuple(only.keyframe.shape) == shape[1:]
        if "C" in only.axes or len(shape) != 3 or not (one_slice_per_page or only.dataoffset is not None):
            return None
        if not _fits(str(path), shape, only.dtype):
            return None
        if only.dataoffset is not None:
            mapped = only.asarray(out="memmap").reshape(shape)
            return LabelVolume(str(path), shape, (1, *shape[1:]), lambda region: np.asarray(mapped[region]))

    def load(region: _Region) -> NDArray[Any]:
        first = region[0]
        pages = [only.pages[number] for number in range(first.start, first.stop)]
        if None in pages:
            raise ValueError("one of its pages is missing")
        return np.stack([page.asarray()[region[1:]] for page in pages if page is not None])

    return LabelVolume(str(path), shape, (1, *shape[1:]), load)
