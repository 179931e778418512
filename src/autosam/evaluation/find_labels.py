"""What a label source given by a user holds: label files, a store, a data set, or another program's output."""

import glob
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.data.backends import is_tiff_store
from autosam.data.choose_backend import choose_backend
from autosam.data.manifest import FORMAT, as_name
from autosam.data.seg_file import read_seg
from autosam.data.sources import SOURCES, Request, Slice, open_release
from autosam.data.sources.losses import Losses
from autosam.data.store import Store
from autosam.errors import InputError
from autosam.evaluation.label_refs import LabelRef, LazyLabels
from autosam.evaluation.label_sources import LabelSource, label_files
from autosam.images.folder_listing import RUN_RECORD, by_stem, is_store
from autosam.images.formats import HDF5_SUFFIXES, LABEL_SUFFIXES
from autosam.images.image_source import split_dataset
from autosam.images.label_names import SEG_ENDING, without_suffix
from autosam.images.label_volume import LabelVolume
from autosam.images.valid_masks import VALID

READABLE = (
    f"label files ({' '.join(LABEL_SUFFIXES)}), folders and patterns of them, stores of autosam data import, "
    "Cellpose's _seg.npy, COCO instances .json and QuPath .geojson beside their images, and folders with images "
    "and labels"
)
_Reader = Callable[[], NDArray[Any]]


def find_labels(given: str) -> LabelSource:
    """Find the labels that a user means; none are read.

    Parameters
    ----------
    given : str
        A file, ``file.h5:/dataset``, ``store.h5:NAME`` of an image or a volume, a folder or a glob pattern.

    Raises
    ------
    InputError
        If there is no such file or folder, no labels are in it, its suffix is unknown, or a store or a folder
        of a data set is damaged.
    """
    path, dataset = split_dataset(given)
    if dataset is not None:
        return _in_file(given, path, dataset.strip("/"))
    if not path.exists():
        segs = sorted(glob.glob(given, recursive=True)) if given.endswith(SEG_ENDING) else []
        return _of_cellpose(given, list(map(Path, segs))) if segs else label_files(given)
    if is_tiff_store(path) or _is_store(path):
        return _of_store(given, path)
    if not path.is_file() and not path.is_dir():
        raise InputError(f"{given} is no file and no folder: autosam evaluate reads {READABLE}")
    return _of_file(given, path) if path.is_file() else _of_folder(given, path)


def find_one(given: str) -> LabelRef:
    """Find the labels of the one image or volume that a user means; errors as of `find_labels`.

    Raises
    ------
    InputError
        If there are several.
    """
    found = find_labels(given).volumes
    if len(found) != 1:
        raise InputError(f"{given} holds {len(found)} images: give it as PRED or TRUTH, not in a list of pairs")
    return next(iter(found.values()))


def _of_file(given: str, path: Path) -> LabelSource:
    suffix = path.suffix.lower()
    if path.name.endswith(SEG_ENDING):
        return _of_cellpose(given, [path])
    if suffix == ".json":
        images = next((f for f in (path.parent / "images", path.parent.parent / "images") if f.is_dir()), None)
        return _of_release(given, str(images or path.parent), labels=given, source="coco")
    if suffix == ".geojson":
        images_by_stem = by_stem(path.parent)
        if path.stem not in images_by_stem:
            raise InputError(f"{path} has no image {path.stem} beside it, which tells its size: add the image")
        return _of_release(given, str(images_by_stem[path.stem]), labels=given, source="qupath")
    if suffix not in LABEL_SUFFIXES:
        raise InputError(f"{given} has the unknown suffix {suffix!r}: autosam evaluate reads {READABLE}")
    return label_files(given)


def _of_folder(given: str, path: Path) -> LabelSource:
    if is_store(path):
        return label_files(given)
    names = [file.name for file in sorted(path.iterdir()) if not file.name.startswith(".")]
    if any(name.lower().endswith(".geojson") for name in names):
        return _of_release(given, given, source="qupath")
    masks = any(without_suffix(name).endswith("_masks") for name in names)
    segs = [path / name for name in names if name.endswith(SEG_ENDING)]
    if segs and not masks:
        return _of_cellpose(given, segs)
    if any(name.lower().endswith(LABEL_SUFFIXES) for name in names):
        return label_files(given)
    if not any((path / name).is_dir() for name in names):
        raise InputError(f"{given} holds no labels: autosam evaluate reads {READABLE}")
    # A tree of results or of labels is no data set in a layout of its own.
    tree = (path / RUN_RECORD).is_file() or not any(reader.sniff(Request(path)) for reader in SOURCES)
    return label_files(given) if tree else _of_release(given, given)


def _is_store(path: Path) -> bool:
    if not path.exists() or (path.is_file() and path.suffix.lower() not in HDF5_SUFFIXES):
        return False
    try:
        text = choose_backend(path).read_manifest()
    except InputError:
        # Labels that are no store have no manifest; damaged files are named when they are opened as labels.
        return False
    return FORMAT in text


