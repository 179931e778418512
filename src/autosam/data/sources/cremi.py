"""CREMI: neurons of the adult fly's brain in `sample_*.hdf`, with padding around the labels in some files."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from autosam.data.sources.release import ImageAndLabels, Release, ReleaseReader, Request, volume_slice
from autosam.errors import InputError
from autosam.images.formats import HDF5_SUFFIXES, reading

_RAW, _IDS = "volumes/raw", "volumes/labels/neuron_ids"


@dataclass(frozen=True)
class _Sample:
    """One file: where its labels begin in the raw volume, in voxels, and how far they reach."""

    path: Path
    shape: tuple[int, int, int]
    start: tuple[int, int, int]
    resolution: tuple[float, float, float] | None
    labeled: bool

    @property
    def name(self) -> str:
        return self.path.stem.replace(" ", "_")

    def read(self, z: int) -> ImageAndLabels:
        with reading(self.path), h5py.File(self.path, "r") as file:
            top, left = self.start[1:]
            bottom, right = top + self.shape[1], left + self.shape[2]
            image: NDArray[Any] = np.asarray(file[_RAW][self.start[0] + z, top:bottom, left:right])
            return image, zero_background(np.asarray(file[_IDS][z])) if self.labeled else None


class Cremi(ReleaseReader):
    """`volumes/raw`, `volumes/labels/neuron_ids`, with `resolution` and maybe `offset`, (z, y, x) in nm."""

    name = "cremi"
    layout = f"sample_A.hdf, ... with {_RAW} and {_IDS}: one file or a folder of them"

    def _sniff(self, request: Request) -> bool:
        for path in _files(request.path)[:1]:
            with reading(path), h5py.File(path, "r") as file:
                return _RAW in file
        return False

    def _open(self, request: Request) -> Release:
        samples = [_look(path) for path in _files(request.path)]
        sizes = {sample.resolution for sample in samples}
        if len(sizes) > 1:
            raise InputError(
                f"the samples in {request.path} have different voxel sizes {sizes}; import them apart."
            )
        slices = [
            volume_slice(sample.name, z, partial(sample.read, z), labeled=sample.labeled)
            for sample in samples
            for z in range(sample.shape[0])
        ]
        return Release(
            self.name,
            slices,
            "ids-3d",
            license="not verified; see https://cremi.org",
            citation="CREMI: MICCAI challenge on circuit reconstruction from electron microscopy images (2016)",
            voxel_size_nm=next(iter(sizes), None),
            made="3D neurons as published",
            notes=(
                "CREMI's background, 18446744073709551615, became 0",
                "padding around the labels was cut off; z counts from the first labeled slice",
            ),
        )


def zero_background(ids: NDArray[Any]) -> NDArray[Any]:
    """Turn CREMI's background, the highest number of an unsigned type (-1 where it is signed), into 0.

    Examples
    --------
    >>> import numpy as np
    >>> zero_background(np.array([7, 2**64 - 1], np.uint64)).tolist()
    [7, 0]
    """
    background = np.iinfo(ids.dtype).max if ids.dtype.kind == "u" else -1
    return np.where(ids == background, ids.dtype.type(0), ids)


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path] if path.suffix.lower() in HDF5_SUFFIXES else []
    if not path.is_dir():
        return []
    return [
        file
        for file in sorted(path.iterdir())
        if file.suffix.lower() in HDF5_SUFFIXES and file.name.casefold().startswith("sample")
    ]


def _look(path: Path) -> _Sample:
    with reading(path), h5py.File(path, "r") as file:
        if _RAW not in file:
            raise InputError(f"{path} has no dataset {_RAW}, as CREMI's files have.")
        raw = file[_RAW]
        size = raw.attrs.get("resolution")
        resolution = None if size is None else _triple(size, path, "resolution")
        if _IDS not in file:
            return _Sample(path, _shape(raw, path), (0, 0, 0), resolution, labeled=False)
        ids = file[_IDS]
        if ids.dtype.kind not in "iu":
            raise InputError(f"{path}: {_IDS} holds {ids.dtype} values; wanted ids.")
        offset = _triple(ids.attrs.get("offset", (0, 0, 0)), path, "offset")
        start = tuple(round(n / size) for n, size in zip(offset, resolution or (1.0, 1.0, 1.0), strict=True))
        sample = _Sample(path, _shape(ids, path), (start[0], start[1], start[2]), resolution, labeled=True)
        ends = [a + n for a, n in zip(sample.start, sample.shape, strict=True)]
        if min(start) < 0 or any(end > n for end, n in zip(ends, raw.shape, strict=True)):
            raise InputError(f"{path}: labels of {sample.shape} at {start} leave the raw volume of {raw.shape}.")
        return sample


def _shape(dataset: Any, path: Path) -> tuple[int, int, int]:
    if dataset.ndim != 3:
        raise InputError(f"{path}: {dataset.name} has shape {dataset.shape}; wanted (Z, Y, X).")
    depth, height, width = (int(n) for n in dataset.shape)
    return depth, height, width


def _triple(values: Any, path: Path, name: str) -> tuple[float, float, float]:
    numbers = [float(n) for n in np.ravel(values)]
    if len(numbers) != 3 or (name == "resolution" and min(numbers) <= 0):
        raise InputError(f"{path}: the attribute {name} is {numbers}; wanted 3 numbers (z, y, x) in nm.")
    return numbers[0], numbers[1], numbers[2]
