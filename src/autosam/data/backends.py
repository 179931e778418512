"""The two forms of a store on disk, behind one face."""

from collections.abc import Callable, Set
from pathlib import Path
from typing import Any, Literal, Protocol

from numpy.typing import NDArray

from autosam.data.manifest import FORMAT, Item, Manifest
from autosam.images.formats import HDF5_SUFFIXES

STORE_SUFFIXES = (*HDF5_SUFFIXES, ".zarr")
MANIFEST = "manifest.json"

# Small enough that a patch does not unpack a whole slice, large enough that the index stays short.
CHUNK = 512

ArrayKind = Literal["image", "labels", "valid"]
ReadSlice = Callable[[Item, ArrayKind], NDArray[Any]]


class Backend(Protocol):
    """A store on disk. Nothing stays open between two calls, so that it may be pickled and forked."""

    def pack(self, manifest: Manifest, read: ReadSlice, tick: Callable[[], None]) -> None:
        """Write a whole store slice by slice; `tick` is called after each item.

        The manifest's items have their final sizes and types, and `read` gives image or labels of an item.
        """

    def read(self, item: Item, position: int, kind: ArrayKind) -> NDArray[Any]:
        """Read image or labels of an item; `position` counts the slices of its volume that are there."""

    def read_manifest(self) -> str:
        """Read the manifest's text."""

    def foreign(self, manifest: Manifest) -> list[str]:
        """List what is in the store and is not autosam's: arrays, groups, files and folders, not their insides."""

    def replace_manifest(self, text: str) -> None:
        """Put another manifest in the place of the old one; the pixels stay."""


def is_tiff_store(path: Path) -> bool:
    """Tell whether a folder is a store as autosam 0.1 wrote it where the name had no suffix."""
    try:
        with (path / MANIFEST).open("rb") as file:
            # Others have manifests too; the format stands first in a store's.
            return path.suffix.lower() not in STORE_SUFFIXES and FORMAT.encode() in file.read(200)
    except OSError:
        return False


def stacks(manifest: Manifest) -> dict[str, list[Item]]:
    """Gather the items of each volume by z; a single image is a stack of its own."""
    found: dict[str, list[Item]] = {}
    for item in manifest.items:
        found.setdefault(item.key, []).append(item)
    return found


def kinds(item: Item) -> tuple[ArrayKind, ...]:
    """List what is stored of an item."""
    if item.labels_dtype is None:
        return ("image",)
    return ("image", "labels", "valid") if item.valid else ("image", "labels")


def dtype_of(item: Item, kind: ArrayKind) -> str | None:
    """Name the type of what is stored of an item."""
    return {"image": item.dtype, "labels": item.labels_dtype, "valid": "uint8"}[kind]


def unknown_entries(known: Set[str], place: str, entries: Callable[[str], list[str]]) -> list[str]:
    """Go through a tree of names, and list the highest that neither are known nor lead to a known one.

    `entries` lists what is in a place of the tree, "" for all of it; what is known is not looked into.

    Examples
    --------
    >>> tree = {"": ["a", "x"], "a": ["b", "y"]}
    >>> unknown_entries({"a/b"}, "", tree.__getitem__)
    ['a/y', 'x']
    """
    found: list[str] = []
    for name in entries(place):
        path = f"{place}/{name}" if place else name
        if path in known:
            continue
        if any(other.startswith(f"{path}/") for other in known):
            found += unknown_entries(known, path, entries)
        else:
            found.append(path)
    return found
