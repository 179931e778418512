"""Zarr 2 and 3, on disk or by URL: OME-Zarr images, and plain arrays."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache, partial
from itertools import count, takewhile
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from autosam.errors import listed
from autosam.images.array_layout import looks_like_color
from autosam.images.array_parts import read_part
from autosam.images.formats import UnnamedAxesError, UnsupportedError, reading
from autosam.images.pixel_size import attributes_pixel_size, attributes_spacing
from autosam.images.readers.ome_zarr_metadata import (
    Multiscale,
    channel_names,
    is_rgb,
    ome_attributes,
    parse_multiscale,
)
from autosam.images.readers.registry import ZARR
from autosam.images.readers.series import Level, Series, SeriesReader
from autosam.images.units import pixel_side
from autosam.images.urls import reading_url, url_of

MOST_NAMED = 10
"""Images that a message names before it only counts them."""
_ARRAY_MARKS = ("zarr.json", ".zarray")
_UNSUPPORTED = "wanted numbers of the axes y and x, and of t, z and c at most"


class ZarrReader(SeriesReader):
    """Reads OME-Zarr images of versions 0.1 to 0.5, plates of them and plain arrays.

    The dataset is the path of an image or an array within the store. Without one, the image of the store itself is
    taken, or the only one in it. All images of a plate, and all that bioformats2raw wrote, are series.

    Parameters
    ----------
    axes : str, optional
        A letter for each axis of an array, instead of its own.
    """

    def __init__(self, axes: str = "") -> None:
        self._axes = axes

    @contextmanager
    def open(self, path: Path, dataset: str | None) -> Iterator[Sequence[Series]]:
        """Open the arrays; their chunks are read when they are asked for."""
        place, inside = url_of(path) or str(path), (dataset or "").strip("/")
        name = f"{place}:/{inside}" if inside else place
        with reading(name), reading_url(place):
            # zarr warns of files that are none of a store's, and of metadata newer than the specification.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                node = _open(place, inside)
                whole_plate = not inside and "plate" in ome_attributes(dict(node.attrs))
                plate = _plate(place, _stamp(path)) if whole_plate else None
                found = plate or _series(node, place, inside, self._axes)
            yield found


def _open(place: str, inside: str = "") -> "zarr.Array[Any] | zarr.Group":
    try:
        return zarr.open(place, path=inside or None, mode="r")
    except FileNotFoundError:
        raise UnsupportedError("no Zarr array or group is there") from None


@lru_cache(maxsize=4)
def _plate(place: str, stamp: tuple[int, ...]) -> list[Series]:
    """Find the images of a plate once, and not again for each of the thousands."""
    return _series(_open(place), place, "")


def _stamp(path: Path) -> tuple[int, ...]:
    """Tell one state of a store on disk from another, by the times of its root's metadata."""
    files = (path / name for name in (*ZARR.marks, ".zattrs"))
    return tuple(file.stat().st_mtime_ns for file in files if file.is_file())


def _series(node: "zarr.Array[Any] | zarr.Group", place: str, inside: str, axes: str = "") -> list[Series]:
    if isinstance(node, zarr.Array):
        return [_plain(node, inside or None, axes)]
    attributes = ome_attributes(dict(node.attrs))
    if "multiscales" in attributes:
        return [_image(node, attributes, inside or None, axes=axes)]
    names = _parts(node, attributes, place)
    if names is not None:
        parts = [(name, node[name]) for name in names]
        return [
            _image(part, ome_attributes(dict(part.attrs)), None, name.replace("/", "_"))
            for name, part in parts
            if isinstance(part, zarr.Group)
        ]
    found = dict(_images_in(node))
    if not found:
        unlisted = f", or the server does not list it; name one, as in {place}:/0" if url_of(place) else ""
        raise UnsupportedError(f"no image is in this Zarr group{unlisted}")
    if len(found) > 1:
        example, there = next(iter(found)), listed(list(found), MOST_NAMED)
        raise UnsupportedError(f"it holds several images; name one, as in {place}:/{example}; it has: {there}")
    inner, only = next(iter(found.items()))
    return _series(only, place, f"{inside}/{inner}".strip("/"), axes)


