"""Volumes in folders: each file is a slice."""

import glob
import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.errors import InputError, listed
from autosam.images.byte_cache import ByteCache
from autosam.images.folder_listing import fault_of, has_suffix, is_result, made_of_others
from autosam.images.formats import IMAGE_SUFFIXES, LABEL_SUFFIXES, TIFF_SUFFIXES
from autosam.images.image_source import ImageSource
from autosam.images.label_files import read_labels
from autosam.images.label_names import SURE_MARKS, without_suffix
from autosam.images.read import read_stored
from autosam.images.readers import StoredImage, list_images
from autosam.images.tiff_stack import TiffStack
from autosam.volumes.choice import VolumeChoice
from autosam.volumes.describe_source import Found, describe
from autosam.volumes.fingerprints import hash_files
from autosam.volumes.slice_names import MOST_MISSING, order_slices
from autosam.volumes.storage import OpenVolume
from autosam.volumes.volume_source import VolumeSource


@dataclass(frozen=True)
class FolderStorage:
    """Files of a folder; an empty name is a slice that is missing."""

    folder: Path
    names: tuple[str, ...]
    channel: int | None
    labels: bool

    def open(self) -> OpenVolume:
        """Look whether the folder is there; each file is opened when its slice is read."""
        if not self.folder.is_dir():
            raise InputError(f"the folder {self.folder} is not there any more.")
        return _FolderVolume(self)


class _FolderVolume:
    def __init__(self, storage: FolderStorage) -> None:
        self._storage = storage
        self._planes = ByteCache(0)
        self._stack: tuple[str, TiffStack] | None = None

    def read(self, slices: slice, rows: slice, cols: slice) -> NDArray[Any]:
        """Read a part; see `OpenVolume.read`."""
        return np.stack(
            [self._slice(self._storage.names[z], rows, cols) for z in range(slices.start, slices.stop)]
        )

    def close(self) -> None:
        """Close the last file."""
        if self._stack is not None:
            self._stack[1].close()
            self._stack = None

    def _slice(self, name: str, rows: slice, cols: slice) -> NDArray[Any]:
        storage = self._storage
        path = storage.folder / name
        if path.suffix.lower() in TIFF_SUFFIXES:
            if self._stack is None or self._stack[0] != name:
                self.close()
                self._stack = name, TiffStack(path)
            stack = self._stack[1]
            part = stack.read(slice(0, 1), rows, cols, channel=storage.channel, as_stored=storage.labels)
            return np.asarray(part[0])
        return self._planes.get("plane", name, lambda: _read_plane(path, storage))[rows, cols]


def _read_plane(path: Path, storage: FolderStorage) -> NDArray[Any]:
    if storage.labels:
        return read_labels(path)
    return read_stored(ImageSource(path, channel=storage.channel))[0]


def open_folder(folder: Path, choice: VolumeChoice) -> VolumeSource:
    """Open the images of a folder, without its subfolders, as slices; errors as of `open_volume`."""
    known = LABEL_SUFFIXES if choice.labels else IMAGE_SUFFIXES
    files = [path for path in sorted(folder.iterdir()) if has_suffix(path, known)]
    if not choice.labels:
        made = made_of_others(files, base=folder)
        files = [path for path in files if path not in made and not is_result(path)]
    elif marked := [path for path in files if without_suffix(path.name).lower().endswith(SURE_MARKS)]:
        # Beside them are their images, or pictures of them.
        files = marked
    if not files:
        raise InputError(f"the folder {folder} holds no image; known suffixes: {' '.join(known)}.")
    return _open_files(files, folder, str(folder), choice)


def open_pattern(pattern: str, choice: VolumeChoice) -> VolumeSource:
    """Open the files that a pattern matches as slices; errors as of `open_volume`."""
    known = LABEL_SUFFIXES if choice.labels else IMAGE_SUFFIXES
    files = [file for file in map(Path, sorted(glob.glob(pattern, recursive=True))) if has_suffix(file, known)]
    if not files:
        raise InputError(f"{pattern} matches no image; known suffixes: {' '.join(known)}.")
    folder = Path(os.path.commonpath([file.parent for file in files]))
    return _open_files(files, folder, pattern, choice)


