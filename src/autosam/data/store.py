"""The one form that every data set is brought to: images with their labels, read one slice at a time."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.data.backends import ArrayKind, Backend, dtype_of
from autosam.data.choose_backend import choose_backend
from autosam.data.manifest import Item, Manifest, Split
from autosam.data.writer import StoreWriter
from autosam.errors import InputError


@dataclass(frozen=True, eq=False)
class Volume:
    """The slices of one volume, by z."""

    name: str
    items: tuple[Item, ...]
    _backend: Backend

    @property
    def shape(self) -> tuple[int, ...]:
        """(Z, H, W), or (Z, H, W, 3) for color; Z counts the slices that are there, gaps are not filled."""
        return (len(self.items), *self.items[0].shape)

    @property
    def z(self) -> tuple[int, ...]:
        """Number of each slice in the release; two neighbors in the store may have a gap between them."""
        return tuple(item.z for item in self.items if item.z is not None)

    def image(self, start: int = 0, stop: int | None = None) -> NDArray[Any]:
        """Read the slices start to stop (excluded; positions, not z): (Z, H, W) or (Z, H, W, 3), as stored."""
        return self._read("image", start, stop)

    def labels(self, start: int = 0, stop: int | None = None) -> NDArray[np.unsignedinteger[Any]]:
        """Read the labels of the slices start to stop: (Z, H, W); with `manifest.ids` "3d" ids hold across z."""
        return self._read("labels", start, stop)

    def valid(self, start: int = 0, stop: int | None = None) -> NDArray[np.bool_] | None:
        """Read where the labels of the slices start to stop are complete: (Z, H, W); None for everywhere."""
        return self._read("valid", start, stop) != 0 if self.items[0].valid else None

    def _read(self, kind: ArrayKind, start: int, stop: int | None) -> NDArray[Any]:
        _check_labeled(self.items[0], kind)
        first, last, _ = slice(start, stop).indices(len(self.items))
        if first >= last:
            item = self.items[0]
            shape = item.shape if kind == "image" else item.shape[:2]
            return np.zeros((0, *shape), dtype_of(item, kind))
        slices = [self._backend.read(self.items[i], i, kind) for i in range(first, last)]
        for item, array in zip(self.items[first:last], slices, strict=True):
            _check_pixels(array, item, kind)
        return np.stack(slices)


class Store:
    """Images and labels on disk with their manifest; nothing is read before it is asked for.

    A store is an HDF5 file (`.h5`, `.hdf5`, `.hdf`) or an OME-Zarr folder (`.zarr`). It may be pickled, and read
    from several processes at once.

    Examples
    --------
    >>> store = Store.open("epfl.h5")  # doctest: +SKIP
    >>> for item in store.items:  # doctest: +SKIP
    ...     image, labels = store.image(item.name), store.labels(item.name)
    >>> store.volume("train").labels(10, 20).shape  # doctest: +SKIP
    (10, 768, 1024)
    """

    def __init__(self, path: Path, manifest: Manifest, backend: Backend) -> None:
        self.path = path
        self.manifest = manifest
        self._backend = backend
        self._index = {item.name: i for i, item in enumerate(manifest.items)}
        self._volumes: dict[str, list[Item]] = {}
        self._positions: list[int] = []
        for item in manifest.items:
            slices = self._volumes.setdefault(item.volume, []) if item.volume is not None else []
            self._positions.append(len(slices))
            slices.append(item)

    @classmethod
    def open(cls, path: str | Path) -> "Store":
        """Open a store for reading; only the manifest is read.

        Raises
        ------
        InputError
            If there is no store, or its manifest is damaged or of a newer version.
        """
        path = Path(path)
        if not path.exists():
            raise InputError(f"{path}: no such store; make one with `autosam data import`.")
        backend = choose_backend(path)
        return cls(path, Manifest.loads(backend.read_manifest(), name=path), backend)

    @classmethod
    def create(
        cls, path: str | Path, manifest: Manifest, *, origin: str = "", restart: bool = False
    ) -> StoreWriter:
        """Begin a store, or continue one whose making was interrupted; see `StoreWriter`."""
        return StoreWriter(Path(path), manifest, origin=origin, restart=restart)

    @property
    def items(self) -> tuple[Item, ...]:
        """Every image, in the order of import."""
        return self.manifest.items

    @property
    def volumes(self) -> tuple[str, ...]:
        """Names of the volumes; single images are not among them."""
        return tuple(self._volumes)

    def __len__(self) -> int:
        return len(self.items)

    def item(self, which: int | str) -> Item:
        """Find an item by its position or its name; an `InputError` if there is none."""
        return self.items[self._position(which)]

    def image(self, which: int | str) -> NDArray[Any]:
        """Read one image, by position or name: (H, W) or (H, W, 3), values as in the release.

        Raises
        ------
        InputError
            If there is no such image, or the file is damaged.
        """
        return self._read(which, "image")

    def labels(self, which: int | str) -> NDArray[np.unsignedinteger[Any]]:
        """Read the labels of one image, by position or name: (H, W), unsigned, 0 for background.

        Raises
        ------
        InputError
            If there is no such image, it has no labels (`item.labels_dtype` is None), or the file is damaged.
        """
        return self._read(which, "labels")

    def valid(self, which: int | str) -> NDArray[np.bool_] | None:
        """Read where the labels of one image are complete, by position or name: (H, W); None for everywhere.

        Raises
        ------
        InputError
            If there is no such image, or the file is damaged.
        """
        return self._read(which, "valid") != 0 if self.item(which).valid else None

    def volume(self, name: str) -> Volume:
        """Find a volume by its name; an `InputError` if there is none."""
        if name not in self._volumes:
            raise InputError(f"{self.path} has no volume {name}; it has: {', '.join(self._volumes) or 'none'}.")
        return Volume(name, tuple(self._volumes[name]), self._backend)

    def with_splits(self, splits: Mapping[str, Split | None]) -> "Store":
        """Put the named items into parts, on disk too; items that are not named stay where they are.

        Raises
        ------
        InputError
            If a name or a part is unknown.
        OutputError
            If the store cannot be written to.
        """
        manifest = self.manifest.with_splits(splits)
        self._backend.replace_manifest(manifest.dumps())
        return Store(self.path, manifest, self._backend)

    def _position(self, which: int | str) -> int:
        if isinstance(which, str):
            if which not in self._index:
                raise InputError(f"{self.path} has no image {which!r}; it holds {len(self)} others.")
            return self._index[which]
        if not 0 <= which < len(self):
            raise InputError(f"{self.path} holds {len(self)} image(s), counted from 0; {which} was asked for.")
        return which

    def _read(self, which: int | str, kind: ArrayKind) -> NDArray[Any]:
        position = self._position(which)
        item = self.items[position]
        _check_labeled(item, kind)
        array = self._backend.read(item, self._positions[position], kind)
        _check_pixels(array, item, kind)
        return array


def _check_pixels(array: NDArray[Any], item: Item, kind: ArrayKind) -> None:
    """Refuse what another program put into the store and no size or type in the manifest excuses."""
    if kind == "labels" and (array.dtype.kind not in "biu" or (array.size and array.min() < 0)):
        what = f"the negative id {array.min()}" if array.dtype.kind == "i" else f"{array.dtype} values"
        raise InputError(f"the labels of {item.name} hold {what}; wanted ids: integers, 0 for background.")
    wanted = len(item.shape) if kind == "image" else 2
    if array.dtype.kind not in "biuf" or array.ndim != wanted:
        raise InputError(
            f"the {kind} of {item.name} is {array.dtype} of shape {array.shape}; wanted numbers on {wanted} axes."
        )


def _check_labeled(item: Item, kind: ArrayKind) -> None:
    if kind == "labels" and item.labels_dtype is None:
        raise InputError(f"{item.name} has no labels; leave it out, or import the release's labels.")
