"""Volumes and labels as Neuroglancer takes them: pyramids on disk, which it reads by itself, and arrays."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.images.folder_listing import is_store
from autosam.images.formats import reading
from autosam.images.image_source import split_dataset
from autosam.images.readers.ome_zarr_metadata import ome_attributes, parse_multiscale
from autosam.images.units import VoxelSize, nm_of
from autosam.volumes.hole import HoleError
from autosam.volumes.volume_source import VolumeSource

Size = tuple[int, int, int]


@dataclass(frozen=True)
class ServedPyramid:
    """A pyramid of OME-Zarr with the axes z, y and x.

    Attributes
    ----------
    folder : Path
        The group.
    paths : tuple of str
        Arrays of the levels, the finest first.
    shapes : tuple of tuple of int
        (Z, Y, X) of each.
    factors : tuple of tuple of float
        How many voxels of the finest level one of each level stands for.
    voxel_size : tuple of float or None
        Of the finest level in nm.
    origin : tuple of int
        Voxel of the whole volume at which it begins.
    """

    folder: Path
    paths: tuple[str, ...]
    shapes: tuple[Size, ...]
    factors: tuple[tuple[float, ...], ...]
    voxel_size: VoxelSize | None
    origin: Size

    def coarse(self, most: int) -> tuple[NDArray[Any], tuple[float, ...]] | None:
        """Read the finest level of no more than so many voxels, and give its factors; None without one."""
        import zarr

        for path, shape, factors in zip(self.paths, self.shapes, self.factors, strict=True):
            if math.prod(shape) <= most:
                return np.asarray(zarr.open_array(self.folder / path, mode="r")[...]), factors
        return None


def find_pyramid(given: str) -> ServedPyramid | None:
    """Open OME-Zarr on this disk, and say what is in it; None for everything else, and other axes than z, y, x.

    Parameters
    ----------
    given : str
        A store, or ``store.zarr:/path`` of a group in it.
    """
    path, dataset = split_dataset(given)
    if not is_store(path):
        return None
    # A slow import, needed for stores alone.
    import zarr

    folder = path / (dataset or "").strip("/")
    with reading(given):
        try:
            group = zarr.open(folder, mode="r")
        except FileNotFoundError:
            return None
        attributes = ome_attributes(dict(group.attrs))
        if not isinstance(group, zarr.Group) or "multiscales" not in attributes:
            return None
        multiscale = parse_multiscale(attributes)
        if multiscale.axes != "zyx":
            return None
        arrays = [group[name] for name in multiscale.paths]
        finest = multiscale.scales[0]
        begins = _translation(attributes["multiscales"][0]["datasets"][0])
        units = [nm_of(unit or "") for unit in multiscale.units]
    size = [step * unit for step, unit in zip(finest, units, strict=True) if unit is not None]
    z, y, x = (round(begin / step) for begin, step in zip(begins, finest, strict=True))
    return ServedPyramid(
        folder,
        multiscale.paths,
        tuple((a.shape[0], a.shape[1], a.shape[2]) for a in arrays if isinstance(a, zarr.Array)),
        tuple(
            tuple(step / first for step, first in zip(steps, finest, strict=True)) for steps in multiscale.scales
        ),
        (size[0], size[1], size[2]) if len(size) == 3 else None,
        (z, y, x),
    )


def _translation(level: dict[str, Any]) -> list[float]:
    shifts = [t["translation"] for t in level.get("coordinateTransformations") or [] if t["type"] == "translation"]
    return [float(shift) for shift in shifts[0]] if shifts else [0.0, 0.0, 0.0]


class LazyArray:
    """A volume as an array of which parts are read when they are looked at.

    Parts that cannot be read are 0.
    """

    def __init__(self, source: VolumeSource) -> None:
        self._source = source
        self.shape = (*source.shape, *((3,) if source.color else ()))
        self.dtype = source.dtype
        self.rank = self.ndim = len(self.shape)

    def __getitem__(self, part: tuple[slice, ...]) -> NDArray[Any]:
        zs, rows, cols = (slice(*p.indices(n)) for p, n in zip(part, self._source.shape, strict=False))
        shape = (zs.stop - zs.start, rows.stop - rows.start, cols.stop - cols.start, *self.shape[3:])
        found = np.zeros(shape, self.dtype)
        for number, z in enumerate(range(zs.start, zs.stop)):
            try:
                found[number] = self._source.read(z, (rows, cols))
            except HoleError:
                continue
        return found[..., part[3]] if len(part) > 3 else found


def usual_limits(source: VolumeSource) -> tuple[float, float] | None:
    """Measure the percentiles .5 and 99.5 in the middle of the middle slice; None where it cannot be read."""
    spans = [slice(max(0, n // 2 - 512), n // 2 + 512) for n in source.shape[1:]]
    window = tuple(slice(span.start, min(span.stop, n)) for span, n in zip(spans, source.shape[1:], strict=True))
    try:
        pixels = source.read(source.shape[0] // 2, (window[0], window[1]))
    except HoleError:
        return None
    known = pixels[np.isfinite(pixels)] if pixels.dtype.kind == "f" else pixels
    if not known.size:
        return None
    low, high = (float(value) for value in np.percentile(known, (0.5, 99.5)))
    return (low, high) if low < high else None
