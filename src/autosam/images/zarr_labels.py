"""Labels in Zarr: an array, what autosam writes, and the labels of an OME-Zarr image."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from autosam.images.array_layout import ArrayLayout
from autosam.images.formats import UnsupportedError, reading
from autosam.images.readers.ome_zarr_metadata import ome_attributes, parse_multiscale


@dataclass(frozen=True)
class ZarrLabels:
    """An array of labels, and which axes it has."""

    array: "zarr.Array[Any]"
    layout: ArrayLayout | None

    def whole(self) -> NDArray[Any]:
        """Read all ids, (H, W) or (Z, Y, X); as stored where the layout is not clear."""
        return np.asarray(self.array[...]) if self.layout is None else self.layout.read(self.array)


def open_zarr_labels(path: Path, dataset: str | None = None) -> ZarrLabels:
    """Open labels without reading them.

    These are a single array; in a group the array `labels`, or the only one; a label image of OME-Zarr at its
    finest level; or for an image of OME-Zarr the only one of its label images. The pixels of an image are never
    taken for labels.

    Parameters
    ----------
    dataset : str, optional
        Path within the store, such as ``/labels/nuclei``.

    Raises
    ------
    InputError
        If there are no labels, or it is not clear which are meant.
    """
    with reading(path if dataset is None else f"{path}:{dataset}"):
        try:
            node = zarr.open(path, path=(dataset or "").strip("/") or None, mode="r")
        except FileNotFoundError:
            raise UnsupportedError("no Zarr array or group is in this folder") from None
        return _labels(node, path)


def labels_place(path: Path, dataset: str | None = None) -> str:
    """Give the path within the store of the labels that `open_zarr_labels` opens; errors as there.

    It is that of the label image, if they are one, and otherwise that of the array.
    """
    array = open_zarr_labels(path, dataset).array
    above, _, level = str(array.path).rpartition("/")
    group = zarr.open(path, path=above or None, mode="r")
    attributes = ome_attributes(dict(group.attrs))
    is_image = "multiscales" in attributes and parse_multiscale(attributes).paths[0] == level
    return f"/{above if is_image else array.path}"


def _labels(node: "zarr.Array[Any] | zarr.Group", path: Path) -> ZarrLabels:
    if isinstance(node, zarr.Array):
        return ZarrLabels(node, ArrayLayout.of(tuple(node.shape)))
    attributes = ome_attributes(dict(node.attrs))
    # Some writers leave `image-label` out.
    inside = (*path.parts, *node.path.split("/"))[:-1]
    if "multiscales" in attributes and ("image-label" in attributes or "labels" in inside):
        multiscale = parse_multiscale(attributes)
        finest = node[multiscale.paths[0]]
        if not isinstance(finest, zarr.Array):
            raise UnsupportedError(f"its level {multiscale.paths[0]} is no array")
        return ZarrLabels(finest, ArrayLayout.of(tuple(finest.shape), multiscale.axes))
    if "bioformats2raw.layout" in attributes and "0" in node and "1" not in node:
        return _labels(node["0"], path)
    inner = node.get("labels")
    if isinstance(inner, zarr.Group):
        return _of_labels_group(inner, path)
    if "multiscales" in attributes:
        raise UnsupportedError("it is an image of OME-Zarr, without labels/NAME in it; give a file of labels")
    if "labels" in attributes:
        return _of_labels_group(node, path)
    arrays = dict(sorted(node.arrays()))
    if "labels" not in arrays and len(arrays) != 1:
        listed = ", ".join(arrays) or "none"
        raise UnsupportedError(f"no array 'labels', and not exactly one array; it has: {listed}")
    return _labels(arrays.get("labels") or next(iter(arrays.values())), path)


def _of_labels_group(group: zarr.Group, path: Path) -> ZarrLabels:
    said = ome_attributes(dict(group.attrs)).get("labels")
    names = [str(name) for name in said] if said else sorted(name for name, _ in group.members())
    if len(names) != 1:
        where = "/" + group.path.strip("/")
        listed = ", ".join(f"{path}:{where.rstrip('/')}/{name}" for name in names) or "none"
        raise UnsupportedError(f"it has {len(names)} label images; name one: {listed}")
    return _labels(group[names[0]], path)
