"""Labels of a volume as TIFF, written slice by slice from the store."""

import hashlib
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from autosam.volumes.ome_zarr_output import LabelStore

_AT_ONCE = 1 << 28
"""Bytes that are read at once."""
_TILE = 1024


def write_tiff(path: Path, store: LabelStore) -> None:
    """Write the finest level, compressed; slices that are too large to be held at once have tiles.

    A single slice is an image, (Y, X).

    With a voxel size, it is a TIFF of ImageJ for ids up to 65,535 and less than 3 GiB, OME-TIFF for ids up to
    2³² - 1, and a plain one with the size of pixels above. From 3 GiB on, before compression, it is a BigTIFF.
    """
    shape, dtype = store.shape, np.dtype(store.dtype)
    size = shape[0] * shape[1] * shape[2] * dtype.itemsize
    flat = shape[0] == 1
    metadata: dict[str, Any] = {"axes": "YX" if flat else "ZYX"}
    kind: dict[str, Any] = {"bigtiff": size > 3 << 30}
    resolution: dict[str, Any] = {}
    if store.voxel_size is not None:
        z, y, x = (nm / 1000 for nm in store.voxel_size)
        if dtype.itemsize <= 2 and not kind["bigtiff"]:
            kind["imagej"] = True
            resolution = {"resolution": (1 / x, 1 / y)}
            metadata |= {"unit": "um"} if flat else {"unit": "um", "spacing": z}
        elif dtype.itemsize <= 4:
            # By default it is random, and the same labels would give other bytes.
            kind["ome"] = True
            metadata |= {"UUID": str(_identity(store))}
            sizes = {"X": x, "Y": y} if flat else {"X": x, "Y": y, "Z": z}
            metadata |= {f"PhysicalSize{axis}": size for axis, size in sizes.items()}
            metadata |= {f"PhysicalSize{axis}Unit": "µm" for axis in sizes}
        else:
            resolution = {"resolution": (1e4 / x, 1e4 / y), "resolutionunit": "CENTIMETER"}
    large = shape[1] * shape[2] * dtype.itemsize > _AT_ONCE
    with tifffile.TiffWriter(path, **kind) as file:
        file.write(
            _tiles(store) if large else _slices(store),
            shape=shape[1:] if flat else shape,
            dtype=dtype,
            tile=(_TILE, _TILE) if large else None,
            compression="zlib",
            photometric="minisblack",
            metadata=metadata,
            **resolution,
        )


def _identity(store: LabelStore) -> uuid.UUID:
    """Make an identifier of the labels themselves."""
    digest = hashlib.sha256()
    for region in store.regions():
        digest.update(store.read(region).data)
    return uuid.uuid5(uuid.NAMESPACE_OID, digest.hexdigest())


def _slices(store: LabelStore) -> Iterator[NDArray[Any]]:
    depth, height, width = store.shape
    # Whole chunks, or as many slices as fit.
    fits = max(1, _AT_ONCE // (height * width * np.dtype(store.dtype).itemsize))
    step = min(fits, store.levels[0].chunk[0])
    for first in range(0, depth, step):
        yield from store.read((slice(first, min(first + step, depth)), slice(0, height), slice(0, width)))


def _tiles(store: LabelStore) -> Iterator[NDArray[Any]]:
    depth, height, width = store.shape
    for z in range(depth):
        for row in range(0, height, _TILE):
            rows = slice(row, min(row + _TILE, height))
            strip = store.read((slice(z, z + 1), rows, slice(0, width)))[0]
            for col in range(0, width, _TILE):
                yield strip[:, col : col + _TILE]
