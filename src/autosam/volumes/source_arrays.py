"""Volumes in arrays: of NumPy, Zarr and dask in memory or elsewhere, `.npy` files, and HDF5 datasets."""

import math
import mmap
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from autosam.errors import InputError
from autosam.images.array_layout import ArrayLayout
from autosam.images.array_parts import read_part
from autosam.images.formats import (
    choose_dataset,
    hdf5_datasets,
    hdf5_unclear,
    label_dataset,
    native,
    open_hdf5,
    reading,
)
from autosam.images.mapped_file import MappedArray
from autosam.images.pixel_size import attributes_spacing
from autosam.images.readers import StoredImage
from autosam.images.units import Spacing
from autosam.images.write import atomic_path
from autosam.volumes.choice import VolumeChoice
from autosam.volumes.describe_source import Found, describe, unnamed
from autosam.volumes.fingerprints import hash_array, hash_files, hash_of
from autosam.volumes.source_series import open_series
from autosam.volumes.storage import OpenVolume
from autosam.volumes.volume_source import VolumeSource

_UNKNOWN: Spacing = (None, None, None)
LARGEST_CACHE = 256 << 20
"""Bytes of decoded chunks of HDF5 that are kept; only large chunks need so much."""


class ArrayVolume:
    """An array whose axes have letters; the parameters are those of `read_part`."""

    def __init__(self, array: Any, axes: str, time: int, channel: int | None) -> None:
        self._array, self._axes, self._time, self._channel = array, axes, time, channel

    def read(self, slices: slice, rows: slice, cols: slice) -> NDArray[Any]:
        """Read a part; see `OpenVolume.read`."""
        found = read_part(
            self._array,
            self._axes,
            slices=slices,
            rows=rows,
            cols=cols,
            time=self._time,
            channel=self._channel,
        )
        # Never a view of the caller's own array.
        return native(np.array(found) if isinstance(self._array, np.ndarray) else found)

    def close(self) -> None:
        """Do nothing: the array is the caller's, or a file that each read maps."""


@dataclass(frozen=True, eq=False)
class ArrayStorage:
    """An array, which goes with the description to other processes."""

    array: Any
    axes: str
    time: int
    channel: int | None

    def open(self) -> OpenVolume:
        """Take the array."""
        return ArrayVolume(self.array, self.axes, self.time, self.channel)


@dataclass(frozen=True)
class Hdf5Storage:
    """A dataset of an HDF5 file."""

    path: Path
    dataset: str
    axes: str
    time: int
    channel: int | None
    cache_bytes: int

    def open(self) -> OpenVolume:
        """Open the file."""
        return _Hdf5Volume(self)


class _Hdf5Volume(ArrayVolume):
    def __init__(self, storage: Hdf5Storage) -> None:
        self._closing = ExitStack()
        item, layout = self._closing.enter_context(
            open_hdf5(storage.path, storage.dataset, storage.axes, cache_bytes=storage.cache_bytes)
        )
        super().__init__(item, layout.axes, storage.time, storage.channel)

    def close(self) -> None:
        """Close the file."""
        self._closing.close()


def open_hdf5_volume(path: Path, dataset: str | None, choice: VolumeChoice) -> VolumeSource:
    """Open a dataset; errors as of `open_volume`."""
    axes = choice.axes
    _check_axes(path, dataset, axes)
    name, _ = (label_dataset if choice.labels else choose_dataset)(path, dataset, axes)
    with open_hdf5(path, name, axes) as (item, layout):
        spacing = attributes_spacing(item.attrs)
        dtype, stored_chunks = np.dtype(item.dtype), item.chunks
    place = f"{path}:{name}"
    time, channel, color = _choose(layout, dtype, choice, place)
    lengths = dict(zip(layout.axes, stored_chunks or (), strict=False))
    chunks = (lengths.get("z", 1), lengths.get("y", layout.length("y")), lengths.get("x", layout.length("x")))
    found = Found(
        place,
        (layout.length("z"), layout.length("y"), layout.length("x")),
        color,
        dtype,
        spacing,
        chunks if stored_chunks else _unchunked(layout),
        hash_files([path], name, choice, layout.shape, dtype.str),
        named=layout.said,
    )
    # Room for one chunk, or for a few small ones; chunks that do not fit would be decoded for each window anew.
    cache = min(LARGEST_CACHE, max(1 << 20, math.prod(stored_chunks or (1,)) * dtype.itemsize))
    return describe(found, Hdf5Storage(path.absolute(), name, axes, time, channel, cache), labels=choice.labels)


def _check_axes(path: Path, dataset: str | None, axes: str) -> None:
    """Refuse a dataset whose axes are not known, where it is the one that is wanted."""
    unclear = hdf5_unclear(path, axes)
    wanted = None if dataset is None else "/" + dataset.strip("/")
    if wanted is None and unclear and not hdf5_datasets(path, axes):
        wanted = next(iter(unclear))
    if wanted in unclear:
        raise unnamed(f"{path}:{wanted}", unclear[wanted], axes)