def _open_files(files: Sequence[Path], folder: Path, name: str, choice: VolumeChoice) -> VolumeSource:
    for option, value in (("--axes", choice.axes), ("--time", choice.time), ("--series", choice.series)):
        if value not in ("", None):
            raise InputError(f"{name} is a folder of slices, each a 2D image; leave {option} out.")
    order = order_slices([file.relative_to(folder).as_posix() for file in files])
    slices = [None if number is None else files[number] for number in order.files]
    there = [file for file in slices if file is not None]
    images, faults = _look(there, name)
    _check_sizes(images)
    if not choice.labels:
        _check_types(list(images))
    first = next(iter(images.values()))
    channel = choice.channel_of(first, name)
    names = tuple("" if file is None else str(file.relative_to(folder)) for file in slices)
    storage = FolderStorage(folder.absolute(), names, channel, choice.labels)
    dtype = _type_of(storage)
    missing = tuple(z for z, file in enumerate(slices) if file is None)
    side = first.pixel_size_nm
    found = Found(
        name,
        (len(slices), *first.shape),
        first.color and channel is None and not choice.labels,
        # Each label image can be in the smallest type that holds its ids.
        np.dtype(np.uint64) if choice.labels else dtype,
        (None, side, side),
        (1, *first.shape),
        hash_files(there, choice, names),
        missing=missing,
        notes=_notes(order.note, missing, faults),
    )
    return describe(found, storage, labels=choice.labels)


def _look(files: Sequence[Path], name: str) -> tuple[dict[Path, StoredImage], list[str]]:
    """Read the headers of slices, and say what is wrong with those that cannot be read, which may be a few."""
    images, faults = {}, []
    for file in files:
        fault = fault_of(file)
        if fault is not None:
            faults.append(f"{file} {fault}.")
            continue
        try:
            listed_images = list_images(file, None)
        except InputError as error:
            faults.append(str(error))
            continue
        images[file] = _only_image(listed_images, file, name)
    if len(faults) > max(1, MOST_MISSING * len(files)) or not images:
        more = f" ({len(faults) - 1} more like it)" if len(faults) > 1 else ""
        raise InputError(faults[0] + more)
    return images, faults


def _notes(order: str, missing: Sequence[int], faults: Sequence[str]) -> tuple[str, ...]:
    notes = [order] if order else []
    if missing:
        gone = listed([str(z) for z in missing])
        count = "slices" if len(missing) > 1 else "slice"
        notes.append(f"{count} {gone} without a file, by the numbers in the names: holes")
    if faults:
        more = f"; so are {len(faults) - 1} more" if len(faults) > 1 else ""
        notes.append(f"one slice is a hole: {faults[0].rstrip('.')}{more}")
    return tuple(notes)


def _type_of(storage: FolderStorage) -> np.dtype[Any]:
    """Give the type of the first file that can be read."""
    volume, last = _FolderVolume(storage), None
    try:
        for z in (z for z, name in enumerate(storage.names) if name):
            try:
                return volume.read(slice(z, z + 1), slice(0, 1), slice(0, 1)).dtype
            except InputError as error:
                last = error
    finally:
        volume.close()
    raise InputError(f"none of the slices can be read; the last fault: {last}")


def _only_image(images: Sequence[StoredImage], file: Path, name: str) -> StoredImage:
    if len(images) != 1:
        raise InputError(
            f"{file} in {name} holds {len(images)} images; wanted one slice per file: give the file itself."
        )
    return images[0]


def _check_sizes(images: dict[Path, StoredImage]) -> None:
    (first, wanted), *others = images.items()
    for file, image in others:
        if (image.shape, image.channels) != (wanted.shape, wanted.channels):
            raise InputError(
                f"{first} has {_size(wanted)}, and {file} has {_size(image)}; wanted slices of one size: take the "
                "others out, or crop them."
            )


def _check_types(files: Sequence[Path]) -> None:
    """Refuse slices of several types, as far as headers tell; the others are checked when they are read."""
    types = {file: kind for file in files if (kind := _type_in_header(file)) is not None}
    (first, wanted), *others = types.items() or [(None, None)]
    for file, kind in others:
        if kind != wanted:
            raise InputError(
                f"{first} holds {wanted} values and {file} {kind}; wanted slices of one type: convert the others."
            )


def _type_in_header(file: Path) -> np.dtype[Any] | None:
    suffix = file.suffix.lower()
    if suffix in TIFF_SUFFIXES:
        with closing(TiffStack(file)) as stack:
            return stack.dtype
    if suffix == ".png":
        with file.open("rb") as opened:
            # The bit depth of the header.
            return np.dtype(np.uint16 if opened.read(25)[24:] == b"\x10" else np.uint8)
    return None


def _size(image: StoredImage) -> str:
    return f"{image.shape[0]} × {image.shape[1]} pixels and {image.channels} channel(s)"
