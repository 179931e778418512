"""TIFF: which pages make one image, and the pixels of one of them."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from autosam.errors import InputError, listed
from autosam.images.formats import UnsupportedError, check_page
from autosam.images.ome_tiff import OmeImage
from autosam.images.readers.stored import StoredImage
from autosam.images.tiff_metadata import describe_series, sides_of_pages
from autosam.images.tiff_series import at_level, images_in, is_color, layout_of, open_tiff, palette_of, samples_of


def count_tiff_images(path: Path) -> int:
    """Count the images in a TIFF: planes of all series, where an RGB page or a C axis makes one image."""
    with open_tiff(path) as found:
        return sum(images_in(series) for series in found)


def list_tiff_images(path: Path, *, level: int = 0) -> tuple[StoredImage, ...]:
    """Describe the images that `count_tiff_images` counts, in their order, at a level of their pyramids."""
    with open_tiff(path) as found:
        file = found[0].parent
        assert file is not None, "series come from a file"
        described = dict(zip(map(id, file.series), describe_series(file, file.series), strict=True))
        return tuple(
            image
            for number, series in enumerate(found)
            for image in _with_sides(
                sides_of_pages(file, series) if level == 0 else None,
                _describe(series, described[id(series)], number if len(found) > 1 else None, level),
            )
        )


def _with_sides(sides: Sequence[float | None] | None, images: Iterator[StoredImage]) -> Iterator[StoredImage]:
    """Give each image the size of its own page, where pages differ."""
    if sides is None:
        return images
    listed = list(images)
    if len(listed) != len(sides):
        return iter(listed)
    return (replace(image, pixel_size_nm=side) for image, side in zip(listed, sides, strict=True))


def _describe(
    finest: tifffile.TiffPageSeries, said: OmeImage, number: int | None, level: int
) -> Iterator[StoredImage]:
    series = at_level(finest, level)
    axes, shape = layout_of(series)
    length = dict(zip(axes, shape, strict=True))
    smaller = finest.shape[finest.axes.index("X")] / length["X"]
    color = is_color(series)
    channels = 3 if color else len(samples_of(series)) * length.get("C", 1)
    outer = [axis for axis in axes if axis not in "YXSC"]
    sizes = [length[axis] for axis in outer]
    for index in range(math.prod(sizes)):
        place = dict(zip(outer, map(int, np.unravel_index(index, sizes)), strict=True)) if outer else {}
        # Pages of a file that names no axes are slices.
        unnamed = place.get(outer[0]) if len(outer) == 1 and outer[0] not in "ZT" else None
        yield StoredImage(
            (length["Y"], length["X"]),
            channels,
            color,
            undeclared=length.get("C", 1) == 1 and channels not in (1, 3),
            channel_names=said.channel_names if len(said.channel_names) == channels and not color else (),
            pixel_size_nm=None if said.pixel_size_nm is None else said.pixel_size_nm * smaller,
            series=number,
            z=place.get("Z", unnamed),
            time=place.get("T"),
        )


def read_tiff(
    path: Path,
    page: int | None,
    *,
    channel: int | None = None,
    level: int = 0,
    invert: bool = True,
    as_stored: bool = False,
) -> NDArray[Any]:
    """Read one image of a TIFF, by its number in the file or None for the only one; only its own pages are read.

    The result has the shape (H, W), (H, W, 3) for colors, or (C, H, W) for channels, or (H, W) for the `channel`
    that is asked for, in native byte order. Samples that are declared to be transparency are left out. Palettes
    are resolved, and where 0 is white, values are turned around; the latter not without `invert`, and neither
    `as_stored`, as labels are.
    """
    with open_tiff(path) as found:
        counts = [images_in(series) for series in found]
        left = check_page(path, page, sum(counts))
        # The series that holds the page: the first one whose end lies beyond it.
        number = 0
        while left >= counts[number]:
            left -= counts[number]
            number += 1
        return read_series_image(at_level(found[number], level), left, channel, invert=invert, as_stored=as_stored)


def read_tiff_stack(path: Path) -> tuple[NDArray[Any], str]:
    """Read the only series of a TIFF, palettes unresolved, with its axes (those of length 1 dropped)."""
    with open_tiff(path) as found:
        if len(found) > 1:
            shapes = ", ".join(str(tuple(series.shape)) for series in found)
            raise InputError(f"{path} holds pages of several shapes ({shapes}); wanted pages of one shape.")
        axes, shape = layout_of(found[0])
        refuse_absent(found[0], None)
        return found[0].asarray().reshape(shape), axes


def read_series_image(
    series: tifffile.TiffPageSeries,
    index: int,
    channel: int | None,
    *,
    invert: bool = True,
    as_stored: bool = False,
) -> NDArray[Any]:
    """Read one image of an open series by its number; the other parameters and the result as of `read_tiff`."""
    axes, shape = layout_of(series)
    check_colors(series)
    refuse_absent(series, index)
    plane = _plane_of_pages(series, index, channel)
    if plane is None:
        # One run of bytes is mapped, so that one page of a large stack is all that is read.
        mapped = series.dataoffset is not None and images_in(series) > 1
        whole = series.asarray(out="memmap") if mapped else series.asarray()
        plane = _plane(whole.reshape(shape), axes, index)

    return finish_plane(plane, series, channel, invert=invert, as_stored=as_stored)


def check_colors(series: tifffile.TiffPageSeries) -> None:
    """Refuse colors that are no red, green and blue, and channels that have them."""
    axes, shape = layout_of(series)
    length = dict(zip(axes, shape, strict=True))
    if len(samples_of(series)) > 1 and length.get("C", 1) > 1:
        found = f"{length['C']} color channels of {length['S']} samples each (axes {axes})"
        raise UnsupportedError(f"{found}; wanted gray or RGB: save the channel to segment as an image of its own")
    if series.keyframe.photometric == tifffile.PHOTOMETRIC.SEPARATED:
        raise UnsupportedError("its colors are inks (CMYK); wanted gray or RGB, so convert it")


def finish_plane(
    plane: NDArray[Any],
    series: tifffile.TiffPageSeries,
    channel: int | None,
    *,
    invert: bool = True,
    as_stored: bool = False,
) -> NDArray[Any]:
    """Turn stored values of an image, or of a part of it, into those that `read_tiff` gives.

    Parameters
    ----------
    plane : ndarray, shape (H, W) or (H, W, samples or channels)
    """
    axes, _ = layout_of(series)
    samples, key = samples_of(series), series.keyframe
    if "S" in axes:
        plane = plane[..., samples] if plane.shape[-1] > len(samples) else plane
        plane = plane[..., 0] if len(samples) == 1 else plane
    if channel is not None and plane.ndim > 2:
        plane = plane.take(channel, axis=-1)
    if plane.ndim > 2 and not is_color(series):
        plane = np.moveaxis(plane.reshape(*plane.shape[:2], -1), -1, 0)
    plane = np.array(plane, dtype=plane.dtype.newbyteorder("="), order="C")
    if as_stored:
        return plane
    if invert and key.photometric == tifffile.PHOTOMETRIC.MINISWHITE:
        plane = _black_is_zero(plane, key)
    palette = palette_of(key)
    if palette is not None and plane.ndim == 2:
        plane = palette[plane]
        plane = plane[..., channel] if channel is not None and plane.ndim > 2 else plane
    return plane


def _black_is_zero(pixels: NDArray[Any], key: tifffile.TiffPage) -> NDArray[Any]:
    """Turn values of which 0 is white around within their range."""
    if pixels.dtype.kind == "b":
        return ~pixels
    if pixels.dtype.kind == "i":
        return np.asarray(-1 - pixels, dtype=pixels.dtype)
    if pixels.dtype.kind == "u":
        bits = key.bitspersample if isinstance(key.bitspersample, int) else max(key.bitspersample)
        return np.asarray((1 << min(bits, 8 * pixels.dtype.itemsize)) - 1 - pixels, dtype=pixels.dtype)
    # Floating point numbers have no range of their own; those up to 1 are shares.
    finite = pixels[np.isfinite(pixels)]
    top = 1.0 if not finite.size or (finite.min() >= 0 and finite.max() <= 1) else finite.max()
    return np.asarray(top - pixels, dtype=pixels.dtype)


def refuse_absent(series: tifffile.TiffPageSeries, index: int | None) -> None:
    """Refuse an image of which OME-XML tells and whose pages the file lacks; all images where `index` is None.

    tifffile would fill it with zeros.
    """
    if series.kind != "ome":
        return
    axes, shape = layout_of(series)
    outer = [axis for axis in axes if axis not in series.keyframe.axes]
    sizes = [dict(zip(axes, shape, strict=True))[axis] for axis in outer]
    if len(series.pages) != math.prod(sizes):
        return
    numbers = np.arange(len(series.pages)).reshape(sizes)
    mine = numbers.ravel() if index is None else _plane(numbers, "".join(outer), index).ravel()
    absent = [number for number in map(int, mine) if series.pages[number] is None]
    if absent:
        places = (zip(outer, np.unravel_index(number, sizes), strict=True) for number in absent)
        named = ["".join(f"{axis}{place} " for axis, place in one).strip() for one in places]
        raise UnsupportedError(
            f"of the planes that its OME-XML tells of, counted from 0, the file lacks "
            f"{listed(named)}; add the missing part, or save what is there anew"
        )


def _plane_of_pages(series: tifffile.TiffPageSeries, index: int, channel: int | None) -> NDArray[Any] | None:
    """Read an image from its own pages; None where pages hold more or less than a plane of it.

    Where each channel has pages of its own, only those of the `channel` that is asked for are read.
    """
    axes, shape = layout_of(series)
    length, key = dict(zip(axes, shape, strict=True)), series.keyframe
    # Pages that belong to the image: all axes outside a page count pages, slowest first.
    outer = [axis for axis in axes if axis not in key.axes]
    # Not so where `layout_of` has found color in the pages' own columns.
    whole_pages = all(length.get(axis, 1) == n for axis, n in zip(key.axes, key.shape, strict=True))
    counted = len(series.pages) == math.prod(length[axis] for axis in outer)
    if series.dataoffset is not None or not whole_pages or images_in(series) == 1 or not counted:
        return None
    numbers = np.arange(len(series.pages)).reshape([length[axis] for axis in outer])
    mine = _plane(numbers, "".join(outer), index).ravel()
    if "C" in outer and channel is not None:
        mine = mine[[channel]]
    pages = [_page(series, int(number)) for number in mine]
    inner = "".join(axis for axis in key.axes if axis in axes)
    inner_shape = [length[axis] for axis in inner]
    if "C" in outer and channel is None:
        array = np.stack([page.reshape(inner_shape) for page in pages])
        return _plane(array, "C" + inner, 0)
    return _plane(pages[0].reshape(inner_shape), inner, 0)


def _page(series: tifffile.TiffPageSeries, number: int) -> NDArray[Any]:
    page = series.pages[number]
    if page is None:
        raise ValueError(f"its page {number} is missing")
    return page.asarray()


def _plane(array: NDArray[Any], axes: str, index: int) -> NDArray[Any]:
    """Take the image of this number, as (Y, X) or (Y, X, channels); of page numbers, those it is made of."""
    lead = [i for i, axis in enumerate(axes) if axis not in "YXSC"]
    inner = [axes.index(axis) for axis in "YXSC" if axis in axes]
    position = np.unravel_index(index, [array.shape[i] for i in lead]) if lead else ()
    plane: NDArray[Any] = array.transpose(lead + inner)[position]
    return plane
