"""Volumes in the files of microscopes: Zarr, MRC, whole slides, and all others that hold series of planes."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from autosam.errors import InputError, listed
from autosam.images.byte_cache import ByteCache
from autosam.images.formats import UnnamedAxesError, native
from autosam.images.readers import StoredImage, format_of, reader_of
from autosam.images.readers.registry import ZARR
from autosam.images.readers.series import Level, Series, SeriesReader
from autosam.images.urls import reading_url, url_of
from autosam.volumes.choice import VolumeChoice
from autosam.volumes.describe_source import Found, describe, unnamed
from autosam.volumes.fingerprints import hash_files, hash_of
from autosam.volumes.storage import OpenVolume
from autosam.volumes.volume_source import VolumeSource


@dataclass(frozen=True)
class SeriesStorage:
    """A series of a file; `channel` is None for all colors."""

    path: Path
    dataset: str | None
    axes: str
    series: int
    level: int
    time: int
    channel: int | None

    def open(self) -> OpenVolume:
        """Open the file."""
        return _SeriesVolume(self)


class _SeriesVolume:
    """Keeps files open of which parts are read; the others are opened for each plane, and the last one is kept."""

    def __init__(self, storage: SeriesStorage) -> None:
        self._storage = storage
        self._channel = storage.channel or 0
        self._planes = ByteCache(0)
        self._closing = ExitStack()
        self._series: Series | None = self._closing.enter_context(self._open())
        if self._series.part is None:
            self.close()
            self._series = None

    @contextmanager
    def _open(self) -> Iterator[Series]:
        storage = self._storage
        with _reader(storage.path, storage.axes).open(storage.path, storage.dataset) as found:
            series = found[storage.series]
            if series.color:
                self._channel = 0
            yield series

    def read(self, slices: slice, rows: slice, cols: slice) -> NDArray[Any]:
        """Read a part; see `OpenVolume.read`."""
        storage = self._storage
        part = None if self._series is None else self._series.part
        with reading_url(str(storage.path)):
            if part is not None:
                found = part(storage.level, storage.time, self._channel, slices, rows, cols)
            else:
                found = np.stack([self._plane(z)[rows, cols] for z in range(slices.start, slices.stop)])
        return native(found if found.ndim == 3 or storage.channel is None else found[..., storage.channel])

    def close(self) -> None:
        """Close the file."""
        self._closing.close()

    def _plane(self, z: int) -> NDArray[Any]:
        def load() -> NDArray[Any]:
            with self._open() as series:
                return np.array(series.plane(self._storage.level, self._storage.time, z, self._channel))

        return self._planes.get("plane", z, load)


def open_series(path: Path, dataset: str | None, choice: VolumeChoice) -> VolumeSource:
    """Open a file that holds series; errors as of `open_volume`."""
    name = (url_of(path) or str(path)) + (f":{dataset}" if dataset else "")
    with _naming_axes(name), _reader(path, choice.axes).open(path, dataset) as found:
        number = _choose_series(found, choice, name)
        series = found[number]
        level = _level(series, choice.level, name)
        time = choice.time_of(series.times, name)
        channel = choice.channel_of(_as_stored(series, level), name)
        dtype = series.dtype or _type_of(series, choice.level, time)
    shape = (series.depth, *level.shape)
    facts = (choice, number, shape, np.dtype(dtype).str)
    side = level.pixel_size_nm
    place = path if url_of(path) else path.absolute()
    storage = SeriesStorage(place, dataset, choice.axes, number, choice.level, time, channel)
    description = Found(
        name,
        shape,
        series.color and channel is None,
        np.dtype(dtype),
        level.spacing_nm or (None, side, side),
        level.chunks or (1, *level.shape),
        _content(path, level.inside, facts),
        named=series.named,
    )
    return describe(description, storage, labels=choice.labels)


@contextmanager
def _naming_axes(name: str) -> Iterator[None]:
    """Say how a volume's axes are named, where a reader of images says only that they are not."""
    try:
        yield
    except InputError as error:
        if isinstance(error.__context__, UnnamedAxesError):
            raise unnamed(name, error.__context__.shape) from None
        raise


def _type_of(series: Series, level: int, time: int) -> np.dtype[Any]:
    one = slice(0, 1)
    if series.part is not None:
        return series.part(level, time, 0, one, one, one).dtype
    return series.plane(level, time, 0, 0).dtype


def _reader(path: Path, axes: str) -> SeriesReader:
    if format_of(path) is ZARR or path.is_dir():
        # With zarr, a slow import.
        from autosam.images.readers.zarr_reader import ZarrReader

        return ZarrReader(axes)
    if axes:
        raise InputError(f"{path} names its axes itself; leave --axes out.")
    return cast(SeriesReader, reader_of(path))


def _choose_series(found: Any, choice: VolumeChoice, name: str) -> int:
    if choice.series is None and len(found) > 1:
        sizes = [f"{n} ({s.depth} × {s.levels[0].shape[0]} × {s.levels[0].shape[1]})" for n, s in enumerate(found)]
        raise InputError(f"{name} holds {len(found)} series; name one with --series; there are {listed(sizes)}.")
    number = choice.series or 0
    if not 0 <= number < len(found):
        raise InputError(f"{name} holds {len(found)} series, counted from 0; series {number} was asked for.")
    return number


def _level(series: Series, wanted: int, name: str) -> Level:
    if not 0 <= wanted < len(series.levels):
        sizes = [f"{n} ({level.shape[0]} × {level.shape[1]})" for n, level in enumerate(series.levels)]
        raise InputError(
            f"{name} has {len(series.levels)} resolution level(s): {listed(sizes)}; level {wanted} was asked for."
        )
    return series.levels[wanted]


def _as_stored(series: Series, level: Level) -> StoredImage:
    channels = 3 if series.color else series.channels
    return StoredImage(level.shape, channels, series.color, channel_names=series.channel_names)


def _content(path: Path, inside: str, facts: object) -> str:
    if url_of(path):
        # Listing a bucket would take long; its metadata stand for it.
        return hash_of(url_of(path), inside, facts)
    return hash_files([path / inside if inside else path], facts)
