"""Finding the files of a release and pairing images with labels."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from autosam.data.refusal import refuse_faults
from autosam.errors import InputError
from autosam.images import read_image, read_labels
from autosam.images.formats import PLAIN_SUFFIXES, TIFF_SUFFIXES

SUFFIXES = TIFF_SUFFIXES + PLAIN_SUFFIXES
Key = TypeVar("Key", int, str)


def image_files(folder: Path) -> list[Path]:
    """List the image files of a folder by name; hidden files, such as macOS's twins, are left out.

    Raises
    ------
    InputError
        If there is no such folder.
    """
    if not folder.is_dir():
        raise InputError(f"no folder {folder}; check the spelling.")
    return [
        path
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
    ]


def by_stem(folder: Path) -> dict[str, Path]:
    """Index the images of a folder by the stem of their names.

    Raises
    ------
    InputError
        If there is no such folder, or two files share a stem.
    """
    found: dict[str, Path] = {}
    for path in image_files(folder):
        if path.stem in found:
            raise InputError(f"{folder} holds both {found[path.stem].name} and {path.name}; take one of them out.")
        found[path.stem] = path
    return found


def by_number(folder: Path) -> dict[int, Path]:
    """Index the images of a folder by the last number in their names, in rising order.

    Raises
    ------
    InputError
        If there is no such folder, a name has no number, or two have the same one.
    """
    found: dict[int, Path] = {}
    for path in image_files(folder):
        digits = re.findall(r"\d+", path.stem)
        if not digits:
            raise InputError(f"{path} has no number in its name; slices are ordered by it.")
        number = int(digits[-1])
        if number in found:
            raise InputError(f"{found[number].name} and {path.name} in {folder} have the same number.")
        found[number] = path
    return dict(sorted(found.items()))


def pair_up(
    images: Mapping[Key, Path], labels: Mapping[Key, Path], *, source: str
) -> list[tuple[Key, Path, Path]]:
    """ImageAndLabels images and labels of the same key.

    Raises
    ------
    InputError
        Naming every image without labels and every labels without image.
    """
    faults = [f"{path} has no labels" for key, path in images.items() if key not in labels]
    faults += [f"{path} has no image" for key, path in labels.items() if key not in images]
    refuse_faults(faults, source)
    return [(key, path, labels[key]) for key, path in images.items()]


def read_pair(image: Path, labels: Path) -> tuple[NDArray[Any], NDArray[Any]]:
    """Read an image file and its label file, as stored."""
    return read_image(image), read_labels(labels)


def read_mask(path: Path) -> NDArray[np.bool_]:
    """Read a semantic mask: of a gray file anything but 0, of a colored one white alone."""
    pixels = read_image(path)
    if pixels.ndim == 2:
        return np.asarray(pixels != 0)
    return np.asarray((pixels == np.iinfo(pixels.dtype).max).all(axis=2))


def child(folder: Path, *names: str) -> Path | None:
    """Find the first of the names in a folder, upper and lower case taken as equal; None where there is none."""
    if not folder.is_dir():
        return None
    there = {path.name.casefold(): path for path in sorted(folder.iterdir())}
    return next((there[name.casefold()] for name in names if name.casefold() in there), None)
