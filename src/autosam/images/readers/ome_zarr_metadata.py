"""The metadata of OME-Zarr 0.1 to 0.5: an image's levels, their axes, and how large a pixel is."""

import re
from dataclasses import dataclass
from typing import Any

from autosam.images.units import nm_of

_RED_GREEN_BLUE = ("red", "green", "blue")
_LETTERS = ("r", "g", "b")
_PURE_COLORS = ("FF0000", "00FF00", "0000FF")
# What writers put where nobody gave a name: "", "0", "Channel 0", "C:0", "channel_1".
_NO_NAME = re.compile(r"(c|ch|channel)?[ :_-]*\d*", re.IGNORECASE)


@dataclass(frozen=True)
class Multiscale:
    """A multiscale image.

    Attributes
    ----------
    paths : tuple of str
        Arrays of the levels within the group, the finest first.
    axes : str
        Names of the axes, one letter each, in lower case.
    units : tuple of str or None
        One for each axis.
    scales : tuple of tuple of float
        For each level, the step along each axis in its unit.
    """

    paths: tuple[str, ...]
    axes: str
    units: tuple[str | None, ...]
    scales: tuple[tuple[float, ...], ...]

    def step_nm(self, axis: str, level: int = 0) -> float | None:
        """Return the step along an axis in nm; None where its unit is missing or unknown."""
        index = self.axes.index(axis)
        unit = nm_of(self.units[index] or "")
        return None if unit is None else self.scales[level][index] * unit


def ome_attributes(attributes: dict[str, Any]) -> dict[str, Any]:
    """Take the OME metadata of a group's attributes: under `ome` since 0.5, at the top before."""
    found = attributes.get("ome", attributes)
    return found if isinstance(found, dict) else {}


def parse_multiscale(attributes: dict[str, Any]) -> Multiscale:
    """Parse the first multiscale image of a group, of its `ome_attributes`.

    Axes are named since 0.4, listed in 0.3, and time, channel, z, y, x before.

    Raises
    ------
    TypeError, KeyError, IndexError, ValueError
        If the metadata are missing or incomplete.
    """
    first: Any = attributes.get("multiscales", ())[0]
    axes = [axis if isinstance(axis, dict) else {"name": axis} for axis in first.get("axes", "tczyx")]
    names = "".join(str(axis["name"]).lower() for axis in axes)
    whole = _scale(first, len(axes))
    scales = [_scale(level, len(axes)) for level in first["datasets"]]
    return Multiscale(
        paths=tuple(str(level["path"]) for level in first["datasets"]),
        axes=names,
        units=tuple(axis.get("unit") for axis in axes),
        scales=tuple(tuple(a * b for a, b in zip(scale, whole, strict=True)) for scale in scales),
    )


def channel_names(attributes: dict[str, Any], channels: int) -> tuple[str, ...]:
    """Return the labels of the channels that `omero` gives; none where it does not name them all."""
    labels = tuple(str(channel.get("label") or "") for channel in _omero_channels(attributes))
    return labels if len(labels) == channels and all(labels) else ()


def is_rgb(attributes: dict[str, Any], channels: int, dtype: str) -> bool:
    """Tell whether `omero` makes three channels of bytes the colors of one picture.

    They are called red, green and blue; or they have these colors, in this order, and no names of their own.
    Stains may have the same colors, but then they have names.
    """
    found = _omero_channels(attributes)
    if channels != 3 or dtype != "uint8" or len(found) != 3:
        return False
    labels = [str(channel.get("label") or "").strip().lower() for channel in found]
    colors = [str(channel.get("color") or "").lstrip("#").upper()[:6] for channel in found]
    named = tuple(labels) in (_RED_GREEN_BLUE, _LETTERS)
    return named or (tuple(colors) == _PURE_COLORS and all(_NO_NAME.fullmatch(label) for label in labels))


def _omero_channels(attributes: dict[str, Any]) -> list[dict[str, Any]]:
    omero = attributes.get("omero")
    found = omero.get("channels") if isinstance(omero, dict) else None
    return [channel for channel in found if isinstance(channel, dict)] if isinstance(found, list) else []


def _scale(entry: dict[str, Any], axes: int) -> list[float]:
    scale = [1.0] * axes
    for transform in entry.get("coordinateTransformations") or []:
        if transform.get("type") == "scale":
            scale = [a * float(b) for a, b in zip(scale, transform["scale"], strict=True)]
    return scale