def _parts(node: zarr.Group, attributes: dict[str, Any], place: str) -> list[str] | None:
    """List the images of a plate, a well or a conversion by bioformats2raw; None for another group."""
    if "plate" in attributes:
        wells = [str(well["path"]) for well in attributes["plate"]["wells"]]
        if url_of(place) is not None:
            # Each field takes several requests.
            raise UnsupportedError(
                f"it is a plate; name one image, as in {place}:/{wells[0]}/0; wells: {listed(wells, MOST_NAMED)}"
            )
        groups = [(well, ome_attributes(dict(node[well].attrs))) for well in wells]
        return [f"{well}/{image['path']}" for well, found in groups for image in found["well"]["images"]]
    if "well" in attributes:
        return [str(image["path"]) for image in attributes["well"]["images"]]
    if "bioformats2raw.layout" in attributes:
        series = ome_attributes(dict(node["OME"].attrs)).get("series") if "OME" in node else None
        if series:
            return [str(name) for name in series]
        return list(takewhile(lambda name: name in node, map(str, count())))
    return None


def _images_in(group: zarr.Group, prefix: str = "") -> Iterator[tuple[str, "zarr.Array[Any] | zarr.Group"]]:
    """Find images and arrays of two or more axes in a group and its groups; labels are none."""
    for name, node in sorted(group.members()):
        path = f"{prefix}{name}"
        if isinstance(node, zarr.Array):
            if node.ndim >= 2 and node.dtype.kind in "biuf":
                yield path, node
        elif "multiscales" in ome_attributes(dict(node.attrs)):
            yield path, node
        elif name != "labels":
            yield from _images_in(node, f"{path}/")


def _image(
    group: zarr.Group, attributes: dict[str, Any], dataset: str | None, name: str = "", axes: str = ""
) -> Series:
    try:
        multiscale = parse_multiscale(attributes)
    except (TypeError, KeyError, IndexError, ValueError) as error:
        raise UnsupportedError(
            f"it is no OME-Zarr image of version 0.5 or below: its multiscales are missing or incomplete ({error})"
        ) from error
    nodes = [group[path] for path in multiscale.paths]
    arrays = [node for node in nodes if isinstance(node, zarr.Array)]
    if len(arrays) < len(nodes):
        raise UnsupportedError(f"its levels are {', '.join(multiscale.paths)}, and not all are arrays")
    multiscale = replace(multiscale, axes=axes) if axes else multiscale
    finest, axes = arrays[0], multiscale.axes
    sizes = _sizes(axes, finest)
    color = is_rgb(attributes, sizes.get("c", 1), str(finest.dtype))
    levels = tuple(_level(multiscale, number, array) for number, array in enumerate(arrays))
    return Series(
        levels,
        partial(_plane, arrays, axes, color),
        partial(_part, arrays, axes, color),
        np.dtype(finest.dtype),
        times=sizes.get("t", 1),
        depth=sizes.get("z", 1),
        channels=1 if color else sizes.get("c", 1),
        color=color,
        channel_names=channel_names(attributes, sizes.get("c", 1)),
        name=name,
        dataset=None if dataset is None else f"/{dataset}",
    )


def _level(multiscale: Multiscale, number: int, array: "zarr.Array[Any]") -> Level:
    axes = multiscale.axes
    row, col = (multiscale.step_nm(axis, number) for axis in "yx")
    side = None if row is None or col is None else pixel_side((row, col))
    depth = multiscale.step_nm("z", number) if "z" in axes else None
    shape = (array.shape[axes.index("y")], array.shape[axes.index("x")])
    return Level(shape, side, (depth, row, col), _chunks(array, axes), str(array.path))


def _chunks(array: "zarr.Array[Any]", axes: str) -> tuple[int, int, int]:
    depth, rows, cols = (int(array.chunks[axes.index(axis)]) if axis in axes else 1 for axis in "zyx")
    return depth, rows, cols


