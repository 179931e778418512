"""Images and labels from files, with the values that are stored."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.errors import InputError
from autosam.images.formats import (
    HDF5_SUFFIXES,
    IMAGE_SUFFIXES,
    LABEL_SUFFIXES,
    PLAIN_SUFFIXES,
    TIFF_SUFFIXES,
    check_page,
    choose_dataset,
    count_images,
    label_dataset,
    looks_like_color,
    open_zarr_labels,
    read_hdf5,
    read_plain,
    read_png_indices,
    reading,
)
from autosam.images.source import ImageSource, split_dataset
from autosam.images.tiff import read_tiff, read_tiff_stack


def read_json(path: Path) -> Any:
    """Read a JSON file; an `InputError` if it is missing or is not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as JSON: {' '.join(str(error).split())}.") from error


def read_image(source: ImageSource | str | Path) -> NDArray[Any]:
    """Read one image.

    Parameters
    ----------
    source : ImageSource or str or Path
        From `find_sources`, or a file that holds one image (`file.h5:/dataset` names a dataset).

    Returns
    -------
    ndarray, shape (H, W) or (H, W, 3)
        Values as stored, never rescaled: unsigned, signed or floating point, bool as uint8 0 and 1 (1-, 2- and
        4-bit PNGs come as 8 bits, 0 to 255). Transparency is dropped without blending. Palettes become RGB. The
        three channels of a TIFF's C axis are taken for red, green and blue. White-is-zero TIFFs are not inverted,
        JPEGs not rotated by their EXIF tag. NaN and infinity stay; `normalize` decides on them.

    Raises
    ------
    InputError
        If the file is missing, damaged, has no pixels, several pages and none is named, two or more than four
        channels, or complex numbers.
    """
    if not isinstance(source, ImageSource):
        source = ImageSource(*split_dataset(str(source)))
    path, suffix = source.path, source.path.suffix.lower()
    if not path.exists():
        raise InputError(f"{path}: no such file.")
    alpha = False
    if suffix in TIFF_SUFFIXES:
        image, alpha = read_tiff(path, source.page)
    elif suffix in HDF5_SUFFIXES:
        dataset, shape = choose_dataset(path, source.dataset)
        page = check_page(f"{path}:{dataset}", source.page, count_images(shape))
        stacked = len(shape) > (3 if looks_like_color(shape) else 2)
        image = read_hdf5(path, dataset, page if stacked else None)
    elif suffix in PLAIN_SUFFIXES:
        check_page(path, source.page, 1)
        # The second of two channels is always transparency here.
        image, alpha = read_plain(path), True
    else:
        raise InputError(f"{path}: unknown suffix {suffix!r}; known: {' '.join(IMAGE_SUFFIXES)}.")
    return _as_image(image, source, alpha=alpha)


def _as_image(image: NDArray[Any], source: ImageSource, *, alpha: bool) -> NDArray[Any]:
    """Bring stored channels to (H, W) or (H, W, 3); `alpha` says that the second of two is transparency."""
    _check_pixels(source, image.shape)
    if image.dtype.kind not in "biuf":
        raise InputError(f"{source} holds {image.dtype} values; wanted integers or floating point numbers.")
    if image.ndim == 3:
        channels = image.shape[2]
        if channels not in (1, 3, 4) and not (channels == 2 and alpha):
            raise InputError(
                f"{source} has {channels} channels; wanted 1 (gray), 3 (RGB) or 4 (RGBA): "
                "save the channel to segment as an image of its own."
            )
        image = image[..., 0] if channels < 3 else image[..., :3]
    if image.ndim != 2 and image.ndim != 3:
        raise InputError(f"{source} has shape {image.shape}; wanted (H, W), (H, W, 3) or (H, W, 4).")
    return _native(image)


def _check_pixels(name: object, shape: tuple[int, ...]) -> None:
    if 0 in shape:
        raise InputError(f"{name} has no pixels (shape {shape}); wanted at least 1 row and 1 column.")


def _native(array: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(array, dtype=np.uint8 if array.dtype == bool else array.dtype.newbyteorder("="))


def read_labels(path: str | Path) -> NDArray[Any]:
    """Read a label image or volume: 0 is background, every other number is the id of an instance.

    Parameters
    ----------
    path : str or Path
        TIFF (several pages are a volume), PNG, HDF5 (`file.h5:/dataset`; without a dataset, `labels` or the only
        one) or Zarr (an array, or a group with an array `labels` or a single one).

    Returns
    -------
    ndarray of an integer type, shape (H, W) or (Z, Y, X)
        The numbers as stored: a palette's indices, not its colors; bool as uint8 0 and 1.

    Raises
    ------
    InputError
        If the file is missing or damaged, or holds colors, floating point numbers, negative ids or no pixels.
    """
    file, dataset = split_dataset(str(path))
    suffix = file.suffix.lower()
    if not file.exists():
        raise InputError(f"{file}: no such label file.")
    axes = ""
    if suffix in TIFF_SUFFIXES:
        labels, axes = read_tiff_stack(file)
    elif suffix == ".png":
        labels = read_png_indices(file)
    elif suffix in HDF5_SUFFIXES:
        labels = read_hdf5(file, label_dataset(file, dataset)[0], None)
    elif suffix == ".zarr":
        array = open_zarr_labels(file)
        with reading(file):
            labels = np.asarray(array[...])
    else:
        raise InputError(f"{path}: labels are read from {' '.join(LABEL_SUFFIXES)}, not from {suffix!r}.")
    return _as_labels(
        labels, path, color=bool(set(axes) & set("SC")) or (not axes and looks_like_color(labels.shape))
    )


def _as_labels(labels: NDArray[Any], path: str | Path, *, color: bool) -> NDArray[Any]:
    _check_pixels(path, labels.shape)
    if color:
        raise InputError(
            f"{path} holds colors or channels (shape {labels.shape}); wanted one id per pixel, as (H, W)."
        )
    if labels.ndim not in (2, 3):
        raise InputError(f"{path} has shape {labels.shape}; wanted labels of shape (H, W) or (Z, Y, X).")
    if labels.dtype.kind not in "biu":
        raise InputError(
            f"{path} holds {labels.dtype} values; wanted ids: save it as integers (astype('uint32'))."
        )
    if labels.dtype.kind == "i" and labels.min() < 0:
        raise InputError(
            f"{path} holds negative ids (lowest {labels.min()}); wanted 0 for background and ids above."
        )
    return _native(labels)
