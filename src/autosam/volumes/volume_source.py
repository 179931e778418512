"""A volume to read from, window by window, wherever it lies."""

import hashlib
import math
import time
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.errors import InputError
from autosam.images.formats import DAMAGED, reading
from autosam.images.label_files import as_labels
from autosam.images.units import VoxelSize
from autosam.volumes.hole import HoleError
from autosam.volumes.region_of_interest import Roi, resolve_roi
from autosam.volumes.storage import Storage, close_handle, handle_of

PAUSES = (0.1, 0.5)
"""Seconds between the tries to read a part."""
BLOCK_BYTES = 64 << 20
"""Slices of a window that are read together, where they share chunks, have at most so many."""


@dataclass(frozen=True)
class VolumeSource:
    """A volume of which parts are read. It holds no open file, and another process or machine can use it.

    Attributes
    ----------
    name : str
        For messages.
    shape : tuple of int
        Slices, rows and columns.
    color : bool
        Each pixel has red, green and blue.
    dtype : numpy.dtype
        Of what `read` gives: in native byte order, bool as uint8.
    voxel_size : tuple of float or None
        Sides of a voxel along z, y and x in nm; None where one of them is unknown.
    pixel_size : float or None
        Side of a pixel in nm, which can be known where the distance of slices is not.
    chunks : tuple of int
        Slices, rows and columns that are stored together. Where chunks have several slices, reading a window in
        all slices before the next window is fastest.
    content : str
        Different for another content of the whole volume: a hash of names, sizes and times of files, or of the
        numbers of an array.
    storage : Storage
        How to open it.
    missing : tuple of int
        Slices that are known to be missing, counted as in the whole volume; to read them is a `HoleError`.
    notes : tuple of str
        What a user should know of it, one sentence each.
    origin : tuple of int
        Slice, row and column of the whole volume where this part of it begins.
    whole : tuple of int
        Shape of the whole volume.
    labels : bool
        The numbers are ids.
    """

    name: str
    shape: tuple[int, int, int]
    color: bool
    dtype: np.dtype[Any]
    voxel_size: VoxelSize | None
    pixel_size: float | None
    chunks: tuple[int, int, int]
    content: str
    storage: Storage = field(repr=False)
    missing: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()
    origin: tuple[int, int, int] = (0, 0, 0)
    whole: tuple[int, int, int] = (0, 0, 0)
    labels: bool = False

    def __post_init__(self) -> None:
        if not any(self.whole):
            object.__setattr__(self, "whole", self.shape)

    @property
    def fingerprint(self) -> str:
        """Different for another content, and for another part of it."""
        if self.shape == self.whole:
            return self.content
        return hashlib.sha256(f"{self.content} {self.origin} {self.shape}".encode()).hexdigest()[:32]

    def read(self, z: int, window: tuple[slice, slice]) -> NDArray[Any]:
        """Read a window of a slice.

        What fails is tried three times, with a pause and a file opened anew. A chunk that Zarr does not store is
        no fault: it has its fill value.

        Parameters
        ----------
        z : int
            Slice, counted from 0.
        window : tuple of slice
            Rows and columns. They lie within the slice; open ends are those of the slice.

        Returns
        -------
        ndarray, shape (H, W) or (H, W, 3)
            Values as stored, of the type `dtype`. It may be written to.

        Raises
        ------
        HoleError
            If this part cannot be read.
        InputError
            If the volume itself cannot be opened any more, the part does not lie in it, its numbers are of another
            type than those of the first slice, or they are no ids where ids are wanted.
        """
        part = resolve_roi((slice(z, z + 1), *window), self.shape, self.name)
        inside = part[1], part[2]
        slices, rows, cols = (slice(s.start + o, s.stop + o) for s, o in zip(part, self.origin, strict=True))
        if slices.start in self.missing:
            raise HoleError(self.name, z, inside, "its file is missing")
        return self._checked(self._try(slices.start, rows, cols, z, inside), z)

    def cut(self, roi: Roi) -> "VolumeSource":
        """Give a part of the volume, as a volume whose slices, rows and columns count from 0.

        Parameters
        ----------
        roi : tuple of slice
            See `parse_roi`.

        Raises
        ------
        InputError
            If the part does not lie in the volume.
        """
        part = resolve_roi(roi, self.shape, self.name)
        z, y, x = (span.start + begin for span, begin in zip(part, self.origin, strict=True))
        depth, height, width = (span.stop - span.start for span in part)
        return replace(self, shape=(depth, height, width), origin=(z, y, x))

    def close(self) -> None:
        """Close the file, if this thread has it open; the next read opens it again."""
        close_handle(self.storage, self.content)

    def _try(self, at: int, rows: slice, cols: slice, z: int, window: tuple[slice, slice]) -> NDArray[Any]:
        """Read a part of the whole volume; `z` and `window` say where it lies in this one."""
        for pause in PAUSES:
            try:
                return self._read(at, rows, cols)
            except InputError as error:
                if isinstance(error.__context__, MemoryError):
                    raise
            self.close()
            time.sleep(pause)
        # Where not even the file opens, it is no hole.
        handle_of(self.storage, self.content)
        try:
            return self._read(at, rows, cols)
        except InputError as error:
            if isinstance(error.__context__, MemoryError):
                raise
            reason = str(error).removeprefix(f"{self.name} cannot be read: ").removesuffix(DAMAGED)
            raise HoleError(self.name, z, window, reason) from error

    def _checked(self, pixels: NDArray[Any], z: int) -> NDArray[Any]:
        """Give numbers in the type of the volume, if that changes none."""
        if self.labels:
            pixels = as_labels(pixels, f"{self.name}, slice {z},")
        if not self.labels and not np.can_cast(pixels.dtype, self.dtype):
            raise InputError(
                f"{self.name}: slice {z} holds {pixels.dtype} values and the first slice {self.dtype}; wanted one "
                "type: convert the slices."
            )
        return np.array(pixels, dtype=self.dtype, order="C")

    def _read(self, z: int, rows: slice, cols: slice) -> NDArray[Any]:
        handle = handle_of(self.storage, self.content)
        block = self._block(z, rows, cols)

        def load() -> NDArray[Any]:
            with reading(self.name):
                return handle.volume.read(block, rows, cols)

        if block.stop - block.start == 1:
            plane: NDArray[Any] = load()[0]
            return plane
        window = (rows.start, rows.stop, cols.start, cols.stop)
        found: NDArray[Any] = handle.blocks.get(window, block.start, load)[z - block.start]
        return found

    def _block(self, z: int, rows: slice, cols: slice) -> slice:
        """Choose the slices that are read together: those of a chunk, as far as they are few bytes."""
        depth = self.chunks[0]
        pixels = math.prod(span.stop - span.start for span in (rows, cols)) * (3 if self.color else 1)
        fits = max(1, BLOCK_BYTES // max(1, pixels * self.dtype.itemsize))
        first = z // depth * depth
        start = first + (z - first) // fits * fits
        return slice(start, min(start + fits, first + depth, self.whole[0]))