def _plain(array: "zarr.Array[Any]", dataset: str | None, given: str = "") -> Series:
    axes = given or _axes_of(array)
    sizes = _sizes(axes, array)
    color = sizes.get("c", 1) == 3 and axes.endswith("c")
    attributes = dict(array.attrs)
    level = Level(
        (sizes["y"], sizes["x"]),
        attributes_pixel_size(attributes),
        attributes_spacing(attributes),
        _chunks(array, axes),
        str(array.path),
    )
    return Series(
        (level,),
        partial(_plane, [array], axes, color),
        partial(_part, [array], axes, color),
        np.dtype(array.dtype),
        times=sizes.get("t", 1),
        depth=sizes.get("z", 1),
        channels=1 if color else sizes.get("c", 1),
        color=color,
        undeclared=sizes.get("c", 1) in (2, 4) and not given and not _names_of_axes(array),
        dataset=None if dataset is None else f"/{dataset}",
        named=bool(given or _names_of_axes(array)),
    )


def _axes_of(array: "zarr.Array[Any]") -> str:
    """Name the axes, as the array does or by their number."""
    named = _names_of_axes(array)
    if named:
        return named
    usual = "zyxc" if looks_like_color(array.shape) else "zyx"
    if array.ndim > len(usual) or array.ndim < 2:
        raise UnnamedAxesError(
            f"its shape is {array.shape}, and nothing names its axes; wanted (H, W), (Z, H, W), or an OME-Zarr "
            "group (choose its level with --level)",
            tuple(array.shape),
        )
    return usual[len(usual) - array.ndim :]


def _names_of_axes(array: "zarr.Array[Any]") -> str:
    """Return the letters that Zarr 3's dimension names, or xarray's attribute, begin with; empty without both."""
    names = getattr(array.metadata, "dimension_names", None) or array.attrs.get("_ARRAY_DIMENSIONS")
    if not isinstance(names, (list, tuple)) or len(names) != array.ndim:
        return ""
    lower = [str(name).lower() for name in names]
    letters = "".join("c" if name in ("s", "samples") else name[:1] for name in lower)
    return letters if {"y", "x"} <= set(letters) and len(set(letters)) == array.ndim else ""


def _sizes(axes: str, array: "zarr.Array[Any]") -> dict[str, int]:
    shape = tuple(int(n) for n in array.shape)
    sizes = dict(zip(axes, shape, strict=False))
    others = {axis for axis, n in sizes.items() if axis not in "tczyx" and n > 1}
    if len(shape) != len(axes) or len(sizes) != len(axes) or others or not {"y", "x"} <= set(axes):
        raise UnsupportedError(f"its shape is {shape} and its axes are {axes!r}; {_UNSUPPORTED}")
    if 0 in shape:
        raise UnsupportedError(f"it has no pixels (shape {shape}); wanted at least 1 row and 1 column")
    if array.dtype.kind not in "biuf":
        raise UnsupportedError(f"it holds {array.dtype} values; {_UNSUPPORTED}")
    return sizes


def _plane(
    arrays: Sequence["zarr.Array[Any]"], axes: str, color: bool, level: int, time: int, z: int, channel: int
) -> NDArray[Any]:
    """Read a plane of a level: (H, W), or (H, W, 3)."""
    every = slice(None)
    plane: NDArray[Any] = _part(arrays, axes, color, level, time, channel, slice(z, z + 1), every, every)[0]
    return plane


def _part(
    arrays: Sequence["zarr.Array[Any]"],
    axes: str,
    color: bool,
    level: int,
    time: int,
    channel: int,
    slices: slice,
    rows: slice,
    cols: slice,
) -> NDArray[Any]:
    """Read a part of some slices; chunks that are not stored have the fill value, as the format says."""
    array, number = arrays[level], None if color else channel
    found = read_part(array, axes, slices=slices, rows=rows, cols=cols, time=time, channel=number)
    if not found.any():
        _check_there(array)
    return found


def _check_there(array: "zarr.Array[Any]") -> None:
    """Refuse an array whose folder is gone, such as one of a disk that is not mounted any more.

    zarr would give the fill value, as it does for chunks that are not stored.
    """
    root = getattr(array.store, "root", None)
    if root is not None and not any((Path(root) / array.path / name).is_file() for name in _ARRAY_MARKS):
        raise ValueError("its metadata are not there any more")
