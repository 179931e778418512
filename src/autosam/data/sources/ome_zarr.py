"""OME-Zarr 0.4 and 0.5: an image's full resolution and one of its label images."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from autosam.data.manifest import as_name
from autosam.data.sources.release import (
    ImageAndLabels,
    Labels,
    Release,
    ReleaseReader,
    Request,
    Slice,
    volume_slice,
)
from autosam.errors import InputError
from autosam.images.formats import reading
from autosam.images.readers.ome_zarr_metadata import Multiscale, ome_attributes, parse_multiscale


@dataclass(frozen=True)
class _Image:
    """The full resolution of a multiscale image: its array, and which axis is which."""

    path: Path
    axes: str
    shape: tuple[int, ...]
    voxel_size_nm: tuple[float, float, float] | None

    @property
    def depth(self) -> int | None:
        return self.shape[self.axes.index("z")] if "z" in self.axes else None

    @property
    def plane(self) -> tuple[int, ...]:
        return self.shape[self.axes.index("y")], self.shape[self.axes.index("x")]

    def read(self, z: int) -> NDArray[Any]:
        """Read a slice: (H, W), or (H, W, 3) of three channels."""
        with reading(self.path):
            array = zarr.open_array(self.path, mode="r")
            kept = [i for i, axis in enumerate(self.axes) if axis in "yx" or (axis == "c" and self.shape[i] > 1)]
            index = tuple(
                slice(None) if i in kept else z if axis == "z" else 0 for i, axis in enumerate(self.axes)
            )
            plane = np.asarray(array[index])
        names = [self.axes[i] for i in kept]
        order = [names.index(axis) for axis in "yxc" if axis in names]
        return np.ascontiguousarray(plane.transpose(order))


class OmeZarr(ReleaseReader):
    """`image.zarr` with `multiscales`, and `labels/NAME` in it; the second argument names the label image."""

    name = "ome-zarr"
    layout = "image.zarr [NAME of the label image] (OME-Zarr 0.4 or 0.5 with labels)"
    takes_labels = True

    def _sniff(self, request: Request) -> bool:
        path = request.path
        return path.is_dir() and any((path / name).is_file() for name in (".zattrs", ".zgroup", "zarr.json"))

    def _open(self, request: Request) -> Release:
        path = request.path
        image = _open(path)
        names = _label_names(path)
        if request.labels is None and len(names) != 1:
            listed = ", ".join(names) or "none"
            raise InputError(f"{path} has {len(names)} label images ({listed}); name one as the second argument.")
        wanted = names[0] if request.labels is None else request.labels
        if wanted not in names:
            raise InputError(f"{path} has no label image {wanted}; it has: {', '.join(names) or 'none'}.")
        labels = _open(path / "labels" / wanted)
        if (labels.depth, labels.plane) != (image.depth, image.plane) or _channels(labels) > 1:
            raise InputError(
                f"{path}: the image is {image.shape} ({image.axes}), {wanted} is {labels.shape} ({labels.axes}); "
                "wanted the same rows, columns and slices."
            )
        name = as_name(path.resolve().name.removesuffix(".zarr").removesuffix(".ome"))

        def read(z: int) -> ImageAndLabels:
            return image.read(z), labels.read(z)

        slices = [Slice(name, partial(read, 0))]
        if image.depth is not None:
            slices = [volume_slice(name, z, partial(read, z)) for z in range(image.depth)]
        kind: Labels = "ids-2d" if image.depth is None else "ids-3d"
        made = f"label image {wanted}, as published"
        return Release(self.name, slices, kind, voxel_size_nm=image.voxel_size_nm, made=made)


def _attributes(path: Path) -> dict[str, Any]:
    """Metadata of a group: under `ome` since 0.5, at the top before."""
    with reading(path):
        node = zarr.open(path, mode="r")
        attributes = dict(node.attrs)
    return ome_attributes(attributes)


def _open(path: Path) -> _Image:
    try:
        multiscale = parse_multiscale(_attributes(path))
        names, level = multiscale.axes, path / multiscale.paths[0]
    except (TypeError, KeyError, IndexError, ValueError) as error:
        raise InputError(
            f"{path} is not an OME-Zarr 0.4 or 0.5 image: its multiscales are missing or incomplete ({error})."
        ) from error
    with reading(level):
        array = zarr.open_array(level, mode="r")
        shape = tuple(int(n) for n in array.shape)
    if len(shape) != len(names) or not {"y", "x"} <= set(names) or len(names) != len(set(names)):
        raise InputError(f"{level} has shape {shape} and axes {names!r}; wanted y and x, and one name per axis.")
    image = _Image(level, names, shape, _voxel_size(multiscale))
    others = {axis: n for axis, n in zip(names, shape, strict=True) if axis not in "zyxc" and n > 1}
    if others or _channels(image) not in (1, 3):
        raise InputError(
            f"{level} has shape {shape} (axes {names!r}); wanted one moment and 1 or 3 channels: "
            "save the channel to use as an image of its own."
        )
    return image


def _channels(image: _Image) -> int:
    return image.shape[image.axes.index("c")] if "c" in image.axes else 1


def _label_names(path: Path) -> list[str]:
    folder = path / "labels"
    if not folder.is_dir():
        return []
    return [str(name) for name in _attributes(folder).get("labels", [])]


def _voxel_size(multiscale: Multiscale) -> tuple[float, float, float] | None:
    """(z, y, x) in nm; None where a unit is missing or unknown. z is 0 where there is no such axis."""
    steps = {axis: multiscale.step_nm(axis) for axis in multiscale.axes if axis in "zyx"}
    size = {axis: round(step, 6) for axis, step in steps.items() if step is not None}
    return (size.get("z", 0.0), size["y"], size["x"]) if len(size) == len(steps) else None