def _in_file(given: str, path: Path, name: str) -> LabelSource:
    if _is_store(path):
        store = _of_store(str(path), path)
        labels = store.volumes.get(name) or store.slices.get(name)
        if labels is not None:
            valid = {key: mask for key, mask in store.valid.items() if key == name}
            return LabelSource(given, {name: labels}, {name: labels}, single=True, as_name=as_name, valid=valid)
    return label_files(given)


def _of_store(given: str, path: Path) -> LabelSource:
    store = Store.open(path)
    labeled = [item for item in store.items if item.labels_dtype is not None]
    readers = {item.name: partial(store.labels, item.name) for item in labeled}
    volume_of = {item.name: item.volume for item in labeled if store.manifest.ids == "3d"}
    masks = {item.name: partial(_store_mask, store, item.name) for item in labeled if item.valid}
    return _with_masks(_of_readers(given, readers, volume_of, single=True), masks, volume_of)


def _of_cellpose(given: str, files: Sequence[Path]) -> LabelSource:
    readers = {as_name(file.name.removesuffix(SEG_ENDING)): partial(read_seg, file) for file in files}
    return replace(_of_readers(given, readers, {}, single=files == [Path(given)]), folder=files[0].parent)


def _of_release(given: str, path: str, *, labels: str | None = None, source: str | None = None) -> LabelSource:
    release = open_release(path, labels, source=source)
    labeled = [item for item in release.slices if item.labeled]
    readers = {item.name: partial(_labels, item) for item in labeled}
    volume_of = {item.name: item.volume for item in labeled if release.labels != "ids-2d"}
    notes = tuple(f"{given}: {note}" for note in release.notes)
    found = _of_readers(given, readers, volume_of, single=not Path(given).is_dir(), notes=notes)
    found = _with_losses(found, {item.name: item.losses for item in labeled})
    masks: dict[str, _Reader] = {item.name: item.valid for item in labeled if item.valid is not None}
    return _with_masks(found, masks, volume_of)


def _with_losses(source: LabelSource, losses: Mapping[str, Losses]) -> LabelSource:
    """Let the labels of single images tell what became of their outlines."""

    def told(labels: Mapping[str, LabelRef]) -> dict[str, LabelRef]:
        return {
            name: replace(ref, losses=losses.get(name)) if isinstance(ref, LazyLabels) else ref
            for name, ref in labels.items()
        }

    return replace(source, slices=told(source.slices), volumes=told(source.volumes))


def _store_mask(store: Store, name: str) -> NDArray[Any]:
    valid = store.valid(name)
    assert valid is not None
    return valid


def _with_masks(
    source: LabelSource, masks: Mapping[str, _Reader], volume_of: Mapping[str, str | None]
) -> LabelSource:
    """Give a source masks, slice by slice and for whole volumes."""
    if not masks:
        return source
    found = _of_readers(f"{source.name}:{VALID}", masks, volume_of, single=False)
    return replace(source, valid={**found.volumes, **found.slices})


def _of_readers(
    given: str,
    readers: Mapping[str, _Reader],
    volume_of: Mapping[str, str | None],
    *,
    single: bool,
    notes: tuple[str, ...] = (),
) -> LabelSource:
    """Make a source of functions that each read one image's labels.

    ``volume_of`` names the volume of an image in which ids hold across slices. ``single`` says whether one image
    or volume may be called anything; a folder may hold one today and two tomorrow, so names count in it.
    """
    if not readers:
        raise InputError(f"{given} has no labels: give one with labels; autosam evaluate reads {READABLE}")

    def lazy(name: str, opener: Callable[[str], LabelVolume]) -> LazyLabels:
        return LazyLabels(f"{given}:{name}", partial(opener, f"{given}:{name}"))

    slices = {name: lazy(name, partial(_open_image, read)) for name, read in readers.items()}
    volumes = {name: labels for name, labels in slices.items() if volume_of.get(name) is None}
    stacks: dict[str, list[_Reader]] = {}
    for name, read in readers.items():
        if (volume := volume_of.get(name)) is not None:
            stacks.setdefault(volume, []).append(read)
    volumes |= {name: lazy(name, partial(_open_stack, stack)) for name, stack in stacks.items()}
    return LabelSource(given, slices, volumes, single=single and len(volumes) == 1, as_name=as_name, notes=notes)


def _open_image(read: _Reader, name: str) -> LabelVolume:
    return LabelVolume.of_array(name, read())


def _open_stack(stack: Sequence[_Reader], name: str) -> LabelVolume:
    shape = stack[0]().shape

    def load(region: tuple[slice, ...]) -> NDArray[Any]:
        return np.stack([read()[region[1:]] for read in stack[region[0]]])

    return LabelVolume(name, (len(stack), *shape), (1, *shape), load)


def _labels(item: Slice) -> NDArray[Any]:
    labels = item.read()[1]
    if labels is None:
        raise InputError(f"{item.name} has no labels: leave it out with --list")
    return labels
