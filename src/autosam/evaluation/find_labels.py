"""Where `autosam evaluate` reads labels from, besides label files: stores, and what other programs write."""

import glob
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.data.backends import choose_backend
from autosam.data.manifest import FORMAT, as_name
from autosam.data.sources import Slice, open_release
from autosam.data.sources.cellpose import read_seg
from autosam.data.store import Store
from autosam.errors import InputError
from autosam.evaluation.label_sources import LabelSet, LabelSource, LazyLabels, Place, without_suffix
from autosam.evaluation.pairing import Pair
from autosam.evaluation.volumes import LabelVolume
from autosam.images.formats import HDF5_SUFFIXES, LABEL_SUFFIXES
from autosam.images.source import by_stem, split_dataset

READABLE = (
    f"label files ({' '.join(LABEL_SUFFIXES)}), folders and patterns of them, stores of autosam data import, "
    "Cellpose's _seg.npy, COCO instances .json and QuPath .geojson beside their images, and folders with images "
    "and labels"
)
_SEG = "_seg.npy"


def find_labels(place: str) -> Place:
    """Find out what a place holds; no labels are read.

    Parameters
    ----------
    place : str
        A file, ``file.h5:/dataset``, ``store.h5:NAME`` of an image or a volume, a folder or a glob pattern.

    Returns
    -------
    str or LabelSet
        The place itself where it is label files or does not exist; else its labels by name.

    Raises
    ------
    InputError
        If a file has an unknown suffix, or a store or a folder of a data set is damaged.
    """
    path, dataset = split_dataset(place)
    if dataset is not None:
        return _of_dataset(place, path, dataset.strip("/"))
    if not path.exists():
        files = sorted(glob.glob(place, recursive=True)) if place.endswith(_SEG) else []
        return _cellpose(place, [Path(file) for file in files]) if files else place
    if _is_store(path):
        return _of_store(place, Store.open(path))
    suffix = path.suffix.lower()
    if path.is_file():
        if path.name.endswith(_SEG):
            return _cellpose(place, [path])
        if suffix == ".json":
            images = next((f for f in (path.parent / "images", path.parent.parent / "images") if f.is_dir()), None)
            return _of_release(place, str(images or path.parent), labels=place, source="coco")
        if suffix == ".geojson":
            return _of_release(place, str(_image_of(path)), labels=place, source="qupath")
        if suffix not in LABEL_SUFFIXES:
            raise InputError(f"{place} has the unknown suffix {suffix!r}: autosam evaluate reads {READABLE}")
        return place
    if suffix == ".zarr":
        return place
    names = [file.name for file in sorted(path.iterdir()) if not file.name.startswith(".")]
    if any(name.lower().endswith(".geojson") for name in names):
        return _of_release(place, place, source="qupath")
    masks = any(without_suffix(name).endswith("_masks") for name in names)
    segs = [path / name for name in names if name.endswith(_SEG)]
    if segs and not masks:
        return _cellpose(place, segs)
    if any(name.lower().endswith(LABEL_SUFFIXES) for name in names):
        return place
    if not any((path / name).is_dir() for name in names):
        raise InputError(f"{place} holds no labels: autosam evaluate reads {READABLE}")
    return _of_release(place, place)


def find_all_labels(places: Sequence[str]) -> dict[str, Place]:
    """Find out what each of several places holds, as `find_labels` does.

    Raises
    ------
    InputError
        One error that names every place that cannot be read.
    """
    found, faults = {}, []
    for place in dict.fromkeys(places):
        try:
            found[place] = find_labels(place)
        except InputError as error:
            faults.append(str(error))
    if faults:
        raise InputError("; ".join(faults))
    return found


def open_pairs(pairs: Sequence[Pair]) -> list[Pair]:
    """Look up the places of pairs of files, as `find_labels` does.

    Raises
    ------
    InputError
        One error that names every file that is not one image or volume of labels.
    """
    found, faults = [], []
    for pair in pairs:
        try:
            found.append(Pair(pair.name, _only(pair.pred), _only(pair.truth)))
        except InputError as error:
            faults.append(f"{pair.name}: {error}")
    if faults:
        raise InputError("; ".join(faults))
    return found


def _only(labels: LabelSource) -> LabelSource:
    place = find_labels(labels) if isinstance(labels, str) else labels
    if not isinstance(place, LabelSet):
        return place
    if len(place.volumes) != 1:
        raise InputError(
            f"{place.name} holds {len(place.volumes)} images: give a pair of places instead of a list"
        )
    return next(iter(place.volumes.values()))


def _is_store(path: Path) -> bool:
    if not path.exists() or (path.is_file() and path.suffix.lower() not in HDF5_SUFFIXES):
        return False
    try:
        text = choose_backend(path).read_manifest()
    except InputError:
        # Labels that are no store have no manifest; damaged files are named when they are opened as labels.
        return False
    return FORMAT in text


