"""What files of microscopes hold: series of planes along time, z and channels, at several resolutions."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.errors import InputError
from autosam.images.readers.stored import StoredImage
from autosam.images.units import Spacing

LARGEST_IMAGE = 1 << 28
"""Pixels. Segmenting takes about 45 bytes for each (see docs/benchmarks), here 12 GB."""


@dataclass(frozen=True)
class Level:
    """One resolution of a series.

    Attributes
    ----------
    shape : tuple of int
        Rows and columns.
    pixel_size_nm : float or None
        Side of a pixel.
    spacing_nm : tuple of float or None
        Steps along z, y and x; None where the format or its reader does not tell.
    chunks : tuple of int or None
        Slices, rows and columns that are stored together; None where planes are read whole.
    inside : str
        Path within a store.
    """

    shape: tuple[int, int]
    pixel_size_nm: float | None = None
    spacing_nm: Spacing | None = None
    chunks: tuple[int, int, int] | None = None
    inside: str = ""


@dataclass(frozen=True)
class Series:
    """An image of a file with all its axes; a file has one or several.

    Attributes
    ----------
    levels : tuple of Level
        Resolutions, the finest first.
    plane : callable
        ``plane(level, time, z, channel)`` reads (H, W), or (H, W, 3) of a color image. Numbers count from 0. It
        works as long as the file is open.
    part : callable or None
        ``part(level, time, channel, slices, rows, cols)`` reads (D, H, W), or (D, H, W, 3) of a color image,
        without reading planes whole; None where the format or its reader cannot. The last three are slices.
    dtype : numpy.dtype or None
        Of the pixels, where it is known before they are read.
    times, depth, channels : int
        Lengths of the three axes.
    color : bool
        Each plane is an RGB picture; ``channels`` is 1 then.
    undeclared : bool
        Nothing says what the channels are; see `StoredImage`.
    channel_names : tuple of str
        One for each channel, or none.
    name : str
        What the results of this series are named after, if the file has several.
    dataset : str or None
        Dataset that was found where none was named.
    named : bool
        The axes are known, and not only guessed from the shape.
    """

    levels: tuple[Level, ...]
    plane: Callable[[int, int, int, int], NDArray[Any]]
    part: Callable[[int, int, int, slice, slice, slice], NDArray[Any]] | None = None
    dtype: np.dtype[Any] | None = None
    times: int = 1
    depth: int = 1
    channels: int = 1
    color: bool = False
    undeclared: bool = False
    channel_names: tuple[str, ...] = ()
    name: str = ""
    dataset: str | None = None
    named: bool = True


class SeriesReader(ABC):
    """A `Reader` of a format whose files hold series; the images are their planes, with all channels.

    The order is that of the series, then of time, then of z.
    """

    @abstractmethod
    def open(self, path: Path, dataset: str | None) -> AbstractContextManager[Sequence[Series]]:
        """Open a file without reading its pixels; see `Reader.images`."""

    def images(self, path: Path, dataset: str | None, *, level: int = 0) -> tuple[StoredImage, ...]:
        """List the planes; see `Reader.images`."""
        with self.open(path, dataset) as found:
            return tuple(
                stored
                for number, series in enumerate(found)
                for stored in _stored(series, number, _level(path, series, level), found)
            )

    def read(
        self, path: Path, dataset: str | None, number: int, *, channel: int | None = None, level: int = 0
    ) -> NDArray[Any]:
        """Read one plane; see `Reader.read`. One of more than `LARGEST_IMAGE` pixels is refused."""
        with self.open(path, dataset) as found:
            series, time, z = _find(path, found, number)
            _check_size(path, series, level)
            if series.color:
                picture = series.plane(level, time, z, 0)
                pixels = picture if channel is None else picture[..., channel]
            elif channel is not None or series.channels == 1:
                pixels = series.plane(level, time, z, channel or 0)
            else:
                pixels = np.stack([series.plane(level, time, z, c) for c in range(series.channels)])
            # A copy: what is mapped ends with the file.
            return np.array(pixels, dtype=pixels.dtype.newbyteorder("="), order="C")


def _find(path: Path, found: Sequence[Series], number: int) -> tuple[Series, int, int]:
    left = number
    for series in found:
        planes = series.times * series.depth
        if 0 <= left < planes:
            return series, left // series.depth, left % series.depth
        left -= planes
    raise InputError(f"{path} holds {number - left} image(s), counted from 0; {number} was asked for.")


def _level(path: Path, series: Series, wanted: int) -> Level:
    """Give the level wanted; refuse one that is not there."""
    if not 0 <= wanted < len(series.levels):
        raise InputError(
            f"{path} has {len(series.levels)} resolution level(s): {_listed(series)}; level {wanted} was asked "
            "for."
        )
    return series.levels[wanted]


def _listed(series: Series) -> str:
    return ", ".join(
        f"{number} ({level.shape[0]} × {level.shape[1]})" for number, level in enumerate(series.levels)
    )


def _check_size(path: Path, series: Series, wanted: int) -> None:
    """Refuse a level that is too large to be held at once."""
    level = _level(path, series, wanted)
    if math.prod(level.shape) <= LARGEST_IMAGE:
        return
    fits = next((n for n, at in enumerate(series.levels) if math.prod(at.shape) <= LARGEST_IMAGE), None)
    advice = (
        "cut it into parts"
        if fits is None
        else f"choose one that fits with --level {fits}; there are {_listed(series)}"
    )
    raise InputError(
        f"{path}: level {wanted} has {level.shape[0]} × {level.shape[1]} pixels, more than the "
        f"{LARGEST_IMAGE:,} that are read at once; {advice}."
    )


def _stored(series: Series, number: int, level: Level, every: Sequence[Series]) -> Iterator[StoredImage]:
    """Describe the planes of a series.

    Their names say where they lie, unless a single axis counts them all, like the pages of a TIFF.
    """
    several = len(every) > 1
    axes = {
        "s": several,
        "t": any(one.times > 1 for one in every),
        "z": any(one.depth > 1 for one in every),
    }
    counted = sum(axes.values()) <= 1 and not (several and series.name)
    for time, z in np.ndindex(series.times, series.depth):
        parts = [series.name or _place("s", number, len(every))] if several else []
        parts += [_place("t", time, series.times)] if series.times > 1 else []
        parts += [_place("z", z, series.depth)] if series.depth > 1 else []
        yield StoredImage(
            level.shape,
            channels=3 if series.color else series.channels,
            color=series.color,
            undeclared=series.undeclared,
            channel_names=series.channel_names,
            pixel_size_nm=level.pixel_size_nm,
            place="" if counted else "_".join(parts),
            z=z if series.depth > 1 else None,
            time=time if series.times > 1 else None,
            series=number if several else None,
            dataset=series.dataset,
        )


def _place(axis: str, at: int, length: int) -> str:
    return f"{axis}{at:0{len(str(length - 1))}d}"
