"""A pyramid of labels on disk as OME-Zarr, written region by region by any number of processes."""

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
from autosam.volumes.store_levels import Region, Size, StoreLevel

if TYPE_CHECKING:
    import zarr

OmeVersion = Literal["0.4", "0.5"]


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
    origin : tuple of int
        Where the labels begin in a larger volume. Viewers lay them over it there.
    """

    folder: Path
    marks: Path
    dtype: str
    levels: tuple[StoreLevel, ...]
    voxel_size: tuple[float, float, float] | None = None
    version: OmeVersion = "0.5"
    origin: Size = (0, 0, 0)

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
                sync(file)
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
            # The center of a coarse voxel lies between those of the voxels that it stands for.
            shift = [
                step * (begin + (factor - 1) / 2)
                for step, begin, factor in zip(steps, self.origin, level.factors, strict=True)
            ]
            if any(shift):
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


def sync(file: Path) -> None:
    """Wait until the content of a file is on the disk."""
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
