"""Images from files, with the values that are stored."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.errors import InputError
from autosam.images.folder_listing import check_file
from autosam.images.formats import check_page, check_pixels, native
from autosam.images.image_source import ImageSource, split_dataset
from autosam.images.readers import StoredImage, list_images, reader_of
from autosam.images.urls import url_of


def read_json(path: Path) -> Any:
    """Read a JSON file; an `InputError` if it is missing or is not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as JSON: {' '.join(str(error).split())}.") from error


def read_pixels(source: ImageSource | str | Path) -> NDArray[Any] | list[NDArray[Any]]:
    """Read one image, and tell the colors of a picture from channels.

    Parameters
    ----------
    source : ImageSource or str or Path
        From `find_sources`, or a file that holds one image (`file.h5:/dataset` names a dataset).

    Returns
    -------
    ndarray, shape (H, W) or (H, W, 3), or list of ndarray, each (H, W)
        Gray or RGB; or the channels of a multichannel image, which `normalize_channels` scales one by one. Values
        are those of `read_image`.

    Raises
    ------
    InputError
        See `read_image`; any number of channels is taken where the file says that they are channels.
    """
    source = _as_source(source)
    pixels, image = read_stored(source)
    if image.undeclared and pixels.ndim == 3:
        raise InputError(
            f"{source} has {image.channels} channels, and does not say whether they are colors, stains or "
            "transparency; choose one by its number (--channel 0), or take all (--channels all)."
        )
    if pixels.ndim == 3 and not image.color:
        return list(pixels)
    return pixels


def read_stored(source: ImageSource) -> tuple[NDArray[Any], StoredImage]:
    """Read one image, all its channels or the chosen one, and what the file says of it.

    The pixels are (H, W), (H, W, 3) for colors or (C, H, W), in native byte order; errors as of `read_image`.
    """
    path = source.path
    reader = reader_of(path)
    if url_of(path) is None:
        check_file(path, "file")
    images = list_images(path, source.dataset, level=source.level)
    number = check_page(path if source.dataset is None else f"{path}:{source.dataset}", source.page, len(images))
    pixels = reader.read(path, source.dataset, number, channel=source.channel, level=source.level)
    check_pixels(source, pixels.shape)
    if pixels.dtype.kind not in "biuf":
        raise InputError(f"{source} holds {pixels.dtype} values; wanted integers or floating point numbers.")
    return native(pixels), images[number]


def _as_source(source: ImageSource | str | Path) -> ImageSource:
    return source if isinstance(source, ImageSource) else ImageSource(*split_dataset(str(source)))


def read_image(source: ImageSource | str | Path) -> NDArray[Any]:
    """Read one image as gray or RGB.

    Parameters
    ----------
    source : ImageSource or str or Path
        From `find_sources`, or a file that holds one image (`file.h5:/dataset` names a dataset).

    Returns
    -------
    ndarray, shape (H, W) or (H, W, 3)
        Values as stored, never rescaled: unsigned, signed or floating point, bool as uint8 0 and 1 (1-, 2- and
        4-bit PNGs come as 8 bits, 0 to 255). Transparency that the file declares is dropped without blending.
        Palettes become RGB, or gray where they are a lookup table (`gray_lookup`). Three channels that are no
        colors come as (H, W, 3), too; `read_pixels` tells them apart. JPEGs are not rotated by their EXIF tag. NaN
        and infinity stay; `normalize` decides on them.

    Raises
    ------
    InputError
        If the file is missing, damaged, has no pixels, several pages and none is named, two or more than three
        channels of which none is chosen, or complex numbers.
    """
    source = _as_source(source)
    pixels, image = read_stored(source)
    if pixels.ndim == 2 or image.color:
        return pixels
    if len(pixels) != 3:
        raise InputError(
            f"{source} has {len(pixels)} channels; wanted 1 (gray) or 3 (RGB): choose one by its number "
            "(ImageSource(path, channel=0), or --channel 0)."
        )
    return np.ascontiguousarray(np.moveaxis(pixels, 0, -1))