def _of_dataset(place: str, path: Path, name: str) -> Place:
    if not _is_store(path):
        return place
    found = _of_store(str(path), Store.open(path))
    labels = found.volumes.get(name) or found.slices.get(name)
    return (
        place if labels is None else LabelSet(place, {name: labels}, {name: labels}, single=True, as_name=as_name)
    )


def _of_store(place: str, store: Store) -> LabelSet:
    labeled = [item for item in store.items if item.labels_dtype is not None]
    slices = {
        item.name: LazyLabels(
            f"{place}:{item.name}", partial(_store_item, place, store, item.name, item.shape[:2])
        )
        for item in labeled
    }
    volumes = dict(slices)
    if store.manifest.ids == "3d":
        volumes = {item.name: slices[item.name] for item in labeled if item.volume is None}
        for name in dict.fromkeys(item.volume for item in labeled if item.volume is not None):
            volumes[name] = LazyLabels(f"{place}:{name}", partial(_store_volume, place, store, name))
    return _label_set(place, slices, volumes, is_folder=False)


def _store_item(place: str, store: Store, name: str, shape: tuple[int, ...]) -> LabelVolume:
    return LabelVolume(f"{place}:{name}", shape, shape, lambda region: store.labels(name)[region])


def _store_volume(place: str, store: Store, name: str) -> LabelVolume:
    volume = store.volume(name)
    shape = volume.shape[:3]

    def load(region: tuple[slice, ...]) -> NDArray[Any]:
        return volume.labels(region[0].start, region[0].stop)[:, *region[1:]]

    return LabelVolume(f"{place}:{name}", shape, (1, *shape[1:]), load)


def _cellpose(place: str, files: Sequence[Path]) -> LabelSet:
    found = {
        as_name(file.name.removesuffix(_SEG)): LazyLabels(
            str(file), partial(_whole, str(file), partial(read_seg, file))
        )
        for file in files
    }
    return _label_set(place, found, found, is_folder=files != [Path(place)])


def _of_release(place: str, path: str, *, labels: str | None = None, source: str | None = None) -> LabelSet:
    release = open_release(path, labels, source=source)
    labeled = [item for item in release.slices if item.labeled]
    slices = {
        item.name: LazyLabels(
            f"{place}:{item.name}", partial(_whole, f"{place}:{item.name}", partial(_labels, item))
        )
        for item in labeled
    }
    volumes = dict(slices)
    if release.labels != "ids-2d":
        stacks: dict[str, list[Slice]] = {}
        for item in labeled:
            if item.volume is not None:
                stacks.setdefault(item.volume, []).append(item)
        volumes = {item.name: slices[item.name] for item in labeled if item.volume is None}
        for name, stack in stacks.items():
            volumes[name] = LazyLabels(f"{place}:{name}", partial(_release_volume, f"{place}:{name}", stack))
    return _label_set(place, slices, volumes, is_folder=Path(place).is_dir(), notes=release.notes)


def _label_set(
    place: str,
    slices: dict[str, LazyLabels],
    volumes: dict[str, LazyLabels],
    *,
    is_folder: bool,
    notes: Sequence[str] = (),
) -> LabelSet:
    if not slices:
        raise InputError(f"{place} has no labels: give one with labels; autosam evaluate reads {READABLE}")
    # A folder may hold one image today and two tomorrow, so names count in it.
    single = len(volumes) == 1 and not is_folder
    said = tuple(f"{place}: {note}" for note in notes)
    return LabelSet(place, slices, volumes, single=single, as_name=as_name, notes=said)


def _labels(item: Slice) -> NDArray[Any]:
    labels = item.read()[1]
    if labels is None:
        raise InputError(f"{item.name} has no labels: leave it out with --list")
    return labels


def _whole(name: str, read: Callable[[], NDArray[Any]]) -> LabelVolume:
    labels = read()
    return LabelVolume(name, labels.shape, labels.shape, lambda region: labels[region])


def _release_volume(name: str, stack: Sequence[Slice]) -> LabelVolume:
    first = _labels(stack[0])
    shape = (len(stack), *first.shape)

    def load(region: tuple[slice, ...]) -> NDArray[Any]:
        return np.stack([_labels(item)[region[1:]] for item in stack[region[0]]])

    return LabelVolume(name, shape, (1, *first.shape), load)


def _image_of(outlines: Path) -> Path:
    images = by_stem(outlines.parent)
    if outlines.stem not in images:
        raise InputError(f"{outlines} has no image {outlines.stem} beside it, which tells its size: add the image")
    return images[outlines.stem]
