"""Pairing and reading the files of a release."""

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from autosam.data.folder_files import read_candidates
from autosam.data.refusal import refuse_faults
from autosam.data.sources.release import ImageAndLabels
from autosam.errors import InputError
from autosam.images import read_image, read_labels
from autosam.images.folder_listing import image_files
from autosam.images.formats import TIFF_SUFFIXES
from autosam.images.tiff import read_tiff

Key = TypeVar("Key", int, str)


def by_number(folder: Path) -> dict[int, Path]:
    """Index the images of a folder by the last number in their names, in rising order; refuse doubtful names."""
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
    """Pair images and labels of the same key; one error names every image and all labels without a partner."""
    faults = [f"{path} has no labels" for key, path in images.items() if key not in labels]
    faults += [f"{path} has no image" for key, path in labels.items() if key not in images]
    refuse_faults(faults, source)
    return [(key, path, labels[key]) for key, path in images.items()]


def read_pair(
    image: Path, labels: Path | None, read: Callable[[Path], NDArray[Any]] | None = None
) -> ImageAndLabels:
    """Read an image file and its label file, if it has one, with `read_labels` unless `read` is given."""
    return read_image(image), None if labels is None else (read or read_labels)(labels)


def read_image_and_candidates(image: Path, labels: list[Path], ignore: int | None) -> ImageAndLabels:
    """Read an image file and its labels from the files that may hold them; see `read_candidates`."""
    return read_image(image), read_candidates(labels, ignore=ignore)


def read_mask(path: Path) -> NDArray[np.bool_]:
    """Read a semantic mask: in a gray file all but 0 is foreground, in a colored one white alone."""
    # Where 0 is white, 0 is background all the same: many programs write masks so.
    is_tiff = path.suffix.lower() in TIFF_SUFFIXES
    pixels = read_tiff(path, None, invert=False) if is_tiff else read_image(path)
    if pixels.ndim == 2:
        return np.asarray(pixels != 0)
    return np.asarray((pixels == np.iinfo(pixels.dtype).max).all(axis=2))


def child(folder: Path, *names: str) -> Path | None:
    """Find the first of the names in a folder, whatever their case; None where there is none."""
    if not folder.is_dir():
        return None
    # Names alone: each layout looks for several, also where there are tens of thousands of files.
    there = {name.casefold(): name for name in sorted(os.listdir(folder))}
    return next((folder / there[name.casefold()] for name in names if name.casefold() in there), None)
