"""A pyramid of labels on disk as OME-Zarr, written region by region by any number of processes."""

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from autosam.errors import OutputError

if TYPE_CHECKING:
    import zarr

OmeVersion = Literal["0.4", "0.5"]
Size = tuple[int, int, int]
Region = tuple[slice, slice, slice]
"""Slices, rows and columns of a level."""

_CHUNK_VOXELS = 1 << 19
_REGION_VOXELS = 1 << 24
_CHUNK_DEPTH = 32
_SMALLEST = 256
"""Levels are added until no side is longer than this."""


@dataclass(frozen=True)
class StoreLevel:
    """One resolution.

    Attributes
    ----------
    shape : tuple of int
        (Z, Y, X).
    factors : tuple of int
        Voxels of the finest level that one voxel of this one stands for, along each axis.
    chunk : tuple of int
        What is compressed at once.
    region : tuple of int
        What is written at once by one task: a shard, or without shards as many chunks.
    """

    shape: Size
    factors: Size
    chunk: Size
    region: Size

    def regions(self) -> tuple[Region, ...]:
        """List the regions in raster order; the last ones of each axis can be smaller."""
        steps = [range(0, n, step) for n, step in zip(self.shape, self.region, strict=True)]
        return tuple(
            (
                slice(z, min(z + self.region[0], self.shape[0])),
                slice(y, min(y + self.region[1], self.shape[1])),
                slice(x, min(x + self.region[2], self.shape[2])),
            )
            for z, y, x in product(*steps)
        )


