"""Labels from files, with the ids that are stored."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.errors import InputError
from autosam.images.array_layout import looks_like_color
from autosam.images.folder_listing import check_file, is_store
from autosam.images.formats import (
    HDF5_SUFFIXES,
    LABEL_SUFFIXES,
    TIFF_SUFFIXES,
    check_pixels,
    label_dataset,
    native,
    read_hdf5,
    read_png_indices,
    reading,
)
from autosam.images.image_source import split_dataset
from autosam.images.readers import reader_of
from autosam.images.readers.registry import MRC
from autosam.images.tiff import read_tiff, read_tiff_stack
from autosam.images.write import smallest_unsigned


def read_labels(path: str | Path, *, ignore: int | None = None) -> NDArray[Any]:
    """Read a label image or volume: 0 is background, every other number is the id of an instance.

    Parameters
    ----------
    path : str or Path
        TIFF (several pages are a volume), PNG, BMP, HDF5 (`file.h5:/dataset`; without a dataset, `labels` or the
        only one), Zarr (`open_zarr_labels`) or MRC.
    ignore : int, optional
        A negative number that stands for pixels that do not count, and is kept.

    Returns
    -------
    ndarray of an integer type, shape (H, W) or (Z, Y, X)
        The numbers as stored: a palette's indices, not its colors; bool as uint8 0 and 1; whole floating point
        numbers in the smallest unsigned type.

    Raises
    ------
    InputError
        If the file is missing or damaged, or holds colors, broken numbers, negative ids or no pixels.
    """
    file, dataset = split_dataset(str(path))
    suffix = file.suffix.lower()
    check_file(file, "label file")
    axes = ""
    if suffix in TIFF_SUFFIXES:
        labels, axes = read_tiff_stack(file)
    elif suffix in (".png", ".bmp"):
        labels = read_png_indices(file)
    elif suffix in HDF5_SUFFIXES:
        labels = read_hdf5(file, label_dataset(file, dataset)[0], None)
    elif is_store(file):
        # With zarr, a slow import.
        from autosam.images.zarr_labels import open_zarr_labels

        found = open_zarr_labels(file, dataset)
        with reading(file):
            labels = found.whole()
    elif suffix in MRC.suffixes:
        shape, section = open_sections(file)
        sections = [section(number) for number in range(shape[0])]
        labels = np.stack(sections) if len(sections) > 1 else sections[0]
    else:
        raise InputError(f"{path}: labels are read from {' '.join(LABEL_SUFFIXES)}, not from {suffix!r}.")
    # Sections of MRC are never colors.
    color = bool(set(axes) & set("SC")) or (
        not axes and suffix not in MRC.suffixes and looks_like_color(labels.shape)
    )
    return as_labels(labels, path, color=color, ignore=ignore)


def open_sections(path: Path) -> tuple[tuple[int, int, int], Callable[[int], NDArray[Any]]]:
    """Give the shape (Z, H, W) of a file of sections, such as MRC, and a function that reads one of them."""
    reader = reader_of(path)
    images = reader.images(path, None)
    return (len(images), *images[0].shape), lambda number: reader.read(path, None, number)


def read_label_page(path: Path, dataset: str | None, page: int | None) -> NDArray[Any]:
    """Read one image of any format as ids; negative ones may stand for what does not count."""
    name = path if page is None else f"{path}[{page}]"
    check_file(path, "label file")
    suffix = path.suffix.lower()
    if suffix in TIFF_SUFFIXES:
        labels = read_tiff(path, page, as_stored=True)
    elif suffix in HDF5_SUFFIXES:
        labels = read_hdf5(path, label_dataset(path, dataset)[0], page)
    else:
        labels = reader_of(path).read(path, dataset, page or 0)
    check_pixels(name, labels.shape)
    return native(whole_numbers(labels, name) if labels.dtype.kind == "f" else labels)


def as_labels(
    labels: NDArray[Any], name: object, *, color: bool = False, ignore: int | None = None
) -> NDArray[Any]:
    """Check that an array holds ids, and give it in a type for them; errors as of `read_labels`."""
    check_pixels(name, labels.shape)
    if color:
        raise InputError(
            f"{name} holds colors or channels (shape {labels.shape}); wanted one id per pixel, as (H, W)."
        )
    if labels.ndim not in (2, 3):
        raise InputError(f"{name} has shape {labels.shape}; wanted labels of shape (H, W) or (Z, Y, X).")
    if labels.dtype.kind == "f":
        labels = whole_numbers(labels, name)
    if labels.dtype.kind not in "biu":
        raise InputError(
            f"{name} holds {labels.dtype} values; wanted ids: save it as integers (astype('uint32'))."
        )
    if labels.dtype.kind == "i" and (negative := labels[(labels < 0) & (labels != ignore)]).size:
        raise InputError(
            f"{name} holds negative ids (lowest {negative.min()}); wanted 0 for background and ids above."
        )
    return native(labels)


def whole_numbers(labels: NDArray[Any], name: object) -> NDArray[Any]:
    """Turn ids that were stored as floating point numbers, as ImageJ does, into integers."""
    if not np.isfinite(labels).all() or (labels != np.rint(labels)).any():
        raise InputError(
            f"{name} holds {labels.dtype} values, not all of them whole numbers; wanted ids: save it as integers "
            "(astype('uint32'))."
        )
    low, high = float(labels.min()), float(labels.max())
    # From here on two neighboring ids are one number.
    limit = 2.0 ** (np.finfo(labels.dtype).nmant + 1)
    if max(high, -low) >= limit:
        raise InputError(
            f"{name} holds ids up to {max(high, -low):.0f} as {labels.dtype}, exact below {limit:.0f} only; "
            "save it as integers (astype('uint32')) where it was made."
        )
    return labels.astype(np.int64 if low < 0 else smallest_unsigned(int(high)))
