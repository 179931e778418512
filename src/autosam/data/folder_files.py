"""The files of a folder pair: images by name, and the labels that belong to each."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.data.seg_file import read_seg
from autosam.errors import InputError
from autosam.images import read_labels
from autosam.images.folder_listing import image_files
from autosam.images.formats import IMAGE_SUFFIXES, LABEL_SUFFIXES, PLAIN_SUFFIXES, TIFF_SUFFIXES
from autosam.images.label_names import SEG_ENDING, label_candidates, labels_beside, unmarked, without_suffix

IMAGE_FOLDERS = ("images", "image", "imgs", "img", "raw", "imagestr")
LABEL_FOLDERS = (
    "labels",
    "label",
    "masks",
    "mask",
    "instances",
    "groundtruth",
    "ground_truth",
    "gt",
    "mitochondria",
    "labelstr",
)

# Pictures too: labels in a form that cannot hold ids are named, not taken for missing.
_LABELS = tuple(dict.fromkeys((*LABEL_SUFFIXES, *PLAIN_SUFFIXES)))


def find_pair(data: Path, images: str, labels: str) -> tuple[Path, Path]:
    """Find the two folders of a data folder.

    Parameters
    ----------
    data : Path
        The data folder.
    images, labels : str
        Names of its two folders.

    Returns
    -------
    images, labels : Path
        Those two; where they are not there, two of the usual names (`raw` and `masks`, say), or the data folder
        itself twice where labels lie beside their images.
    """
    if not data.is_dir() or ((data / images).is_dir() and (data / labels).is_dir()):
        return data / images, data / labels
    there = {path.name.casefold(): path for path in sorted(data.iterdir()) if path.is_dir()}
    found = [next((there[n] for n in names if n in there), None) for names in (IMAGE_FOLDERS, LABEL_FOLDERS)]
    if found[0] is not None and found[1] is not None:
        return found[0], found[1]
    return (data, data) if labels_beside(_all_files(data)) else (data / images, data / labels)


def images_of(folder: Path, labels: Path | None = None) -> dict[str, Path]:
    """Index the images of a folder by their names without suffix, sorted.

    Where labels are in the same folder, files with the name of an image and a mark such as `_masks` are no images.

    Raises
    ------
    InputError
        If there is no such folder, no image in it, or two of one name.
    """
    if not folder.is_dir():
        raise InputError(f"no folder {folder}; correct the data folder or data.sources in the config")
    # Beside labels, a file that holds several arrays may be anything.
    beside = labels is not None and folder.resolve() == labels.resolve()
    files = image_files(folder, TIFF_SUFFIXES + PLAIN_SUFFIXES if beside else IMAGE_SUFFIXES)
    if beside:
        labels_there = labels_beside(_all_files(folder))
        files = [file for file in files if file not in labels_there]
    found: dict[str, Path] = {}
    for file in files:
        name = without_suffix(file.name)
        if name in found:
            raise InputError(f"{folder} holds both {found[name].name} and {file.name}; take one of them out.")
        found[name] = file
    if not found:
        raise InputError(f"{folder} holds no image; wanted files ending in {', '.join(IMAGE_SUFFIXES)}")
    return dict(sorted(found.items()))


def label_files_of(images: Collection[str], folder: Path, *, beside: bool = False) -> dict[str, list[Path]]:
    """Find the label files of each image, as `label_candidates` does; `beside` says that they lie beside images.

    Raises
    ------
    InputError
        If there is no such folder.
    """
    if not folder.is_dir():
        raise InputError(f"no folder {folder}; correct the data folder or data.sources in the config")
    files = _all_files(folder)
    return label_candidates(images, labels_beside(files) if beside else files)


def unused_labels(images: Mapping[str, Path], found: Mapping[str, Sequence[Path]], folder: Path) -> list[Path]:
    """List the label files of a folder that belong to no image; none of them is an image itself.

    Where some that do have a mark such as `_labels`, others without one are no labels, but pictures of them, say.
    """
    used = {*images.values(), *(file for files in found.values() for file in files)}
    marked = any(unmarked(without_suffix(file.name)) for files in found.values() for file in files)
    return [
        file
        for file in _all_files(folder)
        if file not in used and (not marked or unmarked(without_suffix(file.name)))
    ]


def read_candidates(files: Sequence[Path], *, ignore: int | None = None) -> NDArray[Any]:
    """Read the labels of one image from the files that may hold them.

    Files that hold no labels, such as a picture of them, are passed over if another one does. `ignore` is as in
    `images.read_labels`.

    Raises
    ------
    InputError
        If none can be read, or two hold different labels.
    """
    read: list[tuple[Path, NDArray[Any]]] = []
    faults: list[InputError] = []
    for file in files:
        try:
            read.append((file, _read(file, ignore)))
        except InputError as error:
            faults.append(error)
    if not read:
        raise faults[0]
    first, labels = read[0]
    for file, others in read[1:]:
        if not np.array_equal(labels, others):
            raise InputError(f"{first} and {file.name} hold different labels of one image; take one of them out")
    return labels


def _read(file: Path, ignore: int | None) -> NDArray[Any]:
    return read_seg(file) if file.name.lower().endswith(SEG_ENDING) else read_labels(file, ignore=ignore)


def _all_files(folder: Path) -> list[Path]:
    """List images and labels of a folder, folders in Zarr's form and Cellpose's files too."""
    return [
        path
        for path in sorted(folder.iterdir())
        if not path.name.startswith(".")
        and (path.suffix.lower() in _LABELS or path.name.lower().endswith(SEG_ENDING))
        and path.is_dir() == (path.suffix.lower() == ".zarr")
    ]