def open_npy(path: Path, choice: VolumeChoice) -> VolumeSource:
    """Open a file of `numpy.save`; errors as of `open_volume`."""
    with reading(path):
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(mapped, np.memmap):
            raise ValueError("it holds several arrays")
    content = hash_files([path], choice, mapped.shape, mapped.dtype.str)
    return _of_array(_unmapped(mapped), str(path), choice, content)


def open_array(array: Any, choice: VolumeChoice) -> VolumeSource:
    """Take an array of NumPy, Zarr or dask; errors as of `open_volume`."""
    kind = type(array).__module__.split(".")[0]
    if isinstance(array, np.ndarray):
        # Others are refused.
        content = hash_array(array) if array.dtype.kind in "biuf" else ""
        return _of_array(_unmapped(array), "the array", choice, hash_of(content, choice))
    if kind not in ("zarr", "dask", "h5py") or not all(hasattr(array, name) for name in ("shape", "dtype")):
        raise InputError(
            f"a volume came as {type(array).__module__}.{type(array).__name__}; wanted a path, or an array of "
            "NumPy, Zarr or dask."
        )
    file = array.file.filename if kind == "h5py" else getattr(getattr(array, "store", None), "root", None)
    if file is not None:
        # Its files can be opened by other processes, and tell whether they were changed.
        inside = str(array.name if kind == "h5py" else array.path).strip("/")
        return _of_file(Path(file), f"/{inside}" if inside else None, choice)
    said = hash_of(array.name if kind == "dask" else repr(array), tuple(array.shape), str(array.dtype), choice)
    return _of_array(array, f"the {kind} array", choice, said)


def spool(source: VolumeSource, folder: Path) -> VolumeSource:
    """Put an array that is in memory into a file, once, from which other processes read only what they need.

    Volumes in files come back as they are.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    storage = source.storage
    if not isinstance(storage, ArrayStorage) or not isinstance(storage.array, np.ndarray):
        return source
    path = folder / f"input-{source.content}.npy"
    if not path.exists():
        with atomic_path(path) as temporary, open(temporary, "wb") as file:
            np.save(file, storage.array)
    return replace(source, storage=replace(storage, array=_unmapped(np.load(path, mmap_mode="r"))))


def _of_file(path: Path, dataset: str | None, choice: VolumeChoice) -> VolumeSource:
    if path.is_file():
        return open_hdf5_volume(path, dataset, choice)
    return open_series(path, dataset, choice)


def _of_array(array: Any, name: str, choice: VolumeChoice, content: str) -> VolumeSource:
    shape, dtype = tuple(int(n) for n in array.shape), np.dtype(array.dtype)
    layout = ArrayLayout.of(shape, choice.axes)
    if layout is None:
        raise unnamed(name, shape, choice.axes)
    time, channel, color = _choose(layout, dtype, choice, name)
    stored = getattr(array, "chunksize", None) or getattr(array, "chunks", None)
    lengths = dict(zip(layout.axes, stored or (), strict=False))
    chunks = (lengths.get("z", 1), lengths.get("y", 1), lengths.get("x", layout.length("x")))
    found = Found(
        name,
        (layout.length("z"), layout.length("y"), layout.length("x")),
        color,
        dtype,
        _UNKNOWN,
        chunks if stored else _unchunked(layout),
        content,
        named=layout.said,
    )
    return describe(found, ArrayStorage(array, layout.axes, time, channel), labels=choice.labels)


def _choose(
    layout: ArrayLayout, dtype: np.dtype[Any], choice: VolumeChoice, name: str
) -> tuple[int, int | None, bool]:
    """Choose time and channel (None for all colors), and tell whether there are colors."""
    # Nothing but their place tells colors, and detectors are seldom kept in a byte.
    color = layout.color and (not layout.said or dtype == np.uint8)
    image = StoredImage((layout.length("y"), layout.length("x")), channels=layout.channels, color=color)
    channel = choice.channel_of(image, name)
    time = choice.time_of(layout.length("t"), name)
    return time, (0 if channel is None and not color else channel), color and channel is None


def _unchunked(layout: ArrayLayout) -> tuple[int, int, int]:
    """Tell what lies together in an array without chunks: rows, or where z comes last all slices of them."""
    long = [axis for axis in layout.axes if axis in "zyx"]
    return layout.length("z") if long[-1] == "z" else 1, 1, layout.length("x")


def _unmapped(array: NDArray[Any]) -> NDArray[Any] | MappedArray:
    """Give the file of an array that is mapped as a whole, so that it is not carried to other processes."""
    filename = getattr(array, "filename", None)
    in_one_run = array.flags.c_contiguous or array.flags.f_contiguous
    if not isinstance(array, np.memmap) or not isinstance(array.base, mmap.mmap) or not in_one_run or not filename:
        return array
    order: Literal["C", "F"] = "C" if array.flags.c_contiguous else "F"
    offset = int(getattr(array, "offset", 0))
    return MappedArray(Path(filename).absolute(), array.dtype.str, offset, array.shape, order)
