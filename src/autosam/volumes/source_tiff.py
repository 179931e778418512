"""Volumes in TIFF: stacks of pages, OME-TIFF, ImageJ's stacks, and single images read tile by tile."""

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from autosam.images.formats import reading
from autosam.images.ome_tiff import OmeImage
from autosam.images.readers import StoredImage
from autosam.images.tiff_metadata import describe_series
from autosam.images.tiff_stack import TiffStack
from autosam.images.units import Spacing
from autosam.volumes.choice import VolumeChoice
from autosam.volumes.describe_source import Found, describe
from autosam.volumes.fingerprints import hash_files
from autosam.volumes.storage import OpenVolume
from autosam.volumes.volume_source import VolumeSource


@dataclass(frozen=True)
class TiffStorage:
    """A series of a TIFF; `channel` is None for all colors, `labels` takes palettes' indices."""

    path: Path
    axes: str
    series: int
    level: int
    time: int
    channel: int | None
    labels: bool

    def open(self) -> OpenVolume:
        """Open the file."""
        with reading(self.path):
            return _TiffVolume(self)


class _TiffVolume:
    def __init__(self, storage: TiffStorage) -> None:
        self._storage = storage
        self._stack = TiffStack(storage.path, series=storage.series, level=storage.level, axes=storage.axes)

    def read(self, slices: slice, rows: slice, cols: slice) -> NDArray[Any]:
        """Read a part; see `OpenVolume.read`."""
        storage = self._storage
        return self._stack.read(
            slices, rows, cols, time=storage.time, channel=storage.channel, as_stored=storage.labels
        )

    def close(self) -> None:
        """Close the file."""
        self._stack.close()


def open_tiff_volume(path: Path, choice: VolumeChoice) -> VolumeSource:
    """Open a TIFF; errors as of `open_volume`."""
    with (
        reading(path),
        closing(TiffStack(path, series=choice.series, level=choice.level, axes=choice.axes)) as stack,
    ):
        shape = (stack.length("z"), stack.length("y"), stack.length("x"))
        said = _said(stack)
        indices = choice.labels and stack.palette
        color = stack.color and not indices
        names = said.channel_names if len(said.channel_names) == stack.channels else ()
        image = StoredImage(shape[1:], 3 if color else stack.channels, color, channel_names=names)
        channel = choice.channel_of(image, path)
        time = choice.time_of(stack.length("t"), path)
        finest, taken = (series.shape[series.axes.index("X")] for series in (stack.finest, stack.series))
        dtype = stack.series.dtype if indices else stack.dtype
        found = Found(
            str(path),
            shape,
            color and channel is None,
            dtype,
            _at_level(said.spacing_nm, finest / taken),
            stack.chunks,
            hash_files([path], choice, stack.shape, dtype.str),
            named=stack.named,
        )
        storage = TiffStorage(
            path.absolute(), choice.axes, stack.number, choice.level, time, channel, choice.labels
        )
    return describe(found, storage, labels=choice.labels)


def _said(stack: TiffStack) -> OmeImage:
    """Read what the file says of its series."""
    file = stack.finest.parent
    assert file is not None, "series come from a file"
    return dict(zip(map(id, file.series), describe_series(file, file.series), strict=True))[id(stack.finest)]


def _at_level(spacing: Spacing, smaller: float) -> Spacing:
    z, row, col = spacing
    return z, None if row is None else row * smaller, None if col is None else col * smaller
