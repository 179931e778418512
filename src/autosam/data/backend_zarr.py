"""A store as OME-Zarr 0.5: one image group per volume or single image, its instances under `labels/instances`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from autosam.data.backends import CHUNK, MANIFEST, ArrayKind, ReadSlice, dtype_of, kinds, stacks, unknown_entries
from autosam.data.manifest import Item, Manifest
from autosam.errors import InputError
from autosam.images import write_text
from autosam.images.formats import reading

_ARRAY: dict[ArrayKind, str] = {"image": "0", "labels": "labels/instances/0", "valid": "labels/valid/0"}
_LABEL_IMAGES: dict[ArrayKind, str] = {"labels": "instances", "valid": "valid"}


class ZarrBackend:
    """A folder in Zarr format 3; `manifest.json` lies beside the root's `zarr.json`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def pack(self, manifest: Manifest, read: ReadSlice, tick: Callable[[], None]) -> None:
        """Write a whole store; see `Backend.pack`."""
        root = zarr.open_group(self.path, mode="w", zarr_format=3)
        for key, items in stacks(manifest).items():
            group = root.create_group(key)
            arrays = {kind: _create(group, kind, items, manifest.voxel_size_nm) for kind in kinds(items[0])}
            for position, item in enumerate(items):
                for kind, array in arrays.items():
                    pixels = read(item, kind)
                    # OME-Zarr puts the channels first.
                    pixels = np.moveaxis(pixels, -1, 0) if pixels.ndim == 3 else pixels
                    array[_where(item, position, pixels.ndim)] = pixels
                tick()
        self.replace_manifest(manifest.dumps())

    def read(self, item: Item, position: int, kind: ArrayKind) -> NDArray[Any]:
        """Read one slice; see `Backend.read`."""
        name = f"{item.key}/{_ARRAY[kind]}"
        with reading(self.path / name):
            color = kind == "image" and len(item.shape) == 3
            array = zarr.open_array(self.path / name, mode="r")
            pixels: NDArray[Any] = np.asarray(array[_where(item, position, 3 if color else 2)])
        return np.ascontiguousarray(np.moveaxis(pixels, 0, -1)) if color else pixels

    def read_manifest(self) -> str:
        """Read the manifest's text."""
        file = self.path / MANIFEST
        if not file.is_file():
            raise InputError(
                f"{self.path} is not an autosam store: it has no {MANIFEST}; make one with `autosam data import`."
            )
        with reading(file):
            return file.read_text(encoding="utf-8")

    def foreign(self, manifest: Manifest) -> list[str]:
        """List what is not autosam's; see `Backend.foreign`."""
        known = {"zarr.json", MANIFEST}
        for key, items in stacks(manifest).items():
            for kind in kinds(items[0]):
                # Of an array, the group above it and so on, each has its own description.
                parts = f"{key}/{_ARRAY[kind]}".split("/")
                known.add("/".join(parts))
                known.update("/".join([*parts[:depth], "zarr.json"]) for depth in range(1, len(parts)))
        return unknown_entries(
            known,
            "",
            lambda name: [file.name for file in sorted((self.path / name).iterdir()) if file.name[0] != "."],
        )

    def replace_manifest(self, text: str) -> None:
        """Put a manifest in the place of the old one, if there is one."""
        write_text(self.path / MANIFEST, text)


def _where(item: Item, position: int, ndim: int) -> Any:
    """Index of a slice: its place is the axis before rows and columns, after the channels."""
    if item.volume is None:
        return ...
    return (slice(None), position) if ndim == 3 else position


def _create(
    group: zarr.Group, kind: ArrayKind, items: list[Item], voxel: tuple[float, ...] | None
) -> "zarr.Array[Any]":
    first = items[0]
    space = (*(() if first.volume is None else (len(items),)), *first.shape[:2])
    channels = first.shape[2:] if kind == "image" else ()
    axes: list[dict[str, str]] = [{"name": "c", "type": "channel"}] if channels else []
    for name in "zyx"[-len(space) :]:
        axes.append({"name": name, "type": "space"} | ({} if voxel is None else {"unit": "nanometer"}))
    scale = [1.0] * len(channels) + list((voxel or (1.0, 1.0, 1.0))[-len(space) :])
    chunks = (*channels, *(1 for _ in space[:-2]), min(CHUNK, space[-2]), min(CHUNK, space[-1]))

    if kind in _LABEL_IMAGES:
        names = [name for other, name in _LABEL_IMAGES.items() if other in kinds(first)]
        group.require_group("labels").attrs["ome"] = {"version": "0.5", "labels": names}
        group = group.require_group(f"labels/{_LABEL_IMAGES[kind]}")
    metadata: dict[str, Any] = {
        "version": "0.5",
        "multiscales": [
            {
                "name": kind,
                "axes": axes,
                "datasets": [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": scale}]}],
            }
        ],
    }
    if kind in _LABEL_IMAGES:
        metadata["image-label"] = {"source": {"image": "../../"}}
    group.attrs["ome"] = metadata
    return group.create_array(
        "0",
        shape=(*channels, *space),
        chunks=chunks,
        dtype=dtype_of(first, kind),
        dimension_names=[axis["name"] for axis in axes],
    )