def plan_levels(
    shape: Size,
    voxel_size: tuple[float, float, float] | None,
    *,
    chunk: Size | None = None,
    region: Size | None = None,
    pyramid: bool = True,
) -> tuple[StoreLevel, ...]:
    """Plan the resolutions of a volume, the finest first.

    Each level halves rows and columns. It halves slices, too, where this brings a voxel nearer to a cube. A voxel
    of unknown size counts as a cube.

    Parameters
    ----------
    voxel_size : tuple of float, optional
        Spacing of slices, rows and columns in any unit.
    chunk, region : tuple of int, optional
        Shapes of chunk and region of the finest level, the second a multiple of the first. By default half a
        million voxels and 16 million, flatter where there are few slices.
    pyramid : bool
        False plans the finest level alone.

    Examples
    --------
    >>> [level.factors for level in plan_levels((100, 2000, 2000), (30.0, 8.0, 8.0))]
    [(1, 1, 1), (1, 2, 2), (1, 4, 4), (2, 8, 8)]
    """
    spacing = list(voxel_size or (1.0, 1.0, 1.0))
    factors = [1, 1, 1]
    here = shape
    levels = []
    while True:
        own = _fit(here, chunk) if chunk else _chunk(here)
        wanted = region if region and chunk else _region(own, here)
        levels.append(StoreLevel(here, (factors[0], factors[1], factors[2]), own, _multiple(wanted, own, here)))
        if not pyramid or max(here) <= _SMALLEST:
            return tuple(levels)
        plane = math.sqrt(spacing[1] * spacing[2])
        halved = [here[0] > 1 and spacing[0] <= plane * math.sqrt(2), here[1] > 1, here[2] > 1]
        if not any(halved[1:]):
            halved[0] = here[0] > 1
        for axis in range(3):
            if halved[axis]:
                factors[axis] *= 2
                spacing[axis] *= 2
        here = (-(-shape[0] // factors[0]), -(-shape[1] // factors[1]), -(-shape[2] // factors[2]))


def _chunk(shape: Size) -> Size:
    depth = min(shape[0], _CHUNK_DEPTH)
    side = 1 << int(math.log2(math.sqrt(_CHUNK_VOXELS / depth)))
    return _fit(shape, (depth, side, side))


def _fit(shape: Size, most: Size) -> Size:
    return (min(shape[0], most[0]), min(shape[1], most[1]), min(shape[2], most[2]))


def _region(chunk: Size, shape: Size) -> Size:
    depth = chunk[0] * 2 if shape[0] > chunk[0] else chunk[0]
    times = 1
    while depth * chunk[1] * chunk[2] * (2 * times) ** 2 <= _REGION_VOXELS:
        times *= 2
    return (depth, chunk[1] * times, chunk[2] * times)


def _multiple(wanted: Size, chunk: Size, shape: Size) -> Size:
    """Make a region whole chunks, and not larger than the volume needs."""
    sides = [
        max(1, min(want // own, -(-length // own))) * own
        for want, own, length in zip(wanted, chunk, shape, strict=True)
    ]
    return (sides[0], sides[1], sides[2])


@dataclass(frozen=True)
class LabelStore:
    """Labels that are being written, in a folder that is an OME-Zarr label image from the start.

    It holds paths and numbers only, and can be sent to other processes. Two processes may write at the same time,
    not the same region.

    Attributes
    ----------
    folder : Path
        The group.
    marks : Path
        Folder with an empty file for each region that is whole.
    dtype : str
        An unsigned integer type.
    levels : tuple of StoreLevel
        The finest first.
    voxel_size : tuple of float or None
        Spacing of slices, rows and columns of the finest level in nm.
    version : {"0.4", "0.5"}
        Of OME-Zarr. 0.5 is Zarr 3 with a file for each region, 0.4 is Zarr 2 with a file for each chunk.
    """

    folder: Path
    marks: Path
    dtype: str
    levels: tuple[StoreLevel, ...]
    voxel_size: tuple[float, float, float] | None = None
    version: OmeVersion = "0.5"

    @property
    def shape(self) -> Size:
        """(Z, Y, X) of the finest level."""
        return self.levels[0].shape

    def regions(self, level: int = 0) -> tuple[Region, ...]:
        """List what is written at once, in raster order."""
        return self.levels[level].regions()

    def is_written(self, region: Region, level: int = 0) -> bool:
        """Tell whether a region is whole."""
        return self._mark(region, level).exists()

    def write(self, region: Region, labels: NDArray[np.integer[Any]], level: int = 0) -> None:
        """Write one of `regions`, and mark it when it is on the disk.

        The bytes depend on the labels alone: a region that was interrupted can be written again.

        Raises
        ------
        OutputError
            If the disk is full or refuses. What was written before stays.
        """
        shape = tuple(part.stop - part.start for part in region)
        assert labels.shape == shape, f"labels {labels.shape} came for a region of shape {shape}"
        assert not labels.size or int(labels.max()) <= np.iinfo(self.dtype).max, "the type does not hold the ids"
        with writing(self.folder):
            self._open(level, "r+")[region] = labels.astype(self.dtype, copy=False)
            for file in self._files(region, level):
                _sync(file)
            self._mark(region, level).touch()

    def read(self, region: Region, level: int = 0) -> NDArray[Any]:
        """Read any part of a level; what was not written is 0."""
        return np.asarray(self._open(level, "r")[region])

    def create(self, more: dict[str, Any]) -> None:
        """Make the folder with empty levels; `more` are further attributes of the group."""
        import zarr

        old = self.version == "0.4"
        group = zarr.open_group(self.folder, mode="w", zarr_format=2 if old else 3)
        for number, level in enumerate(self.levels):
            layout: dict[str, Any] = (
                {"chunk_key_encoding": {"name": "v2", "separator": "/"}}
                if old
                else {"shards": level.region, "dimension_names": list("zyx")}
            )
            group.create_array(
                str(number), shape=level.shape, dtype=self.dtype, chunks=level.chunk, fill_value=0, **layout
            )
        said: dict[str, Any] = {
            "multiscales": [self._multiscale()],
            "image-label": {"version": "0.4"} if old else {},
        }
        group.attrs.update({**(said if old else {"ome": {"version": self.version, **said}}), **more})
        self.marks.mkdir()

    def tidy(self) -> None:
        """Remove the temporary files that writers leave when they are killed."""
        for file in self.folder.rglob("*.partial"):
            file.unlink(missing_ok=True)

    def _multiscale(self) -> dict[str, Any]:
        um = None if self.voxel_size is None else [nm / 1000 for nm in self.voxel_size]
        unit = {} if um is None else {"unit": "micrometer"}
        datasets = []
        for number, level in enumerate(self.levels):
            steps = um or [1.0, 1.0, 1.0]
            scale = [step * factor for step, factor in zip(steps, level.factors, strict=True)]
            transforms: list[dict[str, Any]] = [{"type": "scale", "scale": scale}]
            if number:
                # The center of its first voxel lies between those of the voxels that it stands for.
                shift = [step * (factor - 1) / 2 for step, factor in zip(steps, level.factors, strict=True)]
                transforms.append({"type": "translation", "translation": shift})
            datasets.append({"path": str(number), "coordinateTransformations": transforms})
        axes = [{"name": name, "type": "space", **unit} for name in "zyx"]
        version = {"version": "0.4"} if self.version == "0.4" else {}
        return {"name": "labels", "axes": axes, "datasets": datasets, **version}

    def _open(self, level: int, mode: Literal["r", "r+"]) -> "zarr.Array[Any]":
        # A slow import, for those who write.
        import zarr

        return zarr.open_array(self.folder / str(level), mode=mode)

    def _mark(self, region: Region, level: int) -> Path:
        return self.marks / f"{level}_{'_'.join(str(part.start) for part in region)}"

    def _files(self, region: Region, level: int) -> Iterator[Path]:
        """Give the files of a region; those of background alone are not there."""
        at = self.levels[level]
        step, start = (
            (at.chunk, self.folder / str(level))
            if self.version == "0.4"
            else (
                at.region,
                self.folder / str(level) / "c",
            )
        )
        spans = [range(part.start // n, -(-part.stop // n)) for part, n in zip(region, step, strict=True)]
        for z, y, x in product(*spans):
            file = start / str(z) / str(y) / str(x)
            if file.exists():
                yield file


def _sync(file: Path) -> None:
    handle = os.open(file, os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the system refuses while an output is written into one line.

    Raises
    ------
    OutputError
        Naming the reason, and that the work can be continued.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or " ".join(str(error).split())
        raise OutputError(
            f"{path} cannot be written: {reason}; free space and run the same command again: it continues there."
        ) from error
