"""Label files opened without reading them, so that memory does not grow with the volume."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from autosam.images.array_layout import ArrayLayout, looks_like_color
from autosam.images.folder_listing import is_store
from autosam.images.formats import HDF5_SUFFIXES, TIFF_SUFFIXES, label_dataset, open_hdf5, reading
from autosam.images.image_source import split_dataset
from autosam.images.label_files import open_sections, read_labels
from autosam.images.label_volume import LabelVolume, Region
from autosam.images.readers.registry import MRC
from autosam.images.tiff import count_tiff_images


@contextmanager
def open_label_file(labels: str | Path, *, ignore: int | None = None) -> Iterator[LabelVolume]:
    """Open labels without reading them, where the format allows it.

    HDF5, Zarr and MRC arrays and multi-page TIFFs of three axes are read in parts; single images are read here.
    What may come and what is refused is as in `autosam.images.read_labels`, also for `ignore`. The labels are
    valid within the ``with`` block.

    Raises
    ------
    InputError
        If the file is missing or damaged, or does not hold integers of two or three axes.
    """
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


def _fits(shape: tuple[int, ...], dtype: np.dtype[Any]) -> bool:
    """Tell whether an array can be read in parts; the others go to `read_labels`, which also explains faults."""
    if len(shape) != 3 or 0 in shape or looks_like_color(shape):
        return False
    # Of floating point numbers it is not known before whether they are whole.
    return dtype.kind in "biu"


def _open_hdf5(path: Path, dataset: str | None, stack: ExitStack) -> LabelVolume | None:
    name, shape = label_dataset(path, dataset)
    item, layout = stack.enter_context(open_hdf5(path, name))
    chunks = item.chunks or (*(1 for _ in shape[:-2]), *shape[-2:])
    return _of_array(f"{path}:{name}", item, layout, chunks)


def _open_zarr(path: Path, dataset: str | None) -> LabelVolume | None:
    # With zarr, a slow import.
    from autosam.images.zarr_labels import open_zarr_labels

    found = open_zarr_labels(path, dataset)
    if found.layout is None:
        return None
    return _of_array(str(path), found.array, found.layout, found.array.chunks)


def _of_array(name: str, array: Any, layout: ArrayLayout, chunks: tuple[int, ...]) -> LabelVolume | None:
    """Read an array of h5py or Zarr in parts; axes of length 1, such as time and channel, are left out."""
    kept = [i for i, (axis, n) in enumerate(zip(layout.axes, layout.shape, strict=True)) if axis in "yx" or n > 1]
    if "".join(layout.axes[i] for i in kept) not in ("zyx", "tyx"):
        # One slice is a volume only where the array is stored so.
        kept = list(range(len(layout.shape))) if layout.plain else []
    shape = tuple(layout.shape[i] for i in kept)
    if not _fits(shape, array.dtype) or shape != layout.canonical:
        return None

    def load(region: Region) -> NDArray[Any]:
        index: list[int | slice] = [0] * len(layout.shape)
        for i, part in zip(kept, region, strict=True):
            index[i] = part
        return np.asarray(array[tuple(index)])

    return LabelVolume(name, shape, tuple(chunks[i] for i in kept), load)


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
