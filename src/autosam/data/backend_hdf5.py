"""A store as one HDF5 file: `/volumes/NAME/{image,labels,valid}` (Z, H, W), `/images/NAME/…` (H, W)."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from autosam.data.backends import CHUNK, ArrayKind, ReadSlice, dtype_of, kinds, stacks, unknown_entries
from autosam.data.manifest import Item, Manifest
from autosam.errors import InputError, OutputError
from autosam.images.formats import reading


class Hdf5Backend:
    """One HDF5 file, gzip-compressed; the manifest is the scalar string `/manifest`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def pack(self, manifest: Manifest, read: ReadSlice, tick: Callable[[], None]) -> None:
        """Write a whole store; see `Backend.pack`."""
        with h5py.File(self.path, "w") as file:
            file["manifest"] = manifest.dumps()
            for items in stacks(manifest).values():
                group = file.create_group(_group(items[0]))
                for kind in kinds(items[0]):
                    _create(group, kind, items, manifest.voxel_size_nm)
                for position, item in enumerate(items):
                    for kind in kinds(item):
                        group[kind][... if item.volume is None else position] = read(item, kind)
                    tick()

    def read(self, item: Item, position: int, kind: ArrayKind) -> NDArray[Any]:
        """Read one slice; see `Backend.read`."""
        with reading(f"{self.path}:/{_group(item)}/{kind}"), h5py.File(self.path, "r") as file:
            array: NDArray[Any] = np.asarray(file[_group(item)][kind][... if item.volume is None else position])
        return array

    def read_manifest(self) -> str:
        """Read the manifest's text."""
        with reading(self.path), h5py.File(self.path, "r") as file:
            if "manifest" not in file:
                raise InputError(f"{self.path} is not an autosam store; make one with `autosam data import`.")
            text: str = file["manifest"].asstr()[()]
        return text

    def foreign(self, manifest: Manifest) -> list[str]:
        """List what is not autosam's; see `Backend.foreign`."""
        known = {"manifest", "manifest_new"}
        for items in stacks(manifest).values():
            known.update(f"{_group(items[0])}/{kind}" for kind in kinds(items[0]))
        with reading(self.path), h5py.File(self.path, "r") as file:
            return unknown_entries(known, "", lambda name: list(file[name] if name else file))

    def replace_manifest(self, text: str) -> None:
        """Put another manifest in the place of the old one."""
        try:
            with h5py.File(self.path, "r+") as file:
                if "manifest_new" in file:
                    del file["manifest_new"]
                # The new one is whole before the old one goes.
                file["manifest_new"] = text
                file.flush()
                del file["manifest"]
                file.move("manifest_new", "manifest")
        except OSError as error:
            raise OutputError(f"{self.path} cannot be written to: {' '.join(str(error).split())}.") from error


def _group(item: Item) -> str:
    return f"{'images' if item.volume is None else 'volumes'}/{item.key}"


def _create(group: h5py.Group, kind: ArrayKind, items: list[Item], voxel: tuple[float, ...] | None) -> None:
    first = items[0]
    inner = first.shape if kind == "image" else first.shape[:2]
    chunk = (min(CHUNK, inner[0]), min(CHUNK, inner[1]), *inner[2:])
    single = first.volume is None
    data = group.create_dataset(
        kind,
        shape=inner if single else (len(items), *inner),
        dtype=dtype_of(first, kind),
        chunks=chunk if single else (1, *chunk),
        compression="gzip",
        shuffle=True,
    )
    if voxel is not None:
        # torch_em, CREMI and others look for this name.
        data.attrs["resolution"] = voxel[1:] if single else voxel
