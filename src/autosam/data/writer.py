"""Making a store: slices are journaled one file each, so that an interrupted import continues where it stopped."""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.data.backends import ArrayKind, Backend
from autosam.data.choose_backend import choose_backend
from autosam.data.manifest import Item, Manifest, Split, check_items, is_name
from autosam.data.parts import describe_part, read_part, write_part
from autosam.errors import InputError, OutputError
from autosam.images import atomic_path, ensure_folder, smallest_unsigned, write_text
from autosam.images.formats import reading

ReadPair = Callable[
    [],
    tuple[NDArray[Any], NDArray[Any] | None] | tuple[NDArray[Any], NDArray[Any] | None, NDArray[np.bool_] | None],
]
Relabel = Callable[[Item, NDArray[Any]], NDArray[Any]]

_REFUSED = "refused"


class StoreWriter:
    """A store in the making; `Store.create` makes one.

    `append` writes each slice to a file of its own in the hidden folder `.NAME.importing` beside the store, whole
    or not at all. `finish` packs them into the store, one slice in memory at a time, and removes the folder.
    Meanwhile the disk holds the data twice, compressed both times.

    Parameters
    ----------
    path : Path
        The store to be, .h5, .hdf5, .hdf or .zarr. It must not exist yet, and appears when it is whole.
    manifest : Manifest
        Its items are ignored: `append` adds them.
    origin : str
        Where the slices come from, such as a resolved path. An interrupted run with another origin is not
        continued.
    restart : bool
        Throw away what an interrupted run left, and replace an older store when the new one is whole.

    Raises
    ------
    InputError
        If the store exists, or an interrupted run had another manifest or origin, and `restart` is False.
    OutputError
        If the place cannot be written to.
    """

    def __init__(self, path: Path, manifest: Manifest, *, origin: str = "", restart: bool = False) -> None:
        self.path = path
        self.folder = path.with_name(f".{path.name}.importing")
        self._manifest = replace(manifest, items=())
        self._items: list[Item] = []
        self._names: set[str] = set()
        self._last: dict[str, Item] = {}
        self._tops: dict[str, int] = {}
        backend = choose_backend(path)
        if path.exists() and not restart:
            raise InputError(f"{path} exists already; choose another name, or replace it with --restart.")
        if path.exists():
            _refuse_foreign(backend, path)
        if restart:
            shutil.rmtree(self.folder, ignore_errors=True)
        self._journal(json.dumps([origin, self._manifest.dumps()]))

    def _journal(self, settings: str) -> None:
        file = self.folder / "settings.json"
        ensure_folder(self.folder / "slices")
        if not file.exists():
            write_text(file, settings)
            return
        with reading(file):
            before = file.read_text(encoding="utf-8")
        if before != settings and (self.folder / _REFUSED).exists():
            # What a refused run leaves is no work of hours that other settings would throw away.
            shutil.rmtree(self.folder, ignore_errors=True)
            self._journal(settings)
        elif before != settings:
            raise InputError(
                f"an interrupted import to {self.path} had another source or other settings; "
                "repeat it with those, or start over with --restart."
            )

    @property
    def items(self) -> tuple[Item, ...]:
        """The items so far; types are those of each slice, not yet of its volume."""
        return tuple(self._items)

    def append(
        self,
        name: str,
        read: ReadPair,
        *,
        group: str = "",
        volume: str | None = None,
        z: int | None = None,
        split: Split | None = None,
    ) -> bool:
        """Add one image, unless an interrupted run has done so; tell whether it was read now.

        `read` gives the image, (H, W) or (H, W, 3), and its labels, (H, W) of integers, or None where it has none;
        and where wanted a mask, (H, W) of bool, of the pixels where labels are complete.

        Raises
        ------
        InputError
            If the name is taken or not valid, image and labels do not fit each other, or the slice does not fit
            its volume.
        OutputError
            If it cannot be written.
        """
        if not is_name(name) or (volume is not None and not is_name(volume)):
            raise InputError(
                f"{volume or ''} {name!r} is not a valid file name; rename it with letters and digits."
            )
        file = self._file(name)
        new = not file.exists()
        if new:
            write_part(file, name, *read())
        shape, dtype, top, valid = describe_part(file)
        labels_dtype = None if top is None else smallest_unsigned(top).name
        item = Item(name, group, volume, z, shape, dtype, labels_dtype, split, valid)
        self._check(item)
        self._items.append(item)
        if top is not None:
            self._tops[item.key] = max(top, self._tops.get(item.key, 0))
        return new

    def labels(self, name: str) -> NDArray[Any]:
        """Read back the labels of an item that was appended."""
        return read_part(self._file(name), "labels")

    def finish(
        self,
        *,
        relabel: Relabel | None = None,
        notes: Sequence[str] = (),
        tick: Callable[[], None] | None = None,
    ) -> Path:
        """Pack the slices into the store, remove the journal and give the store's path.

        `relabel` gives the final labels of an item from those that were appended, and is called twice for each;
        `notes` are added to those of the manifest; `tick` is called after each item.

        Raises
        ------
        InputError
            If nothing was appended.
        OutputError
            If the store cannot be written, or the disk has too little room.
        """
        if not self._items:
            raise InputError(f"no image was given for {self.path}; a store holds at least one.")
        if relabel is not None:
            self._tops = dict.fromkeys(self._tops, 0)
            for item in self._items:
                if item.labels_dtype is not None:
                    top = int(relabel(item, self.labels(item.name)).max())
                    self._tops[item.key] = max(top, self._tops[item.key])
        items = tuple(
            item
            if item.labels_dtype is None
            else replace(item, labels_dtype=smallest_unsigned(self._tops[item.key]).name)
            for item in self._items
        )
        manifest = replace(self._manifest, items=items, notes=(*self._manifest.notes, *notes))

        def read(item: Item, kind: ArrayKind) -> NDArray[Any]:
            array = read_part(self._file(item.name), kind)
            if kind != "labels":
                return array
            return (array if relabel is None else relabel(item, array)).astype(item.labels_dtype)

        self._check_room()
        packed = self.folder / f"packed{self.path.suffix}"
        with atomic_path(self.path) as temporary:
            # A run that is killed leaves its half-packed store in the journal's folder, not beside the store.
            _remove(packed)
            choose_backend(packed).pack(manifest, read, tick or (lambda: None))
            packed.rename(temporary)
            if self.path.is_dir() != temporary.is_dir():
                _remove(self.path)
        shutil.rmtree(self.folder, ignore_errors=True)
        return self.path

    def refused(self) -> None:
        """Note that the data were refused, so that other settings need no `restart`."""
        write_text(self.folder / _REFUSED, "")

    def abandon(self) -> None:
        """Remove the journal: there is nothing to go on with."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _file(self, name: str) -> Path:
        return self.folder / "slices" / f"{name}.npz"

    def _check(self, item: Item) -> None:
        before = None if item.volume is None else self._last.get(item.volume)
        if before is not None and _kind(before) != _kind(item):
            raise InputError(
                f"{item.name} is {_describe(item)}, but {before.name} of its volume is {_describe(before)}; "
                "wanted slices of one size and type, with labels and masks on all or on none."
            )
        last = () if before is None else (replace(before, labels_dtype=item.labels_dtype),)
        try:
            check_items((*last, item))
        except ValueError as error:
            raise InputError(f"{error}.") from error
        if item.name.casefold() in self._names:
            raise InputError(f"two images are called {item.name}; rename one of them.")
        self._names.add(item.name.casefold())
        if item.volume is not None:
            self._last[item.volume] = item

    def _check_room(self) -> None:
        size = sum(file.stat().st_size for file in (self.folder / "slices").glob("*.npz"))
        # HDF5 takes the whole process down on a full disk: better to ask before.
        if shutil.disk_usage(self.folder).free < 1.2 * size:
            raise OutputError(
                f"{self.path} needs about {size / 1e9:.1f} GB and the disk has less; "
                "free space and repeat the command: it continues where it stopped."
            )


def _kind(item: Item) -> tuple[tuple[int, ...], str, bool, bool]:
    return item.shape, item.dtype, item.labels_dtype is None, item.valid


def _describe(item: Item) -> str:
    labels = f"{'without' if item.labels_dtype is None else 'with'} labels{' and a mask' * item.valid}"
    return f"{item.dtype} {item.shape} {labels}"


def _refuse_foreign(backend: Backend, path: Path) -> None:
    """Refuse to replace what is no store, such as a folder of someone's images, or holds more than a store."""
    foreign = backend.foreign(Manifest.loads(backend.read_manifest(), name=path))
    if foreign:
        raise InputError(
            f"{path} holds {', '.join(foreign[:3])}{' and more' * (len(foreign) > 3)}, which autosam did not "
            "write and --restart would delete; move that away, or choose another name."
        )


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
