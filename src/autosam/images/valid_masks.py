"""Masks of the pixels where labels are complete: files of the same names in a folder `valid` beside the labels."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.errors import InputError
from autosam.images.formats import LABEL_SUFFIXES, PLAIN_SUFFIXES
from autosam.images.label_files import read_labels
from autosam.images.label_names import unmarked, without_suffix

VALID = "valid"
"""Name of the folder."""
NO_MASKS = "none"
"""What leaves out the masks that lie beside labels."""


def valid_beside(labels: Path) -> dict[str, str]:
    """Find the masks in the folder ``valid`` beside a folder of labels.

    Parameters
    ----------
    labels : Path
        The folder that the labels lie in.

    Returns
    -------
    dict of str to str
        The masks by the names of their images, those in subfolders as ``SUBFOLDER/STEM``; empty where there is no
        such folder.
    """
    folder = labels.resolve().parent / VALID
    return masks_in(folder) if folder.is_dir() and folder != labels.resolve() else {}


def masks_in(folder: Path) -> dict[str, str]:
    """Find the masks in a folder and its subfolders; the result is that of `valid_beside`.

    Raises
    ------
    InputError
        If there is no such folder.
    """
    if not folder.is_dir():
        raise InputError(f"no folder {folder} of masks of valid pixels; correct its name, or give {NO_MASKS}")
    by_name: dict[str, str] = {}
    for file in _files_in(folder):
        inner = file.parent.relative_to(folder).as_posix()
        prefix = "" if inner == "." else f"{inner}/"
        stem = without_suffix(file.name)
        for name in (stem, *unmarked(stem)):
            by_name.setdefault(prefix + name, str(file))
    return by_name


def misnamed_masks(labels: Path) -> str | None:
    """Say if a folder ``valid`` beside labels begins with a mask: so it is one of masks, whatever their names."""
    folder = labels.resolve().parent / VALID
    first = next(iter(_files_in(folder)), None) if folder.is_dir() else None
    try:
        known = first is not None and bool(read_mask(first).any())
    except InputError:
        return None
    return (
        f"{folder} holds masks, such as {first.name}, and none is named as the labels" if first and known else None
    )


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
    """List the files that may be masks, also those in a form that is refused when it is read."""
    files = []
    for path in sorted(folder.rglob("*")):
        inner = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in inner.parts)
        within = any(parent.suffix.lower() == ".zarr" for parent in inner.parents)
        known = path.name.lower().endswith((*LABEL_SUFFIXES, *PLAIN_SUFFIXES))
        if known and not hidden and not within and path.is_dir() == (path.suffix.lower() == ".zarr"):
            files.append(path)
    return files
