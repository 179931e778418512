"""Masks of the pixels where labels are complete: files of the same names in a folder `valid` beside the labels."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.errors import InputError
from autosam.images.formats import LABEL_SUFFIXES
from autosam.images.label_files import read_labels
from autosam.images.label_names import unmarked, without_suffix
from autosam.images.source import split_dataset

VALID = "valid"
"""Name of the folder."""
NO_MASKS = "none"
"""What leaves out the masks that lie beside labels."""


def valid_beside(
    names: Iterable[str], labels: Path, list_files: Callable[[Path], Iterable[Path]] | None = None
) -> dict[str, str]:
    """Find masks in the folder ``valid`` beside a folder of labels, by the names of the labels.

    Parameters
    ----------
    names : iterable of str
        Names of images; those in subfolders as ``SUBFOLDER/STEM``.
    labels : Path
        The folder that the labels lie in.
    list_files : callable
        Lists the files of a folder; by default those that may be masks, without subfolders.

    Returns
    -------
    dict of str to str
        The masks that there are; empty where there is no such folder.
    """
    folder = labels.resolve().parent / VALID
    return masks_in(folder, names, list_files) if folder.is_dir() and folder != labels.resolve() else {}


def masks_in(
    folder: Path, names: Iterable[str], list_files: Callable[[Path], Iterable[Path]] | None = None
) -> dict[str, str]:
    """Find masks in a folder; parameters and result are those of `valid_beside`.

    Raises
    ------
    InputError
        If there is no such folder.
    """
    if not folder.is_dir():
        raise InputError(f"no folder {folder} of masks of valid pixels; correct its name, or give {NO_MASKS}")
    by_name: dict[str, str] = {}
    for file in (list_files or _files_in)(folder):
        inner = file.parent.relative_to(folder).as_posix()
        prefix = "" if inner == "." else f"{inner}/"
        stem = without_suffix(split_dataset(str(file))[0].name)
        for name in (stem, *unmarked(stem)):
            by_name.setdefault(prefix + name, str(file))
    return {name: by_name[name] for name in names if name in by_name}


def read_mask(path: str | Path) -> NDArray[np.bool_]:
    """Read a mask, (H, W) or (Z, Y, X): True where it is not 0.

    Raises
    ------
    InputError
        If it cannot be read, or holds several numbers besides 0.
    """
    return as_mask(read_labels(path), path)


def as_mask(pixels: NDArray[Any], name: object) -> NDArray[np.bool_]:
    """Make a mask of pixels that are 0 or one other number, and refuse others."""
    if ((pixels != 0) & (pixels != pixels.max(initial=0))).any():
        raise InputError(
            f"{name} holds several numbers besides 0, and is no mask of valid pixels; name the masks with --valid "
            f"or as valid in data.sources, or leave them out with {NO_MASKS}"
        )
    return np.asarray(pixels != 0)


def _files_in(folder: Path) -> list[Path]:
    return [
        path
        for path in sorted(folder.iterdir())
        if path.name.lower().endswith(LABEL_SUFFIXES) and not path.name.startswith(".")
    ]
