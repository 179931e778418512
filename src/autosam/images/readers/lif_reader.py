"""LIF of Leica's LAS, by liffile: every image of the project, with times, z and channels."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import liffile
import numpy as np
from numpy.typing import NDArray

from autosam.images.formats import UnsupportedError, reading
from autosam.images.readers.series import Level, Series, SeriesReader
from autosam.images.units import Spacing, nm_of, pixel_side

_DESCRIPTION = "./Data/Image/ImageDescription/"


class LifReader(SeriesReader):
    """Reads the images of a project; the tiles of a mosaic are series of their own, as LAS stores them."""

    @contextmanager
    def open(self, path: Path, dataset: str | None) -> Iterator[Sequence[Series]]:
        """Read the header."""
        with reading(path), liffile.LifFile(path) as file:
            found = [series for image in file.images for series in _series(image)]
            if not found:
                raise UnsupportedError("no image is in it")
            yield found


def _series(image: Any) -> list[Series]:
    sizes = dict(image.sizes)
    others = [axis for axis in sizes if axis not in ("M", "T", "Z", "C", "Y", "X", "S")]
    if others or not {"Y", "X"} <= set(sizes):
        axes = ", ".join(f"{axis} {n}" for axis, n in sizes.items())
        raise UnsupportedError(f"its image {image.path} has the axes {axes}; wanted x and y, and t, z, c at most")
    samples, channels = sizes.get("S", 1), sizes.get("C", 1)
    color = samples == 3
    if samples > 1 and channels > 1:
        raise UnsupportedError(f"its image {image.path} has {channels} channels of {samples} samples each")
    names = _channel_names(image)
    channels = channels if color else channels * samples
    return [
        Series(
            (Level((sizes["Y"], sizes["X"]), _pixel_size(image), _spacing(image)),),
            partial(_plane, image, {axis for axis in "MTZC" if axis in sizes}, tile),
            times=sizes.get("T", 1),
            depth=sizes.get("Z", 1),
            channels=channels,
            color=color,
            channel_names=names if len(names) == channels and not color else (),
        )
        for tile in range(sizes.get("M", 1))
    ]


def _plane(image: Any, axes: set[str], tile: int, level: int, time: int, z: int, channel: int) -> NDArray[Any]:
    at = {"M": tile, "T": time, "Z": z, "C": channel}
    plane = np.asarray(image.frame(**{axis: at[axis] for axis in axes}))
    sizes = image.sizes
    wanted = (sizes["Y"], sizes["X"], *((sizes["S"],) if "S" in sizes else ()))
    if plane.shape != wanted:
        raise UnsupportedError(f"its image {image.path} does not store whole planes one after the other")
    return plane[..., channel] if "S" in sizes and sizes["S"] != 3 else plane


def _pixel_size(image: Any) -> float | None:
    _, row, col = _spacing(image)
    return None if row is None or col is None else pixel_side((row, col))


def _spacing(image: Any) -> Spacing:
    """Read the lengths, which reach from the first pixel's center to the last one's."""
    sides = {}
    for dimension in image.xml_element.findall(f"{_DESCRIPTION}Dimensions/DimensionDescription"):
        axis = {"1": "X", "2": "Y", "3": "Z"}.get(dimension.get("DimID", ""))
        unit, number = nm_of(dimension.get("Unit", "")), int(dimension.get("NumberOfElements", "0"))
        if axis is not None and unit is not None and number > 1:
            sides[axis] = abs(float(dimension.get("Length", "0"))) * unit / (number - 1)
    z, row, col = (sides.get(axis) or None for axis in "ZYX")
    return z, row, col


def _channel_names(image: Any) -> tuple[str, ...]:
    """List the dyes, or the lookup tables where there are none, in the order of the stored channels."""
    found = image.xml_element.findall(f"{_DESCRIPTION}Channels/ChannelDescription")
    names = []
    for channel in sorted(found, key=lambda channel: int(channel.get("BytesInc", "0"))):
        dyes = [
            part.findtext("Value", "")
            for part in channel.findall("ChannelProperty")
            if part.findtext("Key") == "DyeName"
        ]
        names.append(next((dye for dye in dyes if dye), channel.get("LUTName", "")))
    return tuple(names) if all(names) else ()
