"""Label volumes on disk, read block by block, so that memory does not grow with the volume."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from autosam.data.valid_pixels import split_ignored
from autosam.errors import InputError
from autosam.evaluation.label_volume import LabelRef, LabelVolume, LazyLabels, Region
from autosam.images.array_layout import looks_like_color
from autosam.images.folder_listing import is_store
from autosam.images.formats import (
    HDF5_SUFFIXES,
    TIFF_SUFFIXES,
    label_dataset,
    open_hdf5,
    reading,
)
from autosam.images.image_source import split_dataset
from autosam.images.label_files import open_sections, read_labels
from autosam.images.readers.registry import MRC
from autosam.images.tiff import count_tiff_images
from autosam.images.zarr_labels import open_zarr_labels
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
    """Open labels without reading them, where the format allows it.

    HDF5, Zarr and MRC arrays and multi-page TIFFs of three axes are read in parts; single images are read here.
    What may come and what is refused is as in `autosam.images.read_labels`, also for `ignore`. The labels are
    valid within the ``with`` block.

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
        elif is_store(path):
            found = _open_zarr(path, dataset)
        elif path.exists() and suffix in MRC.suffixes:
            found = _open_mrc(path)
        if found is None:
            found = LabelVolume.of_array(str(labels), read_labels(labels, ignore=ignore))
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


def _fits(shape: tuple[int, ...], dtype: np.dtype[Any]) -> bool:
    """Tell whether an array can be read in parts; the others go to `read_labels`, which also explains faults."""
    if len(shape) != 3 or 0 in shape or looks_like_color(shape):
        return False
    # Of floating point numbers it is not known before whether they are whole.
    return dtype.kind in "biu"


def _open_hdf5(path: Path, dataset: str | None, stack: ExitStack) -> LabelVolume | None:
    name, shape = label_dataset(path, dataset)
    item, layout = stack.enter_context(open_hdf5(path, name))
    place = f"{path}:{name}"
    if not layout.plain or not _fits(shape, item.dtype):
        return None
    return LabelVolume(place, shape, item.chunks or (1, *shape[1:]), lambda region: np.asarray(item[region]))


def _open_zarr(path: Path, dataset: str | None) -> LabelVolume | None:
    found = open_zarr_labels(path, dataset)
    array = found.array
    if found.layout is None or not found.layout.plain or not _fits(array.shape, array.dtype):
        return None
    return LabelVolume(str(path), array.shape, array.chunks, lambda region: np.asarray(array[region]))


def _open_mrc(path: Path) -> LabelVolume | None:
    shape, section = open_sections(path)
    if shape[0] == 1 or section(0).dtype.kind not in "biu":
        return None
    return LabelVolume(
        str(path),
        shape,
        (1, *shape[1:]),
        lambda region: np.stack([section(z)[region[1:]] for z in range(region[0].start, region[0].stop)]),
    )


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
        if not _fits(shape, only.dtype):
            return None
        if only.dataoffset is not None:
            mapped = only.asarray(out="memmap").reshape(shape)
            return LabelVolume(str(path), shape, (1, *shape[1:]), lambda region: np.asarray(mapped[region]))

    def load(region: Region) -> NDArray[Any]:
        first = region[0]
        pages = [only.pages[number] for number in range(first.start, first.stop)]
        if None in pages:
            raise ValueError("one of its pages is missing")
        return np.stack([page.asarray()[region[1:]] for page in pages if page is not None])

    return LabelVolume(str(path), shape, (1, *shape[1:]), load)
