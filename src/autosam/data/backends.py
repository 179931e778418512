"""The three forms of a store on disk, behind one face."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Protocol

from numpy.typing import NDArray

from autosam.data.manifest import Item, Manifest
from autosam.images.formats import HDF5_SUFFIXES

ArrayKind = Literal["image", "labels"]
ReadSlice = Callable[[Item, ArrayKind], NDArray[Any]]


class Backend(Protocol):
    """A store on disk. Nothing stays open between two calls, so that it may be pickled and forked."""

    def pack(self, manifest: Manifest, read: ReadSlice, tick: Callable[[], None]) -> None:
        """Write a whole store, slice by slice.

        Parameters
        ----------
        manifest : Manifest
            With its items; sizes and types are final.
        read : callable
            Gives image or labels of an item.
        tick : callable
            Called after each item.
        """
        ...

    def read(self, item: Item, position: int, kind: ArrayKind) -> NDArray[Any]:
        """Read image or labels of an item; `position` counts the slices of its volume that are there."""
        ...

    def read_manifest(self) -> str:
        """Read the manifest's text."""
        ...

    def replace_manifest(self, text: str) -> None:
        """Put another manifest in the place of the old one; the pixels stay."""
        ...


def choose_backend(path: Path) -> Backend:
    """Choose the form of a store by its suffix: HDF5, OME-Zarr, or else a folder of TIFF pairs."""
    from autosam.data.backend_hdf5 import Hdf5Backend
    from autosam.data.backend_tiff import TiffBackend
    from autosam.data.backend_zarr import ZarrBackend

    suffix = path.suffix.lower()
    if suffix in HDF5_SUFFIXES:
        return Hdf5Backend(path)
    return ZarrBackend(path) if suffix == ".zarr" else TiffBackend(path)


def stacks(manifest: Manifest) -> dict[str, list[Item]]:
    """Gather the items of each volume by z; a lone image is a stack of its own."""
    found: dict[str, list[Item]] = {}
    for item in manifest.items:
        found.setdefault(item.key, []).append(item)
    return found


def kinds(item: Item) -> tuple[ArrayKind, ...]:
    """List what is stored of an item."""
    return ("image",) if item.labels_dtype is None else ("image", "labels")
